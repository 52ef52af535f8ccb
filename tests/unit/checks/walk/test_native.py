"""What native rules ask of a packet, as nft -j prints it: true, false or not to be told."""

from typing import Any

import pytest

from checks.model import ReachOutcome
from checks.walk import walk
from tests.unit.checks.walk.samples import native, packet, rules, table_of


def payload(field: str, protocol: str = "ip") -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def ct(key: str, direction: str = "") -> dict[str, Any]:
    return {"ct": {"key": key} | ({"dir": direction} if direction else {})}


def compared(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def verdict(*statements: Any, hook: str = "forward", priority: int = -1) -> bool | None:
    """Whether a rule of these statements drops a client's packet, not only the answer; None for perhaps."""
    trace = walk(rules(native=table_of([*statements, {"drop": None}], hook, priority)), packet())
    on_the_way = [stop.certain for stop in trace.stops if not stop.reply]
    return (True if True in on_the_way else None) if on_the_way else False


PORT, SOURCE = payload("dport", "tcp"), payload("saddr")
HOLDS = [
    compared(PORT, 5000),
    compared(PORT, {"range": [4000, 6000]}),
    compared(PORT, {"set": [80, 5000]}),
    compared(PORT, 80, "!="),
    compared(PORT, 1024, ">="),
    compared(payload("dport", "th"), 5000),
    compared(SOURCE, "10.77.0.1"),
    compared(SOURCE, {"prefix": {"addr": "10.77.0.0", "len": 24}}),
    compared(SOURCE, {"set": ["10.9.9.9", {"range": ["10.77.0.0", "10.77.0.9"]}]}),
    compared(SOURCE, {"set": [{"elem": {"val": "10.77.0.1", "timeout": 60, "expires": 12}}]}),
    compared(payload("daddr"), "172.17.0.2"),
    compared({"concat": [SOURCE, PORT]}, {"set": [{"concat": ["10.77.0.1", 5000]}]}),
    compared(meta("iifname"), "host*"),
    compared(meta("oifname"), {"set": ["br-1", "docker0"]}),
    compared(meta("l4proto"), {"set": ["tcp", "udp"]}),
    compared(meta("l4proto"), 6),
    compared(meta("nfproto"), "ipv4"),
    compared(meta("mark"), 0),
    compared({"&": [meta("mark"), 15]}, 0),
    compared(meta("pkttype"), "broadcast", "!="),
    compared(ct("state"), "new", "in"),
    compared(ct("state"), ["established", "new"], "in"),
    compared(ct("state"), {"set": ["established", "new"]}),
    compared(ct("status"), "dnat", "in"),
    compared(ct("direction"), "original"),
    compared(ct("ip daddr", "original"), "10.77.0.31"),
    compared(ct("proto-dst", "original"), 5000),
    compared({"&": [payload("flags", "tcp"), ["fin", "syn", "rst", "ack"]]}, "syn"),
    compared({"fib": {"result": "type", "flags": ["daddr"]}}, "local", "!="),
]
FAILS = [
    compared(PORT, 80),
    compared(PORT, {"set": [80, {"range": [443, 445]}]}),
    compared(payload("dport", "udp"), 5000),
    compared(payload("saddr", "ip6"), {"set": [{"prefix": {"addr": "fe80::", "len": 64}}]}),
    compared(SOURCE, {"prefix": {"addr": "10.0.0.0", "len": 16}}),
    compared({"concat": [SOURCE, PORT]}, {"set": [{"concat": ["10.77.0.1", 80]}]}),
    compared(meta("iifname"), "docker0"),
    compared(meta("l4proto"), {"set": ["icmp", "ipv6-icmp"]}),
    compared(meta("nfproto"), "ipv6"),
    compared({"&": [meta("mark"), 15]}, 1),
    compared(ct("state"), ["established", "related"], "in"),
    compared(ct("state"), "invalid", "in"),
    compared({"&": [payload("flags", "tcp"), ["syn", "ack"]]}, ["syn", "ack"]),
    compared({"fib": {"result": "type", "flags": ["daddr"]}}, "local"),
]
UNTOLD = [
    compared(meta("hour"), {"range": ["08:00", "17:00"]}),
    compared(SOURCE, "@gone"),
    compared(payload("saddr", "ether"), "02:00:0a:4d:00:01"),
    compared(payload("ttl"), 64),
    compared({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "missing"),
    compared({"future": {"key": 1}}, 1),
    {"limit": {"rate": 5, "per": "second"}},
    {"ct count": {"val": 20}},
    {"xt": {"type": "match", "name": "set"}},
    {"xt": None},
    {"future": 1},
]


@pytest.mark.parametrize("statement", HOLDS, ids=str)
def test_these_hold_for_a_client_s_packet(statement: dict[str, Any]) -> None:
    assert verdict(statement) is True


@pytest.mark.parametrize("statement", FAILS, ids=str)
def test_these_do_not(statement: dict[str, Any]) -> None:
    assert verdict(statement) is False


@pytest.mark.parametrize("statement", UNTOLD, ids=str)
def test_these_cannot_be_told(statement: dict[str, Any]) -> None:
    assert verdict(statement) is None


def test_connection_tracking_is_not_known_before_it_has_seen_the_packet() -> None:
    new = compared(ct("state"), "new", "in")
    assert verdict(new, hook="prerouting", priority=-300) is None
    assert verdict(new, hook="prerouting", priority=-150) is True


def test_before_translation_the_packet_is_for_the_host() -> None:
    local = compared({"fib": {"result": "type", "flags": ["daddr"]}}, "local")
    of_the_interface = compared({"fib": {"result": "type", "flags": ["daddr", "iif"]}}, "local")
    assert verdict(of_the_interface, hook="prerouting", priority=-150) is None
    assert verdict(local, hook="prerouting", priority=-150) is True
    assert verdict(local, hook="prerouting", priority=-50) is False


WHERE = {"family": "inet", "table": "wall"}
BASE = {"chain": {**WHERE, "name": "c", "type": "filter", "hook": "forward", "prio": -1, "policy": "accept"}}
OWN = {"chain": {**WHERE, "name": "own"}}


def rule(chain: str, *statements: Any, handle: int = 7) -> dict[str, Any]:
    return {"rule": {**WHERE, "chain": chain, "handle": handle, "expr": list(statements)}}


@pytest.mark.parametrize("data", [{"set": [["lo", {"accept": None}], ["host0", {"jump": {"target": "own"}}]]}, "@ways"])
def test_a_verdict_map_leads_on(data: Any) -> None:
    ways = {"map": {**WHERE, "name": "ways", "map": "verdict", "elem": [["host0", {"goto": {"target": "own"}}]]}}
    choose = rule("c", {"vmap": {"key": meta("iifname"), "data": data}})
    reject = rule("own", {"reject": {"type": "icmpx", "expr": "host-unreachable"}}, handle=9)
    trace = walk(rules(native=native(BASE, OWN, ways, choose, reject)), packet())
    assert trace.stop is not None
    assert trace.stop.says == "nft table inet wall, chain own: reject with icmpx host-unreachable (handle 9)"
    assert trace.ended is ReachOutcome.NO_ROUTE


def test_a_set_is_looked_up() -> None:
    bad = {"set": {**WHERE, "name": "bad", "type": "ipv4_addr", "elem": ["10.9.9.9", "10.77.0.1"]}}
    drop = rule("c", compared(SOURCE, "@bad"), {"counter": {"packets": 3, "bytes": 180}}, {"drop": None})
    trace = walk(rules(native=native(BASE, bad, drop)), packet())
    assert trace.stop is not None
    assert trace.stop.place.text == "ip saddr @bad counter drop"
    assert walk(rules(native=native(BASE, bad, drop)), packet(source="10.77.0.2")).clear


def test_a_native_translation_is_followed() -> None:
    chain = {**WHERE, "name": "c", "type": "nat", "hook": "prerouting", "prio": -110, "policy": "accept"}
    dnat = rule("c", compared(PORT, 81), {"dnat": {"family": "ip", "addr": "172.17.0.3", "port": 80}})
    trace = walk(rules(native=native({"chain": chain}, dnat)), packet(81))
    assert (trace.translated, trace.egress) == (("172.17.0.3", 80), "docker0")
    assert trace.stop is not None
    assert trace.stop.says == "table filter, chain FORWARD: policy DROP"


def test_a_dormant_table_is_asleep_and_one_whose_flags_cannot_be_read_may_be() -> None:
    drop = rule("c", {"drop": None})
    asleep = native({"table": {"family": "inet", "name": "wall", "flags": "dormant"}}, BASE, drop)
    assert walk(rules(native=asleep), packet()).clear
    garbled = native({"table": {"family": "inet", "name": "wall", "flags": "wall"}}, BASE, drop)  # nft 1.0.6
    assert [stop.certain for stop in walk(rules(native=garbled), packet()).stops] == [False]


def of_bridge(hook: str, *statements: Any) -> str:
    """A table ``bridge wall`` whose chain drops what these match."""
    drop = rule("c", *statements, {"drop": None})["rule"]
    return native(
        {"chain": {**BASE["chain"], "family": "bridge", "hook": hook}}, {"rule": {**drop, "family": "bridge"}}
    )


@pytest.mark.parametrize("hook", ["output", "postrouting"])
def test_what_the_host_sends_to_a_container_meets_its_bridge_s_own_rules(hook: str) -> None:
    trace = walk(rules(native=of_bridge(hook, compared(PORT, 5000))), packet())
    assert [(stop.place.family, stop.reply, stop.certain) for stop in trace.stops] == [("bridge", False, False)]
    assert (trace.blocked, trace.clear) == (False, False)


@pytest.mark.parametrize("hook", ["prerouting", "input"])
def test_so_does_the_container_s_answer(hook: str) -> None:
    trace = walk(rules(native=of_bridge(hook, compared(payload("sport", "tcp"), 5000))), packet())
    assert [(stop.place.family, stop.reply) for stop in trace.stops] == [("bridge", True)]


def test_what_one_container_sends_to_another_is_no_client_s_packet() -> None:
    assert walk(rules(native=of_bridge("forward")), packet()).clear


def test_a_bridge_that_the_client_s_packet_does_not_cross_asks_it_nothing() -> None:
    assert walk(rules(native=of_bridge("output")), packet(bridges=["br-lan"])).clear


@pytest.mark.parametrize(("hook", "reply"), [("prerouting", False), ("input", False), ("output", True)])
def test_a_bridge_that_the_host_itself_is_reached_by_is_crossed_both_ways(hook: str, reply: bool) -> None:  # noqa: FBT001  # a column
    trace = walk(rules(native=of_bridge(hook)), packet(bridges=["host0"]))
    assert [stop.reply for stop in trace.stops] == [reply]
