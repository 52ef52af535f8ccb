"""The host's routing policy: the rules that choose a table, and what every table holds (ip-rule(8)).

It names who decides about a packet. What is decided is the kernel's own to say, see `path`: a name that does not agree
with that is none.
"""

import ipaddress
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checks.facts.addresses import (
    ADDRESSES,
    ADDRESSES_IPV6,
    BRIDGES_FOLLOW,
    RULES_FOLLOW,
    TABLES_FOLLOW,
    TABLES_LIMIT,
    Network,
)
from checks.source import Outputs, Source, Unavailable, UnparsableError

_ENDS = frozenset({"blackhole", "unreachable", "prohibit"})
_KINDS = _ENDS | {"unicast", "local", "broadcast", "anycast", "multicast", "throw", "nat"}
_EVERYTHING, _EVERYTHING_IPV6 = ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0")
_RULE = re.compile(r"^(?P<priority>\d+):\s+(?P<rest>.*?)\s*$")
_NOT_ASKED = frozenset({"table", "proto", "protocol", "realms", "suppress_ifgroup"})  # words with a value
_TCP = {"tcp", "6"}


@dataclass(frozen=True)
class Flow:
    """A packet that the host routes. ``interface`` is by which it comes in, empty for the host's own."""

    source: str
    destination: str
    interface: str
    mark: int = 0
    source_port: int | None = None
    port: int | None = None


@dataclass(frozen=True)
class Mark:
    """What a rule wants of a packet's mark."""

    value: int
    mask: int

    def fits(self, mark: int) -> bool:
        return mark & self.mask == self.value


@dataclass(frozen=True)
class RoutingRule:
    """``action`` is lookup, goto, nop, or how packets end; ``target`` is of the first two. ``limit``: see `_chosen`.

    ``opaque`` are conditions that a packet alone does not answer: a user, a type of service.
    """

    priority: int
    says: str
    action: str
    target: str = ""
    source: Network | None = None  # None: from anywhere
    destination: Network | None = None
    interface: str | None = None
    out: str | None = None
    mark: Mark | None = None
    protocol: str | None = None
    source_ports: range | None = None
    ports: range | None = None
    limit: int = -1
    inverted: bool = False
    opaque: bool = False

    def holds_for(self, flow: Flow) -> bool | None:
        """Whether it is about that packet; None where that is not to be told."""
        asked = (
            self.source is None or ipaddress.ip_address(flow.source) in self.source,
            self.destination is None or ipaddress.ip_address(flow.destination) in self.destination,
            self.interface in {None, flow.interface or "lo"},
            self.out is None or not flow.interface,  # what is forwarded has no interface to leave by yet
            self.mark is None or self.mark.fits(flow.mark),
            self.protocol is None or self.protocol in _TCP,
            self.source_ports is None or (None if flow.source_port is None else flow.source_port in self.source_ports),
            self.ports is None or (None if flow.port is None else flow.port in self.ports),
            None if self.opaque or self.out is not None else True,
        )
        truth = False if False in asked else None if None in asked else True
        return truth if truth is None or not self.inverted else not truth


@dataclass(frozen=True)
class TableRoute:
    """One route of a table. ``kind`` is unicast, local, throw, or how packets end."""

    kind: str
    network: Network
    device: str | None
    metric: int
    says: str


@dataclass(frozen=True)
class Decision:
    """The rule that decides about a packet, and the route; None where the rule itself ends it, or nothing takes it."""

    rule: RoutingRule
    route: TableRoute | None

    @property
    def device(self) -> str | None:
        return self.route.device if self.route and self.route.kind not in _ENDS else None

    @property
    def is_common(self) -> bool:
        """Whether it comes from the main table by the rule that every host has."""
        return self.rule.says == "from all lookup main"

    @property
    def says(self) -> str:
        """``rule 5270: from all iif docker0 lookup 52, where table 52 says: default dev tailscale0``."""
        rule = f"rule {self.rule.priority}: {self.rule.says}"
        return f"{rule}, where table {self.rule.target} says: {self.route.says}" if self.route else rule


@dataclass(frozen=True)
class Routing:
    """``tables`` is None where there are too many routes to be read."""

    rules: tuple[RoutingRule, ...]
    tables: Mapping[str, tuple[TableRoute, ...]] | None

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Every mark that a rule asks for."""
        return tuple(rule.mark for rule in self.rules if rule.mark is not None)

    def decide(self, flow: Flow) -> Decision | None:
        """Who decides about a packet; None where that is not to be told."""
        least = 0
        for rule in self.rules:
            if rule.priority < least:
                continue
            match rule.holds_for(flow), rule.action:
                case None, _:
                    return None
                case False, _:
                    continue
                case _, "goto":
                    least = int(rule.target)
                case _, "lookup":
                    if self.tables is None:
                        return None
                    route = _chosen(self.tables.get(rule.target, ()), flow.destination, rule.limit)
                    if route is not None:
                        return Decision(rule, route)
                case _, action if action in _ENDS:
                    return Decision(rule, None)
        return None


def _chosen(routes: Sequence[TableRoute], destination: str, limit: int) -> TableRoute | None:
    """The most specific route. None where the table leaves the packet to the next rule: by having none, by ``throw``.

    So it does where the route is no more specific than ``limit`` (suppress_prefixlength).
    """
    address = ipaddress.ip_address(destination)
    fitting = [route for route in routes if address in route.network]
    best = min(fitting, key=lambda route: (-route.network.prefixlen, route.metric), default=None)
    return None if best is None or best.kind == "throw" or best.network.prefixlen <= limit else best


def parse(outputs: Outputs) -> Routing | Unavailable:
    return _read(outputs["addresses"].stdout, _EVERYTHING)


def parse_ipv6(outputs: Outputs) -> Routing | Unavailable:
    return _read(outputs["addresses-ipv6"].stdout, _EVERYTHING_IPV6)


def _read(listed: str, everything: Network) -> Routing | Unavailable:
    """What follows the addresses: ``ip -4 rule``, then ``ip -o -4 route show table all``."""
    _, rules_follow, text = listed.partition(RULES_FOLLOW)
    rules, tables_follow, routes = text.partition(BRIDGES_FOLLOW)[0].partition(TABLES_FOLLOW)
    if not rules_follow or not tables_follow or not rules.strip():
        return Unavailable("the host's routing rules were not asked, or ip did not list them")
    lines = routes.splitlines()
    return Routing(
        tuple(_rule(line) for line in rules.splitlines()),
        _tables(lines, everything) if len(lines) < TABLES_LIMIT else None,
    )


def _rule(line: str) -> RoutingRule:
    match = _RULE.match(line)
    if match is None:
        raise UnparsableError(f"cannot read the rule {line[:80]!r}")
    words = [word for word in match["rest"].split() if word != "[detached]"]
    found: dict[str, str] = {}
    action, flags = "", set()
    coming = iter(words)
    for word in coming:
        if word in _ENDS or word == "nop":
            action = word
        elif word in {"not", "unreachable"}:
            flags.add(word)
        else:
            found[word] = next(coming, "")
    if not action:
        action = "lookup" if "lookup" in found else "goto" if "goto" in found else "unknown"
    known = {"from", "to", "iif", "oif", "fwmark", "ipproto", "sport", "dport", "lookup", "goto", *_NOT_ASKED}
    return RoutingRule(
        priority=int(match["priority"]),
        says=match["rest"],
        action=action,
        target=found.get(action, ""),
        source=_network(found.get("from", "all")),
        destination=_network(found.get("to", "all")),
        interface=found.get("iif"),
        out=found.get("oif"),
        mark=_mark(found["fwmark"]) if "fwmark" in found else None,
        protocol=found.get("ipproto"),
        source_ports=_ports(found.get("sport")),
        ports=_ports(found.get("dport")),
        limit=int(found.get("suppress_prefixlength", -1)),
        inverted="not" in flags,
        opaque=action == "unknown" or bool(set(found) - known - {"suppress_prefixlength"}),
    )


def _network(text: str) -> Network | None:
    return None if text in {"all", "default", "any"} else ipaddress.ip_network(text)


def _mark(text: str) -> Mark:
    value, _, mask = text.partition("/")
    return Mark(int(value, 0), int(mask, 0) if mask else 0xFFFFFFFF)


def _ports(text: str | None) -> range | None:
    if text is None:
        return None
    low, _, high = text.partition("-")
    return range(int(low), int(high or low) + 1)


def _tables(lines: Sequence[str], everything: Network) -> dict[str, tuple[TableRoute, ...]]:
    tables: dict[str, list[TableRoute]] = {}
    for line in lines:
        words = line.split()
        kind = words.pop(0) if words[0] in _KINDS else "unicast"
        keys = dict(itertools.pairwise(words[1:]))
        route = TableRoute(
            kind,
            _network(words[0]) or everything,
            keys.get("dev"),
            int(keys.get("metric", 0)),
            re.sub(r" table \S+", "", line.strip()),
        )
        tables.setdefault(keys.get("table", "main"), []).append(route)
    return {table: tuple(routes) for table, routes in tables.items()}


ROUTING = Source("routing", ADDRESSES.probes, parse)
ROUTING_IPV6 = Source("routing of IPv6", ADDRESSES_IPV6.probes, parse_ipv6)
