"""All that is found out about a host at one time: readings, facts, counters, and what its peers see."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from checks.collect.engine import Engine
from checks.collect.gather import RECENTLY, count, gather
from checks.collect.outside import Outside
from checks.collect.peers import ask_peers
from checks.collect.reach import reach
from checks.collect.ssh import Connection
from checks.errors import LookError, SshLostError, SshTimedOutError
from checks.facts.units import UNITS, known
from checks.look import Before, Look, Peer, Recount
from checks.model import Baseline, Host, Reading, Service, Trouble
from checks.source import Facts, Source, Unavailable

_PATIENCE, _PAUSE = 3, 1.0
"""How often, and with how many seconds between, facts are taken again because something moved."""

_SOON = 2.0
"""Seconds in which a host has been looked into. After that it may not be there, and peers are asked beside the look.

Otherwise they are asked last: their packets would be counted with the known ones from here.
"""

_LEAST = 1.5
"""Seconds for a host to answer a new connection after an old one: Linux repeats a lost SYN after 1 s."""

_OVERTAKEN = timedelta(seconds=10)
"""How long before a failed reading a good look must have been, where there is one before it."""

_MARGIN = timedelta(minutes=2)
"""How much further back than the last good look the host's journal is read."""

_Key = tuple[str, str]  # host, service


class Survey:
    """Surveys hosts over SSH connections that stay warm, and remembers how each service was before."""

    def __init__(self, hosts: Iterable[Host], clock: Callable[[], datetime], concurrency: int) -> None:
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self.connections = {name: Connection(host) for name, host in self.hosts.items()}
        self._engines = {name: Engine(connection) for name, connection in self.connections.items()}
        self._clock = clock
        self._looking = asyncio.Semaphore(concurrency)
        self._before: dict[_Key, Before] = {}
        self._experience: dict[str, Mapping[str, float]] = {}

    async def reach(self, host: Host, service: Service) -> Reading:
        """One attempt from outside, which is remembered. Never raises."""
        reading = await reach(service, self._clock)
        self._remember(host, service, reading)
        return reading

    def remember(self, host: str, service: str, good: Baseline) -> None:
        """Take a healthy look for the newest one of its service."""
        key = host, service
        before = self._before.get(key, Before())
        self._before[key] = replace(before, good=good, earlier=before.good)

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Know how long steps took on a host the last time: the command of each, to its seconds."""
        self._experience[host] = experience

    async def look(self, host: Host, services: Sequence[Service]) -> tuple[Look, ...]:
        """Look at a host: one look a service. Never raises for a host that cannot be looked at."""
        now = self._clock()
        before = {one.name: self._before_now(host, one, now) for one in services}
        async with asyncio.TaskGroup() as group:
            outside = Outside(services, self._clock, group)
            looking = group.create_task(self._look_inside(host, _back(before.values(), self._clock())))
            await asyncio.wait((looking,), timeout=_SOON)
            cold = not looking.done() and not self.connections[host.name].is_warm
            early = group.create_task(self._ask_peers(host, outside)) if cold else None
            inside = await looking
            await outside.settle()
            counted = None if cold or inside.facts is None else await self._count(host, outside)
            asking = early or group.create_task(self._ask_peers(host, outside, sshd=inside.facts is None))
            outside.give_up()
        for one in services:
            self._remember(host, one, outside.reading(one))
        return tuple(
            Look(
                host=host,
                service=one,
                outside=outside.reading(one),
                facts=inside.facts,
                trouble=inside.trouble,
                recount=_recount(outside.asked(one), counted),
                peers=asking.result().get(one.name, ()),
                before=before[one.name],
                small=outside.small(one),
                each=outside.each(one),
            )
            for one in services
        )

    def _before_now(self, host: Host, service: Service, now: datetime) -> Before:
        known = settled(self._before.get((host.name, service.name), Before()), now)
        return replace(known, experience=self._experience.get(host.name, {}))

    async def ask(self, host: Host, sources: tuple[Source[Any], ...]) -> Facts:
        """Only these facts of a host, of its services among them. Raises LookError."""
        connection, engine = self.connections[host.name], self._engines[host.name]
        return await gather(connection, engine, host.services, self._clock, timedelta(0), sources=sources)

    async def close(self) -> None:
        """End every connection."""
        for engine in self._engines.values():
            await engine.close()
        for connection in self.connections.values():
            await connection.close()

    def _remember(self, host: Host, service: Service, reading: Reading) -> None:
        key = host.name, service.name
        before = self._before.get(key, Before())
        if reading.ok:
            self._before[key] = replace(before, answered_at=reading.at, failed_at=None)
        elif before.failed_at is None:
            self._before[key] = replace(before, failed_at=reading.at)

    async def _ask_peers(self, host: Host, outside: Outside, *, sshd: bool = True) -> dict[str, tuple[Peer, ...]]:
        """What peers see of the services that have not answered, and of the host's ``sshd``."""
        return await ask_peers(self.connections, host, outside.suspects, self._clock, sshd=sshd)

    async def _count(self, host: Host, outside: Outside) -> Facts | None:
        """Knock at each service that does not answer, then read the counters again: what rose by that has eaten it."""
        suspects = outside.suspects
        if not suspects:
            return None
        await outside.attempt_counted()
        try:
            return await count(self.connections[host.name], suspects, self._clock)
        except LookError:
            return None  # the counters confirm what is known without them

    async def _look_inside(self, host: Host, back: timedelta) -> "_Inside":
        try:
            async with self._looking:
                return _Inside(await self._gather_once_more(host, back), None)
        except LookError as error:
            return _Inside(None, Trouble(error.id, str(error)))

    async def _gather_once_more(self, host: Host, back: timedelta) -> Facts:
        """Facts, by a new login where the connection from before turns out to be dead: the host need not be."""
        connection, clock = self.connections[host.name], asyncio.get_running_loop().time
        was_warm, began = connection.is_warm, clock()
        try:
            return await self._gather_at_rest(host, back)
        except (SshTimedOutError, SshLostError) as error:
            if not was_warm:
                raise
            old = error
        left = max(_LEAST, host.login.connect_timeout - (clock() - began))
        try:
            await connection.connected(left)
        except SshTimedOutError:
            raise SshTimedOutError(host.name, f"{old}, and no new one within {left:.1f} s") from None
        return await self._gather_at_rest(host, back)

    async def _gather_at_rest(self, host: Host, back: timedelta) -> Facts:
        """Facts taken while a unit starts or stops fit together badly: take them again, a few times at most."""
        for _ in range(_PATIENCE):
            facts = await self._gather(host, back)
            if not moving(facts):
                return facts
            await asyncio.sleep(_PAUSE)
        return await self._gather(host, back)

    async def _gather(self, host: Host, back: timedelta) -> Facts:
        return await gather(self.connections[host.name], self._engines[host.name], host.services, self._clock, back)


@dataclass(frozen=True)
class _Inside:
    """What the host says of itself, or why it could not be asked."""

    facts: Facts | None
    trouble: Trouble | None


def moving(facts: Facts) -> bool:
    """Whether a unit that matters was starting or stopping while the facts were taken. Pure."""
    units = facts.get(UNITS)
    return not isinstance(units, Unavailable) and any(unit.is_moving for unit in known(units).values())


def settled(before: Before, now: datetime) -> Before:
    """What was before, without a good look that the fault may have overtaken: answered, and then seen inside."""
    failed = before.failed_at or now
    if before.good is None or before.earlier is None or before.good.at <= failed - _OVERTAKEN:
        return before
    return replace(before, good=before.earlier)


def _back(before: Iterable[Before], now: datetime) -> timedelta:
    """How far back it matters what happened: to the oldest of the last good looks."""
    looked = [one.good.at for one in before if one.good is not None]
    return max(now - min(looked) + _MARGIN, RECENTLY) if looked else RECENTLY


def _recount(asked: int | None, counted: Facts | None) -> Recount | None:
    return Recount(asked, counted) if asked is not None and counted is not None else None
