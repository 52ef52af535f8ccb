"""Which fix needs no click, and when that stops."""

from dataclasses import replace
from datetime import time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.approvals.auto import AutoApproval, History, PastFault, PastRun, automatic
from bot.approvals.policy import ApprovalRule, AutoRule, Policies, QuietHours, Terms
from bot.incidents.model import AUTO, Approval, CameBack, Incident, IncidentState, Stopped, Transition
from bot.wording.automation import no_longer_by_itself
from checks.model import Confidence, Finding, FixId, Outcome, Plan, Report, Risk, Verdict
from tests.unit.bot.samples import APPROVER, HOST, SERVICE, T0, broken, incident, offer, plan

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CAUSE = "ip-forward-off"
RULE = AutoRule(FixId.ENABLE_IP_FORWARD, HOST.name, 2, HOUR)
POLICIES = Policies((APPROVER,), {Risk.LOW: 1, Risk.MEDIUM: 1, Risk.HIGH: 2}, timedelta(minutes=30), auto=(RULE,))
NOTHING = History()


def found(*plans: Plan, opened: timedelta = timedelta(0), **root: object) -> Incident:
    """An incident that was opened so long before T0, whose newest look made these plans."""
    report = broken(*(plans or (plan(),)))
    known = replace(incident(*[offer(f"offer-{each.fix}", each) for each in report.plans]), report=report)
    cause = replace(report.diagnosis.causes[0], **root)  # type: ignore[arg-type]  # fields of a Finding
    return replace(known, report=_with_root(report, cause), opened_at=T0 - opened)


def _with_root(report: Report, cause: Finding) -> Report:
    return replace(report, diagnosis=replace(report.diagnosis, causes=(cause,)))


def ran(  # noqa: PLR0913  # what a run is
    before: timedelta,
    outcome: Outcome | None = Outcome.FIXED,
    who: str = AUTO,
    *,
    fix: FixId = FixId.ENABLE_IP_FORWARD,
    undoes: str = "",
    service: str = SERVICE.name,
    host: str = HOST.name,
    cause: str = CAUSE,
) -> PastRun:
    """A run that was approved so long before T0 and took ten seconds."""
    at = T0 - before
    ended = at + timedelta(seconds=10) if outcome else None
    return PastRun(host, service, cause, fix, who, at, ended, outcome, undoes)


def seen(before: timedelta) -> PastFault:
    return PastFault(HOST.name, CAUSE, T0 - before)


def why(decision: AutoApproval | Stopped | None) -> str:
    assert isinstance(decision, Stopped)
    head, tail = f"Automatic fixing of {CAUSE} on {HOST.name} has stopped: ", ". A person has to decide."
    says = no_longer_by_itself(decision, HOST.name)
    assert says.startswith(head)
    assert says.endswith(tail)
    return says.removeprefix(head).removesuffix(tail)


def goes(known: Incident, *runs: PastRun, faults: tuple[PastFault, ...] = (), policies: Policies = POLICIES) -> bool:
    return isinstance(automatic(known, policies, History(runs, faults), T0), AutoApproval)


# --- what needs no click --------------------------------------------------------------------------------------


def test_a_fix_that_is_named_for_the_host_needs_no_click() -> None:
    known = found()
    approval = Approval(AUTO, T0, plan().fingerprint)
    assert automatic(known, POLICIES, NOTHING, T0) == AutoApproval(known.offers[0], approval)


def test_a_fix_or_a_host_that_is_not_named_does() -> None:
    for rule in (replace(RULE, host="host2"), replace(RULE, fix=FixId.RESTART_DOCKER)):
        assert automatic(found(), replace(POLICIES, auto=(rule,)), NOTHING, T0) is None
    assert automatic(found(), replace(POLICIES, auto=()), NOTHING, T0) is None


def test_only_the_first_plan_is_carried_out_without_a_click() -> None:
    assert automatic(found(plan("restart-docker"), plan()), POLICIES, NOTHING, T0) is None


@pytest.mark.parametrize(
    ("case", "known"),
    [
        ("is only likely", found(confidence=Confidence.LIKELY)),
        ("is a risk", found(verdict=Verdict.RISK)),
        ("is another one than the plan mends", found(cause="docker-chains-missing")),
        ("is not known", replace(found(), report=None)),
    ],
)
def test_nothing_is_done_without_a_click_where_the_root_cause(case: str, known: Incident) -> None:
    assert automatic(known, POLICIES, NOTHING, T0) is None, case


@pytest.mark.parametrize("state", [IncidentState.ACKNOWLEDGED, IncidentState.FIXING, IncidentState.RESOLVED])
def test_nothing_is_done_behind_the_back_of_whoever_takes_care(state: IncidentState) -> None:
    assert automatic(replace(found(), state=state), POLICIES, NOTHING, T0) is None


def test_nothing_is_done_without_an_offer_that_could_be_approved() -> None:
    [stands] = found().offers
    for gone in (replace(stands, withdrawn=True), replace(stands, expires_at=T0), offer(of=plan(basis="2"))):
        assert automatic(replace(found(), offers=(gone,)), POLICIES, NOTHING, T0) is None
    assert automatic(found(replace(plan(), by_hand="dockerhealth may only look")), POLICIES, NOTHING, T0) is None
    assert automatic(found(replace(plan(), undoes="offer-0")), POLICIES, NOTHING, T0) is None


def test_what_takes_two_people_takes_a_click() -> None:
    assert automatic(found(replace(plan(), risk=Risk.HIGH)), POLICIES, NOTHING, T0) is None
    [stands] = found().offers
    assert automatic(replace(found(), offers=(replace(stands, people=2),)), POLICIES, NOTHING, T0) is None


def test_what_a_rule_does_not_allow_and_what_falls_into_quiet_hours_is_not_done() -> None:
    never = ApprovalRule("approvals.rules.0", Terms(allowed=False))
    assert automatic(found(), replace(POLICIES, rules=(never,)), NOTHING, T0) is None
    noon = QuietHours(time(11), time(13), ZoneInfo("UTC"))
    assert automatic(found(), replace(POLICIES, quiet_hours=noon), NOTHING, T0) is None


def test_while_a_fix_of_the_same_cause_runs_on_the_host_it_is_waited_for() -> None:
    running = ran(MINUTE, None, service="web")
    assert automatic(found(), POLICIES, History((running,)), T0) is None


# --- when it stops --------------------------------------------------------------------------------------------


def test_it_stops_when_the_cause_is_back_soon() -> None:
    decision = automatic(found(), POLICIES, History((ran(timedelta(minutes=4, seconds=10)),)), T0)
    assert decision == Stopped(CAUSE, CameBack(timedelta(minutes=4)))
    assert why(decision) == "it came back 4 min after the last one"


def test_it_goes_on_when_the_cause_is_back_late() -> None:
    assert goes(found(), ran(2 * HOUR))
    assert goes(found(), ran(HOUR + timedelta(seconds=11)))
    assert not goes(found(), ran(HOUR + timedelta(seconds=10)))


def test_a_fault_that_began_before_a_run_ended_is_none_that_came_back() -> None:
    assert goes(found(opened=2 * MINUTE), ran(MINUTE, service="web"))
    assert goes(found(), ran(timedelta(seconds=10)))


def test_an_incident_that_was_opened_again_came_back_then() -> None:
    again = Transition(IncidentState.RESOLVED, IncidentState.OPEN, "back again", T0 - MINUTE)
    known = found(opened=10 * MINUTE)
    assert not goes(replace(known, transitions=(*known.transitions, again)), ran(3 * MINUTE))
    undoing = replace(again, new=IncidentState.FIXING)
    assert goes(replace(known, transitions=(*known.transitions, undoing)), ran(3 * MINUTE))


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.FIXED])
def test_it_stops_when_a_run_did_not_mend_it(outcome: Outcome) -> None:
    assert "the last one" in why(automatic(found(), POLICIES, History((ran(5 * DAY, outcome),)), T0))


def test_it_stays_stopped_however_long_ago_that_was() -> None:
    runs = (ran(9 * DAY), ran(3 * DAY))
    back = (seen(9 * DAY - 5 * MINUTE),)
    assert not goes(found(), *runs, faults=back)
    assert goes(found(), *runs)


def test_it_stays_stopped_until_a_person_has_approved_a_fix_of_that_cause_on_that_host() -> None:
    stopped = ran(3 * DAY, Outcome.FAILED)
    assert goes(found(), stopped, ran(2 * DAY, who=APPROVER, fix=FixId.RESTART_DOCKER))
    assert goes(found(), stopped, ran(2 * DAY, Outcome.NOT_FIXED, APPROVER, service="web"))
    assert not goes(found(), stopped, ran(2 * DAY, who=APPROVER, host="host2"))
    assert not goes(found(), stopped, ran(2 * DAY, who=APPROVER, cause="dockerd-down"))
    assert not goes(found(), stopped, ran(4 * DAY, who=APPROVER)), "before it stopped"


def test_it_stops_when_a_person_takes_a_run_back() -> None:
    undo = ran(2 * DAY, Outcome.UNDONE, APPROVER, undoes="offer-1")
    decision = automatic(found(), POLICIES, History((ran(3 * DAY), undo)), T0)
    assert why(decision) == "the last one was taken back"


def test_it_runs_as_often_a_day_as_is_allowed_over_all_services_of_the_host() -> None:
    twice = (ran(20 * HOUR), ran(10 * HOUR, service="web"))
    assert why(automatic(found(), POLICIES, History(twice), T0)) == "it ran 2 times within 24 hours"
    assert goes(found(), ran(25 * HOUR), ran(10 * HOUR))
    assert goes(found(), ran(20 * HOUR, cause="dockerd-down"), ran(10 * HOUR, host="host2"), ran(5 * HOUR))
    assert not goes(found(), *twice, ran(2 * HOUR, who=APPROVER)), "a person's click does not make the day longer"


def test_what_happened_to_other_causes_and_hosts_stops_nothing() -> None:
    assert goes(found(), ran(MINUTE, Outcome.FAILED, host="host2"), ran(MINUTE, Outcome.FAILED, cause="disk-full"))


# --- whatever happened ----------------------------------------------------------------------------------------

runs = st.lists(
    st.builds(
        ran,
        st.integers(0, 72).map(lambda hours: hours * HOUR),
        st.sampled_from([*Outcome, None]),
        st.sampled_from([AUTO, APPROVER]),
        undoes=st.sampled_from(["", "offer-1"]),
        service=st.sampled_from([SERVICE.name, "web"]),
    ),
    max_size=6,
)
faults = st.lists(st.integers(0, 72 * 60).map(lambda minutes: seen(minutes * MINUTE)), max_size=4).map(tuple)


@given(runs, faults, st.randoms(use_true_random=False))
def test_nothing_is_done_without_a_click_after_a_run_that_failed_or_too_often(
    past: list[PastRun], came: tuple[PastFault, ...], random: Random
) -> None:
    decision = automatic(found(), POLICIES, History(tuple(past), came), T0)
    shuffled = random.sample(past, len(past))
    if len({run.at for run in past}) == len(past):
        assert automatic(found(), POLICIES, History(tuple(shuffled), came), T0) == decision
    if not isinstance(decision, AutoApproval):
        return
    by_hand = [run.at for run in past if run.who == APPROVER and not run.undoes]
    since = [run for run in past if run.automatic and not run.undoes and (not by_hand or run.at > max(by_hand))]
    assert all(run.outcome is Outcome.FIXED for run in since)
    assert all(run.outcome is not None for run in past)
    assert sum(run.automatic and not run.undoes and run.at > T0 - DAY for run in past) < RULE.per_day
