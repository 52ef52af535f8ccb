"""A risk of a service that is well is mended. If the service fails all the same, that is an outage like any other."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.incidents.model import Incident, IncidentKind, IncidentState, end_run, opening
from bot.slack.message import Message
from bot.slack.outbox import MessageGoneError, Outbox, RetryLaterError, SendError
from bot.slack.views import alert
from bot.store import Store
from checks.model import Applied, Finding, Outcome, Report, StepResult, Verdict
from tests.unit.bot.life import Bot
from tests.unit.bot.samples import (
    HOME,
    HOST,
    SERVICE,
    T0,
    Clock,
    FakeChecker,
    FakeExecutor,
    FakeSlack,
    broken,
    click,
    failed,
    fixed,
    good,
    healthy,
    plan,
)

ALICE = "terminal:alice"
RISK = Finding("ip-forward-off", SERVICE.name, Verdict.RISK, "forwarding goes off at the next boot")
NOT_RUN = [Applied(Outcome.STALE, "Nothing was run"), Applied(Outcome.FAILED, "Nothing was run")]
RAN = (StepResult(plan().steps[0], 0, ""),)


@pytest.fixture
async def bot(store: Store, clock: Clock, executor: FakeExecutor) -> AsyncIterator[Bot]:
    bot = Bot(store, clock, FakeChecker(clock), executor)
    yield bot
    await bot.close()


def at_risk() -> Report:
    return replace(healthy(), diagnosis=replace(healthy().diagnosis, risks=(RISK,)), plans=(plan(),))


async def asked_for(bot: Bot) -> Incident:
    """Alice wants the risk mended, and has not confirmed it yet."""
    bot.checker.report = lambda at: replace(at_risk(), at=at)
    incident = await bot.monitor.prevent(at_risk(), plan(), ALICE)
    assert incident is not None
    await bot.posted()
    return incident


async def mended(bot: Bot) -> None:
    await asked_for(bot)
    await bot.clicks.approve(click(target=(await bot.incident()).offers[-1].id, click_id="the risk"))
    await bot.settled()
    assert (await bot.incident()).state is IncidentState.RESOLVED


async def fails(bot: Bot) -> None:
    bot.checker.report = lambda at: broken(plan(basis="1"), at=at)
    await bot.reads("fail fail")


async def shown(bot: Bot) -> str:
    return str(alert(await bot.incident(), bot.clock()).payload())


@pytest.mark.parametrize("applied", NOT_RUN, ids=lambda applied: applied.outcome)
async def test_what_really_failed_after_its_risk_was_mended_is_not_over_because_a_fix_did_not_run(
    bot: Bot, executor: FakeExecutor, applied: Applied
) -> None:
    await mended(bot)
    bot.clock.passes(60)
    await fails(bot)
    await bot.posted()
    executor.applied = applied
    await bot.clicks.approve(click(target=(await bot.incident()).offers[-1].id, click_id="the outage"))
    await bot.settled()
    assert executor.ran == [plan(), plan(basis="1")]
    assert (await bot.incident()).state is IncidentState.OPEN
    assert "answers again" not in await shown(bot)


async def test_a_service_that_fails_while_its_risk_waits_to_be_mended_is_an_outage_that_is_diagnosed_and_told(
    bot: Bot,
) -> None:
    preventing = await asked_for(bot)
    assert "is well, a fault is being prevented" in await shown(bot)
    await fails(bot)
    incident = await bot.incident()
    assert (incident.id, incident.state, incident.kind) == (preventing.id, IncidentState.OPEN, IncidentKind.OUTAGE)
    assert incident.report is not None
    assert incident.report.diagnosis.root is not None
    assert [each.plan for each in incident.offers if not each.withdrawn] == [plan(basis="1")]
    text = await shown(bot)
    assert "host1/registry does not answer: IP forwarding is off." in text
    assert "is well" not in text
    await bot.reads("ok ok")
    assert "host1/registry answers again." in await shown(bot)


async def test_an_outage_that_was_to_be_prevented_is_posted_as_an_alert_of_its_own_and_one_that_is_back_is_not(
    bot: Bot, store: Store
) -> None:
    slack = FakeSlack()
    outbox = Outbox(store, slack, alert, bot.clock)
    await mended(bot)
    bot.clock.passes(60)
    await fails(bot)
    await outbox.deliver()
    assert slack.calls[0][0] == "post"
    assert slack.texts[0].startswith("host1/registry does not answer: IP forwarding is off.")
    await bot.reads("ok ok")
    bot.clock.passes(60)
    await bot.reads("fail fail")
    slack.calls.clear()
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == ["update"]


async def test_what_called_a_service_well_says_where_its_alert_stands_once_it_failed(bot: Bot, store: Store) -> None:
    slack = FakeSlack()
    outbox = Outbox(store, slack, alert, bot.clock)
    await asked_for(bot)
    await fails(bot)
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == ["post", "update"]
    older = slack.messages.pop(HOME.ts)
    assert older == Message("host1/registry was well, and failed all the same: see its alert below.")
    [alarm] = slack.texts
    assert alarm.startswith("host1/registry does not answer: IP forwarding is off.")
    bot.clock.passes(60)
    await bot.reads("ok ok")
    await outbox.deliver()
    assert HOME.ts not in slack.messages


@pytest.mark.parametrize(
    ("refusal", "told", "calls"),
    [
        (RetryLaterError("slow down", after=timedelta(seconds=5)), True, ["post", "update", "update"]),
        (MessageGoneError("message_not_found"), False, ["post", "update"]),
    ],
)
async def test_an_older_message_that_cannot_be_changed_keeps_no_alert_back(
    bot: Bot, store: Store, refusal: SendError, calls: list[str], *, told: bool
) -> None:
    slack = FakeSlack()
    outbox = Outbox(store, slack, alert, bot.clock)
    await asked_for(bot)
    await fails(bot)
    slack.errors = [None, refusal]
    await outbox.deliver()
    assert slack.texts[0].startswith("host1/registry does not answer")
    bot.clock.passes(60)
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == calls
    assert (HOME.ts in slack.messages) is told


async def test_whoever_cares_for_a_risk_has_not_taken_the_outage_that_follows(bot: Bot) -> None:
    incident = await asked_for(bot)
    await bot.clicks.acknowledge(click(target=incident.id, click_id="I care"))
    await fails(bot)
    states = [change.new for change in (await bot.incident()).transitions]
    assert states == [IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.OPEN]


async def test_a_check_that_finds_it_broken_meanwhile_makes_an_outage_of_it(bot: Bot) -> None:
    await asked_for(bot)
    bot.checker.report = lambda at: broken(plan(basis="1"), at=at)
    [checked] = await bot.monitor.check(HOST, who="U0BOB")
    assert checked.incident is not None
    assert checked.incident.kind is IncidentKind.OUTAGE
    assert [change.who for change in checked.incident.transitions if change.opens] == [ALICE, "U0BOB"]


# --- what the end of its fix makes of it ---


async def being_mended(bot: Bot) -> Incident:
    incident = await asked_for(bot)
    return replace(incident, state=IncidentState.FIXING)


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_a_service_that_answers_after_the_fix_is_well_however_that_ended(bot: Bot, outcome: Outcome) -> None:
    end = end_run(await being_mended(bot), Applied(outcome, "so it ended", RAN, (failed(), good())), T0)
    assert (end.new, end.kind) == (IncidentState.RESOLVED, None)


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_one_that_does_not_answer_after_the_fix_is_an_outage(bot: Bot, outcome: Outcome) -> None:
    end = end_run(await being_mended(bot), Applied(outcome, "so it ended", (), (good(), failed())), T0)
    assert (end.new, end.kind) == (IncidentState.OPEN, IncidentKind.OUTAGE)


@pytest.mark.parametrize("applied", [*NOT_RUN, replace(fixed(), readings=())], ids=lambda each: each.outcome)
async def test_one_of_which_nothing_is_known_is_neither_well_nor_an_outage(bot: Bot, applied: Applied) -> None:
    end = end_run(await being_mended(bot), applied, T0)
    assert (end.new, end.kind) == (IncidentState.OPEN, None)


async def test_while_a_fix_runs_its_own_steps_may_make_the_service_fail(bot: Bot) -> None:
    assert opening(await being_mended(bot), "2 readings in a row from outside failed", T0) is None
