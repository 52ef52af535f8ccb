"""What holds for every plan, whatever it mends."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from checks.causes import ALL_CAUSES, ALL_RISKS
from checks.commands import ROOT_HELPER
from checks.execution.snapshot import snapshot
from checks.fixes import ALL_FIXES
from checks.model import FixId, Lasts, NoChange, Plan, Step
from tests import recordings
from tests.looks import ANSWERED, TIMED_OUT, look, without
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, plan_of, refusal_of, reported

RECORDED = sorted(path for path in recordings.FOLDER.glob("*/*.json") if recordings.outputs(path))
KINDS = "sysctl|file|rules|nft|zone|container|unit"


def plans(path: Path) -> tuple[Plan, ...]:
    return reported(recordings.replay(path)).plans


def every_step(plan: Plan) -> list[Step]:
    return [step for own in plan.steps for step in (own, *own.undo)]


def test_every_fix_is_named_by_a_cause_and_every_cause_names_fixes_that_there_are() -> None:
    named = {fix for cause in (*ALL_CAUSES, *ALL_RISKS) for fix in cause.fixes}
    assert named == {fix.id for fix in ALL_FIXES} == set(FixId)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_whatever_is_wrong_a_plan_is_whole_and_harmless_to_read(path: Path) -> None:
    facts = recordings.replay(path).facts
    assert facts is not None
    names = snapshot(facts).states
    for plan in plans(path):
        assert plan.steps
        assert plan.blast_radius
        assert plan.basis
        assert plan.preflight or any("Not looked at" in note for note in plan.notes) or plan.fix == "unpause-container"
        assert all(re.match(KINDS, pattern) for pattern in plan.changes), plan.changes
        assert plan.fix == "allow-in-docker-user" or plan.risk < "low" or any(plan.changes)
        assert not (plan.undo_unasked and any("restart" in step.does for step in every_step(plan)))
        for step in every_step(plan):
            assert step.argv[0].startswith("/") if step.root else step.argv[0] == "docker"
            assert step.typed or step.argv[0] != ROOT_HELPER, f"what a person would type instead of {step.argv}"
            assert not any(re.search(r"\s", word) for word in step.argv), step.argv
    assert all(name.startswith("read ") or re.match(KINDS, name) for name in names)


def test_only_what_takes_nothing_down_is_taken_back_unasked() -> None:
    found = {plan.fix: plan.undo_unasked for path in RECORDED for plan in plans(path)}
    unasked = {fix for fix, harmless in found.items() if harmless}
    assert unasked == {
        "enable-ip-forward",
        "enable-interface-forwarding",
        "relax-reverse-path-filter",
        "raise-conntrack-max",
        "allow-in-docker-user",
        "open-firewalld-port",
    }


def test_a_stop_gap_is_called_one() -> None:
    found = {(plan.fix, plan.cause) for path in RECORDED for plan in plans(path) if plan.lasts is Lasts.STOP_GAP}
    assert {fix for fix, _ in found} == {"open-firewalld-port"}
    assert ("open-firewalld-port", "firewalld-port-closed") not in found


def test_a_fix_whose_facts_are_missing_is_refused_with_the_reason() -> None:
    seen = without(look(BOOKWORM, "ip-forward-off", TIMED_OUT), "sysctl-files", "sysctl-files: no answer")
    assert "no answer" in refusal_of(seen, "enable-ip-forward").why


@pytest.mark.parametrize("platform", recordings.platforms())
def test_the_same_facts_make_the_same_digest_and_other_facts_another(platform: str) -> None:
    plan = plan_of(look(platform, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    again = plan_of(look(platform, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    hardened = plan_of(look(platform, "ip-forward-off-hardened", TIMED_OUT), "enable-ip-forward")
    assert plan.fingerprint == again.fingerprint
    assert plan.fingerprint != hardened.fingerprint
    assert plan.fingerprint != replace(plan, steps=plan.steps[:1]).fingerprint


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_risk_of_a_healthy_service_has_its_plan_too(platform: str) -> None:
    assert [plan.fix for plan in reported(look(platform, "healthy", ANSWERED)).plans] == ["enable-ip-forward"]


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
def test_under_an_outage_what_only_prevents_is_not_proposed_and_says_that_it_waits(platform: str) -> None:
    down, well = reported(look(platform, "healthy", TIMED_OUT)), reported(look(platform, "healthy", ANSWERED))
    assert [plan.fix for plan in well.proposed] == ["enable-ip-forward"]
    assert down.proposed == ()
    waits = "it would only prevent a fault that is to come, and registry is down now"
    assert down.proposal(FixId.ENABLE_IP_FORWARD) == NoChange(FixId.ENABLE_IP_FORWARD, waits)
    assert well.proposal(FixId.ENABLE_IP_FORWARD) == well.plans[0]
