"""The states of a demo host: the product's own plans lead from each broken one to one that is mended."""

from collections.abc import Iterable

import pytest

from bot.demo.hosts.recording import load
from bot.demo.hosts.rewrite import Place
from bot.demo.hosts.states import Fault, HostState, Reachable, commands
from checks.check import report
from checks.commands import shell_line
from checks.model import Plan, Report
from tests.unit.bot.demo.samples import NOW, look_at

PLACE = Place("127.0.0.2", 36123, "127.0.0.1")
COMMANDS = commands("registry", PLACE.port)
BOOKWORM, TRIXIE = "debian12-docker20.10.24", "debian13-docker26.1.5"
BROKEN = [(BOOKWORM, Fault.FORWARDING_OFF), (TRIXIE, Fault.CHAINS_GONE)]
FIXES = [
    (BOOKWORM, Fault.FORWARDING_OFF, "enable-ip-forward"),
    (TRIXIE, Fault.CHAINS_GONE, "restart-docker"),
    (TRIXIE, Fault.CHAINS_GONE, "open-firewalld-port"),
]


def _report(platform: str, state: HostState) -> Report:
    return report(look_at(load(platform, state.recording), state, PLACE), NOW, 0.0)


def _after(state: HostState, plan: Plan) -> HostState:
    for step in plan.steps:
        state = COMMANDS[shell_line(step)].change(state)
    return state


def _plan(reported: Report, fix: str) -> Plan:
    return next(plan for plan in reported.plans if plan.fix == fix)


def _ids(findings: Iterable[object]) -> set[str]:
    return {str(getattr(finding, "cause", "")) for finding in findings}


@pytest.mark.parametrize(("platform", "fault"), BROKEN)
def test_every_step_of_every_plan_that_is_offered_is_known_to_the_host(platform: str, fault: Fault) -> None:
    for state in (HostState(), HostState().broken_by(fault)):
        steps = [shell_line(step) for plan in _report(platform, state).plans for step in plan.steps]
        assert steps
        assert set(steps) <= set(COMMANDS)


@pytest.mark.parametrize(("platform", "fault"), BROKEN)
def test_a_host_is_healthy_until_its_fault(platform: str, fault: Fault) -> None:
    assert HostState().reachable is Reachable.ANSWERS
    assert _report(platform, HostState()).diagnosis.root is None
    broken = HostState().broken_by(fault)
    assert broken.reachable is not Reachable.ANSWERS
    assert _report(platform, broken).diagnosis.root is not None


@pytest.mark.parametrize(("platform", "fault", "fix"), FIXES)
def test_the_fix_mends_what_it_was_planned_for(platform: str, fault: Fault, fix: str) -> None:
    broken = HostState().broken_by(fault)
    mended = _after(broken, _plan(_report(platform, broken), fix))
    assert mended.reachable is Reachable.ANSWERS
    assert _report(platform, mended).diagnosis.causes == ()
    assert fix not in {plan.fix for plan in _report(platform, mended).plans}


def test_the_port_opened_in_firewalld_hides_the_missing_chains_and_dockerd_must_still_be_restarted() -> None:
    broken = HostState().broken_by(Fault.CHAINS_GONE)
    served = _after(broken, _plan(_report(TRIXIE, broken), "open-firewalld-port"))
    assert "chains-missing-but-served" in _ids(_report(TRIXIE, served).diagnosis.risks)
    mended = _after(served, _plan(_report(TRIXIE, served), "restart-docker"))
    assert _ids(_report(TRIXIE, mended).diagnosis.risks) == {"ip-forward-not-persisted", "firewalld-not-enabled"}


def test_a_port_that_was_opened_only_for_now_is_closed_again_by_a_new_firewalld() -> None:
    state = HostState(open_now=True).broken_by(Fault.CHAINS_GONE)
    assert state.reachable is Reachable.REFUSES
    assert HostState(open_now=True, open_kept=True).broken_by(Fault.CHAINS_GONE).reachable is Reachable.ANSWERS


def test_forwarding_that_is_kept_in_a_file_is_no_risk_any_more_and_can_still_be_switched_off() -> None:
    kept = _after(HostState(), _plan(_report(BOOKWORM, HostState()), "enable-ip-forward"))
    assert _report(BOOKWORM, kept).diagnosis.risks == ()
    off = kept.broken_by(Fault.FORWARDING_OFF)
    assert _ids(_report(BOOKWORM, off).diagnosis.causes) == {"ip-forward-off"}
    assert _after(off, _plan(_report(BOOKWORM, off), "enable-ip-forward")) == kept
