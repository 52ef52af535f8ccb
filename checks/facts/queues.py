"""The queues and filters of traffic control on each interface, with what they counted (tc(8))."""

import re
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, Unavailable

_HEAD = re.compile(r"^qdisc (?P<kind>\S+) (?P<handle>\S+): (?:dev (?P<device>\S+) )?(?P<rest>.*)$")
_COUNTS = re.compile(r"^ Sent \d+ bytes (?P<sent>\d+) pkts? \(dropped (?P<dropped>\d+),")
_NOT_INSTALLED = 127


@dataclass(frozen=True)
class Queue:
    """One queueing discipline. ``incoming``: of what comes in, with filters instead of a queue."""

    device: str
    kind: str
    says: str
    sent: int
    dropped: int

    @property
    def incoming(self) -> bool:
        return self.kind in {"ingress", "clsact"}


def parse(outputs: Outputs) -> tuple[Queue, ...] | Unavailable:
    """Pairs of lines ``qdisc KIND HANDLE: dev NAME ...`` and `` Sent 0 bytes 0 pkt (dropped 0, ...)``."""
    output = outputs["queues"]
    if output.status == _NOT_INSTALLED:
        return Unavailable("tc is not installed on the host")
    found: list[Queue] = []
    head = None
    for line in output.stdout.splitlines():
        if match := _HEAD.match(line):
            head = match
        elif head is not None and (counts := _COUNTS.match(line)):
            says = f"qdisc {head['kind']} {head['handle']}: dev {head['device']} {head['rest']}".strip()
            found.append(Queue(head["device"] or "", head["kind"], says, int(counts["sent"]), int(counts["dropped"])))
            head = None
    return tuple(found)


QUEUES = Source("queues", (Probe("queues", "tc -s qdisc show"),), parse)
