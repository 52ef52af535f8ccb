"""Keeps what each service's incident is judged by, its newest readings, and moves the incident on in the store.

Who reads an incident in order to change it holds the lock of its service.
"""

import asyncio
import secrets
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.incidents.model import LIVE, Incident, IncidentState, Key, Streak, Transition, opened
from bot.store import Store
from checks.model import OwnTrouble, Reading

DIAGNOSIS_GRACE = timedelta(seconds=2)
"""How long an alert waits for its diagnosis before it is posted without one."""

log = structlog.get_logger()


class IncidentTracker:
    def __init__(self, store: Store, channel: str) -> None:
        """``channel`` is where alerts are posted."""
        self._store = store
        self._channel = channel
        self.locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.streaks: defaultdict[Key, Streak] = defaultdict(Streak)
        self.readings: dict[Key, Reading] = {}  # the newest of each service
        self.well: dict[Key, datetime] = {}  # when the last good reading of what fails since was made
        self.blind: dict[Key, Reading] = {}  # the newest of each service where that tells nothing: it is unsound
        self.unsound: Counter[OwnTrouble] = Counter()  # how many told nothing, by what spoiled them
        self.live: set[Key] = set()  # services with a live incident: good readings of others need no question

    def spoiled(self, key: Key, reading: Reading) -> bool:
        """Whether a reading tells nothing of its service: it then counts for nothing, but among its like."""
        if reading.unsound is None:
            self.blind.pop(key, None)
            return False
        if not any(each.unsound is reading.unsound for each in self.blind.values()):
            log.warning("readings count for nothing", why=reading.unsound, says=reading.unsound.says, of=key)
        self.blind[key] = reading
        self.unsound[reading.unsound] += 1
        return True

    def count(self, key: Key, reading: Reading) -> Streak:
        """Take a reading in. Returns the streak that it is the end of."""
        before = self.readings.get(key)
        if before is not None and before.ok and not reading.ok:
            self.well[key] = before.at
        self.readings[key] = reading
        self.streaks[key] = self.streaks[key].after(reading)
        return self.streaks[key]

    async def newest(self, key: Key) -> Incident | None:
        """The newest incident of a service. Another process may have changed it."""
        incident = await self._store.incidents.newest(*key)
        self.know(key, incident.state if incident else None)
        return incident

    async def move(self, key: Key, incident: Incident | None, transition: Transition, risk: str = "") -> bool:
        """Store a transition, of the given incident or of a new one, which is to prevent ``risk``. False if late."""
        if transition.old is None or incident is None:
            new = opened(f"inc-{secrets.token_hex(6)}", *key, transition, risk)
            stored = await self._store.incidents.add(new, self._channel, transition.at + DIAGNOSIS_GRACE)
        else:
            stored = await self._store.incidents.move(incident.id, transition)
        if not stored:
            return False
        self.know(key, transition.new)
        log.info("incident", host=key[0], service=key[1], state=transition.new, reason=transition.reason)
        return True

    def know(self, key: Key, state: IncidentState | None) -> None:
        """Remember whether a service has a live incident."""
        (self.live.add if state in LIVE else self.live.discard)(key)

    def clock_set(self, by: timedelta) -> None:
        """Date the newest readings by the clock as it is now."""
        self.streaks.update({key: streak.moved(by) for key, streak in self.streaks.items()})
        self.readings = {key: replace(reading, at=reading.at + by) for key, reading in self.readings.items()}
        self.well = {key: at + by for key, at in self.well.items()}

    def forget(self, key: Key) -> None:
        """Let no reading from before count any more."""
        self.streaks[key] = Streak()

    def forget_failures(self) -> None:
        """The same for the failed readings of all services without an incident: who is really broken fails again."""
        for key, streak in self.streaks.items():
            if streak.failed and key not in self.live:
                self.forget(key)
