"""What an offer lives through between two looks."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from bot.approvals.offers import renewed, usable
from bot.incidents.model import Approval, Incident, Offer
from checks.model import UNDETERMINED, Diagnosis, Finding, FixId, Plan, Verdict
from tests.unit.bot.life import POLICIES
from tests.unit.bot.samples import SERVICE, T0, broken, healthy, incident, not_looked_at, offer, plan

claimed = replace(offer(), approval=Approval("U0FIRST", T0, plan().fingerprint))


UNKNOWN = Finding(UNDETERMINED, SERVICE.name, Verdict.FAIL, "cause not determined")


def ids() -> "count[int]":
    return count(2)


def after_a_look(before: Incident, *plans: Plan, minutes: float = 5) -> list[Offer]:
    numbers = ids()
    now = T0 + timedelta(minutes=minutes)
    changed = renewed(before.offers, broken(*plans), POLICIES, now, lambda: f"offer-{next(numbers)}")
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
    assert renewed([offer()], not_looked_at(), POLICIES, T0, str) == ()


def test_a_healthy_look_withdraws_everything() -> None:
    [gone] = renewed([offer()], healthy(), POLICIES, T0, str)
    assert gone.withdrawn


def test_a_plan_that_only_prevents_is_offered_while_the_service_is_well_and_withdrawn_once_it_is_down() -> None:
    risk = Finding("ip-forward-off", SERVICE.name, Verdict.RISK, "forwarding goes off at the next boot")
    well = replace(healthy(), plans=(plan(),), diagnosis=Diagnosis(risks=(risk,)))
    down = replace(broken(plan()), diagnosis=Diagnosis((UNKNOWN,), risks=(risk,)))
    [made] = renewed((), well, POLICIES, T0, lambda: "offer-1")
    assert made.plan == plan()
    assert [each.withdrawn for each in renewed((made,), down, POLICIES, T0, str)] == [True]


@given(st.lists(st.lists(st.sampled_from([*FixId][:3]), max_size=3, unique=True), max_size=8), st.integers(1, 40))
def test_after_each_look_exactly_its_plans_can_be_approved(looks: list[list[FixId]], minutes: int) -> None:
    known: dict[str, Offer] = {}
    numbers, now = ids(), T0
    for fixes in looks:
        now += timedelta(minutes=minutes)
        report = broken(*[plan(fix) for fix in fixes])
        for each in renewed(known.values(), report, POLICIES, now, lambda: f"offer-{next(numbers)}"):
            known[each.id] = each
        assert sorted(each.plan.fix for each in known.values() if usable(each, now)) == sorted(fixes)
