"""Who listens on which TCP port of the host."""

from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError


@dataclass(frozen=True)
class Listening:
    """``address`` is ``0.0.0.0``, ``*``, ``[::]`` or one address of the host."""

    address: str
    port: int


Sockets = tuple[Listening, ...]


def parse(outputs: Outputs) -> Sockets:
    """Rows of ``ss -ltn``: State Recv-Q Send-Q Local-Address:Port Peer-Address:Port."""
    output = outputs["sockets"]
    header, *rows = output.stdout.splitlines() or [""]
    if output.status != 0 or not header.startswith("State"):
        raise UnparsableError(f"ss ended with {output.status}: {output.stderr.strip()[:200]}")
    found = []
    for row in rows:
        columns = row.split()
        if len(columns) < 5 or columns[0] != "LISTEN":  # noqa: PLR2004  # the columns above
            raise UnparsableError(f"cannot read the row {row[:80]!r} of ss")
        address, _, port = columns[3].rpartition(":")
        if not port.isdigit():
            raise UnparsableError(f"{columns[3]!r} is no address and port")
        found.append(Listening(address, int(port)))
    return tuple(found)


SOCKETS = Source("sockets", (Probe("sockets", "ss -ltn", timeout=2),), parse)
