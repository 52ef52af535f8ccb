"""Readings go on whatever becomes of the clock, and where they do not it is said."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, cast

import apscheduler.schedulers.base  # type: ignore[import-untyped]
import pytest
import structlog

import bot.monitoring.scheduler
from bot.monitoring.monitor import Monitor
from bot.monitoring.scheduler import Scheduler
from bot.monitoring.watchdog import Silence
from bot.remediation.runner import Runner
from checks.model import Host, Service

EVERY = 0.4  # seconds between the readings of a service
HOSTS = [
    Host(f"host{number}", f"10.0.0.{number}", (Service("registry", f"http://10.0.0.{number}:5000/"),))
    for number in range(1, 6)
]


class WallClock(datetime):
    """The time of the wall, as far as scheduling asks for it. Tests put it forward and back."""

    off = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "WallClock":
        return cast("WallClock", datetime.now(tz) + cls.off)

    @classmethod
    def jumps(cls, by: timedelta) -> None:
        cls.off += by


@pytest.fixture(autouse=True)
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", WallClock)
    monkeypatch.setattr(bot.monitoring.scheduler, "datetime", WallClock)
    yield
    WallClock.off = timedelta()


class Watched:
    """Hosts that answer, and when each was asked, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.hosts = {host.name: host for host in HOSTS}
        self.asked: dict[str, list[float]] = {host.name: [] for host in HOSTS}
        self.looked: list[str] = []
        self.recovered = 0
        self.silences: list[Silence] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.most_at_once: dict[str, int] = {}
        self._under_way: dict[str, int] = dict.fromkeys(self.hosts, 0)

    async def read(self, host: Host, service: Service) -> None:
        del service
        self.asked[host.name].append(time.monotonic())
        self._under_way[host.name] += 1
        self.most_at_once[host.name] = max(self.most_at_once.get(host.name, 0), self._under_way[host.name])
        await self.may_answer.wait()
        self._under_way[host.name] -= 1

    async def look(self, host: Host) -> None:
        self.looked.append(host.name)

    def fell_silent(self, silence: Silence) -> None:
        self.silences.append(silence)

    async def recover(self) -> None:
        self.recovered += 1

    @asynccontextmanager
    async def scheduled(self, every: float = EVERY) -> AsyncIterator[Scheduler]:
        scheduler = Scheduler(
            cast("Monitor", self),
            cast("Runner", self),
            reach_every=timedelta(seconds=every),
            look_every=timedelta(minutes=5),
        )
        scheduler.start()
        try:
            yield scheduler
        finally:
            await scheduler.stop()

    def longest_pause(self, since: float) -> float:
        """Seconds in which the service that was asked least was not asked."""
        now = time.monotonic()
        pauses = []
        for each in self.asked.values():
            times = [since, *(at for at in each if at >= since), now]
            pauses.append(max(later - earlier for earlier, later in pairwise(times)))
        return max(pauses)


@pytest.mark.parametrize(
    "jumps",
    [
        [timedelta(hours=-1)],
        [timedelta(hours=1)],
        [timedelta(seconds=-40)],
        [timedelta(hours=-1), timedelta(hours=1)],
        [timedelta(hours=1), timedelta(hours=-1)],
        [timedelta(days=400), timedelta(days=-400), timedelta(seconds=-2)],
    ],
    ids=[
        "an hour back",
        "an hour ahead",
        "40 s back",
        "back and right again",
        "ahead and right again",
        "a year, and 2 s",
    ],
)
async def test_a_clock_that_jumps_costs_no_more_than_one_reading(jumps: list[timedelta]) -> None:
    watched = Watched()
    async with watched.scheduled():
        await asyncio.sleep(2 * EVERY)
        since = time.monotonic()
        for jump in jumps:
            WallClock.jumps(jump)
            await asyncio.sleep(2)
        missed = watched.longest_pause(since) / EVERY - 1
    assert missed < 2, f"{missed:.1f} intervals passed without a reading"


async def test_a_clock_that_jumps_does_not_have_all_asked_at_once() -> None:
    watched = Watched()
    async with watched.scheduled():
        await asyncio.sleep(EVERY)
        WallClock.jumps(timedelta(hours=1))
        await asyncio.sleep(4 * EVERY)
    everything = sorted(at for each in watched.asked.values() for at in each)
    assert len(everything) <= 5 * 5 + 5


async def test_a_reading_that_still_runs_at_its_next_turn_is_not_begun_once_more() -> None:
    watched = Watched()
    watched.may_answer.clear()
    async with watched.scheduled():
        await asyncio.sleep(4 * EVERY)
        watched.may_answer.set()
        await asyncio.sleep(2 * EVERY)
    assert set(watched.most_at_once.values()) == {1}
    assert all(len(each) >= 2 for each in watched.asked.values())


async def test_looks_begin_soon_after_the_start_and_what_dead_processes_left_is_looked_for() -> None:
    watched = Watched()
    async with watched.scheduled():
        await asyncio.sleep(3.5)
    assert watched.looked
    assert watched.recovered


async def test_stopping_waits_for_the_readings_that_run() -> None:
    watched = Watched()
    watched.may_answer.clear()
    async with watched.scheduled():
        await asyncio.sleep(2 * EVERY)
        asyncio.get_running_loop().call_later(0.3, watched.may_answer.set)
    asked = sum(len(each) for each in watched.asked.values())
    await asyncio.sleep(2 * EVERY)
    assert sum(len(each) for each in watched.asked.values()) == asked
    assert set(watched._under_way.values()) == {0}  # noqa: SLF001  # its own


# --- the watchdog ---


async def test_readings_that_stop_are_told_and_so_is_that_they_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.monitoring.scheduler, "STOP_WITHIN", 0.5)
    watched = Watched()
    with structlog.testing.capture_logs() as logs:
        async with watched.scheduled() as scheduler:
            await asyncio.sleep(2 * EVERY)
            watched.may_answer.clear()
            before = {host: tuple(times) for host, times in watched.asked.items()}
            await _until(lambda: scheduler.watchdog.silence is not None)
            assert scheduler.watchdog.silence is not None
            assert not scheduler.watchdog.silence.stuck
            await _until(lambda: watched.silences)
            watched.may_answer.set()
            await _until(lambda: scheduler.watchdog.silence is None)
            assert scheduler.watchdog.silences == 1
        assert not watched.silences[0].stuck
        assert watched.silences[0].since == pytest.approx(max(max(each) for each in before.values()), abs=EVERY)
    assert [line["event"].partition(":")[0] for line in logs] == ["READINGS HAVE STOPPED", "readings go on"]


async def test_an_event_loop_that_stands_still_is_told_while_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.monitoring.scheduler, "STOP_WITHIN", 0.5)
    watched = Watched()
    with structlog.testing.capture_logs() as logs:
        async with watched.scheduled() as scheduler:
            await asyncio.sleep(2 * EVERY)
            time.sleep(6)  # noqa: ASYNC251  # that is the fault
            assert scheduler.watchdog.silence is not None
            assert scheduler.watchdog.silence.stuck
            await _until(lambda: scheduler.watchdog.silence is None)
    [first, *_] = logs
    assert "test_an_event_loop_that_stands_still" in first["at"]


async def test_a_scheduler_that_has_lost_its_timer_is_woken_by_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.monitoring.scheduler, "STOP_WITHIN", 0.5)
    watched = Watched()
    async with watched.scheduled() as scheduler:
        await asyncio.sleep(2 * EVERY)
        assert scheduler._overdue is not None  # noqa: SLF001  # whatever it is that stops both
        scheduler._overdue.cancel()  # noqa: SLF001
        scheduler._scheduler._stop_timer()  # noqa: SLF001
        await asyncio.sleep(0)  # a timer that has just run out sets another one a turn later
        scheduler._scheduler._stop_timer()  # noqa: SLF001
        await _until(lambda: scheduler.watchdog.silences == 1)
        await _until(lambda: scheduler.watchdog.silence is None)


async def _until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # a thread says it
            await asyncio.sleep(0.05)
