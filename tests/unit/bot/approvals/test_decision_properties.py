"""What holds for every decision about an approval, whatever happens."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bot.approvals.approvers import Approvers, Unreachable, Withheld
from bot.approvals.decision import Agreed, Approved, Click, Place, Refusal
from bot.approvals.policy import Policy
from bot.incidents.model import Approval, Incident, IncidentState, Transition
from tests.unit.bot.approvals.test_decision import (
    ALICE,
    AROUND_NOON,
    BOB,
    HALF_AN_HOUR,
    ROOT,
    SECOND,
    claimed,
    decided,
    why,
)
from tests.unit.bot.samples import APPROVER, HOME, STRANGER, T0, click, incident, offer, plan

PEOPLE = ["", APPROVER, ALICE, BOB, STRANGER, ROOT]
digests = st.sampled_from([plan().fingerprint, "0" * 64])
times = st.sampled_from([T0 - HALF_AN_HOUR, T0 - SECOND, T0, T0 + SECOND])
agreements = st.lists(st.builds(Approval, st.sampled_from(PEOPLE), times, digests), max_size=5).map(tuple)
places = st.none() | st.builds(Place, *[st.sampled_from(["", "T1", "A1", "C1", "100.1"])] * 4)
plans = st.builds(
    replace, st.just(plan()), by_hand=st.sampled_from(["", "", "", "why"]), undoes=st.sampled_from(["", "offer-0"])
)
offers = st.builds(
    lambda of, **values: replace(offer(of=of, at=T0 - SECOND), **values),
    plans,
    withdrawn=st.booleans(),
    approval=st.sampled_from([None, None, claimed.approval]),
    expires_at=st.sampled_from([T0, T0 + SECOND, T0 + HALF_AN_HOUR]),
    people=st.integers(1, 3),
    agreed=agreements,
)
openings = st.sampled_from(PEOPLE).map(lambda who: (Transition(None, IncidentState.OPEN, "opened", T0, who),))
incidents = st.builds(
    lambda offer, state, opening: replace(incident(offer), state=state, transitions=opening),
    offers,
    st.sampled_from(list(IncidentState)),
    openings,
)
clicks = st.builds(click, st.sampled_from(PEOPLE), st.sampled_from(["", "offer-1"]), places | st.just(HOME))
untold = st.sampled_from([Unreachable(), Withheld("no_such_subteam", "Check its id.")])
memberships = st.dictionaries(st.just("S1"), untold | st.frozensets(st.sampled_from(PEOPLE)), max_size=1)
approvers = st.builds(Approvers, st.frozensets(st.sampled_from([*PEOPLE[1:]])), memberships)
policies = st.builds(
    Policy,
    st.just(()),
    people=st.integers(1, 3),
    lasts=st.just(HALF_AN_HOUR),
    channels=st.sampled_from([(), ("C1",), ("C2",)]),
    not_requester=st.booleans(),
    quiet_hours=st.sampled_from([None, None, AROUND_NOON]),
    forbidden_by=st.sampled_from(["", "", "", "a rule"]),
)
homes = st.just(HOME) | places


def in_groups(approvers: Approvers) -> set[str]:
    """Everyone of whom Slack says that they are in a group."""
    return {user for members in approvers.groups.values() if isinstance(members, frozenset) for user in members}


@given(incidents, clicks, homes, policies, approvers)
def test_whatever_is_approved_was_allowed_in_every_respect(
    known: Incident, by: Click, home: Place | None, policy: Policy, approvers: Approvers
) -> None:
    decision = decided(known, by, policy, approvers, home=home)
    if isinstance(decision, Refusal):
        return
    offer, approval = decision.offer, decision.approval
    assert by.user in approvers.users | in_groups(approvers)
    assert not policy.forbidden_by
    assert not offer.plan.by_hand
    assert policy.quiet_hours is None
    assert not (policy.not_requester and by.user == known.transitions[0].who)
    if by.place is None:
        assert by.user == ROOT
    else:
        assert home is not None
        assert (by.place.team, by.place.app) == (home.team, home.app)
        assert not policy.channels or by.place.channel in policy.channels
    assert not offer.withdrawn
    assert offer.approval is None
    assert offer.expires_at > T0
    assert known.state in {IncidentState.OPEN, IncidentState.ACKNOWLEDGED} or (
        offer.plan.undoes and known.state is IncidentState.RESOLVED
    )
    assert approval == Approval(by.user, T0, offer.plan.fingerprint)


@given(incidents, clicks, policies, approvers)
def test_what_starts_was_approved_by_as_many_different_approvers_as_it_takes(
    known: Incident, by: Click, policy: Policy, approvers: Approvers
) -> None:
    decision = decided(known, by, policy, approvers)
    if isinstance(decision, Refusal):
        return
    offer = decision.offer
    allowed = approvers.users | in_groups(approvers)
    if policy.not_requester:
        allowed -= {known.transitions[0].who}
    given_before = {
        each.who
        for each in offer.agreed
        if each.fingerprint == offer.plan.fingerprint and offer.offered_at <= each.at <= T0 < each.at + HALF_AN_HOUR
    }
    people = (given_before & allowed) | {by.user}
    takes = max(policy.people, offer.people)
    assert isinstance(decision, Approved) == (len(people) >= takes)
    if isinstance(decision, Agreed):
        assert by.user not in given_before & allowed, "they are told that they did already"
        assert (decision.people, decision.missing) == (takes, takes - len(people))


@given(incidents, clicks, policies, approvers, st.randoms(use_true_random=False))
def test_the_order_of_agreements_decides_nothing(
    known: Incident, by: Click, policy: Policy, approvers: Approvers, random: Random
) -> None:
    [one] = known.offers
    shuffled = list(one.agreed)
    random.shuffle(shuffled)
    other = replace(known, offers=(replace(one, agreed=tuple(shuffled)),))
    first, second = decided(known, by, policy, approvers), decided(other, by, policy, approvers)
    assert (type(first), why(first)) == (type(second), why(second))


@given(incidents, clicks, policies, approvers)
def test_at_the_moment_of_its_end_an_offer_has_expired(
    known: Incident, by: Click, policy: Policy, approvers: Approvers
) -> None:
    assert isinstance(decided(known, by, policy, approvers, now=known.offers[0].expires_at), Refusal)
