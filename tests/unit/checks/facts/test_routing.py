"""The host's routing policy, as `ip` prints it, and who decides about a packet."""

import pytest

from checks.facts.addresses import RULES_FOLLOW, TABLES_FOLLOW, TABLES_LIMIT
from checks.facts.routing import Flow, Routing, parse
from checks.model import Output
from checks.source import Unavailable
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded

OF_EVERY_HOST = "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n"
ROUTES = """\
default dev tailscale0 table 52 scope link
throw 10.77.0.0/24 table 52
default via 10.77.0.1 dev host0 proto static
blackhole 10.9.0.0/16
10.10.0.0/16 \\	nexthop dev docker0 weight 1 \\	nexthop dev host0 weight 1
10.77.0.0/24 dev host0 proto kernel scope link src 10.77.0.22
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1
local 10.77.0.22 dev host0 table local proto kernel scope host src 10.77.0.22
broadcast 10.77.0.255 dev host0 table local proto kernel scope link src 10.77.0.22
"""
"""As iproute2 6.15 prints them."""


def listed(*rules: str, routes: str = ROUTES) -> Routing:
    text = f"...\n{RULES_FOLLOW}{''.join(f'{rule}' + chr(10) for rule in rules)}{OF_EVERY_HOST}{TABLES_FOLLOW}{routes}"
    found = parse({"addresses": Output(text)})
    assert isinstance(found, Routing)
    return found


def decided(*rules: str, mark: int = 0, to: str = "10.77.0.1", sport: int | None = 5000) -> str | None:
    """Who decides about an answer of the container's."""
    found = listed(*rules).decide(Flow("172.17.0.2", to, "docker0", mark, sport, None))
    return found.says if found else None


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("100:\tfrom 172.17.0.2 blackhole", "rule 100: from 172.17.0.2 blackhole"),
        (
            "100:\tfrom all to 10.77.0.0/16 iif docker0 prohibit",
            "rule 100: from all to 10.77.0.0/16 iif docker0 prohibit",
        ),
        (
            "100:\tfrom all ipproto tcp sport 4999-5001 unreachable",
            "rule 100: from all ipproto tcp sport 4999-5001 unreachable",
        ),
    ],
)
def test_a_rule_that_ends_packets_is_named(rule: str, says: str) -> None:
    assert decided(rule) == says


@pytest.mark.parametrize(
    "rule",
    [
        "100:\tfrom 172.18.0.0/16 blackhole",
        "100:\tfrom all iif host0 blackhole",
        "100:\tfrom all iif gone0 [detached] blackhole",
        "100:\tfrom all oif docker0 blackhole",
        "100:\tfrom all fwmark 0x52 blackhole",
        "100:\tfrom all ipproto udp blackhole",
        "100:\tfrom all sport 80 blackhole",
        "100:\tnot from 172.17.0.0/16 blackhole",
        "100:\tfrom all iif docker0 nop",
        "100:\tfrom all lookup 77",
    ],
)
def test_a_rule_about_others_leaves_the_packet_to_the_next(rule: str) -> None:
    main = "rule 32766: from all lookup main, where table main says: 10.77.0.0/24 dev host0"
    assert (decided(rule) or "").startswith(main)


def test_a_rule_that_asks_for_more_than_a_packet_tells_leaves_it_open() -> None:
    assert decided("100:\tfrom all tos 0x10 blackhole") is None
    assert decided("100:\tfrom all sport 5000 blackhole", sport=None) is None
    assert decided("100:\tfrom all unheard of blackhole") is None


def test_a_mark_is_held_against_the_bits_that_the_rule_asks_for() -> None:
    rule = "100:\tfrom all fwmark 0x80000/0xff0000 prohibit"
    assert decided(rule, mark=0x80001) == "rule 100: from all fwmark 0x80000/0xff0000 prohibit"
    assert (decided(rule, mark=0x90000) or "").startswith("rule 32766")


def test_the_most_specific_route_of_a_table_counts_and_throw_leaves_it_to_the_next_rule() -> None:
    vpn = "100:\tfrom all lookup 52"
    assert decided(vpn, to="192.0.2.1") == (
        "rule 100: from all lookup 52, where table 52 says: default dev tailscale0 scope link"
    )
    assert (decided(vpn) or "").startswith("rule 32766")
    assert "blackhole 10.9.0.0/16" in (decided(to="10.9.1.1") or "")


def test_wg_quick_s_two_rules_leave_the_link_to_the_main_table_and_take_the_rest() -> None:
    rules = ("99:\tfrom all lookup main suppress_prefixlength 0", "100:\tnot from all fwmark 0xca6c lookup 52")
    assert (decided(*rules) or "").startswith("rule 99")
    assert (decided(*rules, to="192.0.2.1") or "").startswith("rule 100")
    assert (decided(*rules, to="192.0.2.1", mark=0xCA6C) or "").startswith("rule 32766")


def test_a_rule_may_lead_past_others() -> None:
    assert (decided("90:\tfrom all goto 32766", "100:\tfrom all blackhole") or "").startswith("rule 32766")


def test_of_a_router_of_the_internet_not_every_route_is_read_and_none_is_named() -> None:
    found = listed(routes="10.0.0.0/8 dev host0\n" * TABLES_LIMIT)
    assert found.tables is None
    assert found.decide(Flow("172.17.0.2", "10.77.0.1", "docker0")) is None


def test_a_look_from_before_it_was_asked_is_not_taken_for_a_host_without_rules() -> None:
    assert isinstance(parse({"addresses": Output("1: lo inet 127.0.0.1/8 scope host lo\n")}), Unavailable)


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
def test_the_rules_of_a_real_host_are_read(platform: str) -> None:
    seen = recorded(platform, "container-s-answers-leave-by-a-vpn")
    assert seen.facts is not None
    found = parse(seen.facts.outputs)
    assert isinstance(found, Routing)
    assert [rule.priority for rule in found.rules] == [0, 5270, 32766, 32767]
    assert found.tables is not None
    assert [route.says for route in found.tables["52"]] == ["default dev tailscale0 scope link"]
