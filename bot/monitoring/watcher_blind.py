"""Tells that dockerhealth itself cannot see: its readings fail on its own machine, or there are none any more."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from bot.incidents.model import LIVE, IncidentKind, IncidentState, Key, Transition, opening
from bot.incidents.own_trouble import (
    BLIND_AFTER,
    ITSELF,
    in_words,
    is_blind,
    sees_again,
    silence_in_words,
    silence_report,
    trouble_report,
)
from bot.monitoring.tracker import IncidentTracker
from bot.monitoring.watchdog import Silence
from bot.store import Store, UnwritableError
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
        self._keys = keys
        self._unread = set(keys)  # of these nothing is known yet
        self._silence: Silence | None = None  # the newest, until every service is read again
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
        """Why readings say nothing at the moment, or there are none; empty where they do."""
        if self._silence is not None:
            return silence_in_words(self._since(self._silence), stuck=self._silence.stuck)
        return in_words(self._last_minute()) if self._rows else ""

    def took(self, key: Key, reading: Reading) -> None:
        """Draw the consequences of a reading for dockerhealth itself."""
        self._unread.discard(key)
        if not self._unread:
            self._silence = None
        if reading.unsound is None:
            self._rows.pop(key, None)
            if self.is_told and not self._unread and sees_again(self._rows):
                self._start(self._end())
            return
        self._spoiled.append((self._seconds(), reading.unsound))
        self._rows[key] = self._rows.get(key, 0) + 1
        if self._rows[key] >= BLIND_AFTER:
            self._tell_soon()

    def fell_silent(self, silence: Silence) -> None:
        """Draw the consequences of readings that have stopped: of no service is anything known."""
        self._silence = silence
        self._unread = set(self._keys)
        self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._is_fresh:
            self._start(self._tell())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(_when_writable(work), "look again whether dockerhealth sees")

    @property
    def _is_fresh(self) -> bool:
        """Whether the notice stands, and was brought up to date within the last minute."""
        return self.is_told and self._seconds() - self._told_at < LAST_MINUTE

    def _since(self, silence: Silence) -> datetime:
        return self._clock() - timedelta(seconds=self._seconds() - silence.since)

    def _last_minute(self) -> list[OwnTrouble]:
        while self._spoiled and self._seconds() - self._spoiled[0][0] > LAST_MINUTE:
            self._spoiled.popleft()
        return [trouble for _, trouble in self._spoiled]

    async def _tell(self) -> None:
        async with self._busy:
            if self._is_fresh or not (self._silence or is_blind(self._rows)):
                return
            now, since = self._clock(), None
            if self._silence is not None:
                since = self._since(self._silence)
                report = silence_report(since, len(self._keys), now, stuck=self._silence.stuck)
            else:
                report = trouble_report(self._last_minute(), self._rows, now)
            [finding] = report.diagnosis.causes
            incident = await self._tracker.newest(ITSELF)
            transition = opening(incident, finding.title, now, kind=IncidentKind.WATCHER_BLIND, since=since)
            if transition and await self._tracker.move(ITSELF, incident, transition):
                incident = await self._tracker.newest(ITSELF)
            if incident is not None:
                await self._store.incidents.save_report(incident.id, report, (), now)
                self._told_at = self._seconds()

    async def _end(self) -> None:
        async with self._busy:
            incident = await self._tracker.newest(ITSELF)
            if incident is not None and incident.state in LIVE and not self._unread and sees_again(self._rows):
                why = "readings tell of services again"
                over = Transition(incident.state, IncidentState.RESOLVED, why, self._clock())
                await self._tracker.move(ITSELF, incident, over)


async def _when_writable(work: Coroutine[Any, Any, None]) -> None:
    """That the store cannot be written it says itself, once; what comes next tries again."""
    with suppress(UnwritableError):
        await work
