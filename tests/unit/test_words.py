"""Words that Slack and the terminal share."""

from dataclasses import replace
from datetime import timedelta

from bot.words import LADDER, LONGEST_PLACE, brief, by_reason, evidence, ladder, telling, trouble
from checks.model import Change, Evidence, Finding, Trouble, Vantage, Verdict
from tests.unit.bot_samples import failed, good
from tests.unit.view_samples import CAUSE, NOW, REPORT

IN_WORDS = Evidence(LADDER, "from outside: timed out at connect; on the host it answers")
SILENT = Trouble("ssh-timed-out", "host1: no answer within 5 s")


def skipped(cause: str, why: str) -> Finding:
    return Finding(cause, "registry", Verdict.SKIP, "", why=why)


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
    assert evidence(finding, (good(),)) == CAUSE.evidence
    assert evidence(finding) == finding.evidence


def test_a_proof_is_never_empty() -> None:
    assert evidence(replace(CAUSE, evidence=(IN_WORDS,)), (good(),)) == (IN_WORDS,)


def test_an_error_of_docker_s_is_not_pushed_out_by_an_id() -> None:
    error = f"endpoint registry ({'0123456789ab' + 'c' * 52}): No chain/target/match by that name."
    assert brief(error) == "endpoint registry (0123456789ab): No chain/target/match by that name."
    assert brief("sha256 of 65 digits " + "a" * 65) == "sha256 of 65 digits " + "a" * 65


def test_trouble_with_the_host_as_a_whole_is_one_reason() -> None:
    findings = [
        skipped("a", f"rules: {SILENT.says}"),
        skipped("b", "peers: none"),
        skipped("c", f"units: {SILENT.says}"),
    ]
    assert by_reason(findings, SILENT) == [("the host could not be looked at", ("a", "c")), ("peers: none", ("b",))]
    assert len(by_reason(findings)) == 3


def test_trouble_that_the_proof_says_is_not_said_twice() -> None:
    dark = replace(REPORT, trouble=SILENT)
    assert trouble(dark) == SILENT
    told = replace(CAUSE, evidence=(Evidence("ssh", SILENT.says),))
    assert trouble(replace(dark, diagnosis=replace(dark.diagnosis, causes=(told,)))) is None


def test_of_many_changes_the_newest_are_told_and_those_that_name_somebody() -> None:
    who = {0: "ann", 1: "bob", 9: "cid"}
    changes = [Change(NOW + timedelta(seconds=second), str(second), who.get(second, "")) for second in range(10)]
    assert [change.what for change in telling(changes, 4)] == ["1", "7", "8", "9"]
    assert telling(changes, 10) == changes
