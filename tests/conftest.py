"""What every test starts from."""

import signal
from collections.abc import Iterator

import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import postgresql as real_postgresql


def pytest_configure() -> None:
    """Have a run that is told to end do so as after Ctrl-C, with all fixtures taken down, instead of on the spot."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    # Not by raising SIGINT: a shell has its background jobs ignore that one, and then nothing would end this run.
    raise KeyboardInterrupt


_SECOND_LAB = ("tests/lab/test_matrix.py", "tests/lab/test_fixes.py")
"""Half of the tests on real hosts, by the time they take."""


class TwoLabs(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests on real hosts run in two processes at most, each with a lab of its own. The rest runs beside them.

    A scope is what one process gets at a time, the largest first. A lab takes long to boot, and its tests wait for most
    of their time: with one of them all the others had ended long before.
    """

    def _split_scope(self, nodeid: str) -> str:
        if not nodeid.startswith("tests/lab/"):
            return nodeid
        return "second lab" if nodeid.startswith(_SECOND_LAB) else "first lab"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TwoLabs:
    return TwoLabs(config, log)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[real_postgresql.Server]:
    """One that is started for the first test that asks for it."""
    with real_postgresql.server() as server:
        yield server


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands configure logging for their process; the next test is another process, as it were."""
    yield
    structlog.reset_defaults()
