"""Clients come by IPv6: its own rules, routes and switch decide, and docker-proxy where Docker has no rule of it."""

from dataclasses import replace

import pytest

from checks.causes import ALL_CAUSES
from checks.causes.cause import examine
from checks.look import Look
from checks.model import Confidence, Finding, FixId, ReachOutcome, Verdict
from tests.looks import changed, without
from tests.unit.checks.container_looks import causes, root, seen_as, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, refusal_of

BOTH = (BOOKWORM, TRIXIE)
FOREIGN, CLOSED = "foreign-firewall-drop", "firewalld-port-closed"
SAID_OF_BOTH = "by IPv6, at fd77::"
PROVEN = {
    "ip6tables-drops-the-port": FOREIGN,
    "ip6tables-rejects-the-port": FOREIGN,
    "nft-drops-the-port-for-ipv6-and-does-not-count": FOREIGN,
    "ip6tables-drops-what-is-forwarded": FOREIGN,
    "nft-rejects-what-is-forwarded-by-ipv6": FOREIGN,
    "firewalld-closed-to-clients-by-ipv6": CLOSED,
    "firewalld-open-for-ipv4-alone": CLOSED,
    "forwarding-off-for-ipv6": "ipv6-forwarding-off",
    "docker-s-accept-of-ipv6-gone": "docker-forward-rule-missing",
    "route-of-the-answer-by-ipv6-gone": "return-route-missing",
    "rule-of-ipv6-ends-the-answer": "return-route-missing",
    "rule-of-ipv6-keeps-packets-from-the-container": "container-unroutable",
    "program-listens-for-ipv4-alone": "container-not-listening",
    "published-for-ipv4-alone": "published-for-ipv4-alone",
    "container-without-ipv6-and-no-docker-proxy": "published-for-ipv4-alone",
    "ip6tables-input-policy-drops": FOREIGN,
    "ip6tables-legacy-drops-the-port": FOREIGN,
    "docker-proxy-of-ipv6-killed": "docker-proxy-gone",
    "docker-s-translation-of-ipv6-gone-and-input-rejects": "docker-nat-rule-missing",
    "ip6tables-tracks-no-packets-of-the-port": "docker-nat-rule-bypassed",
    "neighbour-of-ipv6-is-another": "container-neighbour-wrong",
    "docker0-down-for-ipv6": "bridge-down",
    "paused-for-ipv6": "container-paused",
}
WELL = (
    "clients-by-ipv6",
    "ip6tables-drops-another-port",
    "translated-by-ip6tables",
    "translated-by-ip6tables-behind-firewalld",
    "translated-and-forwarding-off-for-ipv4",
    "translated-and-one-interface-no-router",
    "nft-drops-the-port-for-ipv4",
    "nft-of-both-families-drops-ipv4",
    "proxied-and-forwarding-off",
)


def judged(seen: Look, cause: str) -> Finding:
    return examine(next(one for one in ALL_CAUSES if one.id == cause), seen)


def unreached(seen: Look) -> Look:
    return seen_as(seen, ReachOutcome.TIMED_OUT, phase=seen.outside.phase, address=seen.outside.address)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(("state", "cause"), PROVEN.items())
def test_what_keeps_them_out_is_proven_and_nothing_else_named(platform: str, state: str, cause: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN


def test_a_rule_in_docker_user_of_ip6tables_is_somebody_s_policy_and_no_fix_of_ours() -> None:
    seen = recorded(TRIXIE, "docker-user-drops-ipv6")
    assert (causes(seen), root(seen).confidence) == (("docker-user-drop",), Confidence.PROVEN)
    assert "made by hand" in refusal_of(seen, FixId.ALLOW_IN_DOCKER_USER).why


@pytest.mark.parametrize("platform", BOTH)
def test_routes_within_a_container_are_read_for_ipv4_and_not_told_for_ipv6(platform: str) -> None:
    seen = recorded(platform, "container-without-default-route-of-ipv6")
    assert causes(seen) == ("undetermined",)
    assert judged(seen, "container-return-route-missing").verdict is Verdict.SKIP
    assert "not answered by container registry" in root(seen).title


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", WELL)
def test_nothing_is_blamed_where_all_is_well(platform: str, state: str) -> None:
    assert causes(recorded(platform, state)) == ()


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["ip6tables-drops-the-port", "forwarding-off-for-ipv6", "published-for-ipv4-alone"])
def test_the_family_is_named_and_that_the_other_one_answers(platform: str, state: str) -> None:
    assert SAID_OF_BOTH in told(recorded(platform, state))
    assert "by IPv4 it answers on the host itself" in told(recorded(platform, state))


@pytest.mark.parametrize("platform", BOTH)
def test_a_rule_is_told_as_one_of_ip6tables(platform: str) -> None:
    seen = recorded(platform, "ip6tables-drops-the-port")
    assert "IPv6 table filter, chain INPUT: -A INPUT -p tcp -m tcp --dport 5000 -j DROP" in told(seen)
    assert "sudo ip6tables -t filter -nvL INPUT" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_rule_that_drops_is_not_what_refused(platform: str) -> None:
    seen = recorded(platform, "ip6tables-drops-the-port")
    refused = seen_as(seen, ReachOutcome.REFUSED, phase=seen.outside.phase, address=seen.outside.address)
    assert judged(refused, FOREIGN).confidence is Confidence.LIKELY


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("cause", ["ip-forward-off", "interface-forwarding-off", "reverse-path-filter"])
def test_a_switch_of_ipv4_is_none_of_theirs(platform: str, cause: str) -> None:
    seen = unreached(recorded(platform, "translated-and-forwarding-off-for-ipv4"))
    assert judged(seen, cause).verdict is Verdict.PASS


@pytest.mark.parametrize("platform", BOTH)
def test_forwarding_is_nothing_to_clients_whom_docker_proxy_serves(platform: str) -> None:
    seen = unreached(recorded(platform, "clients-by-ipv6"))
    assert "docker-proxy serves them" in judged(seen, "ipv6-forwarding-off").why
    assert "docker-proxy serves them" in judged(seen, "docker-nat-rule-missing").why


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("probe", ["ip6tables", "ip6tables-legacy", "addresses-ipv6", "nftables"])
def test_what_could_not_be_read_is_not_told_and_no_rule_ruled_out(platform: str, probe: str) -> None:
    """As by an older root helper, which knows nothing of IPv6."""
    seen = without(recorded(platform, "ip6tables-drops-what-is-forwarded"), probe, "was not asked")
    for cause in (FOREIGN, "docker-forward-rule-missing", "docker-user-drop"):
        assert judged(seen, cause).verdict is Verdict.SKIP
    assert root(seen).confidence is Confidence.LIKELY


@pytest.mark.parametrize("platform", BOTH)
def test_a_name_that_was_looked_at_by_ipv4_tells_nothing_of_packets_of_ipv6(platform: str) -> None:
    seen = recorded(platform, "docker-user-drops")
    by_ipv6 = replace(seen, outside=replace(seen.outside, address="fd77::31"))
    assert by_ipv6.way.client is None
    assert by_ipv6.way.rungs == seen.way.rungs
    assert judged(by_ipv6, "docker-user-drop").verdict is Verdict.SKIP


@pytest.mark.parametrize("platform", BOTH)
def test_the_button_opens_the_port_that_the_zone_does_not_list(platform: str) -> None:
    found = judged(recorded(platform, "firewalld-closed-to-clients-by-ipv6"), CLOSED)
    assert "zone public rules host0: ports: none" in found.evidence[0].says
    assert FixId.OPEN_FIREWALLD_PORT in found.fixes


@pytest.mark.parametrize("platform", BOTH)
def test_a_docker_that_lists_no_binding_of_ipv6_for_itself_proves_nothing_by_that(platform: str) -> None:
    """Before 20.10 a docker-proxy for both families was listed as 0.0.0.0."""
    seen = recorded(platform, "published-for-ipv4-alone")
    version = "20.10.24" if platform == BOOKWORM else "26.1.5"
    old = changed(seen, "engine-info", f'"ServerVersion": "{version}', '"ServerVersion": "19.03.15')
    assert causes(old) == ("published-for-ipv4-alone",)
    assert root(old).confidence is Confidence.LIKELY
