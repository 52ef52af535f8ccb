"""All services of a host fail together."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from bot.monitoring.monitor import UNEXPLAINED_FOR, Monitor
from bot.store import DiagnosisStored, Store
from checks.model import Host, Report, Service
from tests.unit.bot import life
from tests.unit.bot.samples import HOST, SERVICE, Clock, FakeChecker, FakeExecutor, broken, failed, not_looked_at

SERVICES = tuple(replace(SERVICE, name=f"service{number}") for number in range(5))
CROWD = replace(HOST, services=SERVICES)


class CrowdedHost(FakeChecker):
    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:
        [one] = await super().check(host, service)
        return tuple(replace(one, service=each.name) for each in SERVICES)


@pytest.fixture
def bot(store: Store, clock: Clock) -> life.Bot:
    made = life.Bot(store, clock, CrowdedHost(clock), FakeExecutor())
    made.monitor = Monitor([CROWD], made.checker, store, life.SETTINGS, clock=clock)
    return made


async def _read_in_turns(bot: life.Bot) -> None:
    for each in SERVICES:
        bot.clock.passes(1)
        await bot.monitor.read(CROWD, each)
        await bot.settled()


def _stored(store: Store) -> Counter[str]:
    """How often something is stored of each incident from now on."""
    stored: Counter[str] = Counter()
    store.announcements.on(DiagnosisStored, lambda one: stored.update([one.incident_id]))
    return stored


async def test_one_look_explains_all_of_it_and_is_stored_once_for_each(bot: life.Bot, store: Store) -> None:
    stored = _stored(store)
    bot.checker.report = lambda at: broken(at=at)
    await _read_in_turns(bot)
    bot.checker.reading = failed
    for _ in range(2):
        await _read_in_turns(bot)
    assert bot.checker.looks == 1
    assert sorted(stored.values()) == [1] * len(SERVICES)


async def test_an_old_look_is_renewed_once_and_not_for_each_service(bot: life.Bot, store: Store) -> None:
    bot.checker.report = not_looked_at
    bot.checker.reading = failed
    for _ in range(2):
        await _read_in_turns(bot)
    before = bot.checker.looks
    stored = _stored(store)
    bot.clock.passes(UNEXPLAINED_FOR.total_seconds())
    async with asyncio.TaskGroup() as reading:
        for each in SERVICES:
            reading.create_task(bot.monitor.read(CROWD, each))
    await bot.settled()
    assert bot.checker.looks == before + 1
    assert sorted(stored.values()) == [1] * len(SERVICES)


async def test_looks_that_begin_together_leave_the_store_connections_enough(store: Store, clock: Clock) -> None:
    hosts = [replace(HOST, name=f"host{number}") for number in range(100)]
    monitor = Monitor(hosts, FakeChecker(clock), store, life.SETTINGS, clock=clock)
    store.database._engine.pool._timeout = 0.01  # type: ignore[attr-defined]  # noqa: SLF001  # seconds, and not 30
    looks = await asyncio.gather(*map(monitor.look, hosts), return_exceptions=True)
    await monitor.close()
    assert [error for error in looks if error] == []
