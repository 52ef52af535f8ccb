"""How a report is held against what was really done to a host."""

import pytest

from tests.lab.random_faults import Death, Fault
from tests.lab.random_run import Row, Tried, Verdict, judged, markdown, totals
from tests.unit.checks.container_looks import BOOKWORM
from tests.unit.checks.fixes.plans import recorded, reported

POLICY = "rule-of-somebody-s-in-a-chain-of-docker-s"
GUESS = "container-s-interface-takes-the-least-there-is"


def row(state: str, *causes: str, death: Death = Death.REFUSED_BY_HOST, seen: Death | None = None) -> Row:
    """What is told of a recorded host, as if this had been true of it."""
    fault = Fault("made up", "iptables -I X | -j Y", frozenset({death}), frozenset(causes))
    tried = Tried(7, "bookworm", fault, "refused", seen or death)
    return judged(tried, reported(recorded(BOOKWORM, state)), 1.5)


def test_a_cause_that_is_true_of_the_fault_is_right() -> None:
    found = row(POLICY, "foreign-firewall-drop")
    assert found.verdict is Verdict.CAUSE
    assert found.causes == ("foreign-firewall-drop (proven)",)
    assert found.placed


def test_a_proven_cause_that_is_not_is_the_worst_there_is() -> None:
    assert row(POLICY, "docker-user-drop").verdict is Verdict.WRONG


def test_one_that_was_only_likely_is_wrong_too() -> None:
    assert row(GUESS, "foreign-firewall-drop", death=Death.ON_ARRIVAL).verdict is Verdict.GUESSED


def test_a_capture_that_contradicts_how_the_fault_was_made_says_nothing_of_the_product() -> None:
    found = row(POLICY, "docker-user-drop", seen=Death.IN_CONTAINER)
    assert found.verdict is Verdict.IN_DOUBT


@pytest.mark.parametrize(("death", "right"), [(Death.REFUSED_BY_HOST, True), (Death.IN_CONTAINER, False)])
def test_the_place_is_judged_by_itself(death: Death, right: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert row(POLICY, "foreign-firewall-drop", death=death).placed is right


def test_the_table_has_the_seed_the_figures_and_what_was_done() -> None:
    rows = [row(POLICY, "foreign-firewall-drop"), row(POLICY, "docker-user-drop", death=Death.IN_CONTAINER)]
    page = markdown(rows, 3, 11, ["bookworm: Debian"])
    assert "`python -m tests.lab random --seed 11 --count 2 bookworm`; 3 more faults of that seed" in page
    assert "2 faults: 1 right cause" in page
    assert "1 CONFIDENTLY WRONG" in totals(rows)
    assert "segment right in 1 of the 2 that have one" in page
    assert "`iptables -I X \\| -j Y`" in page
