"""What people see before and after a run with root: what is asked of them, what came of it, and the way back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.incidents.model import Approval, Incident, IncidentKind, IncidentState, Offer, Transition
from bot.slack.message import Message
from bot.slack.views import alert
from checks.commands import typed
from checks.model import Diagnosis, Difference, Evidence, Family, FixId, Outcome, Risk, StepResult
from tests.unit.bot.slack.view_samples import (
    APPROVER,
    BY_HAND,
    CAUSE,
    FILE,
    FIXING,
    FORWARDING,
    HEALTHY,
    LATER,
    NOW,
    OFFER,
    OPEN,
    PLAN,
    REPORT,
    RESOLVED,
    RESTART,
    RESTART_OFFER,
    RULES,
    UNDO,
    UNDO_OFFER,
    approved,
    blocks,
    body,
    buttons,
    problems,
    ran,
    undone,
)

UNDO_BUTTON = f"approve:undo:{UNDO.undoes}"


def shown(incident: Incident) -> Message:
    message = alert(incident, LATER)
    assert problems(message) == []
    return message


def after(*offers: Offer, incident: Incident = OPEN) -> Message:
    return shown(replace(incident, offers=offers))


def confirm_of(message: Message, action: str) -> dict[str, Any]:
    found: dict[str, Any] = buttons(message)[action]["confirm"]
    return found


def in_order(message: Message, *words: str) -> bool:
    text = str([message.blocks, message.attachments])
    places = [text.index(each) for each in words]
    return places == sorted(places)


# --- before the click ------------------------------------------------------------------------------------------


def test_a_plan_says_how_much_it_risks_how_long_it_holds_and_what_was_checked_first() -> None:
    text = body(after(OFFER, RESTART_OFFER))
    assert f"*{PLAN.title}* · low risk · holds for good · mends `ip-forward-off`" in text
    assert f"*{RESTART.title}* · *high risk* · a stop-gap: the cause stays" in text
    assert "*Checked first:* no file sets it to 0 after that · no container is restarted" in text


def test_a_plan_says_whether_it_is_taken_back_by_itself_and_where_there_is_no_way_back() -> None:
    assert "*Undo* · taken back by itself if it does not help" in body(after(OFFER))
    assert "*Undo:* none, what it does cannot be taken back" in body(after(RESTART_OFFER))


def test_notes_and_checks_that_have_no_room_are_counted() -> None:
    long = replace(PLAN, notes=tuple(f"note {n}" for n in range(9)), preflight=tuple(f"check {n}" for n in range(9)))
    text = body(after(replace(OFFER, plan=long)))
    assert "and 3 more notes, all in `dockerhealth fix host1 enable-ip-forward --dry-run`" in text
    assert "and 1 more check, all in" in text


def test_a_plan_for_one_person_says_nothing_of_people() -> None:
    assert "people" not in body(after(OFFER))


def test_a_plan_for_two_people_says_so_and_the_first_click_runs_nothing() -> None:
    message = after(replace(OFFER, people=2))
    assert ":busts_in_silhouette: 2 people have to approve it." in body(message)
    asked = confirm_of(message, "approve:enable-ip-forward")
    assert asked["title"]["text"] == "Approve this on host1?"
    assert asked["confirm"]["text"] == "Approve"
    assert "Runs when 2 people have approved." in asked["text"]["text"]


def test_the_second_person_sees_who_the_first_one_was_above_the_button() -> None:
    agreed = (Approval("U0ALICE", NOW, PLAN.fingerprint),)
    message = after(replace(OFFER, people=2, agreed=agreed))
    assert f"*{PLAN.title}*: 1 of 2 approved: <@U0ALICE> <!date^" in body(message)
    assert "; another person has to." in body(message)
    assert in_order(message, "1 of 2 approved", "approve:enable-ip-forward")
    assert confirm_of(message, "approve:enable-ip-forward")["confirm"]["text"] == "Run it"
    assert "A fix waits for another approval." in message.text


def test_a_plan_that_only_a_person_can_run_has_its_commands_its_reason_and_no_button() -> None:
    message = shown(replace(OPEN, report=replace(REPORT, plans=(BY_HAND,)), offers=()))
    text = body(message)
    assert list(buttons(message)) == ["acknowledge"]
    assert f"*By hand:* *{PLAN.title}*" in text
    assert ":hand: dockerhealth may only look on host1" in text
    for step in BY_HAND.steps:
        assert f"\n{typed(step)}\n" in text
    assert "taken back by itself" not in text
    assert message.text.endswith("A person has to run the fix.")


def test_many_plans_by_hand_are_all_named() -> None:
    plans = tuple(replace(BY_HAND, fix=fix) for fix in list(FixId)[:6])
    text = body(shown(replace(OPEN, report=replace(REPORT, plans=plans), offers=())))
    assert f"Also by hand: {plans[4].fix}, {plans[5].fix}, all in `dockerhealth check host1 registry`" in text


def test_a_risk_that_only_a_person_can_mend_stands_with_the_risk() -> None:
    plan = replace(BY_HAND, cause="restart-policy-missing")
    well = replace(HEALTHY, plans=(plan,), diagnosis=Diagnosis(risks=REPORT.diagnosis.risks))
    incident = replace(PREVENTING, state=IncidentState.OPEN, report=well, offers=())
    assert in_order(shown(incident), "would stay down", "*By hand:*")
    assert "*By hand:*" not in body(shown(replace(OPEN, report=replace(REPORT, plans=(plan,)))))


def test_a_fault_that_recurs_says_so_before_the_proof_and_in_the_notification() -> None:
    message = shown(replace(OPEN, recurs="third time in 7 days, the lasting fix is `enable-ip-forward`"))
    assert in_order(message, ":repeat: third time in 7 days, the lasting fix is `enable-ip-forward`", "*Proof*")
    assert message.text.endswith("approve. Third time in 7 days, the lasting fix is enable-ip-forward")


def test_a_notification_without_room_leaves_the_earlier_times_out() -> None:
    message = shown(replace(OPEN, recurs="x" * 2000))
    assert message.text.endswith("A fix is ready to approve.")


# --- after the run ---------------------------------------------------------------------------------------------


def test_how_it_ended_comes_first_and_what_nobody_announced_right_after_it() -> None:
    message = after(ran(Outcome.NOT_FIXED, FORWARDING, RULES), RESTART_OFFER, UNDO_OFFER)
    assert in_order(
        message,
        "*Ran, but the service is still not well.*",
        "*Also changed, and not announced:* `rules nat DOCKER`",
        "- -A DOCKER -i docker0 -j RETURN",
        "approved by",
        "*Changed:* `sysctl net.ipv4.ip_forward 0 → 1`",
        UNDO_BUTTON,
        "*Proof*",
        "approve:restart-docker",
    )


def test_a_file_that_is_new_is_shown_with_its_lines() -> None:
    text = body(after(ran(Outcome.FIXED, FILE), incident=RESOLVED))
    assert "*Changed:*\n```\nfile /etc/sysctl.d/99-zz-dockerhealth.conf (new)\n+ net.ipv4.ip_forward = 1\n```" in text


def test_a_run_that_changed_nothing_else_does_not_speak_of_it() -> None:
    text = body(after(ran(Outcome.FIXED), incident=RESOLVED))
    assert "Changed:" not in text
    assert "not announced" not in text


def test_many_changed_lines_are_counted_and_stand_in_the_audit_log() -> None:
    rules = Difference(
        Family.RULES,
        "rules nat DOCKER",
        "\n".join(f"-A DOCKER {n} {'x' * 80}" for n in range(90)),
        None,
        announced=False,
    )
    text = body(after(ran(Outcome.FAILED, rules)))
    assert "lines more, all of it: dockerhealth audit --run offer-1" in text


def test_a_step_that_was_interrupted_says_that_nobody_knows_how_it_ended() -> None:
    lost = ran(Outcome.UNKNOWN)
    assert lost.applied is not None
    results = (StepResult(PLAN.steps[0], 0, ""), StepResult(PLAN.steps[1], None, "half a line"))
    message = after(replace(lost, applied=replace(lost.applied, results=results)), UNDO_OFFER)
    text = body(message)
    assert f"Step 2 began, nobody knows how it ended: `{typed(PLAN.steps[1])}`" in text
    assert "half a line" in text
    assert "*Done:* write the file" in text
    assert in_order(message, "Contact was lost midway", UNDO_BUTTON, "*Proof*")


def test_output_that_the_outcome_tells_already_is_not_told_twice() -> None:
    text = body(after(ran(Outcome.FAILED, says="Step 1 ended with 1: denied", output="denied\n", status=1)))
    assert text.count("denied") == 1


def test_a_step_that_took_long_says_how_long() -> None:
    fixed = ran(Outcome.FIXED)
    assert fixed.applied is not None
    slow = replace(
        fixed.applied, results=(StepResult(PLAN.steps[0], 0, "", 4.2), StepResult(PLAN.steps[1], 0, "", 0.1))
    )
    text = body(after(replace(fixed, applied=slow), incident=RESOLVED))
    assert "*Done:* write the file (4 s); load it\n" in text


def test_a_run_refers_to_the_audit_log_in_small_print() -> None:
    message = after(ran(Outcome.FIXED), incident=RESOLVED)
    small = [block["elements"][0]["text"] for block in blocks(message) if block["type"] == "context"]
    assert "`dockerhealth audit --run offer-1`" in small


def test_of_an_earlier_run_only_its_end_is_told() -> None:
    second = replace(RESTART_OFFER, approval=Approval("U0BOB", LATER + timedelta(minutes=5), RESTART.fingerprint))
    failed = ran(Outcome.FAILED, status=1)
    message = after(ran(Outcome.NOT_FIXED, FORWARDING), replace(second, applied=failed.applied))
    assert in_order(message, "*A step failed.*", "*Proof*", "*Ran, but the service is still not well.*")
    assert "0 → 1" not in body(message)


def test_a_run_that_nobody_approved_says_by_what_right_it_ran() -> None:
    approval = Approval("auto", LATER, PLAN.fingerprint)
    auto = replace(ran(Outcome.FIXED), approval=approval)
    text = body(after(auto, incident=RESOLVED))
    assert f"*{PLAN.title}*, by itself, as the configuration allows, <!date^" in text
    back = replace(undone(Outcome.UNDONE), approval=approval)
    assert "by itself, as the plan said, <!date^" in body(after(back))


def test_a_fix_approved_in_a_terminal_names_the_login() -> None:
    approval = Approval("terminal:<!channel>ann", LATER, PLAN.fingerprint)
    text = body(after(replace(approved(), approval=approval), incident=FIXING))
    assert "approved by &lt;!channel&gt;ann at a terminal <!date^" in text


def test_everyone_who_approved_is_named() -> None:
    agreed = (Approval("U0ALICE", NOW, PLAN.fingerprint),)
    text = body(after(replace(ran(Outcome.FIXED), people=2, agreed=agreed), incident=RESOLVED))
    assert "approved by <@U0ALICE> <!date^" in text
    assert f", <@{APPROVER}> <!date^" in text


def test_where_everything_is_long_the_outcome_and_what_nobody_announced_are_still_there() -> None:
    long = "x" * 3000
    changes = tuple(Difference(Family.RULES, f"rules {n} {long}", long, None, announced=n % 2 == 0) for n in range(20))
    cause = replace(CAUSE, evidence=(Evidence("fact", long),) * 12, advice=(long,))
    plan = replace(PLAN, title=long, steps=PLAN.steps * 6, preflight=(long,) * 9, notes=(long,) * 9, blast_radius=long)
    offers = tuple(
        replace(OFFER, id=f"{n}", plan=replace(plan, fix=fix), people=3) for n, fix in enumerate(list(FixId)[:3])
    )
    undos = tuple(replace(UNDO_OFFER, id=f"u{n}", plan=replace(plan, undoes=f"r{n}")) for n in range(3))
    report = replace(REPORT, diagnosis=replace(REPORT.diagnosis, causes=(cause, cause)))
    run = ran(Outcome.FAILED, *changes, says=long, output=long, status=1)
    message = shown(replace(OPEN, report=report, offers=(run, *offers, *undos), recurs=long))
    assert in_order(message, "Left out to fit: ", "*A step failed.*", "*Also changed, and not announced:*", "*Proof*")


# --- the way back ----------------------------------------------------------------------------------------------


def test_the_way_back_from_what_helped_stands_at_the_end_in_red_and_says_what_comes_back() -> None:
    message = after(ran(Outcome.FIXED), UNDO_OFFER, incident=RESOLVED)
    button = buttons(message)[UNDO_BUTTON]
    assert (button["text"]["text"], button["style"], button["value"]) == (f"Undo: {PLAN.title}", "danger", "offer-3")
    asked = button["confirm"]
    assert asked["title"]["text"] == "Take this back on host1?"
    assert asked["confirm"]["text"] == "Take it back"
    assert (
        "It had helped: the fault may come back.\nComes back: sysctl net.ipv4.ip_forward = 0" in asked["text"]["text"]
    )
    assert in_order(message, "*Fixed.*", "*Verified*", "*It was:*", UNDO_BUTTON, "*Comes back:*")


def test_the_way_back_from_what_did_not_help_is_no_danger() -> None:
    message = after(ran(Outcome.NOT_FIXED), UNDO_OFFER)
    assert buttons(message)[UNDO_BUTTON]["style"] == "primary"
    assert "It had helped" not in str(message.attachments)
    risky = replace(UNDO_OFFER, plan=replace(UNDO, risk=Risk.HIGH))
    assert buttons(after(ran(Outcome.NOT_FIXED), risky))[UNDO_BUTTON]["style"] == "danger"


def test_an_undo_whose_values_are_not_known_says_what_it_touches() -> None:
    message = after(ran(Outcome.NOT_FIXED), replace(UNDO_OFFER, plan=replace(UNDO, restores=())))
    assert "Comes back" not in str(message.attachments)
    assert f"Touches: {UNDO.blast_radius}" in confirm_of(message, UNDO_BUTTON)["text"]["text"]


def test_a_fix_and_its_undo_have_a_button_each() -> None:
    again = replace(OFFER, id="offer-9")
    found = buttons(after(ran(Outcome.NOT_FIXED), UNDO_OFFER, again))
    assert found["approve:enable-ip-forward"]["value"] == "offer-9"
    assert found[UNDO_BUTTON]["value"] == "offer-3"


def test_two_runs_of_one_fix_have_a_way_back_each() -> None:
    second = replace(UNDO_OFFER, id="offer-5", plan=replace(UNDO, undoes="offer-4"))
    found = buttons(after(ran(Outcome.FIXED), UNDO_OFFER, second, incident=RESOLVED))
    assert (found[UNDO_BUTTON]["value"], found["approve:undo:offer-4"]["value"]) == ("offer-3", "offer-5")


def test_where_all_of_a_long_undo_is_shown_is_told() -> None:
    plan = replace(UNDO, steps=UNDO.steps * 200)
    assert "dockerhealth undo host1 --run offer-1 --dry-run" in body(
        after(ran(Outcome.FIXED), replace(UNDO_OFFER, plan=plan))
    )


def test_an_undo_shows_its_steps_and_is_not_announced_as_a_fix() -> None:
    message = after(ran(Outcome.NOT_FIXED), UNDO_OFFER)
    assert typed(UNDO.steps[0]) in body(message)
    assert "*Undo:* none" not in body(message)
    assert "ready to approve" not in message.text


def test_while_it_is_taken_back_the_message_says_so() -> None:
    running = approved(UNDO_OFFER, "host1 does not answer; waiting until 03:12")
    message = after(ran(Outcome.FIXED), running, incident=FIXING)
    assert f"*Undo: {PLAN.title}* is being carried out" in body(message)
    assert ":hourglass_flowing_sand: host1 does not answer; waiting until 03:12" in body(message)
    assert message.text.startswith("host1/registry: a fix is being taken back")


def test_what_was_taken_back_is_not_called_fixed() -> None:
    back = undone(Outcome.UNDONE, replace(FORWARDING, before="1", after="0"))
    message = after(ran(Outcome.FIXED), back, incident=RESOLVED)
    text = body(message)
    assert "answers again after 2 min, a fix was taken back" in text
    assert "*Taken back: the host is as it was before.*" in text
    assert "*Had fixed it, and was taken back.*" in text
    assert "*Fixed.*" not in text
    assert message.text.endswith("Since then, a fix was taken back.")
    assert message.attachments[0]["color"] == "#8d8d8d"


def test_an_undo_that_left_something_says_what() -> None:
    left = undone(Outcome.NOT_FIXED, replace(FORWARDING, before="1", after="2"))
    message = after(ran(Outcome.FIXED), left, incident=RESOLVED)
    assert "*Ran, but the host is not as it was before.*" in body(message)
    assert "*Not as it was before:* `sysctl net.ipv4.ip_forward 0 → 2`" in body(message)
    assert "taking a fix back went wrong" in message.text


# --- to prevent a fault ----------------------------------------------------------------------------------------

RISK = "The container would stay down"
PREVENTING = replace(
    FIXING,
    report=replace(HEALTHY, diagnosis=replace(REPORT.diagnosis, causes=())),
    kind=IncidentKind.PREVENTION,
    risk=RISK,
)


def test_a_service_that_is_well_is_not_said_to_be_down() -> None:
    message = shown(PREVENTING)
    assert message.text == f"host1/registry is well, a fault is being prevented: {RISK}."
    assert f"🟠 host1/registry: well, a fault is being prevented: {RISK}" in body(message)
    assert "does not answer" not in body(message)


def test_before_it_is_prevented_the_message_is_no_alarm() -> None:
    incident = replace(PREVENTING, state=IncidentState.OPEN, transitions=PREVENTING.transitions[:1])
    assert shown(incident).attachments[0]["color"] == "#e8912d"


def test_what_was_prevented_is_told_as_that() -> None:
    done = replace(PREVENTING, state=IncidentState.RESOLVED, resolved_at=LATER, offers=(ran(Outcome.FIXED),))
    message = shown(done)
    assert message.text == f"host1/registry is well, a fault was prevented: {RISK}."
    assert "answers again" not in body(message)
    assert "No fix of dockerhealth" not in body(message)


def test_a_prevention_that_was_taken_back_says_so() -> None:
    done = replace(PREVENTING, state=IncidentState.RESOLVED, resolved_at=LATER)
    message = after(ran(Outcome.FIXED), undone(Outcome.UNDONE), incident=done)
    assert message.text == f"host1/registry is well, a fix was taken back: {RISK}."


def test_what_was_not_prevented_does_not_claim_it() -> None:
    resolved = Transition(
        IncidentState.OPEN, IncidentState.RESOLVED, "2 readings in a row from outside: answered 200", LATER
    )
    left = replace(PREVENTING, state=IncidentState.RESOLVED, offers=(), transitions=(*PREVENTING.transitions, resolved))
    assert shown(left).text == f"host1/registry is well, a fault was not prevented: {RISK}."
