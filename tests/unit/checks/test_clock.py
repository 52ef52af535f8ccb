"""A host whose clock is an hour off: what is found is the same, and times are told as ours had them."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from checks.diagnose import diagnose
from checks.facts.system import SYSTEM
from checks.look import Look
from checks.source import Facts
from tests.unit.checks.container_looks import told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded

BOTH = (BOOKWORM, TRIXIE)
HOUR = timedelta(hours=1)
STATES = (
    "container-stopped",
    "container-restarting",
    "dockerd-down",
    "firewalld-started-after-deaf-dockerd",
    "ip-forward-off",
    "docker-user-drops",
    "certificate-expired",
    "healthy",
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def looked_at(seen: Look, ahead: timedelta) -> Look:
    """As if the host's clock, which wrote all that the recording holds, were so much ahead of ours."""
    assert seen.facts is not None
    ours = seen.need(SYSTEM).clock - ahead
    facts = Facts(seen.facts.host, ours, seen.facts.outputs, seen.facts.missing)
    return replace(seen, facts=facts, outside=replace(seen.outside, at=ours))


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_the_same_is_found(platform: str, state: str, ahead: timedelta) -> None:
    seen = recorded(platform, state)
    right, off = diagnose(looked_at(seen, timedelta(0))), diagnose(looked_at(seen, ahead))
    assert [(one.cause, one.confidence) for one in off.causes] == [(one.cause, one.confidence) for one in right.causes]
    assert [one.cause for one in off.risks] == [one.cause for one in right.risks]


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["container-stopped", "dockerd-down", "firewalld-started-after-deaf-dockerd"])
def test_a_time_of_the_host_s_is_told_as_our_clock_had_it(platform: str, state: str) -> None:
    seen = recorded(platform, state)
    right, off = (_TIME.findall(told(looked_at(seen, ahead))) for ahead in (timedelta(0), HOUR))
    assert right
    assert len(off) == len(right)
    assert all(one < other for one, other in zip(off, right, strict=True))
