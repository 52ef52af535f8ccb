"""Who listens on which TCP port of the host."""

import re
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_PROCESS = re.compile(r'\("(?P<name>[^"]*)",pid=(?P<pid>\d+),fd=\d+\)')


@dataclass(frozen=True)
class Process:
    name: str
    pid: int


@dataclass(frozen=True)
class Listening:
    """``address`` is ``0.0.0.0``, ``*``, ``[::]`` or one address of the host. ``processes``: known to root alone."""

    address: str
    port: int
    processes: tuple[Process, ...] = ()


Sockets = tuple[Listening, ...]


def parse(outputs: Outputs) -> Sockets:
    """Rows of ``ss -ltn``: State Recv-Q Send-Q Local-Address:Port Peer-Address:Port, and with ``-p`` the processes."""
    [output] = outputs.values()
    header, *rows = output.stdout.splitlines() or [""]
    if output.status != 0 or not header.startswith("State"):
        raise UnparsableError(f"ss ended with {output.status}: {output.stderr.strip()[:200]}")
    found = []
    for row in rows:
        columns = row.split(maxsplit=5)
        if len(columns) < 5 or columns[0] != "LISTEN":  # noqa: PLR2004  # the columns above
            raise UnparsableError(f"cannot read the row {row[:80]!r} of ss")
        address, _, port = columns[3].rpartition(":")
        if ":" in address and not address.startswith("["):
            address = f"[{address}]"  # iproute2 4.11 (CentOS 7) prints :::22 for every address of IPv6
        if not port.isdigit():
            raise UnparsableError(f"{columns[3]!r} is no address and port")
        processes = _PROCESS.finditer(columns[5]) if len(columns) > 5 else ()  # noqa: PLR2004  # as above
        found.append(Listening(address, int(port), tuple(Process(one["name"], int(one["pid"])) for one in processes)))
    return tuple(found)


def _source(name: str, probe: Probe) -> Source[Sockets]:
    return Source(name, (probe,), lambda outputs: parse({probe.name: outputs[probe.name]}))


SOCKETS = _source("sockets", Probe("sockets", "ss -ltn", timeout=2))
LISTENERS = _source("listening processes", Probe("listeners", "/usr/bin/ss -ltnp", root=True))
"""The same with the processes, where sudo lets us see them."""
