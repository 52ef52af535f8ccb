"""From clicks to outcomes, with a scripted host, on a real store: no Slack, no SSH."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.approvals.approvers import Members, Unreachable, Withheld, approvers_of
from bot.approvals.decision import Acknowledged, Agreed, Approved, Refusal, RefusalReason, Repeated
from bot.approvals.offers import usable
from bot.approvals.policy import Policies, QuietHours, policy_of
from bot.incidents.model import Approval, IncidentState
from bot.remediation.runner import LEASE, Run
from bot.store import Store
from checks.execution.order import OnEvent, Order
from checks.model import Applied, Outcome, Risk
from tests.unit.bot.life import POLICIES, Bot, FakeDirectory
from tests.unit.bot.samples import (
    APPROVER,
    HOME,
    HOST,
    STRANGER,
    T0,
    Clock,
    FakeChecker,
    FakeExecutor,
    SlowExecutor,
    broken,
    click,
    fixed,
    incident,
    offer,
    plan,
)

# --- from clicks to outcomes ---


async def test_an_approved_fix_runs_is_verified_and_resolves(bot: Bot, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    answer = await bot.clicks.approve(click(target=offer))
    assert isinstance(answer, Approved)
    assert answer.approval.who == APPROVER
    await bot.settled()
    incident = await bot.incident()
    assert incident.state is IncidentState.RESOLVED
    assert incident.offers[0].applied == fixed()
    assert [change.new for change in incident.transitions] == [
        IncidentState.OPEN,
        IncidentState.FIXING,
        IncidentState.RESOLVED,
    ]
    assert executor.ran == [plan()]


async def test_progress_is_shown_while_it_runs(store: Store, clock: Clock) -> None:
    executor = SlowExecutor()
    bot = Bot(store, clock, FakeChecker(clock), executor)
    offer = await bot.breaks()
    await bot.clicks.approve(click(target=offer))
    await executor.halfway.wait()
    incident = await bot.incident()
    assert incident.state is IncidentState.FIXING
    assert incident.offers[0].progress == "step 1 of 1: switch it on"
    assert len(await store.messages.due(clock())) == 1
    executor.on.set()
    await bot.settled()
    await bot.close()


@pytest.mark.parametrize("outcome", [Outcome.NOT_FIXED, Outcome.FAILED, Outcome.STALE, Outcome.UNKNOWN])
async def test_any_other_outcome_opens_the_incident_again_with_a_fresh_offer(
    bot: Bot, executor: FakeExecutor, outcome: Outcome
) -> None:
    executor.applied = Applied(outcome, "because")
    offer = await bot.breaks()
    bot.clock.passes(1)
    await bot.clicks.approve(click(target=offer))
    await bot.settled()
    incident = await bot.incident()
    assert incident.state is IncidentState.OPEN
    assert incident.transitions[-1].reason == f"{outcome}: because"
    tried, fresh = incident.offers
    assert tried.applied == executor.applied
    assert usable(fresh, bot.clock())


async def test_an_error_of_ours_while_fixing_ends_as_unknown(bot: Bot, executor: FakeExecutor) -> None:
    executor.error = ZeroDivisionError("oops")
    offer = await bot.breaks()
    await bot.clicks.approve(click(target=offer))
    await bot.settled()
    applied = (await bot.incident()).offers[0].applied
    assert applied
    assert applied.outcome is Outcome.UNKNOWN
    assert "ZeroDivisionError: oops" in applied.says


async def test_while_another_service_of_the_host_is_mended_it_is_waited_for(
    bot: Bot, store: Store, executor: FakeExecutor
) -> None:
    other = replace(incident(offer("offer-2"), incident_id="inc-2"), service="web")
    assert await store.incidents.add(replace(other, offers=()), "#alerts", bot.clock())
    report = replace(broken(plan(), at=bot.clock()), service="web")
    await store.incidents.save_report("inc-2", report, other.offers, bot.clock())
    known = await store.incidents.get("inc-2")
    assert known
    web = known.offers[0]
    assert await bot.runner.claim(Run(known, web, Approval("U0BOB", bot.clock(), web.plan.fingerprint)))
    answer = await bot.clicks.approve(click(target=await bot.breaks()))
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.incident and answer.incident.id) == (RefusalReason.HOST_BUSY, "inc-2")
    assert answer.offer
    assert answer.offer.approval
    assert (answer.offer.approval.who, executor.ran) == ("U0BOB", [])


async def test_of_many_clicks_at_once_one_runs_and_the_others_learn_whose(bot: Bot, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    clicks = [click(target=offer, click_id=f"click-{number}") for number in range(10)]
    answers = await asyncio.gather(*[bot.clicks.approve(each) for each in clicks])
    assert len([answer for answer in answers if isinstance(answer, Approved)]) == 1
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert {answer.reason for answer in refused} == {RefusalReason.CLAIMED}
    assert all(answer.offer and answer.offer.approval for answer in refused)
    await bot.settled()
    assert len(executor.ran) == 1


async def test_a_click_that_slack_delivers_twice_is_answered_once(bot: Bot, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    first, second = [await bot.clicks.approve(click(target=offer)) for _ in range(2)]
    assert isinstance(first, Approved)
    assert second == Repeated()
    await bot.settled()
    assert len(executor.ran) == 1


async def test_a_stranger_starts_nothing(bot: Bot, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    answer = await bot.clicks.approve(click(STRANGER, offer))
    assert answer == Refusal(RefusalReason.NOT_AN_APPROVER, names=(APPROVER, "S0ONCALL"))
    assert executor.ran == []
    assert (await bot.incident()).state is IncidentState.OPEN


async def test_group_members_are_asked_for_at_each_click(bot: Bot) -> None:
    offer = await bot.breaks()
    bot.groups.told["S0ONCALL"] = Unreachable()
    answer = await bot.clicks.approve(click(STRANGER, offer, click_id="1"))
    assert answer == Refusal(RefusalReason.GROUP_UNKNOWN, names=("S0ONCALL",))
    refused = Withheld("usergroups.users.list: no_such_subteam", "Check that id.")
    bot.groups.told["S0ONCALL"] = refused
    answer = await bot.clicks.approve(click(STRANGER, offer, click_id="2"))
    assert answer == Refusal(RefusalReason.GROUP_WITHHELD, withheld={"S0ONCALL": refused})
    bot.groups.told["S0ONCALL"] = frozenset({STRANGER})
    assert isinstance(await bot.clicks.approve(click(STRANGER, offer, click_id="3")), Approved)


# --- two people ---

ALICE, BOB, CAROL = "U0ALICE", "U0BOB", "U0CAROL"
PAIR = Policies((ALICE, BOB, "S0ONCALL"), dict.fromkeys(Risk, 2), timedelta(minutes=30))


@pytest.fixture
async def pair(store: Store, clock: Clock, executor: FakeExecutor) -> AsyncIterator[Bot]:
    """A bot that fixes nothing before two people have approved it."""
    bot = Bot(store, clock, FakeChecker(clock), executor, PAIR)
    yield bot
    await bot.close()


async def test_the_first_of_two_starts_nothing_and_the_second_one_does(pair: Bot, executor: FakeExecutor) -> None:
    offer = await pair.breaks()
    first = await pair.clicks.approve(click(ALICE, offer, click_id="1"))
    assert isinstance(first, Agreed)
    assert (first.people, first.missing) == (2, 1)
    known = await pair.incident()
    assert ([each.who for each in known.offers[0].agreed], known.state, executor.ran) == (
        [ALICE],
        IncidentState.OPEN,
        [],
    )
    assert isinstance(await pair.clicks.approve(click(BOB, offer, click_id="2")), Approved)
    await pair.settled()
    assert len(executor.ran) == 1


async def test_one_person_is_not_two(pair: Bot, executor: FakeExecutor) -> None:
    offer = await pair.breaks()
    await pair.clicks.approve(click(ALICE, offer, click_id="1"))
    again = await pair.clicks.approve(click(ALICE, offer, click_id="2"))
    assert isinstance(again, Refusal)
    assert (again.reason, again.names) == (RefusalReason.SAME_PERSON, (BOB, "S0ONCALL"))
    assert executor.ran == []


async def test_two_who_approve_at_the_same_moment_start_it_once(pair: Bot, executor: FakeExecutor) -> None:
    offer = await pair.breaks()
    clicks = [click(who, offer, click_id=who) for who in (ALICE, BOB)]
    answers = await asyncio.gather(*[pair.clicks.approve(each) for each in clicks])
    assert sorted(type(answer).__name__ for answer in answers) == ["Agreed", "Approved"]
    await pair.settled()
    assert len(executor.ran) == 1


async def test_who_has_left_the_group_since_does_not_count_any_more(pair: Bot, executor: FakeExecutor) -> None:
    offer = await pair.breaks()
    pair.groups.told["S0ONCALL"] = frozenset({CAROL})
    assert isinstance(await pair.clicks.approve(click(CAROL, offer, click_id="1")), Agreed)
    pair.groups.told["S0ONCALL"] = frozenset()
    assert isinstance(await pair.clicks.approve(click(ALICE, offer, click_id="2")), Agreed)
    pair.groups.told["S0ONCALL"] = Unreachable()
    assert executor.ran == []
    assert isinstance(await pair.clicks.approve(click(BOB, offer, click_id="3")), Approved)


async def test_a_group_is_asked_about_whoever_approved_before_even_if_the_next_one_is_named(pair: Bot) -> None:
    offer = await pair.breaks()
    pair.groups.told["S0ONCALL"] = frozenset({CAROL})
    assert isinstance(await pair.clicks.approve(click(CAROL, offer, click_id="1")), Agreed)
    assert isinstance(await pair.clicks.approve(click(ALICE, offer, click_id="2")), Approved)


async def test_an_agreement_that_has_lapsed_can_be_given_again(pair: Bot) -> None:
    offer = await pair.breaks()
    await pair.clicks.approve(click(ALICE, offer, click_id="1"))
    pair.clock.passes(1200)
    await pair.monitor.look(HOST)  # finds the same plan: the button gets more time
    pair.clock.passes(1200)
    assert isinstance(await pair.clicks.approve(click(ALICE, offer, click_id="2")), Agreed)
    assert isinstance(await pair.clicks.approve(click(BOB, offer, click_id="3")), Approved)


async def test_slack_is_not_asked_for_groups_where_everyone_is_named() -> None:
    groups = FakeDirectory()
    groups.told.clear()  # asking would be a KeyError
    policy = policy_of(PAIR, plan())
    named = await approvers_of(policy, groups, {ALICE, BOB, "terminal:root"})
    assert (named.names, CAROL in named, "terminal:root" in named) == ((ALICE, BOB, "S0ONCALL"), False, False)
    with pytest.raises(KeyError):
        await approvers_of(policy, groups, {ALICE, CAROL})


# --- clicks that come late ---


@pytest.mark.parametrize(("waited", "why"), [(60, RefusalReason.QUIET), (1800, RefusalReason.EXPIRED)])
async def test_a_click_whose_record_had_to_wait_is_decided_anew(
    store: Store, tmp_path: Path, clock: Clock, waited: int, why: RefusalReason
) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as another:

        async def is_done() -> None:
            await asyncio.sleep(0.2)
            clock.passes(waited)
            another.execute("ROLLBACK")

        class Busy(FakeDirectory):
            async def members(self, group: str) -> Members:
                if not another.in_transaction and clock() < T0 + timedelta(seconds=60):
                    another.execute("BEGIN IMMEDIATE")  # another process writes from here on
                    self.writes = asyncio.create_task(is_done())
                return await super().members(group)

        quiet = QuietHours(time(12, 1), time(12, 5), ZoneInfo("UTC"))
        bot = Bot(store, clock, FakeChecker(clock), FakeExecutor(), replace(POLICIES, quiet_hours=quiet), Busy())
        bot.groups.told["S0ONCALL"] = frozenset({CAROL})
        answer = await bot.clicks.approve(click(CAROL, await bot.breaks()))
        assert isinstance(answer, Refusal)
        assert answer.reason is why
        await bot.close()


async def test_a_click_on_an_expired_offer_runs_nothing_and_a_fresh_look_brings_another(
    bot: Bot, executor: FakeExecutor
) -> None:
    offer = await bot.breaks()
    bot.clock.passes(1801)
    answer = await bot.clicks.approve(click(target=offer))
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.outdated) == (RefusalReason.EXPIRED, True)
    bot.monitor.look_again(HOST.name)
    await bot.settled()
    assert executor.ran == []
    assert [usable(each, bot.clock()) for each in (await bot.incident()).offers] == [False, True]


async def test_a_click_after_the_state_changed_is_refused(bot: Bot, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    bot.checker.report = lambda at: broken(plan(basis="2"), at=at)
    await bot.monitor.look(HOST)
    answer = await bot.clicks.approve(click(target=offer))
    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.WITHDRAWN
    assert executor.ran == []


async def test_a_click_after_recovery_is_refused(bot: Bot, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    await bot.reads("ok ok")
    answer = await bot.clicks.approve(click(target=offer))
    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.RESOLVED
    assert executor.ran == []


async def test_a_click_on_an_unknown_button_is_refused(bot: Bot) -> None:
    assert await bot.clicks.approve(click(target="nothing")) == Refusal(RefusalReason.GONE)
    assert await bot.clicks.acknowledge(click(target="nothing", click_id="2")) == Refusal(RefusalReason.GONE)


async def test_a_click_after_a_restart_counts(bot: Bot, store: Store, clock: Clock, executor: FakeExecutor) -> None:
    offer = await bot.breaks()
    await bot.close()
    second = Bot(store, clock, bot.checker, executor)
    await second.monitor.start()
    assert isinstance(await second.clicks.approve(click(target=offer)), Approved)
    await second.settled()
    assert (await second.incident()).state is IncidentState.RESOLVED
    await second.close()


async def test_a_click_on_a_message_that_was_posted_this_very_moment_counts(bot: Bot) -> None:
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.reads("fail fail")
    clicking = asyncio.create_task(bot.clicks.approve(click(target=(await bot.incident()).offers[0].id)))
    await asyncio.sleep(0.05)
    await bot.posted()
    assert isinstance(await clicking, Approved)


async def test_anyone_may_acknowledge_once(bot: Bot) -> None:
    await bot.breaks()
    incident = await bot.incident()
    answer = await bot.clicks.acknowledge(click(STRANGER, incident.id))
    assert answer == Acknowledged(incident)
    again = await bot.clicks.acknowledge(click(APPROVER, incident.id, click_id="2"))
    assert isinstance(again, Refusal)
    assert again.reason is RefusalReason.NOT_OPEN
    taken = await bot.incident()
    assert (taken.state, taken.transitions[-1].who) == (IncidentState.ACKNOWLEDGED, STRANGER)


async def test_an_acknowledge_button_of_another_message_does_nothing(bot: Bot) -> None:
    await bot.breaks()
    incident = await bot.incident()
    answer = await bot.clicks.acknowledge(click(STRANGER, incident.id, replace(HOME, ts="9.9")))
    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.ELSEWHERE


async def test_readings_from_before_the_end_of_a_fix_do_not_open_it_again(bot: Bot) -> None:
    offer = await bot.breaks()
    await bot.reads("fail fail fail")
    await bot.clicks.approve(click(target=offer))
    await bot.settled()
    await bot.reads("fail")
    assert (await bot.incident()).state is IncidentState.RESOLVED


async def test_a_look_that_began_before_a_fix_ended_changes_nothing(bot: Bot, executor: FakeExecutor) -> None:
    executor.applied = Applied(Outcome.NOT_FIXED, "no")
    offer = await bot.breaks()
    await bot.clicks.approve(click(target=offer))
    await bot.settled()
    before = await bot.incident()
    late = replace(broken(plan("restart-docker"), at=bot.clock()), took_ms=120.0)
    await bot.monitor._absorb(late)  # noqa: SLF001  # a look that comes in late
    assert await bot.incident() == before


async def test_a_fix_whose_runner_died_is_ended_by_the_next_process_and_not_run_again(
    bot: Bot, store: Store, clock: Clock, executor: FakeExecutor
) -> None:
    offer_id = await bot.breaks()
    known = await bot.incident()
    answer = await bot.approvals.judge(known, click(target=offer_id), bot.home)
    assert isinstance(answer, Approved)
    assert await bot.runner.claim(Run(known, answer.offer, answer.approval))  # and then the process dies
    second = Bot(store, clock, bot.checker, executor)
    await second.runner.recover()
    assert (await second.incident()).state is IncidentState.FIXING  # its runner may be alive
    clock.passes(LEASE.total_seconds())
    await second.runner.recover()
    await second.settled()
    incident = await second.incident()
    assert incident.state is IncidentState.RESOLVED
    assert incident.offers[0].applied
    assert incident.offers[0].applied.says == "found out afterwards"
    assert ([order.run for order in executor.resumed], executor.ran) == ([offer_id], [])
    again = await second.clicks.approve(click(target=offer_id))
    assert isinstance(again, Refusal)
    assert again.reason is RefusalReason.CLAIMED
    await second.close()


async def test_a_fix_that_is_cut_off_by_shutting_down_is_ended_by_the_next_life(store: Store, clock: Clock) -> None:
    class Endless(FakeExecutor):
        async def apply(self, order: Order, tell: OnEvent) -> Applied:
            await super().apply(order, tell)
            await asyncio.Event().wait()
            raise AssertionError

    bot = Bot(store, clock, FakeChecker(clock), Endless())
    offer = await bot.breaks()
    await bot.clicks.approve(click(target=offer))
    await asyncio.sleep(0.05)
    await bot.close()
    assert (await bot.incident()).state is IncidentState.FIXING
    executor = FakeExecutor()
    second = Bot(store, clock, bot.checker, executor)
    await second.runner.recover()  # at once: the first life has let go of it
    await second.settled()
    assert (await second.incident()).state is IncidentState.RESOLVED
    assert ([order.run for order in executor.resumed], executor.ran) == ([offer], [])
    await second.close()
