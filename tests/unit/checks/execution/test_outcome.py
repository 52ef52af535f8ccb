"""What a plan came to: whether the fault that it was to mend is gone."""

from dataclasses import replace

from checks.execution.outcome import Seen, cause_gone
from checks.model import Lasts
from tests.unit.checks.fixes.plans import TRIXIE, plan_of, recorded, reported


def test_a_plan_that_promised_to_hold_until_a_restart_has_mended_its_fault_though_that_may_come_back() -> None:
    plan = plan_of(recorded(TRIXIE, "networkd-says-no-forwarding-anywhere"), "enable-ip-forward")
    afterwards = Seen((), reported(recorded(TRIXIE, "networkd-will-say-no-forwarding-anywhere")), None)
    assert cause_gone(plan, afterwards) is True
    assert cause_gone(replace(plan, lasts=Lasts.FOR_GOOD), afterwards) is False
    assert cause_gone(replace(plan, cause="ip-forward-not-persisted"), afterwards) is False
