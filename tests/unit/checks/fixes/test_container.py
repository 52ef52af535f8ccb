"""Plans for a container that hangs or is paused: exactly one command, refused where it would make things worse."""

from dataclasses import replace

import pytest

from checks.check import report
from checks.commands import typed
from checks.look import Before, Look
from checks.model import Lasts, NoChange, Plan, ReachOutcome, Risk
from tests import recordings
from tests.looks import REFUSED, changed, look
from tests.unit.checks.container_looks import (
    BOOKWORM,
    PLATFORMS,
    SILENT,
    healthy,
    inspected,
    ladder,
    printing,
    seen_as,
    state,
)
from tests.unit.checks.fixes.plans import commands, plan_of, recorded, refusal_of


def hanging(platform: str) -> Look:
    seen = ladder(healthy(platform), own=SILENT, loopback=SILENT, container=SILENT)
    return seen_as(seen, ReachOutcome.TIMED_OUT)


def plans(seen: Look) -> dict[str, Plan]:
    return {plan.fix: plan for plan in report(seen, recordings.RECORDED_AT, 1.0).plans}


def refused(seen: Look) -> dict[str, NoChange]:
    return {one.fix: one for one in report(seen, recordings.RECORDED_AT, 1.0).refused}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_hanging_container_is_restarted_alone(platform: str) -> None:
    plan = plans(hanging(platform))["restart-container"]
    assert [typed(step) for step in plan.steps] == ["docker restart registry"]
    assert (plan.undo, plan.risk) == ((), Risk.LOW)


def test_a_container_is_not_restarted_into_missing_chains() -> None:
    seen = printing(hanging(BOOKWORM), "iptables", "")
    assert "restart-docker goes first" in refused(seen)["restart-container"].why


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_paused_container_goes_on_and_can_be_paused_again(platform: str) -> None:
    plan = plans(state(hanging(platform), Status="paused"))["unpause-container"]
    assert [typed(step) for step in plan.steps] == ["docker unpause registry"]
    assert [typed(step) for step in plan.undo] == ["docker pause registry"]
    assert "ask whether" in plan.notes[0]


def test_another_start_of_the_container_is_another_plan() -> None:
    seen = hanging(BOOKWORM)
    again = state(seen, StartedAt="2026-11-24T10:00:00Z")
    assert plans(seen)["restart-container"].fingerprint != plans(again)["restart-container"].fingerprint


def test_a_name_that_docker_would_not_allow_makes_no_command() -> None:
    seen = ladder(healthy(BOOKWORM, container=None), own=SILENT, loopback=SILENT, container=SILENT)
    odd = inspected(seen_as(seen, ReachOutcome.TIMED_OUT), lambda one: one.update(Name="/x; reboot"))
    assert "would not allow" in refused(odd)["restart-container"].why


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_stopped_container_is_started_and_what_its_policy_means_is_said(platform: str) -> None:
    seen = look(platform, "container-stopped", REFUSED)
    plan = plan_of(seen, "start-container")
    assert commands(plan) == ["docker start registry"]
    assert "in spite of its restart policy" in plan.notes[0]
    without_policy = changed(seen, "engine-containers", '"Name": "always"', '"Name": "no"')
    assert "--restart=unless-stopped registry" in plan_of(without_policy, "start-container").notes[1]


def test_a_container_is_not_started_into_missing_chains() -> None:
    seen = look(BOOKWORM, "container-stopped", REFUSED)
    assert seen.facts is not None
    wiped = changed(seen, "iptables", seen.facts.outputs["iptables"].stdout, "")
    assert "restart-docker goes first" in refusal_of(wiped, "start-container").why


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_holds_and_for_how_long_is_said(platform: str) -> None:
    seen = look(platform, "container-stopped", REFUSED)
    plan = plan_of(seen, "start-container")
    assert plan.preflight == ("Docker's chains are there, in nat and in filter",)
    assert plan.lasts is Lasts.UNTIL_CHANGED
    without_policy = changed(seen, "engine-containers", '"Name": "always"', '"Name": "no"')
    assert plan_of(without_policy, "start-container").lasts is Lasts.UNTIL_REBOOT


def test_a_container_that_a_stop_would_remove_is_not_restarted() -> None:
    seen = inspected(hanging(BOOKWORM), lambda one: one["HostConfig"].update(AutoRemove=True))
    assert "--rm" in refused(seen)["restart-container"].why


def test_how_long_a_restart_took_the_last_time_is_said() -> None:
    seen = replace(hanging(BOOKWORM), before=Before(experience={"docker restart registry": 10.4}))
    assert "10 s the last time on this host" in plans(seen)["restart-container"].blast_radius


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_is_not_restarted_behind_a_rule_that_would_stay_ahead_of_its_own(platform: str) -> None:
    seen = recorded(platform, "dnat-to-an-earlier-address")
    assert "would stay, ahead of the one that Docker adds" in refusal_of(seen, "restart-container").why
    assert "sudo systemctl restart docker.service" in commands(plan_of(seen, "restart-docker"))
