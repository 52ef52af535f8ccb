"""Runs what is due: readings every few seconds, looks every few minutes, each at its own moment.

When something is due is counted on a clock that nobody sets. APScheduler knows only the one of the wall, on which a job
may come to be due in an hour: its one job, the tick, is brought back from there.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

from bot.monitoring.monitor import Monitor
from bot.monitoring.turns import Turns
from bot.monitoring.watchdog import Silence, Watchdog
from bot.remediation.runner import Runner
from bot.tasks import Tasks
from checks.model import Host, Service

SLOT = 0.05
"""Seconds from one tick to the next, at least: what comes due in between is begun in one go."""

IDLE = 1.0
"""The same at most."""

OVERDUE = 0.25
"""Seconds after its time at which a tick that has not come is made to come."""

FIRST_LOOKS_WITHIN, FIRST_LOOK_EVERY = 10.0, 0.25
"""Seconds for the first looks after the start, and for each of many: a look takes a tenth of a second of CPU."""

STOP_WITHIN = 6.0  # seconds; the longest reading takes less
RECOVER_EVERY = timedelta(seconds=5)
SILENT_AFTER = 3
"""Intervals of readings without a single one after which something is wrong."""

Job = Callable[[], Awaitable[Any]]


@dataclass(eq=False)
class _Entry:
    """What is run at its turns. Where it still runs at the next one, that one is left out."""

    job: Job
    name: str
    running: bool = False


class Scheduler:
    """What was missed is done once, not many times, and not all at once."""

    def __init__(self, monitor: Monitor, runner: Runner, *, reach_every: timedelta, look_every: timedelta) -> None:
        self._scheduler = _quiet()
        self._monitor = monitor
        self._tasks = Tasks()
        self._overdue: asyncio.TimerHandle | None = None
        hosts = tuple(monitor.hosts.values())
        every, look = reach_every.total_seconds(), look_every.total_seconds()
        now = time.monotonic()
        self._turns = (
            Turns((self._reading(*each) for each in _in_turn(hosts)), every, now),
            Turns(
                map(self._look, hosts),
                look,
                now,
                spread=min(look, max(FIRST_LOOKS_WITHIN, FIRST_LOOK_EVERY * len(hosts))),
            ),
            Turns([_Entry(runner.recover, "recover")], RECOVER_EVERY.total_seconds(), now),
        )
        self._when = _WhenDue(self._turns)
        self.watchdog = Watchdog(SILENT_AFTER * every + STOP_WITHIN, self._silent)

    def start(self) -> None:
        self._scheduler.add_job(self._tick, self._when, id="tick")
        self._scheduler.start()
        self._bring_back()
        self.watchdog.start()

    async def stop(self) -> None:
        """Start no job any more, and let those that run end."""
        self.watchdog.stop()
        if self._overdue is not None:
            self._overdue.cancel()
        self._scheduler.pause()
        await asyncio.sleep(0)  # a tick that was started this very moment starts its jobs before that
        await self._tasks.close(grace=STOP_WITHIN)
        self._scheduler.shutdown(wait=False)

    def _reading(self, host: Host, service: Service) -> _Entry:
        async def job() -> None:
            await self._monitor.read(host, service)
            self.watchdog.fed()

        return _Entry(job, f"read {host.name}/{service.name}")

    def _look(self, host: Host) -> _Entry:
        return _Entry(lambda: self._monitor.look(host), f"deep look at {host.name}")

    async def _tick(self) -> None:
        now = time.monotonic()
        for turns in self._turns:
            for entry, _ in turns.due(now, SLOT):
                if not entry.running:
                    entry.running = True
                    self._tasks.start(_run(entry), entry.name)

    def _silent(self, silence: Silence) -> None:
        """Readings have stopped: have them go on, and told."""
        self._tick_now()
        self._monitor.fell_silent(silence)

    # --- the clock of the wall ---

    def _bring_back(self) -> None:
        """Have a tick come that is overdue: the clock was put back, and by that one it is not due yet."""
        if time.monotonic() - self._when.due > OVERDUE:
            self._tick_now()
        self._overdue = asyncio.get_running_loop().call_later(OVERDUE, self._bring_back)

    def _tick_now(self) -> None:
        self._scheduler.modify_job("tick", next_run_time=datetime.now(UTC))


class _WhenDue(BaseTrigger):  # type: ignore[misc]  # it has no types
    """Fires when the next turn is. ``due``: when that is by the monotonic clock, which the scheduler does not know."""

    def __init__(self, turns: Iterable[Turns[_Entry]]) -> None:
        self._turns = tuple(turns)
        self.due = time.monotonic()

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        del previous_fire_time
        at = time.monotonic()
        wait = min(max(min(turns.next for turns in self._turns) - at, SLOT), IDLE)
        self.due = at + wait
        return now + timedelta(seconds=wait)


async def _run(entry: _Entry) -> None:
    try:
        await entry.job()
    finally:
        entry.running = False


def _in_turn(hosts: Iterable[Host]) -> list[tuple[Host, Service]]:
    """Every service, so that those of one host are far from each other."""
    each = [(number, host, service) for host in hosts for number, service in enumerate(host.services)]
    return [(host, service) for _, host, service in sorted(each, key=lambda one: one[0])]


def _quiet() -> AsyncIOScheduler:
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    return AsyncIOScheduler(timezone=UTC, job_defaults=defaults)
