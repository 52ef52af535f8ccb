"""What the kernel counts: packets that it dropped by itself, without any rule, and the connections that it tracks."""

from collections.abc import Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_TABLES = ("Ip", "TcpExt")


@dataclass(frozen=True)
class Conntrack:
    """The table of tracked connections: a new one finds no room in it once ``count`` has come to ``maximum``."""

    count: int
    maximum: int


@dataclass(frozen=True)
class Counters:
    """``packets`` maps the kernel's names to their counts since boot: ``IpInAddrErrors``, ``TcpExtListenDrops``...

    Those that matter: IpInAddrErrors rises by one for each packet that would have to be forwarded while forwarding is
    off; TcpExtIPReversePathFilter for each one that the reverse path filter drops (both seen on Linux 6.18).
    ``dropped`` is how many packets connection tracking had no room for. ``conntrack`` is None where it is not in use.
    """

    packets: Mapping[str, int]
    conntrack: Conntrack | None
    dropped: int | None


def parse(outputs: Outputs) -> Counters:
    """Pairs of lines ``Ip: NAME ...`` and ``Ip: VALUE ...``; then the limits and the statistics of conntrack."""
    text, marker, rest = outputs["counters"].stdout.partition("@ conntrack\n")
    limits, end, statistics = rest.partition("@ dropped\n")
    if not marker or not end:
        raise UnparsableError(f"the counters were cut off: {outputs['counters'].stderr.strip()[:200]}")
    return Counters(_packets(text), _conntrack(limits.split()), _dropped(statistics))


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
    """The columns ``drop`` and ``early_drop`` of /proc/net/stat/nf_conntrack: a row of hexadecimals a processor."""
    header, *rows = statistics.splitlines() or [""]
    columns = [number for number, name in enumerate(header.split()) if name in {"drop", "early_drop"}]
    return sum(int(row.split()[number], 16) for row in rows for number in columns) if columns else None


_COMMAND = """\
cat /proc/net/snmp /proc/net/netstat
echo '@ conntrack'
cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null
echo '@ dropped'
cat /proc/net/stat/nf_conntrack 2>/dev/null
true
"""

COUNTERS = Source("kernel counters", (Probe("counters", _COMMAND, timeout=2),), parse)
