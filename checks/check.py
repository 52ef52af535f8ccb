"""The first door: reach, gather, diagnose, plan. One call, one report a service."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from checks.causes.cause import Look
from checks.causes.host import HOST_UNREACHABLE
from checks.diagnose import diagnose
from checks.engine import Engine
from checks.errors import LookError
from checks.facts.path import Rung
from checks.facts.units import UNITS
from checks.fixes import ALL_FIXES
from checks.gather import gather
from checks.model import Diagnosis, Host, NoChange, Output, Plan, Reading, Report, Service, Status, Step, Trouble
from checks.reach import judge, reach
from checks.source import Facts, Unavailable
from checks.ssh import Connection, offered_host_key
from checks.timeline import timeline

_PATIENCE, _PAUSE = 3, 1.0
"""How often, and with how many seconds between, facts are taken again because something moved."""

_FIXES = {fix.id: fix for fix in ALL_FIXES}


class Checker:
    """Checks hosts over SSH connections that stay warm between calls."""

    def __init__(self, hosts: Iterable[Host], *, clock: Callable[[], datetime], concurrency: int = 20) -> None:
        """``concurrency``: hosts that are looked into at the same time; outside readings are not counted."""
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self._clock = clock
        self._connections = {name: Connection(host) for name, host in self.hosts.items()}
        self._engines = {name: Engine(connection) for name, connection in self._connections.items()}
        self._looking = asyncio.Semaphore(concurrency)
        self._fixing = {name: asyncio.Lock() for name in self.hosts}

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the host is part of the question
        """One attempt from outside. No SSH. Never raises."""
        return await reach(service, self._clock)

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:
        """One look at a host: a report for the service, or for each of its services in configured order.

        Never raises for a host that cannot be looked at: that is the report's ``trouble``.
        """
        started = time.perf_counter()
        services = (service,) if service else host.services
        async with asyncio.TaskGroup() as group:
            readings = [group.create_task(reach(one, self._clock)) for one in services]
            looking = group.create_task(self._look_inside(host))
        facts, trouble = looking.result()
        at = self._clock()
        took = (time.perf_counter() - started) * 1000
        looks = [
            Look(host, one, reading.result(), facts, trouble) for one, reading in zip(services, readings, strict=True)
        ]
        return tuple(report(look, at, took) for look in looks)

    async def run(self, host: Host, step: Step) -> Output:
        """Run one step of an approved plan. Raises LookError when contact was lost or the deadline ran out."""
        raw = await self._connections[host.name].run(step.shell, what=step.does, timeout=step.timeout)
        return raw.decoded()

    def fixing(self, host: Host) -> asyncio.Lock:
        """Held while a plan is carried out: one fix at a time a host."""
        return self._fixing[host.name]

    async def offered_host_key(self, host: Host) -> tuple[str, str]:
        """The key that a host shows now: a line for known_hosts, and its fingerprint. Raises LookError."""
        return await offered_host_key(host)

    async def close(self) -> None:
        """End every connection."""
        for engine in self._engines.values():
            await engine.close()
        for connection in self._connections.values():
            await connection.close()

    async def _look_inside(self, host: Host) -> tuple[Facts | None, Trouble | None]:
        try:
            async with self._looking:
                return await self._gather_at_rest(host), None
        except LookError as error:
            return None, Trouble(error.id, str(error))

    async def _gather_at_rest(self, host: Host) -> Facts:
        """Facts taken while a unit starts or stops fit together badly: take them again, a few times at most."""
        for _ in range(_PATIENCE):
            facts = await self._gather(host)
            if not moving(facts):
                return facts
            await asyncio.sleep(_PAUSE)
        return await self._gather(host)

    async def _gather(self, host: Host) -> Facts:
        return await gather(self._connections[host.name], self._engines[host.name], host.services, self._clock)


def moving(facts: Facts) -> bool:
    """Whether a unit that matters was starting or stopping while the facts were taken. Pure."""
    units = facts.get(UNITS)
    return not isinstance(units, Unavailable) and any(unit.is_moving for unit in units.values())


def report(look: Look, at: datetime, took_ms: float) -> Report:
    """All that follows from one look. Pure."""
    diagnosis = diagnose(look)
    plans, refused = _plans(look, diagnosis)
    return Report(
        host=look.host.name,
        service=look.service.name,
        at=at,
        status=_status(look, diagnosis),
        readings=(look.outside, *(_as_reading(look, rung, at) for rung in look.way.rungs)),
        diagnosis=diagnosis,
        plans=plans,
        refused=refused,
        timeline=timeline(look),
        trouble=look.trouble,
        took_ms=took_ms,
    )


def _status(look: Look, diagnosis: Diagnosis) -> Status:
    """A host that could not be looked at is neither healthy nor unhealthy, but for one that is plainly not there."""
    if look.facts is None:
        unreachable = diagnosis.root is not None and diagnosis.root.cause == HOST_UNREACHABLE.id
        return Status.UNHEALTHY if unreachable else Status.UNKNOWN
    return Status.HEALTHY if look.outside.ok else Status.UNHEALTHY


def _plans(look: Look, diagnosis: Diagnosis) -> tuple[tuple[Plan, ...], tuple[NoChange, ...]]:
    """A plan for each fix of what is wrong, or will be, in that order; one fix once."""
    plans: dict[str, Plan] = {}
    refused: dict[str, NoChange] = {}
    for finding in (*diagnosis.causes, *diagnosis.risks):
        for fix in finding.fixes:
            if fix in plans or fix in refused:
                continue
            match _FIXES[fix].plan(look, finding):
                case Plan() as plan:
                    plans[fix] = plan
                case NoChange() as no_change:
                    refused[fix] = no_change
    return tuple(plans.values()), tuple(refused.values())


def _as_reading(look: Look, rung: Rung, at: datetime) -> Reading:
    """A rung of the ladder, judged as the reading from outside is."""
    ended, detail = rung.ended, ""
    if rung.status is not None:
        headers = {"docker-distribution-api-version": ""} if rung.registry else {}
        ended, detail = judge(look.service.kind, rung.status, headers)
    return Reading(
        vantage=rung.vantage,
        phase=rung.phase,
        ended=ended,
        ms=rung.ms,
        at=at,
        status=rung.status,
        address=rung.address,
        detail=detail,
    )
