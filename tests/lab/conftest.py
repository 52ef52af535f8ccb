"""The hosts of a test run: booted once, restored around every test, taken down at the end, also of an interrupted run.

Settings, all from the environment:
- DOCKERHEALTH_LAB=required: what keeps the lab from standing is a failure and no reason to skip (CI).
- DOCKERHEALTH_LAB_REUSE=1: use the hosts that `python -m tests.lab up` keeps standing.
- DOCKERHEALTH_LAB_GENERATIONS: which hosts to boot, if not `bookworm trixie`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.lab import lab as labs
from tests.lab.command import LabError
from tests.lab.host import LabHost
from tests.lab.lab import Lab

TESTED = tuple(os.environ.get("DOCKERHEALTH_LAB_GENERATIONS", "bookworm trixie").split())
NEEDED = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
}
TEST_TIMEOUT = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The deadline of a lab test is its own: that of the fixtures, which may build a tree, is in the lab itself."""
    for item in items:
        if item.get_closest_marker("lab") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT, func_only=True))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Hosts of all tested generations, up. Named to be free, so a lab that stands beside is not disturbed."""
    lacking = _lacking()
    if lacking and os.environ.get("DOCKERHEALTH_LAB") == "required":
        pytest.fail(f"the lab is required, and {lacking}", pytrace=False)
    if lacking:
        pytest.skip(f"no lab: {lacking}")
    if os.environ.get("DOCKERHEALTH_LAB_REUSE") == "1":
        yield _standing()
        return
    with ExitStack() as stack:
        with labs.one_boots_at_a_time():
            booted = stack.enter_context(labs.booted([labs.free_name(generation) for generation in TESTED]))
        yield booted


@pytest.fixture(params=TESTED)
def host(lab: Lab, request: pytest.FixtureRequest) -> Iterator[LabHost]:
    """One healthy host, of each generation in turn; whatever a test does to it is undone."""
    found = next(host for host in lab.hosts if host.generation == request.param)
    found.restore()
    yield found
    found.restore()


def _lacking() -> str:
    """Why there can be no lab here, or nothing."""
    if os.geteuid() != 0:
        return "real hosts need root"
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _standing() -> Lab:
    found = labs.standing()
    if found is None:
        raise LabError("DOCKERHEALTH_LAB_REUSE=1, but no lab stands: python -m tests.lab up bookworm trixie")
    return found
