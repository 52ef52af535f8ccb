"""Rights: what sudo lists is read right, a plan without its rights is a person's, and the files match the code."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from checks import fixes
from checks.causes import ALL_CAUSES
from checks.check import report
from checks.commands import ROOT_HELPER, privileged
from checks.facts.rights import RIGHTS, Rights
from checks.look import Look
from checks.model import Output, Plan, Step
from checks.rights import FIXES, LOOKS, missing, sudoers_line
from checks.source import Facts, Unavailable
from tests import recordings
from tests.looks import TIMED_OUT, look

LISTED = Path(__file__).parent / "sudo"
DEPLOY = Path(__file__).parents[3] / "deploy/host"
BOOKWORM = "debian12-docker20.10.24"
RESTART = ("/usr/bin/timeout", "-k", "5", "120", "/usr/bin/systemctl", "restart", "docker.service")
HELPER = (ROOT_HELPER, "sysctl-set", "net/ipv4/ip_forward=1")


def read(stdout: str, stderr: str = "") -> Rights | Unavailable:
    return Facts("host1", recordings.RECORDED_AT, {"rights": Output(stdout, stderr)}).get(RIGHTS)


def rights(stdout: str, stderr: str = "") -> Rights:
    found = read(stdout, stderr)
    assert isinstance(found, Rights), found
    return found


# --- what sudo lists ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", recordings.having("healthy"))
def test_what_fixes_need_is_found_in_what_any_sudo_lists(platform: str) -> None:
    found = recordings.load(recordings.FOLDER / platform / "healthy.json").get(RIGHTS)
    assert isinstance(found, Rights), found
    assert all(found.allows(words) for words in (*FIXES, HELPER))


@pytest.mark.parametrize("platform", recordings.having("name-server-silent"))
def test_with_both_files_every_look_and_every_fix_is_allowed_and_no_more(platform: str) -> None:
    found = recordings.load(recordings.FOLDER / platform / "healthy.json").get(RIGHTS)
    assert isinstance(found, Rights), found
    assert found == Rights("dockerhealth", root=False, commands=frozenset(map(" ".join, (*LOOKS, *FIXES))))
    assert all(found.allows(words) for words in (*LOOKS, *FIXES, HELPER))


@pytest.mark.parametrize("platform", ["debian12", "debian13"])
def test_without_the_file_for_fixes_only_looks_are_allowed(platform: str) -> None:
    found = rights((LISTED / f"{platform}-look.txt").read_text())
    assert found.commands == frozenset(map(" ".join, LOOKS))
    assert all(found.allows(words) for words in LOOKS)
    assert not any(found.allows(words) for words in (*FIXES, HELPER))


@pytest.mark.parametrize("platform", ["debian12", "debian13"])
def test_what_asks_for_a_password_or_is_for_another_user_does_not_count(platform: str) -> None:
    found = rights((LISTED / f"{platform}-own.txt").read_text())
    assert found.commands == {"/usr/bin/id", "/usr/bin/ls -l a,b", "!/usr/bin/su"}
    assert found.allows(["/usr/bin/ls", "-l", "a,b"])
    assert found.allows(["/usr/bin/id", "-u"])
    assert not found.allows(["/usr/bin/ls", "-l"])


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required",  # Debian 11, 12, 13 and sid, without our files
        "sudo: unable to resolve host web1: Name or service not known\nsudo: a password is required",
        "Sorry, user dockerhealth may not run sudo on web1.",
    ],
)
def test_a_refused_list_is_no_right_at_all(said: str) -> None:
    assert rights("user dockerhealth 1000\nend\n", said).commands == frozenset()


def test_without_sudo_there_is_no_right_at_all() -> None:
    assert rights("user dockerhealth 1000\nno sudo\nend\n").commands == frozenset()


def test_root_needs_no_sudo() -> None:
    found = rights("user root 0\nend\n")
    assert (found.user, found.root) == ("root", True)
    assert found.allows(RESTART)


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [
        ("", "sh: 1: rights: not found"),
        ("user dockerhealth 1000\nend\n", ""),
        ("user dockerhealth 1000\nend\n", "sudo: /etc/sudo.conf is owned by uid 1000, should be 0"),
        ("user dockerhealth 1000\nUser dockerhealth may run", ""),
        ("user dockerhealth 1000\nUser d may run the following commands on h:\n    (root) NOPASSWD: ALL\nend\n", ""),
    ],
)
def test_any_other_answer_is_not_known(stdout: str, stderr: str) -> None:
    assert isinstance(read(stdout, stderr), Unavailable)


def listing(command: str, options: str = "!authenticate", users: str = "root", defaults: str = "env_reset") -> str:
    return (
        f"user d 1000\nMatching Defaults entries for d on h:\n    {defaults}\n\n"
        f"User d may run the following commands on h:\n\nSudoers entry:\n    RunAsUsers: {users}\n"
        f"    Options: {options}\n    Commands:\n\t{command}\nend\n"
    )


def test_every_command_is_allowed_to_who_may_run_all_but_those_excepted() -> None:
    assert rights(listing("ALL", users="ALL")).allows(RESTART)
    assert not rights(listing("ALL", users="ALL, !root")).allows(RESTART)
    excepted = listing("ALL", users="ALL").replace("\tALL\n", f"\tALL\n\t!{' '.join(RESTART)}\n")
    assert not rights(excepted).allows(RESTART)
    assert rights(excepted).allows(HELPER)


def test_a_password_that_the_defaults_never_ask_for_is_none() -> None:
    asking = listing("ALL", options="setenv")
    assert not rights(asking).allows(RESTART)
    assert rights(asking.replace("    env_reset", "    env_reset, !authenticate")).allows(RESTART)


# --- plans -------------------------------------------------------------------------------------------------------


def plan_with(output: Output | None) -> Plan:
    """The plan for a dead dockerd on a host that answered so, or was not asked what is allowed."""
    seen = with_rights(recordings.replay(recordings.FOLDER / BOOKWORM / "dockerd-down.json"), output)
    [plan] = [plan for plan in report(seen, recordings.RECORDED_AT, 1.0).plans if plan.fix == "start-docker"]
    return plan


def with_rights(seen: Look, output: Output | None) -> Look:
    assert seen.facts is not None
    outputs = {**seen.facts.outputs, **({"rights": output} if output else {})}
    return replace(seen, facts=Facts("host1", seen.facts.at, outputs, seen.facts.missing))


def test_a_plan_is_offered_where_its_rights_are_there_or_not_known() -> None:
    assert plan_with(None).by_hand == ""
    assert plan_with(Output(listing("ALL"))).by_hand == ""


def test_a_plan_without_its_rights_is_left_to_a_person() -> None:
    by_hand = plan_with(Output((LISTED / "debian12-look.txt").read_text())).by_hand
    assert by_hand.startswith(
        "dockerhealth may only look on host1: it lacks `dockerhealth ALL=(root) NOPASSWD: /usr/bin/"
    )
    assert "reset-failed docker.service` and 2 more; see `dockerhealth doctor host1`" in by_hand


def test_what_is_missing_is_said_once_and_of_the_undo_too() -> None:
    plan = plan_with(None)
    undone = [line for step in plan.steps for line in [sudoers_line("d", privileged(step))]]
    nothing = with_rights(look(BOOKWORM, "dockerd-down", TIMED_OUT), Output("user d 1000\nno sudo\nend\n"))
    twice = replace(plan, steps=plan.steps * 2)
    lines = missing(twice, nothing)
    assert lines[: len(undone)] == tuple(undone)
    assert lines[len(undone) :] == tuple(sudoers_line("d", privileged(step)) for step in plan.undo)


def test_a_step_that_needs_no_root_needs_no_right() -> None:
    nothing = with_rights(look(BOOKWORM, "dockerd-down", TIMED_OUT), Output("user d 1000\nno sudo\nend\n"))
    step = Step("start container registry", ("docker", "start", "registry"), root=False)
    assert missing(replace(plan_with(None), steps=(step,)), nothing) == ()


# --- the files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("/usr/bin/grep", "port="), r"d ALL=(root) NOPASSWD: /usr/bin/grep port\="),
        (("/usr/bin/x", "a,b:c", "\\"), r"d ALL=(root) NOPASSWD: /usr/bin/x a\,b\:c \\"),
        (HELPER, f"d ALL=(root) NOPASSWD: {ROOT_HELPER}"),
    ],
)
def test_what_sudoers_takes_for_its_own_is_escaped(words: tuple[str, ...], line: str) -> None:
    assert sudoers_line("d", words) == line


def lines_of(name: str) -> list[str]:
    """The rules of a file of deploy/host, without comments and defaults."""
    text = (DEPLOY / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith(("#", "Defaults"))]


def test_the_file_for_looks_has_exactly_the_probes_that_need_root() -> None:
    assert sorted(lines_of("sudoers-look")) == sorted(sudoers_line("dockerhealth", words) for words in LOOKS)


def test_the_file_for_fixes_has_exactly_what_a_plan_is_checked_for() -> None:
    assert sorted(lines_of("sudoers-fix")) == sorted(sudoers_line("dockerhealth", words) for words in FIXES)


def test_that_is_exactly_what_the_fixes_run_as_root() -> None:
    run = {sudoers_line("dockerhealth", privileged(step)) for step in steps() if step.root}
    assert run == {sudoers_line("dockerhealth", words) for words in FIXES}


def steps() -> Iterator[Step]:
    """Every step that a fix can make: those fixed in its file, and those of plans for all that was recorded."""
    for module in pkgutil.iter_modules(fixes.__path__):
        for value in vars(importlib.import_module(f"checks.fixes.{module.name}")).values():
            if isinstance(value, Step):
                yield from (value, *value.undo)
    mended = {cause.id for cause in ALL_CAUSES if cause.fixes}
    for path in sorted((recordings.FOLDER / BOOKWORM).glob("*.json")):
        causes, risks = recordings.expected(path) or ((), ())
        if mended.intersection((*causes, *risks)):
            plans = report(recordings.replay(path), recordings.RECORDED_AT, 1.0).plans
            yield from (step for plan in plans for step in (*plan.steps, *plan.undo))


def test_no_line_has_a_wildcard_or_a_shell() -> None:
    for line in (*lines_of("sudoers-look"), *lines_of("sudoers-fix")):
        assert line.startswith("dockerhealth ALL=(root) NOPASSWD: /usr/"), line
        assert not set("*?[]!,").intersection(line), line
        programs = {word.rpartition("/")[2] for word in line.split() if word.startswith("/")}
        assert programs.isdisjoint({"sh", "bash", "env", "sed", "tee", "install", "cp", "rm", "sysctl"}), line
