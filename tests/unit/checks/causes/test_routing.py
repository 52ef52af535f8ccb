"""Rules and routes of the host: the kernel is asked where a client's packet would go, and what it says is told."""

import pytest

from checks.model import Confidence
from tests.unit.checks.container_looks import causes, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, reported

BOTH = (BOOKWORM, TRIXIE)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("route-to-container-is-a-blackhole", "what clients send would go nowhere"),
        ("rule-makes-container-unreachable", "what clients send would go nowhere"),
        ("rule-sends-what-is-for-containers-to-a-vpn", "what clients send would leave by lo"),
    ],
)
def test_a_packet_that_the_kernel_would_send_elsewhere_dies_in_routing_and_nothing_is_restarted(
    platform: str, state: str, ends: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("container-unroutable",)
    assert root(seen).confidence is Confidence.PROVEN
    assert ends in told(seen)
    assert "restart-docker" not in {plan.fix for plan in reported(seen).plans}


@pytest.mark.parametrize("platform", BOTH)
def test_a_filter_that_is_off_is_not_what_refuses_the_packet(platform: str) -> None:
    diagnosis = reported(recorded(platform, "route-to-container-is-a-blackhole")).diagnosis
    assert "reverse-path-filter" in {finding.cause for finding in diagnosis.ruled_out}


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["ip-forward-off", "host0-forwarding-off", "strict-reverse-path-filter"])
def test_what_the_kernel_refuses_for_another_reason_is_no_route_s(platform: str, state: str) -> None:
    assert "container-unroutable" not in causes(recorded(platform, state))


@pytest.mark.parametrize("platform", BOTH)
def test_connections_that_nobody_tracks_are_not_translated_and_still_arrive(platform: str) -> None:
    seen = recorded(platform, "not-tracked-and-not-let-in")
    assert causes(seen) == ("docker-nat-rule-bypassed",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "NOTRACK" in told(seen)
    not_told = {finding.cause: finding.why for finding in reported(seen).diagnosis.not_told}
    assert "the connection is not tracked" in not_told["blocked-before-host"]
