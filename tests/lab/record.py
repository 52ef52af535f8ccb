"""Records what every probe prints on a host in every state that a test knows: `python -m tests.lab record`."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from checks.engine import Engine
from checks.facts.engine import ENGINE
from checks.facts.system import SYSTEM
from checks.gather import gather
from checks.model import Host, Login, Service
from checks.source import Facts, Unavailable
from checks.ssh import Connection
from tests import recordings
from tests.lab import faults
from tests.lab.command import LabError
from tests.lab.host import LabHost
from tests.lab.lab import Lab


def _both_at_once(host: LabHost) -> None:
    faults.firewalld_started_after_deaf_dockerd(host)
    faults.forwarding_switched_off(host)


def _heard_firewalld(host: LabHost) -> None:
    faults.firewalld_started_after_deaf_dockerd(host)
    host.run("systemctl", "restart", "docker.service")


def _rule_deleted(host: LabHost) -> None:
    _heard_firewalld(host)
    host.run("iptables", "-t", "nat", "-F", "DOCKER")


def _open_without_forwarding(host: LabHost) -> None:
    faults.registry_on_host_network_with_port_open(host)
    faults.forwarding_switched_off(host)


STATES: Mapping[str, Callable[[LabHost], object]] = MappingProxyType(
    {
        "healthy": lambda _: None,
        "ip-forward-off": faults.forwarding_switched_off,
        "ip-forward-off-hardened": faults.hardening_file_says_zero,
        "firewalld-started-after-deaf-dockerd": faults.firewalld_started_after_deaf_dockerd,
        "chains-missing-and-ip-forward-off": _both_at_once,
        "firewalld-running-healthy": _heard_firewalld,
        "docker-nat-rule-missing": _rule_deleted,
        "host-network-port-closed": faults.registry_on_host_network_with_firewalld_closed,
        "host-network-port-open-forwarding-off": _open_without_forwarding,
        "container-stopped": faults.container_stopped,
        "container-missing": faults.container_removed,
        "dockerd-down": faults.dockerd_stopped,
        "chains-missing-but-served": faults.chains_flushed_but_served_by_proxy,
    }
)


def record(lab: Lab, host: LabHost, folder: Path) -> list[Path]:
    """Break the host in each way in turn, and write down what it then says of itself."""
    written, platform = [], ""
    for state, act in STATES.items():
        host.restore()
        platform = platform or _platform(asyncio.run(_snapshot(lab, host)))
        act(host)
        path = folder / platform / f"{state}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recordings.dump(asyncio.run(_snapshot(lab, host)), host.address))
        written.append(path)
    host.restore()
    return written


async def _snapshot(lab: Lab, host: LabHost) -> Facts:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    connection = Connection(Host(host.name, host.address, (service,), login))
    engine = Engine(connection)
    try:
        return await gather(connection, engine, (service,), lambda: datetime.now(UTC))
    finally:
        await engine.close()
        await connection.close()


def _platform(facts: Facts) -> str:
    """``debian12-docker20.10.24``."""
    system, engine = facts.get(SYSTEM), facts.get(ENGINE)
    if isinstance(system, Unavailable) or isinstance(engine, Unavailable):
        raise LabError(f"{facts.host} does not say what it is")
    return f"{system.distribution.replace(' ', '')}-docker{engine.version.split('+')[0]}"
