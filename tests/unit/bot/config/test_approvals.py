"""The section about approvals: what it means, its mistakes, and what it can hardly mean."""

import json
import re
import subprocess
import sys
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.approvals.policy import ApprovalRule, AutoRule, QuietHours, Terms
from bot.config import Settings
from bot.config.warnings import warnings
from checks.model import FixId, Risk
from tests.unit.bot.config.test_config import HOSTS, loaded, mistake, mistakes

EXAMPLE = Path(__file__).parents[4] / "deploy/dockerhealth.example.yaml"
NIGHT = '{from: "22:00", until: "07:00", zone: Europe/Berlin}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def approvals(*lines: str) -> str:
    """A file whose section about approvals has these lines, the first of them on line 2."""
    return "\n".join(("approvals:", *(f"  {line}" for line in lines), HOSTS))


def rule(text: str) -> str:
    """A file with one rule, on line 3."""
    return approvals("rules:", f"  - {text}")


# --- what is there --------------------------------------------------------------------------------------------


def test_without_more_one_approver_is_enough_but_for_what_is_risky(folder: Path) -> None:
    policies = loaded(folder, approvals("approvers: [U012ABCDEF]")).approvals.policies()
    assert policies.people == {Risk.LOW: 1, Risk.MEDIUM: 1, Risk.HIGH: 2}
    assert policies.expire_after == timedelta(minutes=30)
    assert (policies.channels, policies.not_requester, policies.quiet_hours) == ((), False, None)
    assert (policies.rules, policies.auto) == ((), ())


def test_users_groups_and_logins_of_this_machine_may_be_approvers(folder: Path) -> None:
    names = ["U012ABCDEF", "S0ONCALL", "terminal:alice", "terminal:bob@corp.example"]
    assert loaded(folder, approvals(f"approvers: {json.dumps(names)}")).approvals.approvers == names


def test_the_people_that_are_not_named_keep_their_default(folder: Path) -> None:
    policies = loaded(folder, approvals("people: {medium: 2}")).approvals.policies()
    assert policies.people == {Risk.LOW: 1, Risk.MEDIUM: 2, Risk.HIGH: 2}


def test_a_rule_says_only_what_stands_in_it(folder: Path) -> None:
    text = rule(f"{{fixes: [restart-docker], hosts: [host1], risks: [medium, high], quiet_hours: {NIGHT}}}")
    [said] = loaded(folder, text).approvals.policies().rules
    night = QuietHours(time(22), time(7), ZoneInfo("Europe/Berlin"))
    assert said == ApprovalRule(
        "approvals.rules.0",
        Terms(quiet_hours=night),
        frozenset({FixId.RESTART_DOCKER}),
        frozenset({"host1"}),
        frozenset({Risk.MEDIUM, Risk.HIGH}),
    )


def test_a_fix_that_needs_no_click_has_its_limits_by_default(folder: Path) -> None:
    text = approvals("auto:", "  - {fix: enable-ip-forward, host: host1}")
    hour = timedelta(hours=1)
    assert loaded(folder, text).approvals.policies().auto == (AutoRule(FixId.ENABLE_IP_FORWARD, "host1", 2, hour),)


def test_the_environment_goes_over_the_section(folder: Path) -> None:
    environ = {
        "DOCKERHEALTH_APPROVALS__CHANNELS": "C012,C345",
        "DOCKERHEALTH_APPROVALS__PEOPLE__LOW": "2",
        "DOCKERHEALTH_APPROVALS__NOT_REQUESTER": "true",
        "DOCKERHEALTH_APPROVALS__QUIET_HOURS__FROM": "23:00",
    }
    policies = loaded(folder, approvals(f"quiet_hours: {NIGHT}"), **environ).approvals.policies()
    assert (policies.channels, policies.people[Risk.LOW], policies.not_requester) == (("C012", "C345"), 2, True)
    assert policies.quiet_hours == QuietHours(time(23), time(7), ZoneInfo("Europe/Berlin"))


def test_the_schema_names_the_fixes_and_the_keys_of_the_file() -> None:
    sections = Settings.file_schema()["$defs"]
    assert sections["AutoSettings"]["properties"]["fix"]["enum"] == list(FixId)
    assert list(sections["QuietHoursSettings"]["properties"]) == ["from", "until", "zone"]


def test_what_is_commented_out_in_the_example_can_be_used_as_it_is(folder: Path) -> None:
    text = re.sub(
        r"^  # (?=quiet_hours|rules|auto|  - )", "  ", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    settings = loaded(folder, text)
    policies = settings.approvals.policies()
    assert policies.quiet_hours
    assert (len(policies.rules), len(policies.auto)) == (3, 1)
    assert warnings(settings) == ()


def test_a_file_that_names_no_fix_does_not_wait_for_the_fixes_to_be_imported() -> None:
    code = "import sys, bot.config; sys.exit('checks.fixes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # fixed text


# --- mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('approvers: ["terminal:*"]', "approvers.0"),
        ('approvers: ["terminal:"]', "approvers.0"),
        ('approvers: ["terminal:a b"]', "approvers.0"),
        ("channels: ['#ops']", "channels.0"),
        ("people: {low: 0}", "people.low"),
        ("people: {lwo: 1}", "people.lwo"),
        ("people: 2", "people"),
        ("not_requester: perhaps", "not_requester"),
        ("quiet_hours: {from: 22:00, until: '07:00', zone: UTC}", "quiet_hours.from"),  # base 60, says YAML
        ("quiet_hours: {from: '24:00', until: '07:00', zone: UTC}", "quiet_hours.from"),
        ("quiet_hours: {from: '22:00', until: '7:00', zone: UTC}", "quiet_hours.until"),
        ("quiet_hours: {from: '22:00', until: '07:00', zone: Berlin}", "quiet_hours.zone"),
        ("quiet_hours: {from: '22:00', until: '07:00', zone: ../../etc/passwd}", "quiet_hours.zone"),
        ("quiet_hours: {from: '22:00', until: '07:00'}", "quiet_hours.zone"),
        ("quiet_hours: {from: '22:00', until: '22:00', zone: UTC}", "quiet_hours"),
        ("auto: [{fix: enable-ip-forward}]", "auto.0.host"),
        ("auto: [{fix: enable-ip-forward, host: host1, per_day: 0}]", "auto.0.per_day"),
        ("auto: [{fix: enable-ip-forward, host: host1, returns_within: 25h}]", "auto.0.returns_within"),
        ("auto: [{fix: enable-ip-forward, host: host2}]", "auto.0.host"),
        ("auto: [{fix: enable-ip-forward, host: host1}, {fix: enable-ip-forward, host: host1}]", "auto.1"),
        ("rules: [5]", "rules.0"),
        ("rules: {}", "rules"),
    ],
)
def test_what_makes_no_sense_is_reported_where_it_stands(folder: Path, line: str, path: str) -> None:
    found = mistake(folder, approvals(line))
    assert (found.path, found.where) == (f"approvals.{path}", f"{folder / 'dockerhealth.yaml'}:2")


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("{fixes: [restart-dockr], people: 2}", ".fixes.0", "restart-docker (did you mean that?)"),
        ("{fixes: [undo-restart-docker], people: 2}", ".fixes.0", "restart-docker (did you mean that?)"),
        ("{hosts: [hst1], people: 2}", ".hosts.0", "host1 (did you mean that?)"),
        ("{hosts: [prod7], people: 2}", ".hosts.0", "one of host1"),
        ("{risks: [severe], people: 2}", ".risks.0", "low, medium or high"),
        ("{hosst: [host1], people: 2}", ".hosst", "hosts (did you mean that?)"),
        ("{hosts: [], allowed: false}", ".hosts", "at least one"),
        ("{hosts: , allowed: true}", ".hosts", "a value, or the key left out"),
        ("{hosts: [host1], approvers: }", ".approvers", "a value, or the key left out"),
        ("{quiet_hours: {form: '22:00', until: '07:00', zone: UTC}}", ".quiet_hours.form", "from (did you mean that?)"),
    ],
)
def test_a_rule_about_what_is_not_there_is_a_mistake(folder: Path, text: str, path: str, expected: str) -> None:
    found = {each.path: each for each in mistakes(folder, rule(text))}[f"approvals.rules.0{path}"]
    assert found.expected == expected
    assert found.where.endswith(":3")


def test_a_rule_that_says_nothing_is_a_mistake(folder: Path) -> None:
    found = mistake(folder, rule("{hosts: [host1]}"))
    assert found.path == "approvals.rules.0"
    assert "not_requester" in found.expected


# --- what can hardly be meant ---------------------------------------------------------------------------------


def warned(folder: Path, *lines: str) -> tuple[str, ...]:
    return warnings(loaded(folder, approvals(*lines)))


def test_without_approvers_nobody_may(folder: Path) -> None:
    assert warnings(loaded(folder, HOSTS)) == ("Nobody may approve a fix: approvals.approvers is empty.",)


def test_approvers_who_are_enough_are_no_warning(folder: Path) -> None:
    assert warned(folder, "approvers: [U012ABCDEF, S0ONCALL]") == ()
    assert warned(folder, "approvers: [U012ABCDEF, U345]") == ()
    assert warned(folder, "approvers: [U012ABCDEF]", "people: {high: 1}") == ()


def test_more_people_than_there_are_approvers_is_a_warning_that_names_a_plan(folder: Path) -> None:
    assert warned(folder, "approvers: [U012ABCDEF]") == (
        "any fix on any host at high risk: it takes 2 people, and 1 approver may.",
    )
    lines = ("approvers: [U012ABCDEF]", "rules:", "- {fixes: [restart-docker], hosts: [host1], people: 3}")
    assert warned(folder, *lines) == (
        "restart-docker on host1 at low risk (and 2 more): it takes 3 people, and 1 approver may.",
        "any other fix on host1 at high risk: it takes 2 people, and 1 approver may.",
    )


def test_a_rule_that_lets_nobody_approve_without_saying_so_is_a_warning(folder: Path) -> None:
    lines = ("approvers: [U1AA, U2AA]", "rules:", "- {fixes: [restart-docker], risks: [low], approvers: []}")
    assert warned(folder, *lines) == (
        "restart-docker on any host at low risk: nobody may approve it, as no approvers are named.",
    )
    assert warned(folder, *lines, "- {fixes: [restart-docker], allowed: false}") == ()


def test_one_person_under_two_names_is_a_warning_where_it_takes_two(folder: Path) -> None:
    [found] = warned(folder, 'approvers: [U1AA, "terminal:alice"]')
    assert "counts as two people" in found
    assert warned(folder, 'approvers: [U1AA, "terminal:alice"]', "people: {high: 1}") == ()


@pytest.mark.parametrize(
    ("term", "why"),
    [("people: 2", "it takes 2 people"), ("allowed: false", "approvals.rules.0 (host1) does not allow it")],
)
def test_a_fix_without_a_click_that_is_never_carried_out_is_a_warning(folder: Path, term: str, why: str) -> None:
    auto = ("auto:", "- {fix: enable-ip-forward, host: host1}")
    lines = ("approvers: [U1AA, U2AA]", "rules:", f"- {{hosts: [host1], {term}}}", *auto)
    assert warned(folder, *lines) == (f"auto: enable-ip-forward on host1 is never carried out: {why}.",)
