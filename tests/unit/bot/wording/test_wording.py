"""Words that Slack and the terminal share."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.incidents.model import Approval
from bot.incidents.runs import approvals, fixed_by, newest_run, still_needed
from bot.wording.plans import LASTS, OUTCOMES, UNDO_OUTCOMES, comes_back, ending, who
from bot.wording.reports import (
    LONGEST_PLACE,
    between,
    brief,
    by_reason,
    evidence,
    ladder,
    telling,
    trouble,
    where_it_died,
)
from checks.model import (
    LADDER,
    SSH,
    Change,
    ChangeKind,
    Difference,
    Evidence,
    Family,
    Finding,
    Lasts,
    Missing,
    Outcome,
    Passage,
    Segment,
    Spot,
    Status,
    StepResult,
    Stretch,
    Trouble,
    Vantage,
    Verdict,
)
from tests.unit.bot.samples import failed, good
from tests.unit.bot.slack.view_samples import (
    CAUSE,
    DIED,
    LATER,
    NOW,
    OFFER,
    PLAN,
    REPORT,
    RESTART_OFFER,
    UNDO,
    UNDO_OFFER,
    applied,
    ran,
    undone,
)

IN_WORDS = Evidence(LADDER, "from outside: timed out at connect; on the host it answers")
SILENT = Trouble("ssh-timed-out", "host1: no answer within 5 s")


def skipped(cause: str, missing: Missing) -> Finding:
    return Finding(cause, "registry", Verdict.SKIP, "", why=missing.says, missing=missing)


def test_a_peer_stands_in_the_ladder_by_its_name_after_the_outside() -> None:
    peer = replace(good(vantage=Vantage.PEER), by="host2")
    rows = ladder((good(vantage=Vantage.LOOPBACK), peer, failed()))
    assert [(place, ok) for place, ok, _, _ in rows] == [("outside", False), ("host2", True), ("loopback", True)]


def test_the_name_of_a_peer_does_not_break_the_table() -> None:
    peer = replace(good(vantage=Vantage.PEER), by="h" * 63 + "\n")
    [(place, *_)] = ladder((peer,))
    assert place == "h" * LONGEST_PLACE


def test_what_the_table_of_readings_shows_is_not_said_again_in_words() -> None:
    finding = replace(CAUSE, evidence=(*CAUSE.evidence, IN_WORDS))
    assert evidence(finding, REPORT) == CAUSE.evidence
    assert evidence(finding) == finding.evidence


def test_where_a_packet_died_is_told_once_and_only_while_the_service_is_ill() -> None:
    died = replace(REPORT, segment=DIED)
    said = "it was seen coming in by eth0, and not leaving by docker0: the kernel dropped 3 of 3"
    assert where_it_died(died) == said
    assert evidence(replace(CAUSE, evidence=(*CAUSE.evidence, Evidence("capture", said))), died) == CAUSE.evidence
    assert where_it_died(replace(died, status=Status.HEALTHY)) == ""
    assert where_it_died(REPORT) == ""


def test_it_is_the_answer_that_died_where_it_was_the_last_to_be_seen() -> None:
    seen, missed = Spot(Passage.ENTERING, "docker0", answer=True), Spot(Passage.LEAVING, "eth0", answer=True)
    assert Segment(Stretch.BACK_INTO_HOST, seen, missed).says == (
        "its answer was seen coming in by docker0, and not leaving by eth0"
    )


def test_a_proof_is_never_empty() -> None:
    assert evidence(replace(CAUSE, evidence=(IN_WORDS,)), REPORT) == (IN_WORDS,)


def test_an_error_of_docker_s_is_not_pushed_out_by_an_id() -> None:
    error = f"endpoint registry ({'0123456789ab' + 'c' * 52}): No chain/target/match by that name."
    assert brief(error) == "endpoint registry (0123456789ab): No chain/target/match by that name."
    assert brief("sha256 of 65 digits " + "a" * 65) == "sha256 of 65 digits " + "a" * 65


def test_trouble_with_the_host_as_a_whole_is_one_reason() -> None:
    findings = [
        skipped("a", Missing("rules", SILENT.says, of_host=True)),
        skipped("b", Missing("peers", "none")),
        skipped("c", Missing("units", SILENT.says, of_host=True)),
        skipped("d", Missing("peers", SILENT.says)),
    ]
    assert by_reason(findings) == [
        ("the host could not be looked at", ("a", "c")),
        ("peers: none", ("b",)),
        (f"peers: {SILENT.says}", ("d",)),
    ]


def test_trouble_that_the_proof_says_is_not_said_twice() -> None:
    dark = replace(REPORT, trouble=SILENT)
    assert trouble(dark) == SILENT
    told = replace(CAUSE, evidence=(Evidence(SSH, SILENT.says),))
    assert trouble(replace(dark, diagnosis=replace(dark.diagnosis, causes=(told,)))) is None


def test_of_many_changes_the_newest_are_told_and_those_that_name_somebody() -> None:
    who = {0: "ann", 1: "bob", 9: "cid"}
    changes = [
        Change(ChangeKind.COMMAND, (), NOW + timedelta(seconds=second), str(second), who.get(second, ""))
        for second in range(10)
    ]
    assert [change.what for change in telling(changes, 4)] == ["1", "7", "8", "9"]
    assert telling(changes, 10) == changes


def test_a_difference_is_told_with_its_interval_and_what_was_repeated_with_its_number() -> None:
    switched = Change(ChangeKind.DIFFERENCE, ("a", "1", "0"), NOW, "a changed from 1 to 0", since=NOW)
    assert (switched.says, between(switched)) == ("a changed from 1 to 0", "between 03:12:40 and 03:12:40 UTC")
    long_ago = replace(switched, since=NOW - timedelta(days=2))
    assert between(long_ago) == "between 2026-03-02 03:12:40 and 2026-03-04 03:12:40 UTC"
    often = Change(ChangeKind.COMMAND, ("ops", "true"), NOW, "ops ran `true`", "ops", times=3)
    assert (often.says, between(often)) == ("ops ran `true` (the last of 3 times)", "")


# --- people, plans and runs ------------------------------------------------------------------------------------


def test_every_outcome_and_every_length_of_time_has_words() -> None:
    assert set(OUTCOMES) == set(UNDO_OUTCOMES) == set(Outcome)
    assert set(LASTS) == set(Lasts)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("U012ABCDEF", "U012ABCDEF"),
        ("terminal:alice", "alice at a terminal"),
        ("auto", "dockerhealth itself, as the configuration allows"),
        ("", "dockerhealth"),
    ],
)
def test_whoever_approved_has_a_name(name: str, words: str) -> None:
    assert who(name) == words


def test_what_comes_back_is_told_by_value_or_by_length() -> None:
    undo = replace(
        UNDO,
        restores=(
            Difference(Family.SYSCTL, "sysctl a", "1", "0", announced=True),
            Difference(Family.RULES, "rules nat DOCKER", "-A DOCKER\n-A DOCKER", None, announced=True),
            Difference(Family.FILE, "file /x", None, "there", announced=True),
        ),
    )
    assert comes_back(undo) == "sysctl a = 1, rules nat DOCKER (2 lines), no file /x"


def test_nobody_counts_twice_towards_two_people() -> None:
    alice, bob = Approval("U0ALICE", NOW, PLAN.fingerprint), Approval("U0BOB", LATER, PLAN.fingerprint)
    first = replace(OFFER, people=2, agreed=(alice, alice))
    assert (approvals(first), still_needed(first)) == ([alice], 1)
    both = replace(first, approval=bob, agreed=(alice, bob))
    assert (approvals(both), still_needed(both)) == ([alice, bob], 0)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "began, nobody knows how it ended"),
        (124, "did not end within 30 s"),
        (1, "ended with exit status 1"),
    ],
)
def test_a_step_that_did_not_succeed_says_how_it_ended(status: int | None, words: str) -> None:
    assert ending(StepResult(PLAN.steps[0], status, "")) == words


def test_what_was_taken_back_fixed_nothing() -> None:
    fixed = ran(Outcome.FIXED)
    assert fixed_by((fixed, UNDO_OFFER)) == fixed
    assert fixed_by((undone(Outcome.UNDONE), fixed)) is None


def test_a_click_that_ran_nothing_is_no_run() -> None:
    approval = Approval("U0BOB", LATER + timedelta(minutes=5), RESTART_OFFER.plan.fingerprint)
    stale = replace(RESTART_OFFER, approval=approval, applied=applied(Outcome.STALE))
    fixed = ran(Outcome.FIXED)
    assert newest_run((stale, fixed)) == fixed
    assert newest_run((OFFER,)) is None
