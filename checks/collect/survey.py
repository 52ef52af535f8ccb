"""All that is found out about a host at one time: readings, facts, counters, and what its peers see."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from checks.collect import descriptors, names
from checks.collect.engine import Engine
from checks.collect.gather import RECENTLY, Inspection, gather, inspect
from checks.collect.outside import Outside
from checks.collect.peers import ask_peers
from checks.collect.reach import reach
from checks.collect.ssh import Connection, Refusals
from checks.errors import LookError, SshLostError, SshTimedOutError
from checks.facts import ALL_FACTS
from checks.facts.capture import clients_to_watch, ports_to_watch
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
        refusals = Refusals()
        self.connections = {name: Connection(host, refusals) for name, host in self.hosts.items()}
        self._engines = {name: Engine(connection) for name, connection in self.connections.items()}
        self._clock = clock
        self.budget = descriptors.shared_out(descriptors.limit(), self.hosts.values(), concurrency)
        self._looking = asyncio.Semaphore(self.budget.looks)
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

    def clock_set(self, by: timedelta) -> None:
        """Date what was before by the clock as it is now."""
        self._before = {key: before.moved(by) for key, before in self._before.items()}

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Know how long steps took on a host the last time: the command of each, to its seconds."""
        self._experience[host] = experience

    async def look(self, host: Host, services: Sequence[Service]) -> tuple[Look, ...]:
        """Look at a host: one look a service. Never raises for a host that cannot be looked at.

        Only so many hosts are looked at at one time as there are descriptors for.
        """
        async with self._looking:
            return await self._look(host, services)

    async def _look(self, host: Host, services: Sequence[Service]) -> tuple[Look, ...]:
        now = self._clock()
        before = {one.name: self._before_now(host, one, now) for one in services}
        async with asyncio.TaskGroup() as group, AsyncExitStack() as sessions:
            outside = Outside(services, self._clock, group)
            looking = group.create_task(self._look_inside(host, _back(before.values(), self._clock()), sessions))
            await asyncio.wait((looking,), timeout=_SOON)
            cold = not looking.done() and not self.connections[host.name].is_warm
            early = group.create_task(self._ask_peers(host, outside)) if cold else None
            inside = await looking
            await outside.settle()
            counted = None if cold else await self._count(inside, outside)
            await sessions.aclose()
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
        await names.close()

    def _remember(self, host: Host, service: Service, reading: Reading) -> None:
        if reading.unsound is not None:
            return
        key = host.name, service.name
        before = self._before.get(key, Before())
        if reading.ok:
            self._before[key] = replace(before, answered_at=reading.at, failed_at=None)
        elif before.failed_at is None:
            self._before[key] = replace(before, failed_at=reading.at)

    async def _ask_peers(self, host: Host, outside: Outside, *, sshd: bool = True) -> dict[str, tuple[Peer, ...]]:
        """What peers see of the services that have not answered, and of the host's ``sshd``."""
        return await ask_peers(self.connections, host, outside.suspects, self._clock, sshd=sshd)

    async def _count(self, inside: "_Inside", outside: Outside) -> Facts | None:
        """Knock at each service that does not answer, watched; then read the counters again: what rose has eaten it."""
        suspects = outside.suspects
        if not suspects or inside.session is None or inside.facts is None:
            return None
        try:
            await inside.session.watch(ports_to_watch(inside.facts, suspects), clients_to_watch(inside.facts, suspects))
            await outside.attempt_counted()
            return await inside.session.count()
        except LookError:
            return None  # the counters confirm what is known without them

    async def _look_inside(self, host: Host, back: timedelta, sessions: AsyncExitStack) -> "_Inside":
        try:
            return await self._inspect_once_more(host, back, sessions)
        except LookError as error:
            return _Inside(None, None, Trouble(error.id, str(error)))

    async def _inspect_once_more(self, host: Host, back: timedelta, sessions: AsyncExitStack) -> "_Inside":
        """Facts, by a new login where the connection from before turns out to be dead: the host need not be."""
        connection, clock = self.connections[host.name], asyncio.get_running_loop().time
        was_warm, began = connection.is_warm, clock()
        try:
            return await self._inspect_at_rest(host, back, sessions)
        except (SshTimedOutError, SshLostError) as error:
            if not was_warm:
                raise
            old = error
        left = max(_LEAST, host.login.connect_timeout - (clock() - began))
        try:
            await connection.connected(left)
        except SshTimedOutError:
            raise SshTimedOutError(host.name, f"{old}, and no new one within {left:.1f} s") from None
        return await self._inspect_at_rest(host, back, sessions)

    async def _inspect_at_rest(self, host: Host, back: timedelta, sessions: AsyncExitStack) -> "_Inside":
        """Facts taken while a unit starts or stops fit together badly: take them again, a few times at most."""
        for _ in range(_PATIENCE):
            inside = await self._inspect(host, back, sessions)
            if inside.facts is None or not moving(inside.facts):
                return inside
            await sessions.aclose()
            await asyncio.sleep(_PAUSE)
        return await self._inspect(host, back, sessions)

    async def _inspect(self, host: Host, back: timedelta, sessions: AsyncExitStack) -> "_Inside":
        """Facts, and the session that they are of, which stays open: what its packets do may be asked then."""
        begun = inspect(self.connections[host.name], host.services, self._clock, back)
        session = await sessions.enter_async_context(begun)
        return _Inside(session, await session.facts(self._engines[host.name], ALL_FACTS), None)


@dataclass(frozen=True)
class _Inside:
    """What the host says of itself, or why it could not be asked. ``session`` is open until the look ends."""

    session: Inspection | None
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
