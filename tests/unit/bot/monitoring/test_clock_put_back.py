"""The clock is put back or forward: what is told and done does not wait for it, and lasts no longer by it."""

from datetime import timedelta

import pytest

from bot.approvals.decision import Approved
from bot.approvals.offers import usable
from bot.incidents.model import REOPEN_WITHIN, IncidentState
from bot.monitoring.monitor import EXPLAINED_FOR
from bot.remediation.runner import LEASE
from bot.store import Store
from checks.model import Applied, Outcome, Plan
from tests.unit.bot.life import POLICIES, Bot
from tests.unit.bot.samples import (
    HOST,
    SERVICE,
    Clock,
    FakeChecker,
    FakeExecutor,
    SlowExecutor,
    broken,
    click,
    fixed,
    plan,
)

AN_HOUR = timedelta(hours=1).total_seconds()


async def offered(bot: Bot) -> list[Plan]:
    """What can be approved now."""
    return [offer.plan for offer in (await bot.incident()).offers if usable(offer, bot.clock())]


async def mending(store: Store, clock: Clock, executor: SlowExecutor) -> Bot:
    """A bot in the middle of an approved fix."""
    bot = Bot(store, clock, FakeChecker(clock), executor)
    offer = await bot.breaks()
    await bot.clicks.approve(click(target=offer))
    await executor.halfway.wait()
    return bot


async def test_an_old_look_is_not_the_diagnosis_of_what_fails_after_the_clock_was_put_back(bot: Bot) -> None:
    await bot.monitor.look(HOST)
    bot.clock.passes(-AN_HOUR)
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.reads("fail fail")
    report = (await bot.incident()).report
    assert report is not None
    assert report.diagnosis.root is not None


async def test_an_incident_from_before_is_looked_at_again(bot: Bot) -> None:
    await bot.breaks()
    bot.clock.passes(-AN_HOUR)
    bot.checker.report = lambda at: broken(plan(basis="2"), at=at)
    await bot.reads("fail")
    assert await offered(bot) == [plan(basis="2")]
    looks = bot.checker.looks
    await bot.reads("fail")
    assert bot.checker.looks == looks
    bot.clock.passes(EXPLAINED_FOR.total_seconds())
    await bot.reads("fail")
    assert bot.checker.looks == looks + 1


async def test_a_fault_an_hour_before_the_last_recovery_is_a_new_one_that_can_be_mended_and_resolved(
    bot: Bot, executor: FakeExecutor
) -> None:
    await bot.breaks()
    await bot.reads("ok ok")
    first = (await bot.incident()).id
    bot.clock.passes(-AN_HOUR)
    offer = await bot.breaks()
    second = await bot.incident()
    assert (second.id != first, second.state) == (True, IncidentState.OPEN)
    assert isinstance(await bot.clicks.approve(click(target=offer)), Approved)
    await bot.settled()
    assert executor.ran == [plan()]
    mended = await bot.store.incidents.get(second.id)
    assert mended is not None
    assert mended.state is IncidentState.RESOLVED


async def test_such_a_fault_is_over_when_the_service_is_well(bot: Bot) -> None:
    await bot.breaks()
    await bot.reads("ok ok")
    bot.clock.passes(-AN_HOUR)
    await bot.breaks()
    second = await bot.incident()
    await bot.reads("ok ok")
    now = await bot.store.incidents.get(second.id)
    assert now is not None
    assert now.state is IncidentState.RESOLVED


async def test_a_fault_a_moment_before_the_last_recovery_is_the_same_one(bot: Bot) -> None:
    await bot.breaks()
    await bot.reads("ok ok")
    first = (await bot.incident()).id
    bot.clock.passes(-REOPEN_WITHIN.total_seconds() / 2)
    await bot.breaks()
    assert (await bot.incident()).id == first


async def test_after_a_fix_that_ended_in_the_future_looks_count(bot: Bot, executor: FakeExecutor) -> None:
    executor.applied = Applied(Outcome.NOT_FIXED, "because")
    offer = await bot.breaks()
    await bot.clicks.approve(click(target=offer))
    await bot.settled()
    bot.clock.passes(-AN_HOUR)
    bot.checker.report = lambda at: broken(plan(basis="2"), at=at)
    await bot.monitor.look(HOST)
    assert await offered(bot) == [plan(basis="2")]


async def test_a_clock_put_forward_takes_no_run_from_the_process_that_carries_it_out(
    store: Store, clock: Clock
) -> None:
    executor = SlowExecutor()
    bot = await mending(store, clock, executor)
    clock.passes(AN_HOUR)
    assert timedelta(seconds=AN_HOUR) > LEASE
    await bot.runner.recover()
    executor.on.set()
    await bot.settled()
    assert executor.resumed == []
    assert (await bot.incident()).offers[0].applied == fixed()
    await bot.close()


@pytest.mark.parametrize("jump", [-AN_HOUR, -40.0, AN_HOUR])
async def test_two_failed_readings_open_an_incident_though_the_clock_jumps_between_them(bot: Bot, jump: float) -> None:
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.reads("ok fail")
    bot.clock.passes(jump)
    await bot.reads("fail")
    incident = await bot.store.incidents.newest(HOST.name, SERVICE.name)
    assert incident is not None
    assert incident.report is not None
    assert incident.report.diagnosis.root is not None


@pytest.mark.parametrize("jump", [-AN_HOUR, AN_HOUR])
async def test_a_button_counts_for_as_long_as_ever_though_the_clock_is_set(bot: Bot, jump: float) -> None:
    await bot.breaks()
    await bot.clock_is_set(jump)
    assert await offered(bot) == [plan()]
    bot.clock.passes(POLICIES.expire_after.total_seconds())
    assert await offered(bot) == []


@pytest.mark.parametrize("jump", [-AN_HOUR, AN_HOUR])
async def test_a_run_is_held_for_as_long_as_ever_though_the_clock_is_set(
    store: Store, clock: Clock, jump: float
) -> None:
    executor = SlowExecutor()
    bot = await mending(store, clock, executor)
    await bot.clock_is_set(jump)
    assert await store.runs.abandoned(clock()) == ()
    clock.passes(LEASE.total_seconds())
    assert len(await store.runs.abandoned(clock())) == 1
    executor.on.set()
    await bot.settled()
    await bot.close()
