"""Who has which TCP port of the host: who listens there, and who has taken one without listening."""

import re
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_CLOSED = {"TIME-WAIT", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK"}
_ONLY_BOUND = "UNCONN"
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

    @property
    def takes_ipv6(self) -> bool:
        """Whether it is for connections of IPv6 too, or for them alone."""
        return ":" in self.address or self.address == "*"


Sockets = tuple[Listening, ...]


@dataclass(frozen=True)
class Taken:
    """A socket that has a local port and does not listen: a connection, or one that is only bound."""

    address: str
    port: int
    state: str  # as ss writes it: ESTAB, SYN-SENT, TIME-WAIT, ...; UNCONN is only bound
    peer: str  # address and port of the other end
    processes: tuple[Process, ...] = ()

    @property
    def is_owned(self) -> bool:
        """Whether a program has it: what is left of a closed connection lies with the kernel for a minute."""
        return self.state not in _CLOSED

    @property
    def says(self) -> str:
        names = sorted(f"{one.name} (pid {one.pid})" for one in self.processes)
        who = ", ".join(names) or "a process that only root may know"
        if self.state == _ONLY_BOUND:
            return f"{who}, which has bound it and does not listen"
        return f"{who}, by its connection from {self.address}:{self.port} to {self.peer} ({self.state})"


@dataclass(frozen=True)
class TakenPorts:
    """Ports of services on which nobody listens, and who has them. ``bound``: this ss shows what is only bound, too."""

    sockets: tuple[Taken, ...]
    bound: bool


def parse(outputs: Outputs) -> Sockets:
    """Rows of ``ss -ltn``: State Recv-Q Send-Q Local-Address:Port Peer-Address:Port, and with ``-p`` the processes."""
    [output] = outputs.values()
    header, *rows = output.stdout.splitlines() or [""]
    if output.status != 0 or not header.startswith("State"):
        raise UnparsableError(f"ss ended with {output.status}: {output.stderr.strip()[:200]}")
    found = []
    for row in rows:
        state, address, port, _, processes = _row(row)
        if state != "LISTEN":
            raise UnparsableError(f"cannot read the row {row[:80]!r} of ss")
        found.append(Listening(address, port, processes))
    return tuple(found)


def _row(row: str) -> tuple[str, str, int, str, tuple[Process, ...]]:
    """State, local address and port, peer, and processes."""
    columns = row.split(maxsplit=5)
    if len(columns) < 5:  # noqa: PLR2004  # the columns, see parse
        raise UnparsableError(f"cannot read the row {row[:80]!r} of ss")
    address, _, port = columns[3].rpartition(":")
    if ":" in address and not address.startswith("["):
        address = f"[{address}]"  # iproute2 4.11 (CentOS 7) prints :::22 for every address of IPv6
    if not port.isdigit():
        raise UnparsableError(f"{columns[3]!r} is no address and port")
    processes = _PROCESS.finditer(columns[5]) if len(columns) > 5 else ()  # noqa: PLR2004  # as above
    return columns[0], address, int(port), columns[4], tuple(Process(one["name"], int(one["pid"])) for one in processes)


def parse_taken(outputs: Outputs) -> TakenPorts:
    """Rows as above, and ``bound`` where this ss knows that state; the last line is ``end``."""
    output = outputs["taken-ports"]
    *rows, end = output.stdout.splitlines() or [""]
    if end != "end":
        raise UnparsableError(f"the list of sockets was cut off: {output.stderr.strip()[:200]}")
    return TakenPorts(tuple(_taken(row) for row in rows if row != "bound"), "bound" in rows)


def _taken(row: str) -> Taken:
    state, address, port, peer, processes = _row(row)
    return Taken(address, port, state, peer, processes)


def parse_takers(outputs: Outputs) -> tuple[Taken, ...]:
    """Rows of ``ss -tanp``. Nothing was asked, and nothing was printed, where no service's port is taken so."""
    output = outputs["port-takers"]
    header, *rows = output.stdout.splitlines() or [""]
    if not output.stdout and not output.stderr:
        return ()
    if output.status != 0 or not header.startswith("State"):
        raise UnparsableError(f"ss ended with {output.status}: {output.stderr.strip()[:200]}")
    return tuple(_taken(row) for row in rows if not row.startswith("LISTEN"))


def _source(name: str, probe: Probe) -> Source[Sockets]:
    return Source(name, (probe,), lambda outputs: parse({probe.name: outputs[probe.name]}))


SOCKETS = _source("sockets", Probe("sockets", "ss -ltn"))
LISTENERS = _source("listening processes", Probe("listeners", "/usr/bin/ss -ltnp", root=True))
"""The same with the processes, where sudo lets us see them."""

# Of each service's port on which nobody listens, the sockets that have it all the same. From iproute2 6.8 and Linux 6.8
# on `ss -a` shows also what is only bound.
_TAKEN = """
while read -r port rest; do
  [ -n "$port" ] || continue
  listening=$(ss -ltn "sport = :$port")
  [ "$listening" != "${listening#*LISTEN}" ] || ss -tan "sport = :$port" | sed 1d
done <<END
$SERVICES
END
"""
_KNOWS_BOUND = """\
known=$(ss -h 2>&1)
[ "$known" = "${known#*bound-inactive}" ] || echo bound
echo end
"""

TAKEN_PORTS = Source(
    "taken ports",
    (Probe("taken-ports", f"{_TAKEN}{_KNOWS_BOUND}"),),
    parse_taken,
)
PORT_TAKERS = Source(
    "processes that take ports",
    (Probe("port-takers", "/usr/bin/ss -tanp", root=True, before=f'[ -n "$({_TAKEN})" ]'),),
    parse_takers,
)
"""Every socket with its process: asked only where a service's port is taken by one that does not listen."""
