"""What the kernel counts: packets that it dropped by itself, without any rule, and the connections that it tracks."""

from collections.abc import Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_TABLES = ("Ip", "TcpExt")
_CONNTRACK = {"drop": "ConntrackDrop", "early_drop": "ConntrackEarlyDrop", "insert_failed": "ConntrackInsertFailed"}


@dataclass(frozen=True)
class Conntrack:
    """The table of tracked connections: a new one finds no room in it once ``count`` has come to ``maximum``."""

    count: int
    maximum: int


@dataclass(frozen=True)
class Counters:
    """``packets`` maps the kernel's names to their counts since boot: ``IpInAddrErrors``, ``TcpExtListenDrops``...

    Those that matter: IpInAddrErrors rises by one for each packet that would have to be forwarded while forwarding is
    off, Ip6InAddrErrors for one of IPv6; TcpExtIPReversePathFilter for each one that the reverse path filter drops
    (all seen on Linux 6.18).
    Beside those of /proc/net/snmp and netstat, ``Xfrm...`` is what IPsec counts, ``Softnet...`` what processors had no
    time for, ``Conntrack...`` what connection tracking would not have (each only where the kernel counts it).
    ``dropped`` is how many packets connection tracking had no room for. ``conntrack`` is None where it is not in use.
    """

    packets: Mapping[str, int]
    conntrack: Conntrack | None
    dropped: int | None


def parse(outputs: Outputs) -> Counters:
    """Pairs of lines ``Ip: NAME ...`` and ``Ip: VALUE ...``; then the limits and the statistics of conntrack."""
    text, marker, rest = outputs["counters"].stdout.partition("@ conntrack\n")
    limits, end, rest = rest.partition("@ dropped\n")
    statistics, _, rest = rest.partition("@ xfrm\n")
    xfrm, _, rest = rest.partition("@ softnet\n")
    softnet, _, ipv6 = rest.partition("@ ipv6\n")
    if not marker or not end:
        raise UnparsableError(f"the counters were cut off: {outputs['counters'].stderr.strip()[:200]}")
    packets = _packets(text) | _pairs(xfrm) | _pairs(ipv6) | _softnet(softnet) | _of_conntrack(statistics)
    return Counters(packets, _conntrack(limits.split()), _dropped(statistics))


def _packets(text: str) -> dict[str, int]:
    lines = [line.split() for line in text.splitlines()]
    packets: dict[str, int] = {}
    for (table, *names), (again, *values) in zip(lines[::2], lines[1::2], strict=True):
        if table != again:
            raise UnparsableError(f"{table!r} and {again!r} are no pair of lines")
        if table.rstrip(":") in _TABLES:
            packets |= {f"{table[:-1]}{name}": int(value) for name, value in zip(names, values, strict=True)}
    if "IpInAddrErrors" not in packets:
        raise UnparsableError("no counter IpInAddrErrors in /proc/net/snmp")
    return packets


def _conntrack(limits: list[str]) -> Conntrack | None:
    return Conntrack(int(limits[0]), int(limits[1])) if limits else None


def _dropped(statistics: str) -> int | None:
    """The columns ``drop`` and ``early_drop``, together."""
    columns = _columns(statistics)
    return columns.get("drop", 0) + columns.get("early_drop", 0) if columns else None


def _of_conntrack(statistics: str) -> dict[str, int]:
    columns = _columns(statistics)
    return {name: columns[column] for column, name in _CONNTRACK.items() if column in columns}


def _columns(statistics: str) -> dict[str, int]:
    """The sums of the columns of /proc/net/stat/nf_conntrack: a row of hexadecimals a processor."""
    header, *rows = statistics.splitlines() or [""]
    values = [[int(value, 16) for value in row.split()] for row in rows]
    return {name: sum(row[number] for row in values) for number, name in enumerate(header.split()) if rows}


def _pairs(text: str) -> dict[str, int]:
    """Lines of ``XfrmInNoPols 0``, where the kernel has IPsec (Documentation/networking/xfrm_proc.rst), or IPv6."""
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}


def _softnet(text: str) -> dict[str, int]:
    """The second column of /proc/net/softnet_stat, a row of hexadecimals a processor: its queue was full."""
    rows = [line.split() for line in text.splitlines()]
    return {"SoftnetDropped": sum(int(row[1], 16) for row in rows)} if rows else {}


_COMMAND = """\
cat /proc/net/snmp /proc/net/netstat
echo '@ conntrack'
cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null
echo '@ dropped'
cat /proc/net/stat/nf_conntrack 2>/dev/null
echo '@ xfrm'
cat /proc/net/xfrm_stat 2>/dev/null
echo '@ softnet'
cat /proc/net/softnet_stat 2>/dev/null
echo '@ ipv6'
grep '^Ip6' /proc/net/snmp6 2>/dev/null
true
"""

COUNTERS = Source("kernel counters", (Probe("counters", _COMMAND),), parse)
