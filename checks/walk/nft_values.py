"""What a native nftables rule asks of a packet: expressions of libnftables-json(5), judged.

Whatever is not known here is unknown, never false.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from checks.walk.packet import Address, PacketState, Tracking, covered
from checks.walk.rules import Match, Truth, any_of, never, unknown

Value = int | str | range | Address | frozenset[str]
"""A set of words where each of them is true of the packet; a range where the port is one of it."""

Read = Callable[[PacketState], Value | None]
Elements = Callable[[str], Sequence[Any] | None]
"""The elements of a named set or map; None where it was not listed."""

_OTHER_PROTOCOLS = {"udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "esp", "ah", "comp", "igmp"}
_NUMBERS = {"tcp": 6, "ipv4": 2, "ipv6": 10, "udp": 17, "icmp": 1}
_TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}


class UnknownError(Exception):
    """An expression that is not known here."""


def condition(body: Mapping[str, Any], elements: Elements) -> Match:
    """A ``match`` statement."""
    try:
        if _of_another_protocol(body["left"]):
            return never
        match = _compared(body["op"], read(body["left"]), body["right"], elements)
        asked = _families(body["left"])
        return match if not asked else lambda state: match(state) if asked == {_family(state)} else False
    except (UnknownError, LookupError, TypeError, ValueError, AttributeError):
        return unknown


def among(key: Any, element: Any, elements: Elements) -> Match:
    """Whether a key is one element of a map."""
    return condition({"op": "==", "left": key, "right": element}, elements)


def _compared(op: str, left: Sequence[Read], right: Any, elements: Elements) -> Match:
    if op != "in" and _READS["ct status"] in left:
        raise UnknownError  # compares all bits of it, of which not all are known
    test = _test("==" if op == "!=" else op, right, len(left), elements)

    def match(state: PacketState) -> Truth:
        truth = test([one(state) for one in left])
        return truth if truth is None or op != "!=" else not truth

    return match


def _families(left: Any) -> frozenset[str]:
    """The families, ip or ip6, whose fields are asked for: nft itself puts a check of the family before it."""
    parts = left["concat"] if isinstance(left, Mapping) and "concat" in left else [left]
    words = {str(part["payload"].get("protocol")) for part in parts if isinstance(part.get("payload"), Mapping)}
    words |= {part["ct"]["key"].partition(" ")[0] for part in parts if isinstance(part.get("ct"), Mapping)}
    return frozenset(words & {"ip", "ip6"})


def _family(state: PacketState) -> str:
    return "ip6" if state.by_ipv6 else "ip"


def _of_another_protocol(left: Any) -> bool:
    """Whether it is a field that TCP has not: nft itself puts a check of the protocol before it."""
    return (
        isinstance(left, Mapping)
        and isinstance(left.get("payload"), Mapping)
        and left["payload"].get("protocol") in _OTHER_PROTOCOLS
    )


# --- what is taken of the packet -------------------------------------------------------------------------------------


def read(left: Any) -> Sequence[Read]:
    """The values that an expression takes: one, or one a part of a concatenation. Raises UnknownError."""
    if isinstance(left, Mapping) and "concat" in left:
        return [_read(part) for part in left["concat"]]
    return [_read(left)]


def _read(left: Any) -> Read:
    if not isinstance(left, Mapping) or len(left) != 1:
        raise UnknownError
    [(kind, body)] = left.items()
    if kind == "&":
        return _masked(_read(body[0]), body[1])
    if kind == "fib":
        return _fib(body)
    word = {
        "payload": lambda: f"{body['protocol']} {body['field']}",
        "meta": lambda: f"meta {body['key']}",
        "ct": lambda: " ".join(["ct", *([body["dir"]] if "dir" in body else []), body["key"]]),
    }.get(kind)
    if word is None or word() not in _READS:
        raise UnknownError
    return _READS[word()]


def _masked(inner: Read, mask: Any) -> Read:
    bits = _number(mask)
    if bits is None:
        raise UnknownError

    def value(state: PacketState) -> Value | None:
        found = inner(state)
        return found & bits if isinstance(found, int) else None

    return value


def _fib(body: Mapping[str, Any]) -> Read:
    """The type of an address, and whether there is a way to it by the interface that it came in by (``missing``).

    With ``iif`` an address is local only where it is the interface's own, which is not known.
    """
    if body["result"] == "oif" and set(body["flags"]) in ({"saddr", "iif"}, {"saddr", "mark", "iif"}):
        return lambda state: 1 if state.returns else None
    if body["result"] != "type" or not set(body["flags"]) <= {"daddr", "saddr", "iif"}:
        raise UnknownError
    attribute = "destination" if "daddr" in body["flags"] else "source"

    def value(state: PacketState) -> Value | None:
        local = state.is_local(getattr(state, attribute))
        if local is None or (local and "iif" in body["flags"]):
            return None
        return "local" if local else "unicast"

    return value


def _tracked(value: Callable[[PacketState], Value]) -> Read:
    return lambda state: value(state) if state.tracking in {Tracking.NEW, Tracking.ESTABLISHED} else None


def _status(state: PacketState) -> Value | None:
    """Of a first packet all of it is known; of an answer that it was translated, if it was."""
    if state.tracking is Tracking.NEW:
        return frozenset({"dnat"} if state.dnat else ())
    return None


_FLAGS_OF = {False: 2, True: 18}  # SYN; SYN and ACK
_READS: Mapping[str, Read] = {
    "ip saddr": lambda state: state.source,
    "ip daddr": lambda state: state.destination,
    "ip protocol": lambda _state: "tcp",
    "ip version": lambda _state: 4,
    "ip6 saddr": lambda state: state.source,
    "ip6 daddr": lambda state: state.destination,
    "ip6 nexthdr": lambda _state: "tcp",
    "ip6 version": lambda _state: 6,
    "tcp dport": lambda state: state.port,
    "tcp sport": lambda state: state.source_port,
    "th dport": lambda state: state.port,
    "th sport": lambda state: state.source_port,
    "tcp flags": lambda state: _FLAGS_OF[state.reply],
    "meta iifname": lambda state: state.ingress or None,
    "meta iif": lambda state: state.ingress or None,
    "meta oifname": lambda state: state.egress or None,
    "meta oif": lambda state: state.egress or None,
    "meta l4proto": lambda _state: "tcp",
    "meta nfproto": lambda state: "ipv6" if state.by_ipv6 else "ipv4",
    "meta protocol": _family,
    "meta pkttype": lambda _state: frozenset({"host", "unicast"}),  # two names of one
    "meta mark": lambda state: state.mark,
    "ct state": lambda state: state.tracking.value if state.tracking else None,
    "ct status": _status,
    "ct direction": _tracked(lambda state: "reply" if state.reply else "original"),
    "ct mark": lambda state: state.connection_mark if state.tracking else None,
    "ct original ip daddr": _tracked(lambda state: state.original[0]),
    "ct original daddr": _tracked(lambda state: state.original[0]),
    "ct original ip saddr": _tracked(lambda state: state.client),
    "ct original ip6 daddr": _tracked(lambda state: state.original[0]),
    "ct original ip6 saddr": _tracked(lambda state: state.client),
    "ct original saddr": _tracked(lambda state: state.client),
    "ct original proto-dst": _tracked(lambda state: state.original[1]),
    "ct original protocol": _tracked(lambda _state: "tcp"),
    "ct protocol": _tracked(lambda _state: "tcp"),
    "ct l3proto": _tracked(lambda state: "ipv6" if state.by_ipv6 else "ipv4"),
}


# --- what it is compared with ----------------------------------------------------------------------------------------

Test = Callable[[Sequence[Value | None]], Truth]


def _test(op: str, right: Any, width: int, elements: Elements) -> Test:
    if isinstance(right, str) and right.startswith("@"):
        found = elements(right[1:])
        return _any([_test(op, one, width, elements) for one in found]) if found is not None else _nothing_known
    if isinstance(right, Mapping) and "set" in right:
        members = right["set"] if isinstance(right["set"], list) else [right["set"]]
        return _any([_test(op, one, width, elements) for one in members])
    if isinstance(right, Mapping) and "elem" in right:
        return _test(op, right["elem"]["val"], width, elements)
    if isinstance(right, Mapping) and "concat" in right:
        parts = right["concat"]
        if len(parts) != width:
            raise UnknownError
        return _all([_one(op, part) for part in parts])
    if width != 1:
        raise UnknownError
    if isinstance(right, list) and op == "in":
        return _any([_all([_one(op, one)]) for one in right])
    return _all([_one(op, right)])


def _nothing_known(_values: Sequence[Value | None]) -> Truth:
    return None


def _any(tests: Sequence[Test]) -> Test:
    def test(values: Sequence[Value | None]) -> Truth:
        return any_of(one(values) for one in tests)

    return test


def _all(tests: Sequence[Callable[[Value], Truth]]) -> Test:
    def test(values: Sequence[Value | None]) -> Truth:
        truths = [None if value is None else one(value) for one, value in zip(tests, values, strict=True)]
        return False if False in truths else None if None in truths else True

    return test


@dataclass(frozen=True)
class _Span:
    """From one number to another, both included."""

    low: int
    high: int

    def __call__(self, value: Value) -> Truth:
        if isinstance(value, range):
            return covered(value, self.low, self.high)
        number = _comparable(value)
        return None if number is None else self.low <= number <= self.high


def _one(op: str, right: Any) -> Callable[[Value], Truth]:
    if isinstance(right, Mapping) and "prefix" in right:
        network = ip_network(f"{right['prefix']['addr']}/{right['prefix']['len']}", strict=False)
        return _Span(int(network.network_address), int(network.broadcast_address))
    if isinstance(right, Mapping) and "range" in right:
        low, high = right["range"]
        return _Span(_literal(low), _literal(high))
    if op in _BOUNDS:
        return _Span(*_BOUNDS[op](_literal(right)))
    if right is False:
        return lambda value: value == 0 if isinstance(value, int) else None
    if isinstance(right, bool) or not isinstance(right, int | str | list | Mapping):
        raise UnknownError
    return _Constant(right, _address(right), _number(right), any_bit=op == "in")


_BOUNDS: Mapping[str, Callable[[int], tuple[int, int]]] = {
    "<": lambda limit: (0, limit - 1),
    "<=": lambda limit: (0, limit),
    ">": lambda limit: (limit + 1, 2**128),
    ">=": lambda limit: (limit, 2**128),
}


@dataclass(frozen=True)
class _Constant:
    """One constant, as nft writes it: a number, a word, an address, a name that ends in ``*``, flags."""

    right: Any
    address: Address | None
    number: int | None
    any_bit: bool

    def __call__(self, value: Value) -> Truth:
        if isinstance(value, frozenset):
            return self.right in value
        if isinstance(value, IPv4Address | IPv6Address):
            return None if self.address is None else value == self.address
        return self._is_word(value) if isinstance(value, str) else self._is_number(value)

    def _is_number(self, value: int | range) -> Truth:
        if self.number is None:
            return None
        if isinstance(value, range):
            return covered(value, self.number, self.number)
        return value & self.number != 0 if self.any_bit else value == self.number

    def _is_word(self, value: str) -> Truth:
        if isinstance(self.right, str):
            right = self.right
            return right == "*" or (value.startswith(right[:-1]) if right.endswith("*") else value == right)
        return _NUMBERS[value] == self.right if value in _NUMBERS else None


def _comparable(value: Value) -> int | None:
    return int(value) if isinstance(value, int | IPv4Address | IPv6Address) else None


def _literal(right: Any) -> int:
    return right if isinstance(right, int) else int(ip_address(right))


def _address(right: Any) -> Address | None:
    try:
        return ip_address(right) if isinstance(right, str) else None
    except ValueError:
        return None


def _number(right: Any) -> int | None:
    """A number, the name of a flag, or several of them joined; None where it is something else."""
    if isinstance(right, int):
        return right
    if isinstance(right, str):
        return _TCP_FLAGS.get(right)
    parts = right["|"] if isinstance(right, Mapping) and "|" in right else right
    numbers = [_number(part) for part in parts] if isinstance(parts, list) else [None]
    return None if None in numbers else sum({number for number in numbers if number is not None})
