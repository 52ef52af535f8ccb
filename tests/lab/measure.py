"""How long checks take over a warm connection, and what takes it: `python -m tests.lab measure`."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from checks.check import report
from checks.collect.ssh import Connection, Conversation
from checks.collect.survey import Survey
from checks.model import Host, Login, Report, Service
from checks.source import Facts
from tests.lab.faults.forwarding import forwarding_switched_off
from tests.lab.host import LabHost
from tests.lab.lab import Lab

RUNS = 20
_SLOWEST = 3


@dataclass
class _Measured:
    """What the runs took. ``probes`` has the milliseconds of each command on the host, one a run."""

    ms: list[float] = field(default_factory=list)
    probes: dict[str, list[float]] = field(default_factory=dict)
    execs: int = 0
    received: int = 0  # bytes that the commands printed, and the Engine answered
    found: str = ""

    def add(self, took_ms: float, facts: Facts | None, told: Report) -> None:
        self.ms.append(took_ms)
        self.found = told.diagnosis.root.cause if told.diagnosis.root else told.status.value
        for name, output in facts.outputs.items() if facts else ():
            if output.ms is None:  # it is the Engine's, and came by its own channel
                self.received += len(output.stdout.encode())
            else:
                self.probes.setdefault(name, []).append(output.ms)

    def __str__(self) -> str:
        medians = {name: statistics.median(ms) for name, ms in self.probes.items()}
        slowest = sorted(medians.items(), key=lambda one: -one[1])[:_SLOWEST]
        return (
            f"{self.found}: {len(self.ms)} warm checks: median {statistics.median(self.ms):.0f} ms,"
            f" worst {max(self.ms):.0f} ms; {self.execs / len(self.ms):g} SSH execs and"
            f" {self.received / len(self.ms) / 1000:.0f} kB each; slowest on the host:"
            f" {', '.join(f'{name} {ms:.0f} ms' for name, ms in slowest)}"
        )


def measure(lab: Lab, host: LabHost) -> str:
    """A line for a person as the host is, and one with forwarding switched off."""
    as_it_is = asyncio.run(_measured(lab, host))
    forwarding_switched_off(host)
    try:
        broken = asyncio.run(_measured(lab, host))
    finally:
        host.restore()
    return f"{host.name}: {as_it_is}\n{host.name}: {broken}"


async def _measured(lab: Lab, host: LabHost) -> _Measured:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host(host.name, host.address, (service,), login)
    survey = Survey([known], lambda: datetime.now(UTC), concurrency=1)
    measured = _Measured()
    try:
        await _check(survey, known)  # the login
        connection = survey.connections[known.name]
        with patch.object(connection, "converse", _counting(connection, measured)):
            for _ in range(RUNS):
                started = time.perf_counter()
                facts, told = await _check(survey, known)
                measured.add((time.perf_counter() - started) * 1000, facts, told)
    finally:
        await survey.close()
    return measured


async def _check(survey: Survey, host: Host) -> tuple[Facts | None, Report]:
    [look] = await survey.look(host, host.services)
    return look.facts, report(look, datetime.now(UTC), 0)


def _counting(connection: Connection, measured: _Measured) -> Any:
    converse = connection.converse

    @asynccontextmanager
    async def counted(command: str, **how: Any) -> AsyncIterator[Conversation]:
        measured.execs += 1
        async with converse(command, **how) as conversation:
            with patch.object(conversation, "hear", _weighing(conversation, measured)):
                yield conversation

    return counted


def _weighing(conversation: Conversation, measured: _Measured) -> Any:
    hear = conversation.hear

    async def weighed(*how: Any) -> bytes:
        heard: bytes = await hear(*how)
        measured.received += len(heard)
        return heard

    return weighed
