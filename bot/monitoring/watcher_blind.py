"""Tells that dockerhealth itself cannot see: its readings fail on its own machine, and so say nothing of services."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime

from bot.incidents.model import LIVE, IncidentKind, IncidentState, Key, Transition, opening
from bot.incidents.own_trouble import BLIND_AFTER, ITSELF, in_words, is_blind, sees_again, trouble_report
from bot.monitoring.tracker import IncidentTracker
from bot.store import Store
from bot.tasks import Tasks
from checks.model import OwnTrouble, Reading

LAST_MINUTE = 60.0
"""Seconds whose readings are counted, and after which a notice that stands is brought up to date."""


class WatcherBlind:
    def __init__(  # noqa: PLR0913  # each is a thing of its own
        self,
        keys: Collection[Key],
        tracker: IncidentTracker,
        store: Store,
        tasks: Tasks,
        *,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seconds`` is a clock that nobody sets: the trouble may be that the other one is."""
        self._unread = set(keys)  # of these nothing is known yet
        self._tracker = tracker
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._seconds = seconds
        self._rows: dict[Key, int] = {}  # readings in a row that told nothing, where there are any
        self._spoiled: deque[tuple[float, OwnTrouble]] = deque(maxlen=100_000)
        self._told_at = 0.0
        self._busy = asyncio.Lock()

    @property
    def is_told(self) -> bool:
        return ITSELF in self._tracker.live

    @property
    def trouble(self) -> str:
        """What spoils readings at the moment; empty where none does."""
        return in_words(self._last_minute()) if self._rows else ""

    def took(self, key: Key, reading: Reading) -> None:
        """Draw the consequences of a reading for dockerhealth itself."""
        self._unread.discard(key)
        if reading.unsound is None:
            self._rows.pop(key, None)
            if self.is_told and not self._unread and sees_again(self._rows):
                self._tasks.start(self._end(), "look again whether dockerhealth sees")
            return
        self._spoiled.append((self._seconds(), reading.unsound))
        self._rows[key] = self._rows.get(key, 0) + 1
        news = not self.is_told or self._seconds() - self._told_at >= LAST_MINUTE
        if news and self._rows[key] >= BLIND_AFTER:
            self._tasks.start(self._tell(), "look again whether dockerhealth sees")

    def _last_minute(self) -> list[OwnTrouble]:
        while self._spoiled and self._seconds() - self._spoiled[0][0] > LAST_MINUTE:
            self._spoiled.popleft()
        return [trouble for _, trouble in self._spoiled]

    async def _tell(self) -> None:
        async with self._busy:
            fresh = self.is_told and self._seconds() - self._told_at < LAST_MINUTE
            if fresh or not is_blind(self._rows):
                return
            now = self._clock()
            report = trouble_report(self._last_minute(), self._rows, now)
            [finding] = report.diagnosis.causes
            incident = await self._tracker.newest(ITSELF)
            transition = opening(incident, finding.title, now, kind=IncidentKind.WATCHER_BLIND)
            if transition and await self._tracker.move(ITSELF, incident, transition):
                incident = await self._tracker.newest(ITSELF)
            if incident is not None:
                await self._store.incidents.save_report(incident.id, report, (), now)
                self._told_at = self._seconds()

    async def _end(self) -> None:
        async with self._busy:
            incident = await self._tracker.newest(ITSELF)
            if incident is not None and incident.state in LIVE and sees_again(self._rows):
                why = "readings tell of services again"
                over = Transition(incident.state, IncidentState.RESOLVED, why, self._clock())
                await self._tracker.move(ITSELF, incident, over)
