"""Tells that dockerhealth itself reaches no host: by one incident for all services, and none for each.

Whether it is, a look tells (bot/monitoring/watcher_offline_rules.py): what fails meanwhile waits for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

import structlog

from bot.incidents.model import LIVE, IncidentKind, IncidentState, Key, Streak, Thresholds, Transition, opening, step
from bot.monitoring.shared_checks import Reports, SharedChecks
from bot.monitoring.tracker import IncidentTracker
from bot.monitoring.watcher_offline_rules import EVERYWHERE, may_be_offline, offline_report, why_not_offline
from bot.store import Store
from bot.tasks import Tasks
from checks.model import Host, Reading, Report, Service

HOLDS_FOR = timedelta(minutes=1)
"""How long a look that found the watcher cut off holds for all that fails."""

HELD_FOR_MOST = 10.0
"""Seconds that an incident waits for the look that tells whether the watcher itself is cut off."""

log = structlog.get_logger()


class WatcherOffline:
    def __init__(  # noqa: PLR0913  # each is a thing of its own; watch.py names them
        self,
        hosts: Iterable[Host],
        lifecycle: IncidentTracker,
        looks: SharedChecks,
        store: Store,
        tasks: Tasks,
        *,
        rules: Thresholds,
        open_after_all: Callable[[Host, Service], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        """``open_after_all`` makes an incident of what was held, and is not the watcher's fault."""
        self._keys = [(host.name, service.name) for host in hosts for service in host.services]
        self._tracker = lifecycle
        self._shared_checks = looks
        self._store = store
        self._tasks = tasks
        self._rules = rules
        self._open_after_all = open_after_all
        self._clock = clock
        self._held: set[Key] = set()  # services whose incident waits for a look
        self._seen_at: datetime | None = None  # when the watcher was last seen to be cut off

    @property
    def is_told(self) -> bool:
        """Whether the incident for all services is live."""
        return EVERYWHERE in self._tracker.live

    def may_be(self, key: Key, streak: Streak) -> bool:
        """Whether a service that is about to become an incident may fail because of that."""
        since = streak.since or self._clock()
        return may_be_offline(key, since, self._keys, self._tracker.readings, self._tracker.live)

    def hold(self, host: Host, service: Service, since: datetime) -> None:
        """Let the look that began on suspicion say whether this is one incident or one of many."""
        key = host.name, service.name
        if self.is_told:
            since = self._clock()
            if self._seen_at is not None and abs(since - self._seen_at) < HOLDS_FOR:
                return
        if key not in self._held:
            self._held.add(key)
            self._tasks.start(self._decide(host, service, since), f"diagnose {host.name}, or all hosts")

    async def reached(self, streak: Streak, reading: Reading) -> None:
        """Something is reached again, which may end the incident for all services."""
        if not self.is_told:
            return
        async with self._tracker.locks[EVERYWHERE]:
            incident = await self._tracker.newest(EVERYWHERE)
            transition = step(incident, streak, reading, self._rules, self._clock())
            if transition and await self._tracker.move(EVERYWHERE, incident, transition):
                self._tracker.forget_failures()

    async def _decide(self, host: Host, service: Service, since: datetime) -> None:
        try:
            reports = await self._look_within(host, since)
        finally:
            self._held.discard((host.name, service.name))
        notice = offline_report(reports)
        if notice is not None:
            await self._tell(notice, since)
        elif not self.is_told:
            await self._open_after_all(host, service)
        elif why := why_not_offline(reports):
            await self._reached_after_all(f"{host.name}: {why}")

    async def _look_within(self, host: Host, since: datetime) -> Reports:
        """A look, or nothing: whatever becomes of it, an alert must follow."""
        try:
            async with asyncio.timeout(HELD_FOR_MOST):
                return await self._shared_checks.look(host, since)
        except Exception:
            log.exception("no look told whether the watcher is cut off", host=host.name)
            return ()

    async def _tell(self, notice: Report, since: datetime) -> None:
        """One incident for all services, with the newest look that says so."""
        async with self._tracker.locks[EVERYWHERE]:
            now = self._seen_at = self._clock()
            incident = await self._tracker.newest(EVERYWHERE)
            says = "no host is reached from outside"
            transition = opening(incident, says, now, kind=IncidentKind.WATCHER_OFFLINE, since=since)
            if transition and await self._tracker.move(EVERYWHERE, incident, transition):
                incident = await self._tracker.newest(EVERYWHERE)
            if incident is not None:
                await self._store.incidents.save_report(incident.id, notice, (), now)

    async def _reached_after_all(self, why: str) -> None:
        async with self._tracker.locks[EVERYWHERE]:
            incident = await self._tracker.newest(EVERYWHERE)
            if incident is not None and incident.state in LIVE:
                transition = Transition(incident.state, IncidentState.RESOLVED, why, self._clock())
                if await self._tracker.move(EVERYWHERE, incident, transition):
                    self._tracker.forget_failures()
