"""Who is on the system's D-Bus. A dockerd that is not there cannot hear that firewalld started or reloaded."""

import re
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_ROW = re.compile(r"(?::\d+\.\d+|[A-Za-z_][\w-]*(?:\.[\w-]+)+)\s+(?P<pid>\d+|-)\s")  # a name on the bus, and who has it


@dataclass(frozen=True)
class Bus:
    """The process ids that hold a connection to the system bus."""

    pids: frozenset[int]


def parse(outputs: Outputs) -> Bus:
    """Rows of ``busctl list``: NAME PID PROCESS USER CONNECTION UNIT ..., ``-`` where a name can only be activated."""
    output = outputs["bus"]
    header, *rows = output.stdout.splitlines() or [""]
    if output.status != 0 or header.split()[:3] != ["NAME", "PID", "PROCESS"]:
        raise UnparsableError(f"busctl ended with {output.status}: {output.stderr.strip()[:200]}")
    return Bus(frozenset(pid for row in rows if (pid := _pid(row)) is not None))


def _pid(row: str) -> int | None:
    match = _ROW.match(row)
    if match is None:
        raise UnparsableError(f"cannot read the row {row[:80]!r} of busctl")
    return int(match["pid"]) if match["pid"] != "-" else None


BUS = Source("D-Bus", (Probe("bus", "busctl --system list --no-pager"),), parse)
