"""Whether a host is as it was before a fix: told value by value, and only of values that could be read."""

from dataclasses import replace

import pytest

from checks.execution.outcome import Conclusion, Seen, restored, why_stale
from checks.execution.snapshot import differences, snapshot
from checks.execution.undo import undo
from checks.model import Applied, Diagnosis, Family, Outcome, Plan, Report, Snapshot, Status, StepResult, Values
from tests import recordings
from tests.histories import NOW
from tests.looks import TIMED_OUT, look
from tests.unit.checks.fixes.plans import BOOKWORM, plan_of

SWITCH = "sysctl net.ipv4.ip_forward"
REPORT = Report("host1", "registry", NOW, Status.UNHEALTHY, (), Diagnosis())
KEPT = "file /etc/sysctl.d/99-zz-dockerhealth-ip-forward.conf"
OFF, ON = (
    snapshot(recordings.load(recordings.FOLDER / BOOKWORM / f"{state}.json")) for state in ("ip-forward-off", "healthy")
)


def setting(on: Snapshot, family: Family, **values: str | None) -> Snapshot:
    """The same host with other values of one family; None is one that is not there."""
    states = {**on.families[family].states, **values}
    there = {name: value for name, value in states.items() if value is not None}
    return Snapshot({**on.families, family: Values(there)})


def without(seen: Snapshot, family: Family) -> Snapshot:
    return Snapshot({each: values for each, values in seen.families.items() if each is not family})


MENDED = setting(ON, Family.FILE, **{KEPT: "net.ipv4.ip_forward = 1"})


@pytest.fixture(scope="module")
def back() -> Plan:
    """What takes back that forwarding was switched on for good."""
    plan = plan_of(look(BOOKWORM, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    results = tuple(StepResult(step, 0, "") for step in plan.steps)
    planned = undo(plan, "run-1", Applied(Outcome.FIXED, "", results, (), differences(OFF, MENDED, plan.changes)))
    assert isinstance(planned, Plan)
    assert {each.name for each in planned.restores} > {SWITCH, KEPT}
    return planned


def after(back: Plan, seen: Snapshot | None) -> Conclusion:
    return restored(back, Seen((), REPORT, seen))


def stale(back: Plan, seen: Snapshot) -> str:
    return why_stale(back, REPORT, seen)


def test_a_host_with_every_value_as_it_was_is_as_it_was(back: Plan) -> None:
    assert stale(back, MENDED) == ""
    assert after(back, OFF).outcome is Outcome.UNDONE


def test_a_value_that_stayed_is_told_with_what_it_was(back: Plan) -> None:
    left = after(back, setting(OFF, Family.SYSCTL, **{SWITCH: "1"}))
    assert (left.outcome, left.seen) == (Outcome.FAILED, f"the host is not as it was: {SWITCH} is '1', was '0'")
    file = after(back, setting(OFF, Family.FILE, **{KEPT: "there"}))
    assert (file.outcome, file.seen) == (Outcome.FAILED, f"the host is not as it was: {KEPT} is 'there', was not there")


@pytest.mark.parametrize(("family", "name"), [(Family.SYSCTL, SWITCH), (Family.FILE, KEPT)])
def test_a_value_that_cannot_be_read_is_neither_back_nor_gone(back: Plan, family: Family, name: str) -> None:
    told = after(back, without(OFF, family))
    assert told.outcome is Outcome.UNKNOWN
    assert told.seen.startswith("whether the host is as it was cannot be told: ")
    assert name in told.seen
    assert told.seen.endswith(" could not be read")


def test_what_is_seen_to_be_wrong_is_told_though_something_else_cannot_be_read(back: Plan) -> None:
    told = after(back, without(setting(OFF, Family.SYSCTL, **{SWITCH: "1"}), Family.FILE))
    assert told.outcome is Outcome.FAILED


def test_a_host_that_cannot_be_read_is_not_touched(back: Plan) -> None:
    why = stale(back, without(MENDED, Family.FILE))
    assert why == f"whether the host is as the fix left it cannot be told: {KEPT} could not be read"


def test_what_somebody_changed_since_is_left_alone(back: Plan) -> None:
    why = stale(back, setting(MENDED, Family.FILE, **{KEPT: "net.ipv4.ip_forward = 0"}))
    assert why == (
        f"the host changed since this plan was made: {KEPT} was 'net.ipv4.ip_forward = 1', is 'net.ipv4.ip_forward = 0'"
    )


def test_what_the_fix_removed_and_somebody_wrote_anew_is_left_alone(back: Plan) -> None:
    gone = replace(back.restores[0], family=Family.FILE, name="file /x", before="there", after=None)
    why = stale(replace(back, restores=(gone,)), setting(MENDED, Family.FILE, **{"file /x": "there"}))
    assert why == "the host changed since this plan was made: file /x was not there, is 'there'"
