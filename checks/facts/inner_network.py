"""A container's own network, as the kernel shows it to any user: /proc/PID/net of a process in it (proc(5)).

Routing rules and tables beside the main one, and switches of the network, are not among it.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

ROUTES_LIMIT = 200
"""Routes that are read. A container has a handful."""

_REJECT = 0x0200  # RTF_REJECT, linux/route.h
_INTERFACE = re.compile(r"^(\d+)\t(\S+)\s*:")
_NEIGHBOUR = re.compile(r"^([\d.]+) +0x\S+ +0x(\S+) +([0-9a-f:]{17}) ")
_ROUTE = re.compile(r"^(\S+)\t([0-9A-F]{8})\t([0-9A-F]{8})\t([0-9A-F]{4})\t\d+\t\d+\t(\d+)\t([0-9A-F]{8})\t")
_COMPLETE = 0x2  # ATF_COM, linux/if_arp.h


@dataclass(frozen=True)
class InnerRoute:
    """``gateway`` is None on the link itself, ``device`` where packets end."""

    network: ipaddress.IPv4Network
    gateway: str | None
    device: str | None
    metric: int

    @property
    def says(self) -> str:
        by = f" via {self.gateway}" if self.gateway else ""
        to = "default" if not self.network.prefixlen else str(self.network)
        return f"{to}{by} dev {self.device}" if self.device else f"unreachable {to}"


@dataclass(frozen=True)
class InnerNetwork:
    """``neighbours`` maps an address to the hardware address that the container has for it, ``links`` names to indexes.

    The host shows the index after the other end of the cable: ``veth9a5e8fd@if164``.
    """

    routes: tuple[InnerRoute, ...]
    neighbours: Mapping[str, str]
    links: Mapping[str, int]

    def route_to(self, address: str) -> InnerRoute | None:
        """The most specific route for an address; None where there is none."""
        destination = ipaddress.IPv4Address(address)
        fitting = [route for route in self.routes if destination in route.network]
        return min(fitting, key=lambda route: (-route.network.prefixlen, route.metric), default=None)


def inner_network(text: str) -> InnerNetwork | None:
    """The files route, arp and igmp, one after the other; None where the first has nothing, or too much."""
    routes, neighbours, links = [], {}, {}
    lines = text.splitlines()
    for line in lines:
        if match := _ROUTE.match(line):
            routes.append(_route(match))
        elif match := _NEIGHBOUR.match(line):
            if int(match[2], 16) & _COMPLETE:
                neighbours[match[1]] = match[3]
        elif match := _INTERFACE.match(line):
            links[match[2]] = int(match[1])
    known = any(line.startswith("Iface\t") for line in lines) and len(routes) < ROUTES_LIMIT
    return InnerNetwork(tuple(routes), neighbours, links) if known else None


def _route(match: re.Match[str]) -> InnerRoute:
    device, network, gateway, flags, metric, mask = match.groups()
    prefix = f"{_address(network)}/{int(_address(mask)).bit_count()}"
    rejects = int(flags, 16) & _REJECT or device == "*"
    via = _address(gateway)
    return InnerRoute(
        ipaddress.IPv4Network(prefix, strict=False),
        str(via) if int(via) else None,
        None if rejects else device,
        int(metric),
    )


def _address(word: str) -> ipaddress.IPv4Address:
    """``0100007F``: in the machine's byte order, little-endian."""
    return ipaddress.IPv4Address(bytes.fromhex(word)[::-1])
