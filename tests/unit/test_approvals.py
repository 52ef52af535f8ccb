"""Who may approve what, and what an offer lives through between two looks."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.approvals import Approvers, Click, No, Place, Refusal, decide
from bot.incidents import Approval, Incident, Offer, State
from bot.offers import renewed, usable
from checks.model import Plan
from tests.unit.bot_samples import (
    APPROVER,
    HOME,
    STRANGER,
    T0,
    broken,
    click,
    fixed,
    healthy,
    incident,
    not_looked_at,
    offer,
    plan,
)

ONE = Approvers(frozenset({APPROVER}))
SECOND = timedelta(seconds=1)
HALF_AN_HOUR = timedelta(minutes=30)
claimed = replace(offer(), approval=Approval("U0FIRST", T0, plan().digest))


def why(decision: tuple[Offer, Approval] | Refusal) -> No | None:
    return decision.reason if isinstance(decision, Refusal) else None


def test_an_approver_may_approve_an_offer_that_stands() -> None:
    decision = decide(incident(offer()), click(), HOME, ONE, T0)
    assert decision == (offer(), Approval(APPROVER, T0, plan().digest))


def test_nobody_may_where_no_approvers_are_configured() -> None:
    assert why(decide(incident(offer()), click(), HOME, Approvers(), T0)) is No.NO_APPROVERS


def test_a_stranger_may_not_and_learns_who_may() -> None:
    decision = decide(incident(offer()), click(STRANGER), HOME, Approvers(ONE.users, {"S1": frozenset()}), T0)
    assert isinstance(decision, Refusal)
    assert decision == Refusal(No.NOT_AN_APPROVER, names=(APPROVER, "S1"))


def test_a_member_of_an_approvers_group_may() -> None:
    group = Approvers(frozenset(), {"S1": frozenset({STRANGER})})
    assert why(decide(incident(offer()), click(STRANGER), HOME, group, T0)) is None


def test_a_group_that_slack_does_not_tell_about_lets_nobody_in() -> None:
    decision = decide(incident(offer()), click(STRANGER), HOME, Approvers(ONE.users, {"S1": None}), T0)
    assert decision == Refusal(No.GROUP_UNKNOWN, names=("S1",))
    assert why(decide(incident(offer()), click(), HOME, Approvers(ONE.users, {"S1": None}), T0)) is None


@pytest.mark.parametrize(
    "place",
    [
        replace(HOME, team="T2"),
        replace(HOME, app="A2"),
        replace(HOME, channel="C2"),
        replace(HOME, ts="99.9"),
        replace(HOME, team="T2", ts=""),
    ],
)
def test_a_click_from_elsewhere_is_refused(place: Place) -> None:
    assert why(decide(incident(offer()), click(place=place), HOME, ONE, T0)) is No.ELSEWHERE


def test_the_button_of_an_answer_that_one_person_sees_counts_in_any_channel() -> None:
    private = Place(HOME.team, HOME.app, "D1", "")
    assert why(decide(incident(offer()), click(place=private), HOME, ONE, T0)) is None
    unposted = replace(HOME, channel="", ts="")
    assert why(decide(incident(offer()), click(place=private), unposted, ONE, T0)) is None


def test_no_click_counts_before_slack_has_said_who_we_are() -> None:
    nowhere = Place("", "", "", "")
    assert why(decide(incident(offer()), click(place=nowhere), nowhere, ONE, T0)) is No.ELSEWHERE


def test_an_offer_counts_until_it_expires_and_not_at_that_moment() -> None:
    until = offer().expires_at
    assert why(decide(incident(offer()), click(), HOME, ONE, until - SECOND)) is None
    assert why(decide(incident(offer()), click(), HOME, ONE, until)) is No.EXPIRED


def test_a_withdrawn_offer_is_refused() -> None:
    assert why(decide(incident(replace(offer(), withdrawn=True)), click(), HOME, ONE, T0)) is No.WITHDRAWN


def test_a_later_click_is_told_who_was_first() -> None:
    decision = decide(replace(incident(claimed), state=State.FIXING), click(), HOME, ONE, T0)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.offer) == (No.CLAIMED, claimed)
    over = replace(claimed, applied=fixed())
    assert why(decide(replace(incident(over), state=State.RESOLVED), click(), HOME, ONE, T0)) is No.CLAIMED


def test_another_fix_of_the_incident_that_runs_comes_first() -> None:
    other = offer("offer-2", plan("restart-docker"))
    decision = decide(replace(incident(claimed, other), state=State.FIXING), click(target="offer-2"), HOME, ONE, T0)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.offer) == (No.BUSY, claimed)


def test_what_is_well_again_is_not_fixed() -> None:
    assert why(decide(replace(incident(offer()), state=State.RESOLVED), click(), HOME, ONE, T0)) is No.RESOLVED


def test_an_offer_of_another_incident_is_not_known() -> None:
    assert why(decide(incident(offer()), click(target="offer-9"), HOME, ONE, T0)) is No.GONE


places = st.builds(Place, *[st.sampled_from(["", "T1", "A1", "C1", "100.1"])] * 4)
offers = st.builds(
    replace,
    st.just(offer()),
    withdrawn=st.booleans(),
    approval=st.sampled_from([None, claimed.approval]),
    expires_at=st.sampled_from([T0 - SECOND, T0, T0 + SECOND]),
)
incidents = st.builds(lambda offer, state: replace(incident(offer), state=state), offers, st.sampled_from(list(State)))
clicks = st.builds(click, st.sampled_from(["", APPROVER, STRANGER]), st.sampled_from(["", "offer-1"]), places)
memberships = st.dictionaries(
    st.just("S1"), st.none() | st.frozensets(st.sampled_from([APPROVER, STRANGER])), max_size=1
)
approvers = st.builds(Approvers, st.frozensets(st.sampled_from([APPROVER, STRANGER])), memberships)


@given(incidents, clicks, places, approvers)
def test_whatever_is_approved_was_allowed_in_every_respect(
    incident: Incident, click: Click, home: Place, approvers: Approvers
) -> None:
    decision = decide(incident, click, home, approvers, T0)
    if isinstance(decision, Refusal):
        return
    chosen, approval = decision
    members = [user for group in approvers.groups.values() for user in group or ()]
    assert click.user in {*approvers.users, *members}
    assert (click.place.team, click.place.app) == (home.team, home.app)
    assert not chosen.withdrawn
    assert chosen.approval is None
    assert chosen.expires_at > T0
    assert incident.state in {State.OPEN, State.ACKNOWLEDGED}
    assert approval == Approval(click.user, T0, chosen.plan.digest)


# --- offers from look to look ---


def ids() -> "count[int]":
    return count(2)


def after_a_look(before: Incident, *plans: Plan, minutes: float = 5) -> list[Offer]:
    numbers = ids()
    now = T0 + timedelta(minutes=minutes)
    changed = renewed(before.offers, broken(*plans), now, HALF_AN_HOUR, lambda: f"offer-{next(numbers)}")
    return list(({each.id: each for each in before.offers} | {each.id: each for each in changed}).values())


def test_a_plan_that_is_found_again_keeps_its_button_and_gets_more_time() -> None:
    [kept] = after_a_look(incident(offer()), plan())
    assert kept == replace(offer(), expires_at=T0 + timedelta(minutes=35))


def test_a_plan_whose_facts_changed_is_withdrawn_and_offered_anew() -> None:
    old, new = after_a_look(incident(offer()), plan(basis="2"))
    assert (old.id, old.withdrawn) == ("offer-1", True)
    assert (new.id, new.withdrawn, new.plan) == ("offer-2", False, plan(basis="2"))


def test_an_expired_offer_does_not_come_back_to_life() -> None:
    old, new = after_a_look(incident(offer()), plan(), minutes=31)
    assert (old.withdrawn, new.id, new.plan) == (True, "offer-2", plan())


def test_what_was_approved_is_history_and_stays_as_it_is() -> None:
    old, new = after_a_look(incident(claimed), plan())
    assert old == claimed
    assert new.id == "offer-2"


def test_a_look_that_could_not_be_had_changes_no_offer() -> None:
    assert renewed([offer()], not_looked_at(), T0, HALF_AN_HOUR, str) == ()


def test_a_healthy_look_withdraws_everything() -> None:
    [gone] = renewed([offer()], healthy(), T0, HALF_AN_HOUR, str)
    assert gone.withdrawn


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=3, unique=True), max_size=8), st.integers(1, 40))
def test_after_each_look_exactly_its_plans_can_be_approved(looks: list[list[str]], minutes: int) -> None:
    known: dict[str, Offer] = {}
    numbers, now = ids(), T0
    for fixes in looks:
        now += timedelta(minutes=minutes)
        report = broken(*[plan(fix) for fix in fixes])
        for each in renewed(known.values(), report, now, HALF_AN_HOUR, lambda: f"offer-{next(numbers)}"):
            known[each.id] = each
        assert sorted(each.plan.fix for each in known.values() if usable(each, now)) == sorted(fixes)
