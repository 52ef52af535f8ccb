"""The host's interfaces with their addresses, its routes, and its neighbours: what packets of one family meet."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from checks.model import Output
from checks.source import Outputs, Probe, Source, UnparsableError

_ADDRESS = re.compile(r"^\d+: (?P<interface>\S+)\s+inet6? (?P<address>[\da-f.:]+)(?:/(?P<length>\d+))?\s")
_LINK = re.compile(r"^\d+: (?P<interface>[^:@\s]+)(?P<at>@\S+)?: <(?P<flags>[^>]*)>(?P<rest>.*)")
_ROUTE = re.compile(
    r"^(?:(?P<kind>unreachable|prohibit|blackhole|throw|unicast) )?(?P<to>default|[\da-f.:]+(?:/\d+)?)\s*"
)
_NEIGHBOUR = re.compile(
    r"^(?P<address>[\da-f.:]+) dev (?P<device>\S+) (?:lladdr (?P<hardware>\S+) )?(?:.* )?(?P<state>[A-Z]+)$"
)
_PORT = re.compile(r"^\d+: (?P<name>[^:@\s]+)(?:@\S+)?:? .*\bstate (?P<state>[a-z]+) ")
_FORWARDING = re.compile(r"^(?P<hardware>[0-9a-f:]{17}) dev (?P<port>\S+) (?P<rest>.*)$")
_SILENT = {"FAILED", "INCOMPLETE"}
_KEYS = re.compile(r"\b(mtu|master|state|dev|via|metric|link/ether) (\S+)")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PEER = re.compile(r"^@if(\d+)$")


@dataclass(frozen=True)
class Link:
    """``master`` is the bridge that it is a port of, ``peer`` the index of a cable's other end."""

    name: str
    up: bool  # switched on
    mtu: int
    master: str | None
    hardware: str = ""  # its own address on the link
    asks: bool = True  # for the hardware addresses of neighbours: False after `ip link set ... arp off`
    peer: int | None = None
    carrier: bool = True  # False where its other end, or what it is plugged into, is switched off


@dataclass(frozen=True)
class Neighbour:
    """What the host believes of an address on one of its links. ``hardware`` is empty where nobody answered."""

    device: str
    hardware: str
    state: str  # REACHABLE, STALE, PERMANENT, FAILED... (ip-neighbour(8))

    @property
    def says(self) -> str:
        hardware = f"lladdr {self.hardware} " if self.hardware else ""
        return f"dev {self.device} {hardware}{self.state}"


@dataclass(frozen=True)
class Forwarding:
    """By which port a bridge sends what is for a hardware address. ``fixed``: somebody set it, it was not learned."""

    hardware: str
    port: str
    fixed: bool


@dataclass(frozen=True)
class Route:
    """One line of the main routing table. ``device`` is None where packets end: unreachable, blackhole..."""

    network: Network
    device: str | None
    says: str


@dataclass(frozen=True)
class Addresses:
    """``addresses`` maps an interface to its addresses, ``networks`` to the networks that they are in.

    Those of `ADDRESSES` are of IPv4 alone. Those of `ADDRESSES_IPV6` are of both: a docker-proxy that is asked by IPv6
    asks its container by IPv4. Routes and neighbours are of the one family.
    """

    addresses: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, tuple[Network, ...]]
    links: Mapping[str, Link]
    routes: tuple[Route, ...]
    neighbours: Mapping[str, tuple[Neighbour, ...]]  # of an address, one a link
    port_states: Mapping[str, str] = field(
        default_factory=dict
    )  # of a bridge's port: forwarding, disabled, blocking...
    forwarding: tuple[Forwarding, ...] = ()

    def is_silent(self, neighbour: str) -> bool:
        """Whether an address of the host's own link was asked for, and nobody answered for it."""
        return any(one.state in _SILENT for one in self.neighbours.get(neighbour, ()))

    @property
    def up(self) -> frozenset[str]:
        """The interfaces that are switched on."""
        return frozenset(link.name for link in self.links.values() if link.up)

    @property
    def bridges(self) -> frozenset[str]:
        """The interfaces that others are plugged into."""
        return frozenset(link.master for link in self.links.values() if link.master is not None)

    @property
    def default_interface(self) -> str | None:
        """The interface that the first default route leaves by."""
        return next((route.device for route in self.routes if route.network.prefixlen == 0), None)

    @property
    def every_address(self) -> frozenset[str]:
        return frozenset(address for owned in self.addresses.values() for address in owned)

    def owner_of(self, address: str) -> str | None:
        """The interface that has an address itself."""
        return next((name for name, owned in self.addresses.items() if address in owned), None)

    def interface_of(self, address: str) -> str | None:
        """The interface that has an address, else the one of the default route."""
        return self.owner_of(address) or self.default_interface

    def route_to(self, address: str) -> Route | None:
        """The route that the main table has for an address: the most specific one."""
        destination = ipaddress.ip_address(address)
        fitting = [route for route in self.routes if destination in route.network]
        return max(fitting, key=lambda route: route.network.prefixlen, default=None)

    def ports_of(self, bridge: str) -> tuple[Link, ...]:
        return tuple(link for link in self.links.values() if link.master == bridge)


def parse(outputs: Outputs) -> Addresses:
    return _read(outputs["addresses"], everywhere="0.0.0.0/0")


def parse_ipv6(outputs: Outputs) -> Addresses:
    """Nothing for a host that has no address of IPv6 by which others than its neighbours could reach it."""
    output = outputs["addresses-ipv6"]
    if output.status == 0 and not output.stdout.strip():
        return Addresses({}, {}, {}, (), {})
    return _read(output, everywhere="::/0")


def _read(output: Output, everywhere: str) -> Addresses:
    """Four listings of ip in one, as text: iproute2 of CentOS 7 has no JSON. `routing` has the rules that follow.

    ``everywhere`` is what the family calls the default route's network.
    """
    listed, _, _ = output.stdout.partition(RULES_FOLLOW)
    bridged = output.stdout.partition(BRIDGES_FOLLOW)[2].splitlines()
    addresses: dict[str, list[str]] = {}
    networks: dict[str, list[Network]] = {}
    links: dict[str, Link] = {}
    routes: list[Route] = []
    neighbours: dict[str, tuple[Neighbour, ...]] = {}
    for line in listed.splitlines():
        if match := _ADDRESS.match(line):
            name, address = match["interface"], match["address"]
            addresses.setdefault(name, []).append(address)
            length = f"/{match['length']}" if match["length"] else ""
            networks.setdefault(name, []).append(ipaddress.ip_network(f"{address}{length}", strict=False))
        elif match := _LINK.match(line):
            links[match["interface"]] = _link(match)
        elif match := _NEIGHBOUR.match(line.rstrip()):
            found = Neighbour(match["device"], match["hardware"] or "", match["state"])
            neighbours[match["address"]] = (*neighbours.get(match["address"], ()), found)
        elif match := _ROUTE.match(line):
            routes.append(_route(match, line, everywhere))
        elif line.strip():
            raise UnparsableError(f"cannot read the line {line[:80]!r} of ip")
    if output.status != 0 or "lo" not in links:
        raise UnparsableError(f"ip did not list the interfaces: {output.stderr.strip()[:200]}")
    return Addresses(
        {name: tuple(found) for name, found in addresses.items()},
        {name: tuple(found) for name, found in networks.items()},
        links,
        tuple(routes),
        neighbours,
        {match["name"]: match["state"] for line in bridged if (match := _PORT.match(line))},
        tuple(_forwarding(match) for line in bridged if (match := _FORWARDING.match(line))),
    )


def _link(match: re.Match[str]) -> Link:
    flags, keys = match["flags"].split(","), dict(_KEYS.findall(match["rest"]))
    peer = _PEER.search(match["at"] or "")
    return Link(
        match["interface"],
        "UP" in flags,
        int(keys["mtu"]),
        keys.get("master"),
        hardware=keys.get("link/ether", ""),
        asks="NOARP" not in flags,
        peer=int(peer[1]) if peer else None,
        carrier="NO-CARRIER" not in flags,
    )


def _forwarding(match: re.Match[str]) -> Forwarding:
    words = match["rest"].split()
    return Forwarding(match["hardware"], match["port"], fixed="static" in words or "permanent" in words)


def _route(match: re.Match[str], line: str, everywhere: str) -> Route:
    to = everywhere if match["to"] == "default" else match["to"]
    keys = dict(_KEYS.findall(line))
    return Route(
        ipaddress.ip_network(to), keys.get("dev") if match["kind"] in {None, "unicast"} else None, line.strip()
    )


RULES_FOLLOW, TABLES_FOLLOW, BRIDGES_FOLLOW = "@ rules\n", "@ tables\n", "@ bridges\n"
TABLES_LIMIT = 1000
"""Routes of all tables that are read: a router of the internet has a million."""

_COMMAND = f"""\
ip -o -4 address show && ip -o link show && ip -o -4 route show && ip -4 neigh show || exit
printf '{RULES_FOLLOW[:-1]}\\n'
ip -4 rule show
printf '{TABLES_FOLLOW[:-1]}\\n'
ip -o -4 route show table all | head -n {TABLES_LIMIT}
printf '{BRIDGES_FOLLOW[:-1]}\\n'
bridge link 2>/dev/null
bridge fdb show 2>/dev/null | grep ' master '
true
"""

ADDRESSES = Source("addresses", (Probe("addresses", _COMMAND),), parse)

_COMMAND_IPV6 = (
    (f"grep -qs ' 00 .. ' /proc/net/if_inet6 || exit 0  # 00: scope global\n{_COMMAND}")
    .replace(" -4 address", " address")
    .replace(" -4 ", " -6 ")
)

ADDRESSES_IPV6 = Source("addresses of IPv6", (Probe("addresses-ipv6", _COMMAND_IPV6, of_ipv6=True),), parse_ipv6)
