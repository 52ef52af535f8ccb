"""Looks at a host whose journal, units and clock are as a test says; all else is recorded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.look import Before, Look
from checks.model import Baseline, Output
from checks.source import Facts
from tests import looks

JOURNALS = Path(__file__).parent / "unit/checks/journals"
"""What the journal probe printed in the lab moments after the network service was restarted, by each of four askers."""

NOW = datetime(2026, 11, 24, 14, 3, 20, tzinfo=UTC)
NETWORK_SCRIPT = "line /etc/rc.d/init.d/network:237:    sysctl -w net.ipv4.ip_forward=0 > /dev/null 2>&1\n"
NETWORK_SERVICE = f"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n{NETWORK_SCRIPT}end\n"
NO_FILES = "systemd 252\nprocps 4.0.2\nplatform \nend\n"

_IDS = {
    "Starting": "7d4958e842da4a758f6c1cdc7b36dcc5",
    "Started": "39f53479d3a045ac8e11786248231fbf",
    "Stopping": "de5b426a63be47a7b6ac3eaac82e2f6f",
    "Stopped": "9d1aaa27d60140bd96365438aad20286",
    "Failed": "be02cf6855d2428ba40df7e9d022f03d",
}


def at(clock: str) -> datetime:
    """A time of the day of NOW: ``14:03:10`` or ``14:03:10.250``."""
    return datetime.fromisoformat(f"2026-11-24T{clock}+00:00")


def record(clock: str, message: object, **fields: str) -> str:
    """One record of the journal as ``-o json`` prints it."""
    micros = str(round(at(clock).timestamp() * 1_000_000))
    return json.dumps({"__REALTIME_TIMESTAMP": micros, "MESSAGE": message, "_PID": "900", **fields})


def unit(clock: str, does: str, name: str) -> str:
    """A unit changes, as systemd says it to a unit: ``Stopping``, ``Stopped``..."""
    return record(clock, f"{does} {name}.", _PID="1", MESSAGE_ID=_IDS[does], UNIT=name, _SYSTEMD_UNIT="init.scope")


def restart(clock: str, name: str) -> list[str]:
    return [unit(clock, does, name) for does in ("Stopping", "Stopped", "Starting", "Started")]


def sudo(clock: str, who: str, command: str, by_unit: str = "session-4.scope") -> str:
    message = f"{who:>8} : TTY=pts/0 ; PWD=/home ; USER=root ; COMMAND={command}"
    return record(clock, message, SYSLOG_IDENTIFIER="sudo", _SYSTEMD_UNIT=by_unit)


def journal(*records: str) -> str:
    """What the probe prints of these records: the newest first."""
    return "\n".join((*reversed(records), "ended 0", ""))


def recorded(name: str) -> str:
    return (JOURNALS / f"{name}.txt").read_text(encoding="utf-8")


def units(docker_since: datetime = NOW - timedelta(hours=5), network_stopped: datetime | None = None) -> str:
    stopped = f"{network_stopped:%a %Y-%m-%d %H:%M:%S} UTC" if network_stopped else ""
    return "\n\n".join(
        (_unit("docker.service", f"{docker_since:%a %Y-%m-%d %H:%M:%S} UTC", ""), _unit("network.service", "", stopped))
    )


def _unit(name: str, active: str, inactive: str) -> str:
    states = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=77\nResult=success"
    return f"Id={name}\n{states}\nActiveEnterTimestamp={active}\nInactiveEnterTimestamp={inactive}"


def system(clock: datetime) -> str:
    return f"kernel=6.1\nclock={clock.timestamp()}\nmodules=\nID=debian\n"


def look(
    records: str | None,
    *,
    now: datetime = NOW,
    clock: datetime | None = None,
    good: Baseline | None = None,
    outputs: Mapping[str, str] | None = None,
) -> Look:
    """A host on which forwarding is off. ``records`` None: its journal cannot be read. ``clock``: the host's own."""
    seen = looks.look("debian12-docker20.10.24", "ip-forward-off", looks.TIMED_OUT)
    assert seen.facts is not None
    said = {
        "units": units(),
        "system": system(clock or now),
        "network-service": NETWORK_SERVICE,
        "config-files": "end\n",
        "packages": "zone +0000\nend\n",
        "sysctl-files": NO_FILES,
        "journal": "unreadable\n" if records is None else records,
        **(outputs or {}),
    }
    all_outputs = {**seen.facts.outputs, **{name: Output(text) for name, text in said.items()}}
    facts = Facts(seen.facts.host, now, all_outputs, seen.facts.missing)
    return replace(seen, facts=facts, before=Before(good=good))


def texts(evidence: Sequence[object]) -> str:
    return "\n".join(str(one) for one in evidence)
