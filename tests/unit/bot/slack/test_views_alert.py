"""The alert, as the person at 3 a.m. reads it: the cause, the proof, the button; then everything else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.incidents.model import Incident, IncidentKind, IncidentState, Transition
from bot.slack.views import alert
from bot.slack.views.markup import when
from checks.commands import typed
from checks.model import (
    Change,
    ChangeKind,
    Confidence,
    Diagnosis,
    Evidence,
    Finding,
    FixId,
    NoChange,
    Outcome,
    Report,
    Status,
    Step,
    Trouble,
    Verdict,
)
from tests.unit.bot.slack.view_samples import (
    ACKNOWLEDGED,
    APPROVER,
    DIED,
    FIXING,
    HEALTHY,
    LATER,
    NOW,
    OFFER,
    OPEN,
    PLAN,
    REPORT,
    RESOLVED,
    RESTART_OFFER,
    applied,
    approved,
    blocks,
    body,
    buttons,
    moved,
    problems,
)

LOOKING = replace(OPEN, report=None, offers=())


def header(incident: Incident) -> str:
    [first] = [block["text"]["text"] for block in blocks(alert(incident, NOW)) if block["type"] == "header"]
    return str(first)


def colour(incident: Incident) -> str:
    return str(alert(incident, NOW).attachments[0]["color"])


@pytest.mark.parametrize("incident", [LOOKING, OPEN, ACKNOWLEDGED, FIXING, RESOLVED])
def test_slack_takes_the_message_of_every_state(incident: Incident) -> None:
    assert problems(alert(incident, NOW)) == []


@pytest.mark.parametrize(
    ("incident", "says"),
    [
        (LOOKING, "🔴 host1/registry: does not answer, looking for the cause"),
        (OPEN, "🔴 host1/registry: IPv4 forwarding is switched off"),
        (ACKNOWLEDGED, "🟠 host1/registry: IPv4 forwarding is switched off"),
        (FIXING, "🟠 host1/registry: IPv4 forwarding is switched off"),
        (RESOLVED, "🟢 host1/registry: answers again after 2 min"),
    ],
)
def test_the_first_line_is_the_cause(incident: Incident, says: str) -> None:
    assert header(incident) == says


def test_each_state_has_its_colour() -> None:
    assert len({colour(OPEN), colour(FIXING), colour(RESOLVED)}) == 3
    assert colour(ACKNOWLEDGED) == colour(FIXING)


@pytest.mark.parametrize(
    ("incident", "sentence"),
    [
        (LOOKING, "host1/registry does not answer from outside. No cause is known yet."),
        (OPEN, "host1/registry does not answer: IPv4 forwarding is switched off. A fix is ready to approve."),
        (FIXING, "host1/registry: a fix is being carried out: IPv4 forwarding is switched off."),
        (RESOLVED, "host1/registry answers again. It was down for 2 min. It was: IPv4 forwarding is switched off."),
    ],
)
def test_a_notification_has_a_full_sentence(incident: Incident, sentence: str) -> None:
    assert alert(incident, NOW).text == sentence


def test_proof_comes_before_the_button_and_the_button_before_the_rest() -> None:
    text = str(alert(OPEN, NOW).attachments)
    places = [
        text.index(part)
        for part in ("ip_forward = 0`", "timed out", "approve:", "*Runs*", "network.service restarted", "*Ruled out*")
    ]
    assert places == sorted(places)


def test_where_the_packet_died_stands_before_the_proof() -> None:
    text = body(alert(replace(OPEN, report=replace(REPORT, segment=DIED)), NOW))
    assert f"*Where the packet died:* {DIED.says}" in text
    assert text.index("*Where the packet died:*") < text.index("*Proof*")


def test_evidence_shows_the_values_as_code() -> None:
    assert "• `net.ipv4.ip_forward = 0`" in body(alert(OPEN, NOW))


def test_readings_go_from_the_outside_inwards_with_outcome_and_time() -> None:
    lines = body(alert(OPEN, NOW)).splitlines()
    ladder = [line.split() for line in lines if line.endswith(" ms")]
    assert [line[0] for line in ladder] == ["outside", "loopback", "container"]
    assert ladder[0][1:] == ["✗", "timed", "out", "at", "connect", "2000", "ms"]


def test_what_was_ruled_out_stands_with_the_value_that_did_it() -> None:
    assert "• `dockerd-down` docker.service is active" in body(alert(OPEN, NOW))


def test_what_could_not_be_told_names_what_was_missing() -> None:
    assert "• `blocked-before-host` no second host to try from" in body(alert(OPEN, NOW))


def test_the_timeline_says_when_what_and_who_in_each_readers_own_time() -> None:
    line = next(line for line in body(alert(OPEN, NOW)).splitlines() if "network.service restarted" in line)
    assert line.startswith("• <!date^1772593300^{date_short_pretty} {time_secs}|2026-03-04 03:01:40 UTC>")
    assert line.endswith("(root via webadmin)")


def test_both_times_of_a_difference_are_each_readers_own_too() -> None:
    at = NOW - timedelta(minutes=11)
    of = ("net.ipv4.ip_forward", "1", "0")
    what = "net.ipv4.ip_forward changed from 1 to 0"
    switched = Change(ChangeKind.DIFFERENCE, of, at, what, since=at - timedelta(minutes=5))
    message = alert(replace(OPEN, report=replace(REPORT, timeline=(switched,))), NOW)
    line = next(line for line in body(message).splitlines() if what in line)
    assert line == f"• {when(at)} {what} between {when(at - timedelta(minutes=5))} and {when(at)}"


def test_the_smallest_fix_stands_first_and_stands_out() -> None:
    found = buttons(alert(OPEN, NOW))
    assert list(found) == ["approve:enable-ip-forward", "approve:restart-docker", "acknowledge"]
    assert found["approve:enable-ip-forward"]["style"] == "primary"
    assert found["approve:restart-docker"]["style"] == "danger"


def test_the_order_of_the_buttons_is_that_of_the_newest_diagnosis() -> None:
    message = alert(replace(OPEN, offers=(RESTART_OFFER, OFFER)), NOW)
    assert next(iter(buttons(message))) == "approve:enable-ip-forward"


def test_a_button_carries_an_id_and_nothing_else() -> None:
    found = buttons(alert(OPEN, NOW))
    assert found["approve:enable-ip-forward"]["value"] == "offer-1"
    assert found["acknowledge"]["value"] == "inc-1"


def test_the_confirm_dialog_shows_what_will_run_and_what_it_touches() -> None:
    shown = buttons(alert(OPEN, NOW))["approve:enable-ip-forward"]["confirm"]
    assert shown["title"]["text"] == "Run this on host1?"
    for step in PLAN.steps:
        assert typed(step) in shown["text"]["text"]
    assert PLAN.blast_radius in shown["text"]["text"]


def test_steps_that_do_not_fit_the_dialog_are_counted() -> None:
    shown = buttons(alert(OPEN, NOW))["approve:restart-docker"]["confirm"]["text"]["text"]
    assert len(shown) <= 300
    assert "more steps, all in the message" in shown
    assert RESTART_OFFER.plan.blast_radius in shown


def test_a_single_step_too_long_for_the_dialog_is_cut_and_says_so() -> None:
    long = replace(PLAN, steps=(Step("x", ("echo", "y" * 400)),))
    shown = buttons(alert(replace(OPEN, offers=(replace(OFFER, plan=long),)), NOW))
    text = shown["approve:enable-ip-forward"]["confirm"]["text"]["text"]
    assert len(text) <= 300
    assert "All of it (1 step) is in the message." in text


def test_the_message_lists_every_step_its_undo_its_reach_and_its_notes() -> None:
    text = body(alert(OPEN, NOW))
    for step in (*PLAN.steps, *PLAN.undo):
        assert typed(step) in text
    for words in (PLAN.blast_radius, PLAN.verify, PLAN.notes[0], "can be approved until"):
        assert words in text


def test_steps_that_an_approval_rests_on_are_never_folded() -> None:
    steps = [block for block in blocks(alert(OPEN, NOW)) if "*Runs*" in str(block.get("text"))]
    assert steps
    assert all(block["expand"] for block in steps)


def test_a_very_long_plan_is_cut_and_says_where_all_of_it_is() -> None:
    steps = tuple(Step(f"start container {number}", ("docker", "start", "x" * 60)) for number in range(60))
    message = alert(replace(OPEN, offers=(replace(OFFER, plan=replace(PLAN, steps=steps)),)), NOW)
    assert problems(message) == []
    assert "dockerhealth fix host1 enable-ip-forward --dry-run" in body(message)


# --- offers ---


def test_an_expired_offer_has_no_button_and_the_message_says_so() -> None:
    message = alert(OPEN, NOW + timedelta(minutes=31))
    assert list(buttons(message)) == ["acknowledge"]
    assert "expired" in body(message)


def test_a_withdrawn_offer_is_gone() -> None:
    message = alert(replace(OPEN, offers=(replace(OFFER, withdrawn=True), RESTART_OFFER)), NOW)
    assert "approve:enable-ip-forward" not in buttons(message)
    assert PLAN.title not in body(message)


def test_only_the_newest_offer_of_a_fix_has_a_button() -> None:
    message = alert(replace(OPEN, offers=(OFFER, replace(OFFER, id="offer-9"))), NOW)
    assert buttons(message)["approve:enable-ip-forward"]["value"] == "offer-9"


def test_without_offers_there_is_no_empty_row_of_buttons() -> None:
    message = alert(replace(ACKNOWLEDGED, offers=()), NOW)
    assert [block for block in blocks(message) if block["type"] == "actions"] == []
    assert problems(message) == []


def test_a_fix_that_is_not_offered_says_why() -> None:
    refused = replace(REPORT, refused=(NoChange(FixId.RESTART_DOCKER, "the kernel's modules are gone"),))
    assert "• `restart-docker`: the kernel's modules are gone" in body(alert(replace(OPEN, report=refused), NOW))


RISKY = replace(RESTART_OFFER, plan=replace(PLAN, fix=FixId.RESTART_CONTAINER, cause="restart-policy-missing"))


def test_a_fix_for_a_risk_is_no_button_of_an_outage() -> None:
    message = alert(replace(OPEN, offers=(RISKY, OFFER)), NOW)
    assert list(buttons(message)) == ["approve:enable-ip-forward", "acknowledge"]
    assert "The container would stay down" in body(message)


def test_a_fix_for_a_risk_stands_with_the_risk_where_the_service_is_well() -> None:
    well = replace(HEALTHY, diagnosis=Diagnosis(risks=REPORT.diagnosis.risks))
    message = alert(replace(OPEN, kind=IncidentKind.PREVENTION, report=well, offers=(RISKY,)), NOW)
    assert list(buttons(message)) == ["acknowledge", "approve:restart-container"]
    assert "style" not in buttons(message)["approve:restart-container"]
    text = str(message.attachments)
    assert text.index("The container would stay down") < text.index("approve:restart-container")
    assert problems(message) == []


def test_a_fix_for_a_risk_is_not_announced_as_the_fix() -> None:
    risky = replace(OFFER, plan=replace(PLAN, cause="restart-policy-missing"))
    assert "ready" not in alert(replace(OPEN, offers=(risky,)), NOW).text


# --- states ---


def test_before_the_first_look_the_message_says_what_was_seen_and_that_it_looks() -> None:
    text = body(alert(LOOKING, NOW))
    assert "2 readings in a row from outside failed: timed out at connect" in text
    assert "Looking at the host" in text


def test_an_acknowledged_alert_says_who_takes_care_and_keeps_its_fix_buttons() -> None:
    message = alert(ACKNOWLEDGED, NOW)
    assert "<@U0CARES> takes care of it" in body(message)
    assert list(buttons(message)) == ["approve:enable-ip-forward", "approve:restart-docker"]


def test_a_running_fix_shows_who_approved_what_and_how_far_it_is() -> None:
    message = alert(FIXING, NOW)
    assert f"is being carried out, approved by <@{APPROVER}> <!date^" in body(message)
    assert "step 2 of 2: load it" in body(message)
    assert buttons(message) == {}


def test_a_resolved_alert_says_what_fixed_it_who_approved_how_long_and_what_proved_it() -> None:
    message = alert(RESOLVED, NOW)
    text = body(message)
    cause = "*It was:* IPv4 forwarding is switched off\n• `net.ipv4.ip_forward = 0`"
    for words in (PLAN.title, f"<@{APPROVER}>", "after 2 min", "*Verified*", "answered 200", cause, "via webadmin"):
        assert words in text
    assert buttons(message) == {}


def test_a_recovery_that_nobody_caused_says_so() -> None:
    incident = moved(OPEN, IncidentState.RESOLVED, reason="2 readings in a row from outside: answered 200")
    text = body(alert(incident, NOW))
    assert "No fix of dockerhealth brought it back. 2 readings in a row from outside: answered 200" in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.NOT_FIXED, "still not well"),
        (Outcome.FAILED, "A step failed"),
        (Outcome.STALE, "Not run: the host has changed"),
        (Outcome.UNKNOWN, "Contact was lost midway"),
    ],
)
def test_a_fix_that_did_not_fix_it_is_told_in_words(outcome: Outcome, words: str) -> None:
    ended = replace(approved(), applied=applied(outcome, "More about that.", "no such file", 1))
    message = alert(replace(OPEN, offers=(ended, RESTART_OFFER)), NOW)
    assert words in body(message)
    assert "More about that." in body(message)
    assert list(buttons(message)) == ["approve:restart-docker", "acknowledge"]


def test_a_failed_step_shows_its_command_and_output() -> None:
    ended = replace(approved(), applied=applied(Outcome.FAILED, output="permission denied", status=255))
    text = body(alert(replace(OPEN, offers=(ended,)), NOW))
    assert f"Step 1 ended with exit status 255: `{typed(PLAN.steps[0])}`" in text
    assert "permission denied" in text


def test_the_last_line_says_who_did_what_and_when() -> None:
    last = blocks(alert(FIXING, NOW))[-1]
    assert last["type"] == "context"
    assert "opened <!date^" in last["elements"][0]["text"]
    assert f"by <@{APPROVER}>" in last["elements"][0]["text"]


def test_a_long_history_keeps_the_newest_changes() -> None:
    change = Transition(IncidentState.OPEN, IncidentState.ACKNOWLEDGED, "", LATER, "U0CARES")
    text = body(alert(replace(OPEN, transitions=(OPENED_ONCE, *[change] * 20)), NOW))
    assert "15 earlier" in text


OPENED_ONCE = OPEN.transitions[0]


# --- diagnoses ---


def test_two_causes_are_both_told_in_the_order_to_mend_them() -> None:
    second = Finding(
        "container-stopped", "registry", Verdict.FAIL, "The container is stopped", advice=("docker logs x",)
    )
    both = replace(REPORT, diagnosis=replace(REPORT.diagnosis, causes=(*REPORT.diagnosis.causes, second)))
    text = body(alert(replace(OPEN, report=both), NOW))
    assert "*2. Also wrong, to mend after that:* The container is stopped" in text
    assert "docker logs x" in text


def test_a_likely_cause_is_not_called_proven() -> None:
    likely = replace(REPORT.diagnosis.causes[0], confidence=Confidence.LIKELY)
    text = body(alert(replace(OPEN, report=replace(REPORT, diagnosis=Diagnosis((likely,)))), NOW))
    assert "*Likely, not proven*" in text
    assert "*Proof*" not in text


def test_when_nothing_was_proven_what_it_is_not_stands_at_the_top() -> None:
    unknown = Finding("undetermined", "registry", Verdict.FAIL, "The cause could not be determined")
    text = body(
        alert(replace(OPEN, report=replace(REPORT, diagnosis=replace(REPORT.diagnosis, causes=(unknown,)))), NOW)
    )
    assert text.index("*What is known*") < text.index("*Ruled out*") < text.index("*Runs*")
    assert "*Proof*" not in text
    assert "Likely" not in text


def test_a_host_that_could_not_be_looked_at_says_why() -> None:
    trouble = Trouble("ssh-login-refused", "host1 refused every key for dockerhealth")
    dark = Report("host1", "registry", NOW, Status.UNKNOWN, REPORT.readings, Diagnosis(), trouble=trouble)
    message = alert(replace(OPEN, report=dark, offers=()), NOW)
    assert header(replace(OPEN, report=dark)).endswith("the host could not be looked at")
    assert "`ssh-login-refused`" in body(message)
    assert "refused every key" in body(message)


def test_a_look_that_found_it_healthy_is_not_an_empty_cause() -> None:
    incident = replace(OPEN, report=HEALTHY, offers=())
    assert header(incident) == "🔴 host1/registry: answered when it was looked at"
    well = replace(HEALTHY, diagnosis=replace(REPORT.diagnosis, causes=()))
    assert "*Ruled out*" not in body(alert(replace(incident, report=well), NOW))
    assert problems(alert(incident, NOW)) == []


def test_risks_stand_beside_the_cause() -> None:
    assert "The container would stay down" in body(alert(OPEN, NOW))


# --- a wall of text ---


def test_where_the_cause_is_known_only_a_few_of_those_that_it_is_not_are_told() -> None:
    many = tuple(Finding(f"cause-{n}", "registry", Verdict.PASS, "", why=f"value {n}") for n in range(12))
    text = body(alert(replace(OPEN, report=replace(REPORT, diagnosis=replace(REPORT.diagnosis, ruled_out=many))), NOW))
    assert "• `cause-4` value 4\n• and 7 more, all in `dockerhealth check host1 registry`" in text


def test_a_reason_that_rules_out_many_names_some_of_them() -> None:
    many = tuple(Finding(f"cause-{n}", "registry", Verdict.SKIP, "", why="no sudo") for n in range(40))
    text = body(alert(replace(OPEN, report=replace(REPORT, diagnosis=replace(REPORT.diagnosis, not_told=many))), NOW))
    assert "`cause-5` and 34 more suspects: no sudo" in text


def test_a_rule_survives_as_it_is_typed() -> None:
    rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5000 -j DNAT --to-destination 172.17.0.2:5000"
    for says, shown in (
        (f"nat: {rule}", f"nat: `{rule}`"),
        (f"chain DOCKER: {rule}: 4 more while 3 attempts", f"chain DOCKER: `{rule}`: 4 more"),
        ('-A IN -m comment --comment "_x_ *y*" -j DROP', '`-A IN -m comment --comment "_x_ *y*" -j DROP`'),
    ):
        proven = replace(REPORT.diagnosis.causes[0], evidence=(Evidence("rules", says),))
        assert shown in body(alert(replace(OPEN, report=replace(REPORT, diagnosis=Diagnosis((proven,)))), NOW))


def test_times_in_the_proof_are_those_of_the_reader_as_in_the_timeline() -> None:
    says = "network.service was restarted at 2026-03-04 03:01:40 UTC; 2026-99-99 99:99:99 UTC is none"
    proven = replace(REPORT.diagnosis.causes[0], evidence=(Evidence("journal", says),))
    text = body(alert(replace(OPEN, report=replace(REPORT, diagnosis=Diagnosis((proven,)))), NOW))
    assert "restarted at <!date^1772593300^{date_short_pretty} {time_secs}|2026-03-04 03:01:40 UTC>; 2026-99-99" in text
