"""Rules and routes of the host: the kernel is asked where a client's packet would go, and what it says is told."""

import pytest

from checks.model import Confidence
from tests.looks import changed
from tests.unit.checks.container_looks import causes, missing, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, reported

BOTH = (BOOKWORM, TRIXIE)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("route-to-container-is-a-blackhole", "what clients send would go nowhere"),
        ("rule-makes-container-unreachable", "what clients send would go nowhere"),
        ("rule-sends-what-is-for-containers-to-a-vpn", "what clients send would leave by lo"),
        ("marked-requests-leave-by-a-vpn", "what clients send would leave by tailscale0"),
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
@pytest.mark.parametrize(
    ("state", "cause", "rule"),
    [
        ("rule-makes-container-unreachable", "container-unroutable", "rule 100: from all to 172.17.0.0/16 iif host0"),
        ("marked-requests-leave-by-a-vpn", "container-unroutable", "rule 5270: from all fwmark 0x52 lookup 52, where"),
        ("rule-for-container-s-answers-is-a-blackhole", "return-route-missing", "rule 100: from 172.17.0.2 blackhole"),
        ("rule-prohibits-container-s-answers", "return-route-missing", "rule 100: from 172.17.0.0/16 prohibit"),
        ("marked-answers-have-no-route", "return-route-missing", "table 77 says: unreachable default"),
        ("nft-marked-answers-are-unreachable", "return-route-missing", "rule 100: from all fwmark 0x7 unreachable"),
        ("rule-by-port-makes-answers-unreachable", "return-route-missing", "ipproto tcp sport 5000 unreachable"),
        ("container-s-answers-leave-by-a-vpn", "return-route-elsewhere", "rule 5270: from all iif docker0 lookup 52"),
        ("marked-answers-leave-by-a-vpn", "return-route-elsewhere", "fwmark 0x52 lookup 52, where table 52 says"),
    ],
)
def test_the_rule_that_decides_is_named_and_proven(platform: str, state: str, cause: str, rule: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN
    assert rule in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_route_that_leads_past_the_link_that_clients_are_on_is_proven_to_lose_the_answers(platform: str) -> None:
    seen = recorded(platform, "route-to-clients-by-a-container-s-cable")
    assert causes(seen) == ("return-route-elsewhere",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "10.77.1.1 comes in by host0, on whose link it is: answers by veth" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_answers_by_another_interface_may_be_meant_so_where_the_client_is_no_neighbour(platform: str) -> None:
    seen = recorded(platform, "wireguard-for-everything-takes-the-answers")
    assert causes(seen) == ("return-route-elsewhere",)
    assert root(seen).confidence is Confidence.LIKELY
    assert "wg-quick makes it: AllowedIPs without these addresses" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_rule_that_also_keeps_the_host_from_the_container_leaves_open_whether_that_would_answer(
    platform: str,
) -> None:
    seen = recorded(platform, "container-s-answers-leave-by-a-second-nic")
    assert causes(seen) == ("return-route-elsewhere",)
    assert root(seen).confidence is Confidence.LIKELY
    assert "where table 100 says: default via 192.168.9.1 dev host1" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_vpn_s_own_switch_is_what_mends_it_for_good(platform: str) -> None:
    said = told(recorded(platform, "container-s-answers-leave-by-a-vpn"))
    assert "sudo ip rule add to 10.77.0.0/24 lookup main priority 5269" in said
    assert "--exit-node-allow-lan-access=true" in said


@pytest.mark.parametrize("platform", BOTH)
def test_marks_are_not_told_where_the_kernel_was_asked_for_others(platform: str) -> None:
    seen = changed(recorded(platform, "marked-answers-leave-by-a-vpn"), "path", " mark 0x52", " mark 0x53")
    not_told = {finding.cause: finding.why for finding in reported(seen).diagnosis.not_told}
    assert causes(seen) == ("undetermined",)
    assert "the kernel was asked for the way of other marks" in not_told["return-route-elsewhere"]


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["route-to-container-is-a-blackhole", "rule-for-container-s-answers-is-a-blackhole"])
def test_where_no_routing_rule_asks_for_a_mark_it_does_not_matter_that_rules_were_not_read(
    platform: str, state: str
) -> None:
    seen = recorded(platform, state)
    assert causes(missing(seen, "iptables", "nftables", "iptables-legacy")) == causes(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_an_ip_that_does_not_know_ports_tells_nothing_of_routes(platform: str) -> None:
    seen = changed(
        recorded(platform, "rule-by-port-makes-answers-unreachable"),
        "path",
        "RTNETLINK answers: Network is unreachable",
        'Error: argument "ipproto" is wrong: need device',
    )
    assert causes(seen) == ("undetermined",)


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
