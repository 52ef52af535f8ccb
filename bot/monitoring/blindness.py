"""Tells that hosts cannot be looked at though their services answer: what ails one next would not be explained."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.incidents.blindness import BlindHost, after_look, blind_report, notices
from bot.incidents.model import LIVE, IncidentKind, IncidentState, Key, Transition, opening
from bot.monitoring.tracker import IncidentTracker
from bot.store import Store
from checks.model import Blindness as Part
from checks.model import Report


class Blindness:
    def __init__(
        self, hosts: Collection[str], tracker: IncidentTracker, store: Store, *, clock: Callable[[], datetime]
    ) -> None:
        self._hosts = hosts
        self._tracker = tracker
        self._store = store
        self._clock = clock
        self._told: dict[Key, tuple[BlindHost, ...]] = {}  # by each notice, as far as this process knows
        self._blind: dict[str, BlindHost] = {}
        self._busy = asyncio.Lock()

    @property
    def hosts(self) -> Mapping[str, BlindHost]:
        """Those of which the newest look did not see all."""
        return self._blind

    async def start(self) -> None:
        """Take up what the last process knew of hosts that are still watched, once the tracker knows what is live."""
        async with self._busy:
            self._blind = {each.host: each for each in await self._store.blind_hosts.all() if each.host in self._hosts}
            await self._tell()

    def clock_set(self, by: timedelta) -> None:
        """Date what is known by the clock as it is now."""
        self._blind = {host: replace(each, since=each.since + by) for host, each in self._blind.items()}

    async def looked(self, host: str, reports: tuple[Report, ...]) -> None:
        """Draw the consequences of a look at a host."""
        async with self._busy:
            before = self._blind.get(host)
            after = after_look(before, reports)
            if after != before:
                await self._store.blind_hosts.keep(host, after)
                self._blind.pop(host, None)
                if after is not None:
                    self._blind[host] = after
                await self._tell()

    async def _tell(self) -> None:
        """Have each notice tell of the hosts that it stands for, and no other be open."""
        live = {key for key in self._tracker.live if not key[1]}
        wanted = notices(self._blind.values(), live)
        for key, hosts in wanted.items():
            if _what(hosts) != _what(self._told.get(key, ())):
                await self._open(key, hosts)
        for key in live - wanted.keys():
            await self._end(key)
        self._told = dict(wanted)

    async def _open(self, key: Key, hosts: tuple[BlindHost, ...]) -> None:
        async with self._tracker.locks[key]:
            now = self._clock()
            incident = await self._tracker.newest(key)
            report = blind_report(key, hosts, now)
            [finding] = report.diagnosis.causes
            transition = opening(incident, finding.title, now, kind=IncidentKind.HOST_BLIND, since=hosts[0].since)
            if transition and await self._tracker.move(key, incident, transition):
                incident = await self._tracker.newest(key)
            if incident is not None:
                await self._store.incidents.save_report(incident.id, report, (), now)

    async def _end(self, key: Key) -> None:
        async with self._tracker.locks[key]:
            incident = await self._tracker.newest(key)
            if incident is None or incident.state not in LIVE or incident.kind is not IncidentKind.HOST_BLIND:
                return
            says = "a look saw all that it asked for"
            over = Transition(incident.state, IncidentState.RESOLVED, says, self._clock())
            await self._tracker.move(key, incident, over)


def _what(hosts: Sequence[BlindHost]) -> list[tuple[str, tuple[Part, ...]]]:
    return [(each.host, each.hidden) for each in hosts]
