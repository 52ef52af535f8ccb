"""Docker's rules are whole, and a rule of somebody's leads packets past them."""

from dataclasses import replace

import pytest

from checks.model import Confidence
from tests.unit.checks.container_looks import PLATFORMS, causes, root, told
from tests.unit.checks.fixes.plans import recorded, reported

PAST = "docker-forward-rule-bypassed"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ("packets-led-past-docker-s-accept-rule", "-A DOCKER -j RETURN"),
        ("packets-led-out-of-forward", "-A FORWARD -o docker0 -j RETURN"),
        ("packets-led-to-a-chain-of-nobody-s", "-A FORWARD -p tcp -m tcp --dport 5000 -g corp"),
    ],
)
def test_the_rule_that_leads_past_docker_s_is_named_and_no_restart_is_offered(
    platform: str, state: str, rule: str
) -> None:
    """A restart of dockerd would leave it where it is, and interrupt every container."""
    seen = recorded(platform, state)
    assert causes(seen) == (PAST,)
    assert root(seen).confidence is Confidence.PROVEN
    assert f"{rule}: counted each of the 3 attempts, and leads past Docker's accept rule" in told(seen)
    assert not reported(seen).proposed


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_the_counters_it_is_likely_and_no_rule_is_blamed(platform: str) -> None:
    seen = replace(recorded(platform, "packets-led-out-of-forward"), recount=None)
    assert causes(seen) == (PAST,)
    assert root(seen).confidence is Confidence.LIKELY
    assert "-j RETURN" not in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_where_a_rule_of_docker_s_is_gone_none_is_said_to_lead_past_it(platform: str) -> None:
    ruled_out = reported(recorded(platform, "docker-accept-rules-flushed")).diagnosis.ruled_out
    says = {finding.cause: finding.why for finding in ruled_out}
    assert says[PAST] == "a rule of Docker's own is gone: see docker-forward-rule-missing"
