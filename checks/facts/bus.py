"""Who is on the system's D-Bus. A dockerd that is not there cannot hear that firewalld started or reloaded."""

from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError


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
    columns = (row.split() for row in rows)
    return Bus(frozenset(int(column[1]) for column in columns if len(column) > 1 and column[1].isdigit()))


BUS = Source("D-Bus", (Probe("bus", "busctl --system list --no-pager", timeout=4),), parse)
