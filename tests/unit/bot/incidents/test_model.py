"""The life of an incident: what opens it, what ends it, and what must never happen in between."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.model import (
    LIVE,
    REOPEN_WITHIN,
    Incident,
    IncidentKind,
    IncidentState,
    Streak,
    Thresholds,
    Transition,
    acknowledge,
    begin_run,
    downtime,
    end_run,
    moved,
    opened,
    opening,
    predates_a_fix,
    step,
)
from checks.model import Applied, Outcome, Reading, StepResult, Vantage
from tests.unit.bot.samples import T0, broken, failed, fixed, good, incident, plan

TWO = Thresholds(open_after=2, resolve_after=2)
LATER = T0 + timedelta(seconds=5)
resolved = Transition(IncidentState.OPEN, IncidentState.RESOLVED, "well", T0)


class Service:
    """One service whose readings go through the state machine, a second apart."""

    def __init__(self, rules: Thresholds) -> None:
        self.rules = rules
        self.now = T0
        self.streak = Streak()
        self.incident: Incident | None = None
        self.incidents = 0

    def read(self, *, ok: bool) -> Transition | None:
        self.now += timedelta(seconds=1)
        reading = good(self.now) if ok else failed(self.now)
        self.streak = self.streak.after(reading)
        transition = step(self.incident, self.streak, reading, self.rules, self.now)
        if transition:
            self.take(transition)
        return transition

    def take(self, transition: Transition) -> None:
        if transition.old is None:
            self.incidents += 1
            self.incident = opened(f"inc-{self.incidents}", "host1", "registry", transition)
        elif self.incident:
            self.incident = moved(self.incident, transition)

    @property
    def live(self) -> bool:
        return self.incident is not None and self.incident.state in LIVE


def test_a_reading_that_fails_once_is_nothing() -> None:
    service = Service(TWO)
    assert [service.read(ok=ok) for ok in (True, False, True, False, True)] == [None] * 5


def test_failed_readings_in_a_row_open_an_incident_and_say_how_they_failed() -> None:
    service = Service(TWO)
    service.read(ok=False)
    transition = service.read(ok=False)
    assert transition is not None
    assert (transition.old, transition.new) == (None, IncidentState.OPEN)
    assert transition.reason == "2 readings in a row from outside failed: timed out at connect"


def test_one_good_reading_is_no_recovery_and_two_are() -> None:
    service = Service(TWO)
    assert [bool(service.read(ok=ok)) for ok in (False, False, True, False, True)] == [False, True, False, False, False]
    transition = service.read(ok=True)
    assert transition is not None
    assert transition.new is IncidentState.RESOLVED
    assert service.incident is not None
    assert service.incident.resolved_at == service.now


def test_a_fault_that_is_back_at_once_is_the_same_incident() -> None:
    back = opening(moved(incident(), resolved), "again", T0 + REOPEN_WITHIN)
    assert back is not None
    assert (back.old, back.new) == (IncidentState.RESOLVED, IncidentState.OPEN)
    reopened = moved(moved(incident(), resolved), back)
    assert (reopened.id, reopened.resolved_at) == ("inc-1", None)


def test_a_fault_that_is_back_later_is_a_new_incident() -> None:
    new = opening(moved(incident(), resolved), "again", T0 + REOPEN_WITHIN + timedelta(seconds=1))
    assert new is not None
    assert new.old is None


def test_an_acknowledged_incident_resolves_on_recovery() -> None:
    service = Service(Thresholds(1, 1))
    service.read(ok=False)
    assert service.incident is not None
    taken = acknowledge(service.incident, "U1", service.now)
    assert taken is not None
    service.take(taken)
    transition = service.read(ok=True)
    assert transition is not None
    assert (transition.old, transition.new) == (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED)


@pytest.mark.parametrize("state", [IncidentState.ACKNOWLEDGED, IncidentState.FIXING, IncidentState.RESOLVED])
def test_only_an_open_incident_can_be_acknowledged(state: IncidentState) -> None:
    assert acknowledge(replace(incident(), state=state), "U1", T0) is None


@pytest.mark.parametrize("state", [IncidentState.FIXING, IncidentState.RESOLVED])
def test_no_fix_starts_beside_another_or_after_the_end(state: IncidentState) -> None:
    assert begin_run(replace(incident(), state=state), plan(), "U1", T0) is None


def being_fixed() -> Incident:
    started = begin_run(incident(), plan(), "U1", T0)
    assert started is not None
    return moved(incident(), started)


def test_readings_leave_an_incident_alone_while_it_is_being_fixed() -> None:
    for reading in (good(), failed()):
        assert step(being_fixed(), Streak(failed=9, good=9), reading, TWO, T0) is None


def test_a_verified_fix_resolves() -> None:
    assert end_run(being_fixed(), fixed(), T0).new is IncidentState.RESOLVED


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FIXED])
def test_any_other_end_opens_the_incident_again_and_says_why(outcome: Outcome) -> None:
    transition = end_run(being_fixed(), Applied(outcome, "because"), T0)
    assert transition.new is IncidentState.OPEN
    assert transition.reason == f"{outcome}: because"


@pytest.mark.parametrize("readings", [(), (failed(),), (good(), failed()), (good(vantage=Vantage.LOOPBACK),)])
def test_fixed_without_proof_from_outside_is_not_resolved(readings: tuple[Reading, ...]) -> None:
    assert end_run(being_fixed(), replace(fixed(), readings=readings), T0).new is IncidentState.OPEN


def test_what_was_done_can_be_taken_back_when_all_is_over_and_stays_over_if_it_answers() -> None:
    over = moved(being_fixed(), Transition(IncidentState.FIXING, IncidentState.RESOLVED, "fixed", T0))
    undo = replace(plan(), undoes="offer-1")
    assert begin_run(over, plan(), "U1", T0) is None
    started = begin_run(over, undo, "U1", T0)
    assert started is not None
    being_undone = moved(over, started)
    undone = Applied(Outcome.UNDONE, "back", (StepResult(plan().steps[0], 0, ""),), (good(),))
    assert end_run(being_undone, undone, T0).new is IncidentState.RESOLVED
    assert end_run(being_undone, replace(undone, readings=(failed(),)), T0).new is IncidentState.OPEN
    assert end_run(being_undone, Applied(Outcome.STALE, "nothing was run"), T0).new is IncidentState.RESOLVED


def test_an_incident_about_a_risk_is_over_with_its_fix_however_that_ended() -> None:
    prevention = replace(being_fixed(), kind=IncidentKind.PREVENTION)
    did_not_help = Applied(Outcome.NOT_FIXED, "no", (StepResult(plan().steps[0], 0, ""),), (good(),))
    assert end_run(prevention, did_not_help, T0).new is IncidentState.RESOLVED
    assert end_run(prevention, replace(did_not_help, readings=(failed(),)), T0).new is IncidentState.OPEN


# --- how long it was down ---


SECOND = timedelta(seconds=1)


def down(*outcomes: str) -> timedelta:
    """How long a service was down whose readings ended so, a second apart."""
    service = Service(TWO)
    for outcome in " ".join(outcomes).split():
        service.read(ok=outcome == "ok")
    assert service.incident is not None
    return downtime(service.incident, service.now)


def test_a_service_is_down_from_its_first_failed_reading_to_the_first_good_one_that_lasts() -> None:
    assert down("ok fail fail fail ok ok ok ok") == 3 * SECOND
    assert down("fail fail ok fail ok ok") == 4 * SECOND
    assert down("fail fail fail") == 2 * SECOND


def test_the_time_in_which_it_answered_does_not_count_though_it_is_the_same_incident() -> None:
    assert down("fail fail ok ok", "ok " * 90, "fail fail fail ok ok") == 5 * SECOND
    assert down("fail fail ok ok", "ok " * 90, "fail fail") == 3 * SECOND


def test_a_fix_that_did_not_help_ends_no_downtime_and_one_that_did_ends_it_with_its_first_good_reading() -> None:
    tried = moved(being_fixed(), end_run(being_fixed(), Applied(Outcome.NOT_FIXED, "no"), T0 + 10 * SECOND))
    assert downtime(tried, T0 + 60 * SECOND) == 60 * SECOND
    again = begin_run(tried, plan(), "U1", T0 + 60 * SECOND)
    assert again is not None
    seen = (failed(T0 + 61 * SECOND), good(T0 + 62 * SECOND), good(T0 + 64 * SECOND))
    end = end_run(moved(tried, again), replace(fixed(), readings=seen), T0 + 70 * SECOND)
    assert downtime(moved(moved(tried, again), end), T0 + 3600 * SECOND) == 62 * SECOND


def test_what_is_well_is_not_down_while_a_fault_is_prevented_and_is_once_it_fails() -> None:
    asked = Transition(
        None, IncidentState.OPEN, "a risk is to be mended", T0, "terminal:alice", IncidentKind.PREVENTION
    )
    preventing = opened("inc-1", "host1", "registry", asked, "it is not kept")
    assert downtime(preventing, LATER) == timedelta(0)
    fails = opening(preventing, "2 readings in a row", LATER, since=LATER - 2 * SECOND)
    assert fails is not None
    assert downtime(moved(preventing, fails), LATER + SECOND) == 3 * SECOND


def test_no_time_is_counted_twice_where_readings_failed_from_before_the_end_of_a_fix_on() -> None:
    over = moved(being_fixed(), end_run(being_fixed(), fixed(T0 + 20 * SECOND), T0 + 22 * SECOND))
    back = opening(over, "9 readings in a row", T0 + 23 * SECOND, since=T0 + 5 * SECOND)
    assert back is not None
    assert downtime(moved(over, back), T0 + 30 * SECOND) == 30 * SECOND


def test_a_look_that_began_before_a_fix_ended_is_known() -> None:
    was_fixed = moved(
        replace(incident(), state=IncidentState.FIXING),
        Transition(IncidentState.FIXING, IncidentState.OPEN, "no", LATER),
    )
    assert predates_a_fix(was_fixed, replace(broken(at=LATER + timedelta(seconds=1)), took_ms=1001.0), LATER)
    assert not predates_a_fix(was_fixed, broken(at=LATER + timedelta(seconds=1)), LATER)
    assert not predates_a_fix(incident(), broken(at=T0 - timedelta(hours=1)), LATER)


def test_a_transition_from_another_state_is_refused() -> None:
    with pytest.raises(ValueError, match="is open, the transition starts from fixing"):
        moved(incident(), Transition(IncidentState.FIXING, IncidentState.RESOLVED, "", T0))
    with pytest.raises(ValueError, match="opens an incident again"):
        opened("inc-2", "host1", "registry", Transition(IncidentState.RESOLVED, IncidentState.OPEN, "", T0))


readings = st.lists(st.booleans(), max_size=60)
rules = st.builds(Thresholds, st.integers(1, 4), st.integers(1, 4))


@given(rules, readings)
def test_an_incident_is_live_exactly_from_its_nth_failure_to_its_mth_success(
    rules: Thresholds, outcomes: list[bool]
) -> None:
    service = Service(rules)
    live = False
    for number in range(1, len(outcomes) + 1):
        service.read(ok=outcomes[number - 1])
        newest = outcomes[:number]
        if len(newest) >= rules.open_after and not any(newest[-rules.open_after :]):
            live = True
        elif len(newest) >= rules.resolve_after and all(newest[-rules.resolve_after :]):
            live = False
        assert service.live is live


@given(rules, readings)
def test_the_history_of_an_incident_is_one_unbroken_chain(rules: Thresholds, outcomes: list[bool]) -> None:
    service = Service(rules)
    for ok in outcomes:
        service.read(ok=ok)
    changes = service.incident.transitions if service.incident else ()
    assert [change.old for change in changes[1:]] == [change.new for change in changes[:-1]]
    assert [change.at for change in changes] == sorted(change.at for change in changes)
    assert all(change.old is not change.new for change in changes)
