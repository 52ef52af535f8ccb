"""What tcpdump saw at every interface of the host while known attempts were made: see deploy/host/dockerhealth-root."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from checks.facts.engine import CONTAINERS
from checks.facts.netfilter import NETFILTER
from checks.facts.path import PATH
from checks.model import Service
from checks.source import Facts, Outputs, Source, Unavailable, UnparsableError, WatchProbe

MOST_PORTS, MOST_CLIENTS = 8, 4
"""Ports, and clients, that the root helper watches at most."""

_MOST_LINES = 2500  # after which the root helper has tcpdump end
_NOT_FOUND = 127
_STATISTICS = re.compile(r"^(\d+) packets? (captured|received by filter|dropped by kernel)$", re.MULTILINE)
_LINE = re.compile(
    r"(?P<at>\d+\.\d+) (?P<interface>\S+) +(?P<direction>In|Out|B|M|P|\?) +ifindex \d+ (?:(?P<mac>[0-9a-f:]{17}) )?"
    r"ethertype .*?\(0x[0-9a-f]+\), length \d+: (?:IP6? )?(?P<rest>.*)"
)
_TCP = re.compile(
    r"(?P<source>[0-9a-f.:]+)\.(?P<source_port>\d+) > (?P<destination>[0-9a-f.:]+)\.(?P<destination_port>\d+): "
    r"Flags \[(?P<flags>[^\]]+)\](?:, seq (?P<sequence>\d+)(?::\d+)?)?(?:, ack (?P<ack>\d+))?"
)
_MSS = re.compile(r"\bmss (\d+)")
_ICMP = re.compile(
    r"(?P<source>[0-9a-f.:]+) > (?P<destination>[0-9a-f.:]+): ICMP6?,? (?P<says>.*?)(?:, length \d+)?$", re.ASCII
)
_ASKS = re.compile(r"Request who-has (?P<address>[\d.]+)|.*neighbor solicitation, who has (?P<address6>[0-9a-f:]+)")
_IS_AT = re.compile(
    r"Reply (?P<address>[\d.]+) is-at (?P<mac>[0-9a-f:]{17})|.*advertisement, tgt is (?P<address6>[^,]+)"
)


@dataclass(frozen=True)
class Sighting:
    """One packet at one interface. ``at`` is the host's clock, in seconds since the epoch.

    ``mac`` is who put it on the wire; None on a link that has no such addresses.
    """

    at: float
    interface: str
    incoming: bool
    mac: str | None


@dataclass(frozen=True)
class TcpSighting(Sighting):
    """``sequence`` and ``ack`` are the packet's own numbers: translation leaves them as they are.

    ``most`` is how many bytes its sender takes in one packet, the option MSS of the first one (RFC 9293, 3.7.1).
    """

    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: str  # as tcpdump writes them: S, S., R, R., F.
    sequence: int
    ack: int
    most: int | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks for a connection."""
        return self.flags.startswith("S") and not self.flags.endswith(".")

    @property
    def accepts(self) -> bool:
        return self.flags == "S."

    @property
    def refuses(self) -> bool:
        return self.flags.startswith("R")


@dataclass(frozen=True)
class IcmpSighting(Sighting):
    """An error of ICMP or ICMPv6. ``says`` is what it says of which address, in tcpdump's words."""

    source: str
    destination: str
    says: str


@dataclass(frozen=True)
class NeighbourSighting(Sighting):
    """ARP, or its like of IPv6: the question who has an address, or the answer."""

    address: str
    is_answer: bool


@dataclass(frozen=True)
class Capture:
    """All sightings, in the order in which tcpdump told them. ``whole``: that was all there was to be seen."""

    tcp: tuple[TcpSighting, ...]
    icmp: tuple[IcmpSighting, ...]
    neighbours: tuple[NeighbourSighting, ...]
    whole: bool


_LATE = "tcpdump was late"
"""What the root helper adds where it waited in vain: that no packet was seen then says nothing of the packets."""


def parse(outputs: Outputs) -> Capture | Unavailable:
    """Lines of ``tcpdump -i any -nn -e -tt -S``, with libpcap 1.10 or newer; what is cut off is left out."""
    output = outputs["capture"]
    if "listening on any" not in output.stderr:
        if output.status == _NOT_FOUND:
            return Unavailable("tcpdump is not installed on the host")
        said = output.stderr.strip().splitlines() or ["nothing"]
        return Unavailable(f"tcpdump did not start (status {output.status}): {said[-1][:200]}")
    if _LATE in output.stderr:
        return Unavailable("tcpdump began only when the attempts were under way: the host is busy")
    if "LINUX_SLL2" not in output.stderr:
        return Unavailable("tcpdump is too old to name interfaces: that takes libpcap 1.10")
    told = output.stdout.rpartition("\n")[0].splitlines()  # what comes behind is cut off
    lines = [line for line in told if line]  # an empty one is its farewell when it is ended
    seen = [sighting for line in lines if (sighting := _sighting(line)) is not None]
    if lines and not seen:
        raise UnparsableError(f"cannot read the line {lines[0][:120]!r} of tcpdump")
    return Capture(
        tuple(one for one in seen if isinstance(one, TcpSighting)),
        tuple(one for one in seen if isinstance(one, IcmpSighting)),
        tuple(one for one in seen if isinstance(one, NeighbourSighting)),
        whole=len(lines) < _MOST_LINES and _told_all(output.stderr),
    )


def _told_all(statistics: str) -> bool:
    """Whether all that came through the filter was read: what waits when tcpdump is ended is not."""
    counts = {what: int(count) for count, what in _STATISTICS.findall(statistics)}
    return counts.get("dropped by kernel") == 0 and counts.get("captured", 0) == counts.get("received by filter")


def _sighting(line: str) -> Sighting | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    at, interface, incoming = float(match["at"]), match["interface"], match["direction"] != "Out"
    mac, rest = match["mac"], match["rest"]
    if asked := _ASKS.match(rest):
        return NeighbourSighting(at, interface, incoming, mac, asked["address"] or asked["address6"], is_answer=False)
    if told := _IS_AT.match(rest):
        return NeighbourSighting(at, interface, incoming, mac, told["address"] or told["address6"], is_answer=True)
    if tcp := _TCP.match(rest):
        source, destination = (
            (tcp["source"], int(tcp["source_port"])),
            (tcp["destination"], int(tcp["destination_port"])),
        )
        numbers = int(tcp["sequence"] or 0), int(tcp["ack"] or 0)
        most = _MSS.search(rest)
        return TcpSighting(
            at, interface, incoming, mac, *source, *destination, tcp["flags"], *numbers, int(most[1]) if most else None
        )
    if icmp := _ICMP.fullmatch(rest):
        return IcmpSighting(at, interface, incoming, mac, icmp["source"], icmp["destination"], icmp["says"])
    return None


def ports_to_watch(facts: Facts, services: Sequence[Service]) -> tuple[int, ...]:
    """The ports of these services, and those that packets to them have once they are translated."""
    ports = [service.port for service in services]
    containers, netfilter = facts.get(CONTAINERS), facts.get(NETFILTER)
    if not isinstance(containers, Unavailable):
        bound = (binding for container in containers for binding in (*container.published, *container.bindings))
        ports += [binding.container_port for binding in bound if binding.host_port in ports]
    if not isinstance(netfilter, Unavailable):
        rules = (rule for port in tuple(ports) for rule in netfilter.dnat(port))
        targets = ((rule.option("--to-destination") or "").rpartition(":")[2] for rule in rules)
        ports += [int(target) for target in targets if target.isdecimal()]
    return tuple(dict.fromkeys(ports))[:MOST_PORTS]


def clients_to_watch(facts: Facts, services: Sequence[Service]) -> tuple[str, ...]:
    """Where the attempts come from, as far as that is known: their ports may be rewritten on the way."""
    path = facts.get(PATH)
    if isinstance(path, Unavailable):
        return ()
    clients = (path.ways[service.port].client for service in services if service.port in path.ways)
    return tuple(dict.fromkeys(client for client in clients if client is not None))[:MOST_CLIENTS]


CAPTURE = Source("capture", (WatchProbe("capture"),), parse)
