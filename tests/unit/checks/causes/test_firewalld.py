"""firewalld and clients that come by IPv6: no rule of IPv4 takes their packets past it."""

import pytest

from checks.causes import ALL_CAUSES
from checks.causes.cause import examine
from checks.causes.firewalld import FIREWALLD_PORT_CLOSED
from checks.diagnose import diagnose
from checks.look import Look
from checks.model import Confidence, Finding, FixId, Verdict
from tests import recordings
from tests.looks import changed, without

PLATFORMS = ["debian12-docker20.10.24", "debian13-docker26.1.5"]
OF_IPV4 = {
    "docker-chains-missing",
    "docker-nat-rule-missing",
    "docker-nat-rule-bypassed",
    "docker-forward-rule-missing",
    "dnat-target-stale",
    "docker-user-drop",
    "firewalld-forward-reject",
    "foreign-firewall-drop",
    "iptables-backends-split",
    "ip-forward-off",
    "interface-forwarding-off",
    "reverse-path-filter",
    "return-route-missing",
    "subnet-overlap",
    "blocked-before-host",
}


def by_ipv6(platform: str) -> Look:
    return recordings.replay(recordings.FOLDER / platform / "firewalld-closed-to-clients-by-ipv6.json")


def closed(look: Look) -> Finding:
    return examine(FIREWALLD_PORT_CLOSED, look)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_docker_s_rule_of_ipv4_does_not_open_the_port_to_clients_by_ipv6(platform: str) -> None:
    found = closed(by_ipv6(platform))
    assert (found.verdict, found.confidence) == (Verdict.FAIL, Confidence.LIKELY)
    assert "zone public rules host0: ports: none" in found.evidence[0].says
    assert FixId.OPEN_FIREWALLD_PORT in found.fixes


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_of_ipv4_is_ruled_out_for_them(platform: str) -> None:
    assert {cause.id for cause in ALL_CAUSES} >= OF_IPV4
    diagnosis = diagnose(by_ipv6(platform))
    assert {finding.cause for finding in diagnosis.not_told} >= OF_IPV4


def test_a_port_that_the_zone_lists_is_open_to_them_too() -> None:
    found = closed(changed(by_ipv6(PLATFORMS[0]), "firewalld-zones", "  ports: \n", "  ports: 5000/tcp\n"))
    assert (found.verdict, found.why) == (Verdict.PASS, "open: port 5000/tcp in zone public")


def test_whether_a_rule_of_ipv6_translates_has_to_be_known() -> None:
    assert closed(without(by_ipv6(PLATFORMS[0]), "nftables", "sudo-refused")).verdict is Verdict.SKIP
