"""The same diagnosis for a terminal, and as JSON for a program."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from rich.console import Console

from bot.cli.render_report import (
    print_applied,
    print_no_change,
    print_offer,
    print_plan,
    print_report,
    report_json,
)
from bot.incidents.model import Approval
from checks.commands import typed
from checks.model import Change, ChangeKind, Diagnosis, FixId, Lasts, NoChange, Outcome, Status, StepResult, Trouble
from tests.unit.bot.slack.view_samples import (
    BY_HAND,
    CAUSE,
    DIED,
    FILE,
    FORWARDING,
    HALF_BLIND,
    HEALTHY,
    NOW,
    OFFER,
    PLAN,
    REPORT,
    RESTART,
    RULES,
    UNDO,
    applied,
    ran,
    undone,
)


def shown(what: Callable[[Console], None], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    what(console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is the StringIO from above


def test_the_first_line_is_the_cause_and_then_comes_the_proof() -> None:
    lines = shown(lambda console: print_report(console, REPORT)).splitlines()
    assert lines[:3] == [
        "✗ host1/registry  IPv4 forwarding is switched off",
        "  proof",
        "  • net.ipv4.ip_forward = 0",
    ]


def test_where_the_packet_died_stands_before_the_proof() -> None:
    lines = shown(lambda console: print_report(console, replace(REPORT, segment=DIED))).splitlines()
    assert lines[1] == f"  where the packet died: {DIED.says}"
    assert lines[2] == "  proof"


def test_the_readings_go_from_the_outside_inwards() -> None:
    text = shown(lambda console: print_report(console, REPORT))
    assert text.index("outside      ✗ timed out at connect") < text.index("loopback") < text.index("container    ✓")


def test_each_fix_comes_with_the_command_that_runs_it() -> None:
    text = shown(lambda console: print_report(console, REPORT))
    assert "dockerhealth fix host1 enable-ip-forward --service registry\n" in text


def test_what_was_ruled_out_what_was_not_told_what_changed_and_what_will_break_are_there() -> None:
    text = shown(lambda console: print_report(console, REPORT))
    for words in ("dockerd-down: docker.service is active", "blocked-before-host: no second host", "root via webadmin"):
        assert words in text
    assert "works now, will break: The container would stay down" in text


PREVENTS = replace(PLAN, title="Give it a policy", cause="restart-policy-missing")


def test_what_will_break_stands_with_the_fix_that_prevents_it_and_before_all_that_it_is_not() -> None:
    well = replace(HEALTHY, plans=(PREVENTS,), diagnosis=Diagnosis(risks=REPORT.diagnosis.risks))
    text = shown(lambda console: print_report(console, replace(well, unavailable=HALF_BLIND.unavailable)))
    parts = ("works now", "to prevent it: Give it", "could not be")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_while_the_service_is_down_nothing_is_proposed_that_mends_nothing_of_that() -> None:
    down = replace(REPORT, plans=(PLAN, PREVENTS))
    text = shown(lambda console: print_report(console, down))
    parts = ("fix: Switch", "what changed before", "works now", "ruled out (1)", "could not be")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "Give it" not in text
    assert [fix["title"] for fix in report_json(down)["fixes"]] == [PLAN.title]


def test_advice_is_lines_to_copy_and_what_is_said_of_them_stands_behind_a_hash() -> None:
    advised = replace(CAUSE, advice=("# ask who made it, then:", "sudo iptables -F   # by hand"))
    report = replace(REPORT, diagnosis=Diagnosis((advised,)))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    print_report(console, report)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert "\x1b[36msudo iptables -F \x1b[0m\x1b[2m# by hand\x1b[0m" in text
    assert "\x1b[2m# ask who made it, then:\x1b[0m" in text


def test_a_healthy_service_is_short() -> None:
    lines = shown(lambda console: print_report(console, replace(HEALTHY, timeline=REPORT.timeline))).splitlines()
    assert lines[0] == "✓ host1/registry  healthy"
    assert len(lines) == 4


def test_a_host_that_could_not_be_looked_at_says_why() -> None:
    trouble = Trouble("ssh-refused", "host1 refused SSH")
    dark = replace(HEALTHY, status=Status.UNKNOWN, trouble=trouble)
    text = shown(lambda console: print_report(console, dark))
    assert text.startswith("? host1/registry  the host could not be looked at")
    assert "(ssh-refused): host1 refused SSH" in text


def test_a_command_stays_on_one_line_on_a_narrow_terminal() -> None:
    text = shown(lambda console: print_plan(console, PLAN), width=30)
    for step in (*PLAN.steps, *PLAN.undo):
        assert f"{typed(step)}\n" in text


def test_a_plan_shows_steps_undo_reach_notes_and_proof() -> None:
    text = shown(lambda console: print_plan(console, PLAN))
    for words in (
        PLAN.title,
        "(low risk, holds for good)",
        PLAN.blast_radius,
        PLAN.notes[0],
        PLAN.verify,
        "runs",
        "undo",
    ):
        assert words in text


def test_a_plan_says_how_long_it_holds_what_was_checked_and_what_is_taken_back_unasked() -> None:
    text = shown(lambda console: print_plan(console, replace(PLAN, lasts=Lasts.UNTIL_REBOOT)))
    assert "(low risk, holds until the next reboot or restart) on host1" in text
    assert f"checked first: {PLAN.preflight[0]}" in text
    assert "undo, taken back by itself if it does not help" in text


def test_a_plan_without_a_way_back_says_so() -> None:
    text = shown(lambda console: print_plan(console, RESTART))
    assert "a stop-gap: the cause stays" in text
    assert "undo: none, what it does cannot be taken back" in text


def test_an_undo_says_which_run_it_takes_back_and_what_comes_back() -> None:
    text = shown(lambda console: print_plan(console, UNDO), width=200)
    assert text.startswith(f"Undo: {PLAN.title} (low risk, takes back run offer-1) on host1\n")
    assert "comes back: sysctl net.ipv4.ip_forward = 0, no file /etc/sysctl.d/99-zz-dockerhealth.conf" in text
    assert "undo: none" not in text


def test_a_plan_that_only_a_person_can_run_says_why_and_gives_its_commands() -> None:
    text = shown(lambda console: print_plan(console, BY_HAND))
    assert f"by hand: {BY_HAND.by_hand}" in text
    assert "to run" in text
    assert "taken back by itself" not in text
    listed = shown(lambda console: print_report(console, replace(REPORT, plans=(BY_HAND,))))
    assert f"by hand: {BY_HAND.by_hand}" in listed
    assert f"{typed(BY_HAND.steps[0])}\n" in listed
    assert "dockerhealth fix" not in listed


def test_an_offer_that_takes_two_people_says_who_approved_so_far() -> None:
    agreed = (Approval("terminal:alice", NOW, PLAN.fingerprint),)
    text = shown(lambda console: print_offer(console, replace(OFFER, people=2, agreed=agreed)))
    assert "approved by 1 of 2 people, 1 more needed\n  • alice at a terminal 2026-03-04 03:12:40 UTC" in text
    assert "people" not in shown(lambda console: print_offer(console, OFFER))


def test_what_a_host_printed_is_never_markup_or_a_control_code() -> None:
    title = "[red]x[/red] \x1b[31m\u202e\nnext"
    nasty = replace(REPORT, diagnosis=Diagnosis((replace(CAUSE, title=title),)))
    first = shown(lambda console: print_report(console, nasty)).splitlines()[0]
    assert first == "✗ host1/registry  [red]x[/red] [31m next"


def test_an_outcome_is_told_in_words_with_the_step_that_failed() -> None:
    text = shown(lambda console: print_applied(console, applied(Outcome.FAILED, output="denied\n", status=1)))
    assert text.startswith("A step failed. That is how it ended.\n")
    assert f"step 1 ended with exit status 1: {typed(PLAN.steps[0])}" in text
    assert "denied" in text


def test_what_nobody_announced_stands_before_what_was_done_and_what_was_to_change() -> None:
    run = ran(Outcome.NOT_FIXED, FORWARDING, FILE, RULES)
    assert run.applied is not None
    applied = run.applied
    text = shown(lambda console: print_applied(console, applied, run))
    parts = (
        "not announced\n  • rules nat DOCKER\n",
        "- -A DOCKER",
        "done\n",
        "changed\n  • sysctl net.ipv4.ip_forward 0 → 1",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "file /etc/sysctl.d/99-zz-dockerhealth.conf (new)\n" in text
    assert "verified" not in text
    assert text.endswith("all of it: dockerhealth audit --run offer-1\n")


def test_a_step_that_nobody_knows_the_end_of_says_so() -> None:
    lost = replace(applied(Outcome.UNKNOWN), results=(StepResult(PLAN.steps[0], None, ""),))
    text = shown(lambda console: print_applied(console, lost))
    assert f"step 1 began, nobody knows how it ended: {typed(PLAN.steps[0])}" in text


def test_an_undo_that_did_not_bring_all_back_says_what() -> None:
    run = undone(Outcome.NOT_FIXED, replace(FORWARDING, before="1", after="2"))
    assert run.applied is not None
    applied = run.applied
    text = shown(lambda console: print_applied(console, applied, run))
    assert text.startswith("Ran, but the host is not as it was before.")
    assert "not as it was before\n  • sysctl net.ipv4.ip_forward 0 → 2\n" in text


def test_nothing_to_do_says_why() -> None:
    no_change = NoChange(FixId.START_CONTAINER, "it runs already")
    assert shown(lambda console: print_no_change(console, no_change)) == "start-container: it runs already\n"


def test_a_healthy_service_says_in_one_line_what_nobody_could_look_at_and_else_nothing() -> None:
    half_blind = shown(lambda console: print_report(console, HALF_BLIND)).splitlines()
    healthy = shown(lambda console: print_report(console, HEALTHY)).splitlines()
    [line] = [line for line in half_blind if line not in healthy]
    assert line == (
        "  could not be asked: units, D-Bus: systemctl ended with 1; path: port 5000, own: curl ended with 2"
    )


def test_an_ill_service_says_it_too() -> None:
    ill = replace(REPORT, unavailable=HALF_BLIND.unavailable)
    assert "  could not be asked: units, D-Bus: sys" in shown(lambda console: print_report(console, ill))


# --- JSON -----------------------------------------------------------------------------------------------------


def test_json_says_where_the_packet_died() -> None:
    assert report_json(replace(REPORT, segment=DIED))["segment"] == {
        "last_seen": "coming in by eth0",
        "first_missed": "leaving by docker0",
        "why": "the kernel dropped 3 of 3",
    }
    assert report_json(REPORT)["segment"] is None


def test_json_has_the_keys_of_the_contract_and_no_others() -> None:
    made = report_json(REPORT)
    assert list(made) == [
        "host",
        "service",
        "status",
        "readings",
        "cause",
        "evidence",
        "ruled_out",
        "not_told",
        "stands_in",
        "segment",
        "unavailable",
        "risks",
        "timeline",
        "fixes",
        "took_ms",
    ]
    assert made["readings"][1] == {
        "vantage": "outside",
        "ok": False,
        "phase": "connect",
        "outcome": "timed-out",
        "ms": 2000,
    }
    assert made["cause"] == {
        "id": "ip-forward-off",
        "title": "IPv4 forwarding is switched off",
        "confidence": "proven",
    }
    assert made["evidence"][0] == {"fact": "sysctl", "says": "net.ipv4.ip_forward = 0"}
    assert made["ruled_out"] == [{"id": "dockerd-down", "why": "docker.service is active"}]
    assert made["not_told"] == [{"id": "blocked-before-host", "missing": "no second host to try from"}]
    assert made["risks"] == [{"id": "restart-policy-missing", "title": "The container would stay down"}]
    assert made["timeline"] == [
        {
            "at": "2026-03-04T03:01:40+00:00",
            "what": "network.service restarted",
            "who": "root via webadmin",
            "kind": "unit",
            "since": None,
        }
    ]
    assert made["fixes"][0] == {
        "id": "enable-ip-forward",
        "title": PLAN.title,
        "risk": "low",
        "steps": [typed(step) for step in PLAN.steps],
        "undo": [typed(step) for step in PLAN.undo],
        "blast_radius": PLAN.blast_radius,
        "lasts": "for-good",
        "preflight": list(PLAN.preflight),
        "changes": list(PLAN.changes),
        "by_hand": "",
    }
    assert json.dumps(made)


def test_a_difference_is_told_with_its_interval_in_text_and_json() -> None:
    since = NOW - timedelta(minutes=5)
    change = Change(ChangeKind.DIFFERENCE, ("a", "1", "0"), NOW, "a changed from 1 to 0", since=since)
    report = replace(REPORT, timeline=(change,))
    words = "a changed from 1 to 0 between 03:07:40 and 03:12:40 UTC"
    assert f"2026-03-04 03:12:40 UTC {words}" in shown(lambda console: print_report(console, report))
    assert report_json(report)["timeline"] == [
        {"at": NOW.isoformat(), "what": words, "who": None, "kind": "difference", "since": since.isoformat()}
    ]


def test_json_of_a_healthy_service_has_no_cause() -> None:
    made = report_json(HEALTHY)
    assert (made["status"], made["cause"], made["fixes"]) == ("healthy", None, [])


def test_json_names_the_facts_that_could_not_be_had() -> None:
    assert report_json(HALF_BLIND)["unavailable"] == [
        {"fact": "units", "why": "systemctl ended with 1"},
        {"fact": "D-Bus", "why": "systemctl ended with 1"},
        {"fact": "path: port 5000, own", "why": "curl ended with 2"},
    ]
    assert report_json(HEALTHY)["unavailable"] == []


def test_json_says_why_a_host_could_not_be_looked_at() -> None:
    dark = replace(HEALTHY, status=Status.UNKNOWN, trouble=Trouble("ssh-refused", "host1 refused SSH"))
    assert report_json(dark)["not_told"][0] == {"id": "ssh-refused", "missing": "host1 refused SSH"}
