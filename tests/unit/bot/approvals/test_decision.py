"""Who may approve what, where and when, and who has to approve it with them."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.approvals.approvers import Approvers, Members, Unreachable, Withheld
from bot.approvals.decision import Agreed, Approved, Click, Place, Refusal, RefusalReason, decide
from bot.approvals.policy import Policy, QuietHours
from bot.incidents.model import Approval, Incident, IncidentState, Offer, Transition
from tests.unit.bot.samples import APPROVER, HOME, STRANGER, T0, click, fixed, incident, offer, plan

ALICE, BOB, CAROL = "U0ALICE", "U0BOB", "U0CAROL"
ROOT = "terminal:root"
SECOND = timedelta(seconds=1)
HALF_AN_HOUR = timedelta(minutes=30)
ALONE = Policy((APPROVER,), 1, HALF_AN_HOUR)
PAIR = Policy((ALICE, BOB), 2, HALF_AN_HOUR)
ONE = Approvers(frozenset({APPROVER}))
TWO = Approvers(frozenset({ALICE, BOB}))
UNKNOWN_GROUP = Withheld("usergroups.users.list: no_such_subteam", "Check that id.")
AROUND_NOON = QuietHours(time(11), time(13), ZoneInfo("UTC"))
claimed = replace(offer(), approval=Approval("U0FIRST", T0, plan().fingerprint))

Decision = Approved | Agreed | Refusal


def decided(  # noqa: PLR0913  # a decision rests on each of these
    known: Incident,
    by: Click | None = None,
    policy: Policy = ALONE,
    approvers: Approvers = ONE,
    *,
    home: Place | None = HOME,
    now: datetime = T0,
) -> Decision:
    return decide(known, by or click(), policy, approvers, home=home, now=now)


def why(decision: Decision) -> RefusalReason | None:
    return decision.reason if isinstance(decision, Refusal) else None


def agreed(*who: str, at: datetime = T0, fingerprint: str = "") -> Offer:
    """An offer that these people have approved already, and that takes two."""
    return replace(offer(), agreed=tuple(Approval(each, at, fingerprint or plan().fingerprint) for each in who))


def at_terminal(user: str) -> Click:
    return Click("", user, "offer-1", None)


# --- who ------------------------------------------------------------------------------------------------------


def test_an_approver_may_approve_an_offer_that_stands() -> None:
    assert decided(incident(offer())) == Approved(
        incident(offer()), offer(), Approval(APPROVER, T0, plan().fingerprint)
    )


def test_nobody_may_where_no_approvers_are_configured() -> None:
    assert why(decided(incident(offer()), approvers=Approvers())) is RefusalReason.NO_APPROVERS


def test_a_stranger_may_not_and_learns_who_may() -> None:
    approvers = Approvers(ONE.users, {"S1": frozenset()})
    decision = decided(incident(offer()), click(STRANGER), approvers=approvers)
    assert decision == Refusal(RefusalReason.NOT_AN_APPROVER, names=(APPROVER, "S1"))


def test_a_member_of_an_approvers_group_may() -> None:
    group = Approvers(frozenset(), {"S1": frozenset({STRANGER})})
    assert why(decided(incident(offer()), click(STRANGER), approvers=group)) is None


def test_a_group_that_slack_does_not_tell_about_lets_nobody_in() -> None:
    unknown = Approvers(ONE.users, {"S1": Unreachable()})
    decision = decided(incident(offer()), click(STRANGER), approvers=unknown)
    assert decision == Refusal(RefusalReason.GROUP_UNKNOWN, names=("S1",))
    assert why(decided(incident(offer()), approvers=unknown)) is None


def test_whose_group_slack_will_never_tell_about_learns_why() -> None:
    never = Approvers(ONE.users, {"S1": UNKNOWN_GROUP, "S2": frozenset({BOB})})
    decision = decided(incident(offer()), click(STRANGER), approvers=never)
    assert decision == Refusal(RefusalReason.GROUP_WITHHELD, withheld={"S1": UNKNOWN_GROUP})
    for approver in (APPROVER, BOB):
        assert why(decided(incident(offer()), click(approver), approvers=never)) is None


def test_who_may_be_in_a_group_that_was_only_out_of_reach_is_asked_to_try_again() -> None:
    both = Approvers(frozenset(), {"S1": UNKNOWN_GROUP, "S2": Unreachable()})
    decision = decided(incident(offer()), click(STRANGER), approvers=both)
    assert decision == Refusal(RefusalReason.GROUP_UNKNOWN, names=("S2",))


def test_who_stands_at_a_terminal_may_only_by_name() -> None:
    listed = Approvers(frozenset({ROOT}), {"S1": Unreachable(), "S2": UNKNOWN_GROUP})
    assert why(decided(incident(offer()), at_terminal(ROOT), approvers=listed, home=None)) is None
    assert (
        why(decided(incident(offer()), at_terminal("terminal:eve"), approvers=listed)) is RefusalReason.NOT_AN_APPROVER
    )
    assert why(decided(incident(offer()), at_terminal(ROOT), approvers=ONE)) is RefusalReason.NOT_AN_APPROVER


def test_the_one_who_asked_for_the_look_may_not_where_the_policy_says_so() -> None:
    asked = Transition(None, IncidentState.OPEN, "found by a check", T0, APPROVER)
    known = replace(incident(offer()), transitions=(asked,))
    strict = replace(ALONE, not_requester=True)
    assert why(decided(known)) is None
    assert why(decided(known, policy=strict)) is RefusalReason.REQUESTER
    assert why(decided(incident(offer()), policy=strict)) is None, "nobody asked for this one"
    again = (Transition(IncidentState.RESOLVED, IncidentState.OPEN, "back again", T0, APPROVER),)
    assert (
        why(decided(replace(known, transitions=(replace(asked, who="U0EVE"), *again)), policy=strict))
        is RefusalReason.REQUESTER
    )


def test_who_takes_care_of_an_incident_has_not_asked_for_it() -> None:
    taken = Transition(IncidentState.OPEN, IncidentState.ACKNOWLEDGED, "someone takes care of it", T0, APPROVER)
    failed = Transition(IncidentState.FIXING, IncidentState.OPEN, "not-fixed", T0, APPROVER)
    known = replace(incident(offer()), transitions=(*incident().transitions, taken, failed))
    assert why(decided(known, policy=replace(ALONE, not_requester=True))) is None


# --- where ----------------------------------------------------------------------------------------------------


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
    assert why(decided(incident(offer()), click(place=place))) is RefusalReason.ELSEWHERE


def test_the_button_of_an_answer_that_one_person_sees_counts_in_any_channel() -> None:
    private = Place(HOME.team, HOME.app, "D1", "")
    assert why(decided(incident(offer()), click(place=private))) is None
    unposted = replace(HOME, channel="", ts="")
    assert why(decided(incident(offer()), click(place=private), home=unposted)) is None


def test_no_click_counts_before_slack_has_said_who_we_are() -> None:
    nowhere = Place("", "", "", "")
    assert why(decided(incident(offer()), click(place=nowhere), home=nowhere)) is RefusalReason.ELSEWHERE


def test_clicks_count_only_in_the_channels_that_the_policy_names() -> None:
    elsewhere = replace(ALONE, channels=("C2", "C3"))
    decision = decided(incident(offer()), policy=elsewhere)
    assert decision == Refusal(RefusalReason.CHANNEL, incident(offer()), offer(), names=("C2", "C3"))
    assert why(decided(incident(offer()), policy=replace(ALONE, channels=("C1",)))) is None
    private = Place(HOME.team, HOME.app, "C2", "")
    assert why(decided(incident(offer()), click(place=private), policy=elsewhere)) is None


def test_a_terminal_is_in_no_channel_and_all_else_applies_to_it() -> None:
    listed, elsewhere = Approvers(frozenset({ROOT})), replace(ALONE, channels=("C2",))
    assert why(decided(incident(offer()), at_terminal(ROOT), elsewhere, listed, home=None)) is None
    quiet = replace(elsewhere, quiet_hours=AROUND_NOON)
    assert why(decided(incident(offer()), at_terminal(ROOT), quiet, listed, home=None)) is RefusalReason.QUIET


def test_a_click_without_a_place_and_a_login_in_slack_are_not_believed() -> None:
    assert why(decided(incident(offer()), replace(click(), place=None))) is RefusalReason.ELSEWHERE
    assert (
        why(decided(incident(offer()), click(ROOT), approvers=Approvers(frozenset({ROOT})))) is RefusalReason.ELSEWHERE
    )


# --- what -----------------------------------------------------------------------------------------------------


def test_what_a_rule_does_not_allow_nobody_may_approve() -> None:
    decision = decided(incident(offer()), policy=replace(ALONE, forbidden_by="approvals.rules.0 (everything)"))
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.why) == (RefusalReason.NOT_ALLOWED, "approvals.rules.0 (everything)")


def test_what_only_a_person_can_run_nobody_may_approve() -> None:
    by_hand = offer(of=replace(plan(), by_hand="dockerhealth may only look on host1"))
    decision = decided(incident(by_hand))
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.why) == (RefusalReason.NOT_ALLOWED, "dockerhealth may only look on host1")


# --- when -----------------------------------------------------------------------------------------------------


def test_an_offer_counts_until_it_expires_and_not_at_that_moment() -> None:
    until = offer().expires_at
    assert why(decided(incident(offer()), now=until - SECOND)) is None
    assert why(decided(incident(offer()), now=until)) is RefusalReason.EXPIRED


def test_nobody_may_in_quiet_hours_and_everyone_learns_how_long_they_last() -> None:
    quiet = replace(ALONE, quiet_hours=AROUND_NOON)
    decision = decided(incident(offer()), policy=quiet)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.until) == (RefusalReason.QUIET, datetime(2026, 3, 1, 13, tzinfo=UTC))
    after = offer(at=T0 + timedelta(hours=1))
    assert why(decided(incident(after), policy=quiet, now=T0 + timedelta(hours=1))) is None


def test_a_withdrawn_offer_is_refused() -> None:
    assert why(decided(incident(replace(offer(), withdrawn=True)))) is RefusalReason.WITHDRAWN


def test_a_later_click_is_told_who_was_first() -> None:
    decision = decided(replace(incident(claimed), state=IncidentState.FIXING))
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.offer) == (RefusalReason.CLAIMED, claimed)
    over = replace(claimed, applied=fixed())
    assert why(decided(replace(incident(over), state=IncidentState.RESOLVED))) is RefusalReason.CLAIMED


def test_another_fix_of_the_incident_that_runs_comes_first() -> None:
    other = offer("offer-2", plan("restart-docker"))
    decision = decided(replace(incident(claimed, other), state=IncidentState.FIXING), click(target="offer-2"))
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.offer) == (RefusalReason.BUSY, claimed)


def test_what_is_well_again_is_not_fixed() -> None:
    assert why(decided(replace(incident(offer()), state=IncidentState.RESOLVED))) is RefusalReason.RESOLVED


def test_a_fix_can_be_taken_back_whether_it_helped_or_not() -> None:
    undo = offer(of=replace(plan(), undoes="offer-0"))
    for state in (IncidentState.RESOLVED, IncidentState.OPEN, IncidentState.ACKNOWLEDGED):
        assert why(decided(replace(incident(undo), state=state))) is None
    assert why(decided(replace(incident(undo), state=IncidentState.FIXING))) is RefusalReason.BUSY
    late = replace(incident(undo), state=IncidentState.RESOLVED)
    assert why(decided(late, now=undo.expires_at)) is RefusalReason.EXPIRED


def test_an_offer_of_another_incident_is_not_known() -> None:
    assert why(decided(incident(offer()), click(target="offer-9"))) is RefusalReason.GONE


# --- two people -----------------------------------------------------------------------------------------------


def test_where_it_takes_two_the_first_one_starts_nothing() -> None:
    decision = decided(incident(offer()), click(ALICE), PAIR, TWO)
    assert decision == Agreed(incident(offer()), offer(), Approval(ALICE, T0, plan().fingerprint), people=2, missing=1)


def test_the_second_one_starts_it() -> None:
    decision = decided(incident(agreed(ALICE)), click(BOB), PAIR, TWO)
    assert isinstance(decision, Approved)
    assert decision.approval.who == BOB


def test_the_same_person_twice_is_one_person_and_learns_who_else_may() -> None:
    decision = decided(incident(agreed(ALICE)), click(ALICE), PAIR, TWO)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.names) == (RefusalReason.SAME_PERSON, (BOB,))


def test_a_second_click_counts_where_the_others_agreement_could_not_be_judged_at_the_first() -> None:
    both = agreed(ALICE, CAROL)
    known = Approvers(TWO.users, {"S1": frozenset({CAROL})})
    assert isinstance(decided(incident(both), click(ALICE), PAIR, known), Approved)
    unknown = Approvers(TWO.users, {"S1": Unreachable()})
    assert why(decided(incident(both), click(ALICE), PAIR, unknown)) is RefusalReason.SAME_PERSON


def test_an_agreement_counts_as_long_as_a_button_and_not_at_the_moment_it_ends() -> None:
    kept = replace(agreed(ALICE), expires_at=T0 + 2 * HALF_AN_HOUR)  # looks found the plan again
    assert isinstance(decided(incident(kept), click(BOB), PAIR, TWO, now=T0 + HALF_AN_HOUR - SECOND), Approved)
    assert isinstance(decided(incident(kept), click(BOB), PAIR, TWO, now=T0 + HALF_AN_HOUR), Agreed)
    again = decided(incident(kept), click(ALICE), PAIR, TWO, now=T0 + HALF_AN_HOUR)
    assert isinstance(again, Agreed), "whose agreement has lapsed may give it again"


@pytest.mark.parametrize(
    ("case", "before"),
    [
        ("to another plan", agreed(ALICE, fingerprint="0" * 64)),
        ("from before this offer", agreed(ALICE, at=T0 - SECOND)),
        ("from the future", agreed(ALICE, at=T0 + SECOND)),
        ("of no approver, or of one who is none any more", agreed(CAROL)),
        ("of nobody", agreed("")),
    ],
)
def test_no_agreement_counts_that_is(case: str, before: Offer) -> None:
    assert isinstance(decided(incident(before), click(BOB), PAIR, TWO), Agreed), case


def test_an_agreement_of_a_group_s_member_counts_only_while_slack_says_that_they_are_one() -> None:
    told: dict[Members, bool] = {
        frozenset({CAROL}): True,
        frozenset(): False,
        Unreachable(): False,
        UNKNOWN_GROUP: False,
    }
    for members, enough in told.items():
        approvers = Approvers(TWO.users, {"S1": members})
        decision = decided(incident(agreed(CAROL)), click(BOB), PAIR, approvers)
        assert isinstance(decision, Approved if enough else Agreed)


def test_the_requester_s_agreement_does_not_count_where_theirs_must_not() -> None:
    asked = replace(incident(agreed(ALICE)), transitions=(Transition(None, IncidentState.OPEN, "a check", T0, ALICE),))
    assert isinstance(decided(asked, click(BOB), replace(PAIR, not_requester=True), TWO), Agreed)


def test_as_many_as_were_announced_have_to_approve_even_if_the_configuration_asks_for_fewer_since() -> None:
    announced = replace(offer(), people=2)
    assert isinstance(decided(incident(announced), click(ALICE), replace(PAIR, people=1), TWO), Agreed)
    assert isinstance(decided(incident(offer()), click(ALICE), replace(PAIR, people=3), TWO), Agreed)
