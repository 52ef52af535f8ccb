"""What is done without being asked, on a real store: begun, counted, stopped, taken back, and told in the alert."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.approvals.policy import AutoRule
from bot.incidents.audit import flaw
from bot.incidents.model import AUTO, CameBack, IncidentState, RanOften, Stopped
from bot.slack.views import alert
from bot.store import Store
from checks.model import Applied, Difference, Family, FixId, Outcome, Plan, StepResult
from tests.unit.bot.life import POLICIES, Bot
from tests.unit.bot.samples import Clock, FakeChecker, FakeExecutor, broken, click, failed, fixed, healthy, plan

RULE = AutoRule(FixId.ENABLE_IP_FORWARD, "host1", per_day=2, returns_within=timedelta(minutes=10))
AUTOMATIC = replace(POLICIES, auto=(RULE,))
SAFE = replace(plan(), undo_unasked=True)
SWITCHED = Difference(Family.SYSCTL, "sysctl net.ipv4.ip_forward", "0", "1", announced=True)


@pytest.fixture
async def bot(store: Store, clock: Clock, executor: FakeExecutor) -> AsyncIterator[Bot]:
    bot = Bot(store, clock, FakeChecker(clock), executor, AUTOMATIC)
    yield bot
    await bot.close()


async def comes_back(bot: Bot, after: float, of: Plan | None = None) -> None:
    """The service is well, and broken again after so many seconds."""
    bot.checker.report = healthy
    await bot.reads("ok ok")
    bot.clock.passes(after)
    bot.checker.report = lambda at: broken(of or plan(), at=at)
    await bot.reads("fail fail")


async def fixed_by_a_person(store: Store, clock: Clock, executor: FakeExecutor) -> Bot:
    """A bot whose fix was approved and has ended, one of those that are taken back by themselves where that is safe."""
    bot = Bot(store, clock, FakeChecker(clock), executor)
    bot.checker.report = lambda at: broken(SAFE, at=at)
    await bot.reads("fail fail")
    await bot.posted()
    await bot.clicks.approve(click(target=(await bot.incident()).offers[-1].id))
    await bot.settled()
    return bot


async def events(bot: Bot) -> list[str]:
    return [each.entry.event for each in await bot.store.audit.all()]


async def test_a_fix_that_is_named_for_the_host_needs_no_click(bot: Bot, executor: FakeExecutor) -> None:
    await bot.breaks()
    await bot.settled()
    incident = await bot.incident()
    assert incident.state is IncidentState.RESOLVED
    assert incident.offers[0].approval is not None
    assert incident.offers[0].approval.who == AUTO
    assert executor.ran == [plan()]


async def test_it_stops_by_itself_when_the_same_is_back_soon_and_says_so_once(bot: Bot, executor: FakeExecutor) -> None:
    await bot.breaks()
    await bot.settled()
    await comes_back(bot, after=240)
    await bot.settled()
    incident = await bot.incident()
    assert incident.state is IncidentState.OPEN
    assert len(executor.ran) == 1
    assert incident.recurs.startswith("Second time in 7 days")
    assert "stopped" not in incident.recurs
    assert isinstance(incident.stopped, Stopped)
    assert isinstance(incident.stopped.why, CameBack)
    told = "Second time in 7 days. .* Automatic fixing of ip-forward-off on host1 has stopped: it came back 4 min"
    assert re.search(told, alert(incident, bot.clock()).text)
    bot.clock.passes(60)
    await bot.monitor.look(bot.monitor.hosts["host1"])
    assert (await events(bot)).count("automatic-fixing-stopped") == 1


async def test_it_stays_stopped_until_a_person_decides(bot: Bot, executor: FakeExecutor) -> None:
    await bot.breaks()
    await bot.settled()
    await comes_back(bot, after=240)
    await bot.posted()
    offer = next(each for each in (await bot.incident()).offers if each.approval is None and not each.plan.undoes)
    await bot.clicks.approve(click(target=offer.id, click_id="a person"))
    await bot.settled()
    assert len(executor.ran) == 2
    await comes_back(bot, after=3600)
    await bot.settled()
    assert len(executor.ran) == 3
    assert (await bot.incident()).state is IncidentState.RESOLVED


async def test_no_more_than_so_many_a_day(bot: Bot, executor: FakeExecutor) -> None:
    await bot.breaks()
    await bot.settled()
    for _ in range(3):
        await comes_back(bot, after=3600)
        await bot.settled()
    assert len(executor.ran) == 2
    assert (await bot.incident()).stopped == Stopped("ip-forward-off", RanOften(2))
    bot.clock.passes(86_400)
    await comes_back(bot, after=60)
    await bot.settled()
    assert len(executor.ran) == 3


async def test_what_did_nothing_for_its_cause_is_taken_back_by_itself_where_that_is_safe(
    store: Store, clock: Clock
) -> None:
    silent = replace(fixed(), outcome=Outcome.NOT_FIXED, differences=(SWITCHED,), readings=(failed(clock()),))
    did_nothing = replace(silent, says="it holds", cause_gone=False)
    executor = FakeExecutor(did_nothing)
    bot = await fixed_by_a_person(store, clock, executor)
    tried, taken_back = executor.ran
    assert (tried, taken_back.undoes) == (SAFE, (await bot.incident()).offers[0].id)
    assert taken_back.steps == SAFE.undo
    assert taken_back.restores == (SWITCHED,)
    by = [each.approval.who for each in (await bot.incident()).offers if each.plan.undoes and each.approval]
    assert by == [AUTO]
    assert flaw(await store.audit.all()) == ""
    await bot.close()


async def test_what_did_nothing_for_its_cause_stays_where_the_service_answers_now(store: Store, clock: Clock) -> None:
    says = "it is 1, but no file sets it any more"
    answers = replace(fixed(), outcome=Outcome.NOT_FIXED, says=says, differences=(SWITCHED,), cause_gone=False)
    executor = FakeExecutor(answers)
    bot = await fixed_by_a_person(store, clock, executor)
    assert len(executor.ran) == 1
    approved, undo = (await bot.incident()).offers
    assert (undo.plan.undoes, undo.approval) == (approved.id, None)  # a person may take it back
    await bot.close()


@pytest.mark.parametrize("cause_gone", [True, None])
async def test_what_mended_its_cause_stays_though_something_else_is_wrong(
    store: Store, clock: Clock, *, cause_gone: bool | None
) -> None:
    step = StepResult(plan().steps[0], 0, "")
    executor = FakeExecutor(Applied(Outcome.NOT_FIXED, "and another", (step,), (), (SWITCHED,), cause_gone))
    bot = await fixed_by_a_person(store, clock, executor)
    assert len(executor.ran) == 1
    await bot.close()
