"""Plans for a container that hangs or is paused: exactly one command, refused where it would make things worse."""

import pytest

from checks.causes.cause import Look
from checks.check import report
from checks.model import Ended, NoChange, Plan, Risk
from tests import recordings
from tests.unit.container_looks import BOOKWORM, PLATFORMS, SILENT, healthy, inspected, ladder, printing, seen_as, state


def hanging(platform: str) -> Look:
    seen = ladder(healthy(platform), own=SILENT, loopback=SILENT, container=SILENT)
    return seen_as(seen, Ended.TIMED_OUT)


def plans(seen: Look) -> dict[str, Plan]:
    return {plan.fix: plan for plan in report(seen, recordings.RECORDED_AT, 1.0).plans}


def refused(seen: Look) -> dict[str, NoChange]:
    return {one.fix: one for one in report(seen, recordings.RECORDED_AT, 1.0).refused}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_hanging_container_is_restarted_alone(platform: str) -> None:
    plan = plans(hanging(platform))["restart-container"]
    assert [step.command for step in plan.steps] == ["docker restart registry"]
    assert (plan.undo, plan.risk) == ((), Risk.LOW)


def test_a_container_is_not_restarted_into_missing_chains() -> None:
    seen = printing(hanging(BOOKWORM), "iptables", "")
    assert "restart-docker goes first" in refused(seen)["restart-container"].why


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_paused_container_goes_on_and_can_be_paused_again(platform: str) -> None:
    plan = plans(state(hanging(platform), Status="paused"))["unpause-container"]
    assert [step.command for step in plan.steps] == ["docker unpause registry"]
    assert [step.command for step in plan.undo] == ["docker pause registry"]
    assert "ask whether" in plan.notes[0]


def test_another_start_of_the_container_is_another_plan() -> None:
    seen = hanging(BOOKWORM)
    again = state(seen, StartedAt="2026-11-24T10:00:00Z")
    assert plans(seen)["restart-container"].digest != plans(again)["restart-container"].digest


def test_a_name_that_docker_would_not_allow_makes_no_command() -> None:
    seen = ladder(healthy(BOOKWORM, container=None), own=SILENT, loopback=SILENT, container=SILENT)
    odd = inspected(seen_as(seen, Ended.TIMED_OUT), lambda one: one.update(Name="/x; reboot"))
    assert "would not allow" in refused(odd)["restart-container"].why
