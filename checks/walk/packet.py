"""A client's packet, and all that a rule can ask about it on its way."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

CLIENT_PORTS = range(32768, 61000)
"""A client's own port is one of these (net.ipv4.ip_local_port_range), another one for each connection."""

_SOME = 100  # of them at least make it worth saying that a rule may hit a client's own port


class Hook(StrEnum):
    """Where the kernel asks its base chains, in the order in which a packet meets them."""

    INGRESS = "ingress"
    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


class Tracking(StrEnum):
    """What connection tracking makes of a packet."""

    NEW = "new"
    ESTABLISHED = "established"
    UNTRACKED = "untracked"


@dataclass(frozen=True)
class Packet:
    """The first packet (SYN) of a client's TCP connection to a published port.

    ``route`` tells by which interface the host sends to an address; None where it does not know. ``bridges`` are those
    of its interfaces that have ports, Docker's among them.
    """

    source: str
    destination: str  # the host's own address that the client asks
    port: int
    interface: str  # it comes in by
    local: frozenset[str]  # every address of the host
    route: Callable[[str], str | None]
    bridges: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PacketState:
    """A packet somewhere on its way. None is unknown; an interface that there is not (yet) is an empty text."""

    source: Address
    destination: Address | None
    source_port: range | None
    port: range | None
    ingress: str | None
    egress: str | None
    original: tuple[Address, int]  # destination and port as the client sent them
    client: Address
    local: frozenset[Address]
    tracking: Tracking | None = None  # None before connection tracking has seen it
    dnat: bool = False
    reply: bool = False
    mark: int | None = 0
    connection_mark: int | None = 0
    route: Callable[[str], str | None] = field(default=lambda _: None, compare=False)

    @property
    def by_ipv6(self) -> bool:
        return isinstance(self.source, IPv6Address)

    @property
    def returns(self) -> bool | None:
        """Whether what goes to its source leaves where it came in; None where that is not known to be so.

        A rule may look it up by other marks than the packet has when it is answered.
        """
        return True if self.ingress and self.route(str(self.source)) == self.ingress else None

    def is_local(self, address: Address | None) -> bool | None:
        """Whether an address is one of the host's own."""
        return None if address is None else address.is_loopback or address in self.local

    def translated(self, address: Address | None, port: range | None) -> "PacketState":
        """After DNAT; an address that is not known makes the rest of the way unknown."""
        return replace(self, destination=address, port=port, dnat=True)


def covered(ports: range | None, low: int, high: int) -> bool | None:
    """Whether a port is one from ``low`` to ``high``; None where it may be. A few of a client's ports are none."""
    if ports is None:
        return None
    common = len(range(max(ports.start, low), min(ports.stop, high + 1)))
    return True if common == len(ports) else None if common >= _SOME else False


def first(packet: Packet) -> PacketState:
    """The packet as it comes in. Raises ValueError for what is no address."""
    source, destination = ip_address(packet.source), ip_address(packet.destination)
    return PacketState(
        source=source,
        destination=destination,
        source_port=CLIENT_PORTS,
        port=range(packet.port, packet.port + 1),
        ingress=packet.interface,
        egress="",
        original=(destination, packet.port),
        client=source,
        local=frozenset(ip_address(one) for one in packet.local),
        route=packet.route,
    )


def answer(state: PacketState) -> PacketState:
    """The answer (SYN, ACK) to a packet that got through: from where that was sent to, back to the client.

    It keeps the container's address until it leaves.
    """
    source = state.destination or state.original[0]
    return replace(
        state,
        source=source,
        destination=state.client,
        source_port=state.port,
        port=state.source_port,
        ingress="" if state.is_local(source) else state.egress,
        egress="",
        tracking=None,
        reply=True,
        mark=0,
    )
