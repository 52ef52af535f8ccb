"""The host's interfaces with their IPv4 addresses, its routes, and its neighbours."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_ADDRESS = re.compile(r"^\d+: (?P<interface>\S+)\s+inet (?P<address>[\d.]+)(?:/(?P<length>\d+))?\s")
_LINK = re.compile(r"^\d+: (?P<interface>[^:@\s]+)(?:@\S+)?: <(?P<flags>[^>]*)>(?P<rest>.*)")
_ROUTE = re.compile(r"^(?:(?P<kind>unreachable|prohibit|blackhole|throw|unicast) )?(?P<to>default|[\d.]+(?:/\d+)?)\s*")
_NEIGHBOUR = re.compile(r"^(?P<address>[\d.]+) dev \S+ (?:.* )?(?P<state>[A-Z]+)$")
_SILENT = {"FAILED", "INCOMPLETE"}
_KEYS = re.compile(r"\b(mtu|master|state|dev|via|metric) (\S+)")


@dataclass(frozen=True)
class Link:
    """``master`` is the bridge that it is a port of."""

    name: str
    up: bool  # switched on
    mtu: int
    master: str | None


@dataclass(frozen=True)
class Route:
    """One line of the main routing table. ``device`` is None where packets end: unreachable, blackhole..."""

    network: ipaddress.IPv4Network
    device: str | None
    says: str


@dataclass(frozen=True)
class Addresses:
    """``addresses`` maps an interface to its IPv4 addresses, ``networks`` to the networks that they are in."""

    addresses: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, tuple[ipaddress.IPv4Network, ...]]
    links: Mapping[str, Link]
    routes: tuple[Route, ...]
    neighbours: Mapping[str, str]  # address to state: REACHABLE, STALE, FAILED... (ip-neighbour(8))

    def is_silent(self, neighbour: str) -> bool:
        """Whether an address of the host's own link was asked for, and nobody answered for it."""
        return self.neighbours.get(neighbour) in _SILENT

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
        destination = ipaddress.IPv4Address(address)
        fitting = [route for route in self.routes if destination in route.network]
        return max(fitting, key=lambda route: route.network.prefixlen, default=None)

    def ports_of(self, bridge: str) -> tuple[Link, ...]:
        return tuple(link for link in self.links.values() if link.master == bridge)


def parse(outputs: Outputs) -> Addresses:
    """Four listings of ip in one, as text: iproute2 of CentOS 7 has no JSON. What follows them is `routing`'s."""
    output = outputs["addresses"]
    listed, _, _ = output.stdout.partition(RULES_FOLLOW)
    addresses: dict[str, list[str]] = {}
    networks: dict[str, list[ipaddress.IPv4Network]] = {}
    links: dict[str, Link] = {}
    routes: list[Route] = []
    neighbours: dict[str, str] = {}
    for line in listed.splitlines():
        if match := _ADDRESS.match(line):
            name, address = match["interface"], match["address"]
            addresses.setdefault(name, []).append(address)
            networks.setdefault(name, []).append(
                ipaddress.IPv4Network(f"{address}/{match['length'] or 32}", strict=False)
            )
        elif match := _LINK.match(line):
            links[match["interface"]] = _link(match)
        elif match := _NEIGHBOUR.match(line.rstrip()):
            neighbours[match["address"]] = match["state"]
        elif match := _ROUTE.match(line):
            routes.append(_route(match, line))
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
    )


def _link(match: re.Match[str]) -> Link:
    flags, keys = match["flags"].split(","), dict(_KEYS.findall(match["rest"]))
    return Link(match["interface"], "UP" in flags, int(keys["mtu"]), keys.get("master"))


def _route(match: re.Match[str], line: str) -> Route:
    to = "0.0.0.0/0" if match["to"] == "default" else match["to"]
    keys = dict(_KEYS.findall(line))
    return Route(
        ipaddress.IPv4Network(to), keys.get("dev") if match["kind"] in {None, "unicast"} else None, line.strip()
    )


RULES_FOLLOW, TABLES_FOLLOW = "@ rules\n", "@ tables\n"
TABLES_LIMIT = 1000
"""Routes of all tables that are read: a router of the internet has a million."""

_COMMAND = f"""\
ip -o -4 address show && ip -o link show && ip -o -4 route show && ip -4 neigh show || exit
printf '{RULES_FOLLOW[:-1]}\\n'
ip -4 rule show
printf '{TABLES_FOLLOW[:-1]}\\n'
ip -o -4 route show table all | head -n {TABLES_LIMIT}
"""

ADDRESSES = Source("addresses", (Probe("addresses", _COMMAND, timeout=2),), parse)
