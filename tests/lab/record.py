"""Records what a look finds on a host in every scenario: `python -m tests.lab record`."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from checks.collect.survey import Survey
from checks.facts.engine import ENGINE
from checks.facts.system import SYSTEM
from checks.look import Look
from checks.model import Host, Login
from checks.source import Facts, Unavailable
from tests import recordings
from tests.lab.command import LabError
from tests.lab.faults import SCENARIOS
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.scenario import Scenario, broken

WHOLE = frozenset(
    {
        "healthy",
        "ip-forward-off",
        "ip-forward-off-hardened",
        "firewalld-started-after-deaf-dockerd",
        "chains-missing-and-ip-forward-off",
        "firewalld-running-healthy",
        "docker-nat-rule-missing",
        "host-network-port-closed",
        "host-network-port-open-forwarding-off",
        "container-stopped",
        "container-missing",
        "dockerd-down",
        "chains-missing-but-served",
    }
)
"""Recorded in full, because others read them on their own: the demo packages some. All else refers to `healthy`."""


def record(lab: Lab, host: LabHost, folder: Path, scenarios: Sequence[Scenario] = SCENARIOS) -> Iterator[Path]:
    """Break the host in each way in turn, and write down what a look at it finds."""
    host.restore()
    healthy = next(scenario for scenario in SCENARIOS if scenario.name == recordings.BASE)
    base = _look(lab, host, healthy)
    if base.facts is None:
        raise LabError(f"{host.name} cannot be looked at: {base.trouble}")
    platform = folder / _platform(base.facts)
    platform.mkdir(parents=True, exist_ok=True)
    kept = base.facts if healthy in scenarios else recordings.load(platform / f"{recordings.BASE}.json")
    for scenario in scenarios:
        if not scenario.applies_to(host):
            continue
        host.restore()
        look = base if scenario is healthy else _look(lab, host, scenario)
        path = platform / f"{scenario.name}.json"
        outputs = None if scenario.name in WHOLE else kept.outputs
        path.write_text(recordings.dump(look, scenario.causes, scenario.risks, outputs))
        yield path
    host.restore()


def _look(lab: Lab, host: LabHost, scenario: Scenario) -> Look:
    """Break the host, and look at it by a login from before."""
    return asyncio.run(_survey(lab, host, scenario))


async def _survey(lab: Lab, host: LabHost, scenario: Scenario) -> Look:
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host(host.name, host.address, (scenario.service_of(host),), login)
    survey = Survey([known], lambda: datetime.now(UTC), concurrency=1)
    try:
        await survey.connections[host.name].connected()
        await asyncio.to_thread(broken, host, scenario)
        if scenario.cold:
            await survey.connections[host.name].close()
        [look] = await survey.look(known, known.services)
        return look
    finally:
        await survey.close()


def _platform(facts: Facts) -> str:
    """``debian12-docker20.10.24``."""
    system, engine = facts.get(SYSTEM), facts.get(ENGINE)
    if isinstance(system, Unavailable) or isinstance(engine, Unavailable):
        raise LabError(f"{facts.host} does not say what it is")
    return f"{system.distribution.replace(' ', '')}-docker{engine.version.split('+')[0]}"
