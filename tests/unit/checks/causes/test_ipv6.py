"""Clients come by IPv6: a rule that counted the attempts is named, and what does not count is not told."""

import pytest

from checks.model import Confidence, ReachOutcome
from tests.unit.checks.container_looks import causes, root, seen_as, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, reported

BOTH = (BOOKWORM, TRIXIE)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["ip6tables-drops-the-port", "ip6tables-rejects-the-port"])
def test_a_rule_that_counted_the_attempts_and_asks_for_the_port_is_proven(platform: str, state: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("foreign-firewall-drop",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "nft table ip6 filter, chain INPUT: " in told(seen)
    assert "attempts were made from outside, by IPv6" in told(seen)
    assert "sudo nft -a list chain ip6 filter INPUT" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_rule_that_drops_is_not_what_refused(platform: str) -> None:
    seen = recorded(platform, "ip6tables-drops-the-port")
    refused = seen_as(seen, ReachOutcome.REFUSED, phase=seen.outside.phase, address=seen.outside.address)
    assert "foreign-firewall-drop" not in causes(refused)


@pytest.mark.parametrize("platform", BOTH)
def test_a_rule_that_does_not_count_is_not_told_and_none_is_ruled_out(platform: str) -> None:
    seen = recorded(platform, "nft-drops-the-port-for-ipv6-and-does-not-count")
    assert causes(seen) == ("undetermined",)
    not_told = {finding.cause: finding.why for finding in reported(seen).diagnosis.not_told}
    assert "no rule counted the attempts, and others are not told" in not_told["foreign-firewall-drop"]
