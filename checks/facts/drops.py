"""What the kernel says it dropped while known attempts were made, by its event skb:kfree_skb."""

import re
from dataclasses import dataclass

from checks.source import Outputs, Source, Unavailable, UnparsableError, WatchProbe

_EVENT = re.compile(
    r".*\s(?P<at>\d+\.\d+): kfree_skb: .*?protocol=(?P<protocol>\d+) location=(?P<location>\S+)"
    r"(?: reason: (?P<reason>\w+))?"
)
_MARK = re.compile(r".*\s(?P<at>\d+\.\d+): tracing_mark_write: dockerhealth (?P<clock>\d+\.\d+)(?P<tai> tai)?")
_ADDRESS = re.compile(r"(0x)?[0-9a-f]{8,16}")
_NO_LOSS = re.compile(r"t?packet_rcv|sk_stream_kill_queues|skb_queue_purge_reason|\w*(udp|icmp|igmp|arp)_?\w*")
"""Where packets end that were delivered, as copies for tcpdump and what a socket had left; and others than TCP's."""


@dataclass(frozen=True)
class DropKind:
    """Where in the kernel, and why: ``ip_error``, ``IP_INADDRERRORS``.

    ``location`` is empty where the kernel names no function (before 6.4), ``reason`` where it gives none (before 5.17).
    """

    location: str
    reason: str

    @property
    def says(self) -> str:
        reason = f"reason {self.reason}" if self.reason else ""
        location = f"in {self.location}" if self.location else ""
        return ", ".join(part for part in (reason, location) if part) or "for no reason that it gives"


@dataclass(frozen=True)
class Drop:
    """One packet that the kernel dropped. ``at`` is the host's clock, in seconds since the epoch."""

    at: float
    kind: DropKind
    protocol: int  # of Ethernet: 0x800, 0x86dd


def parse(outputs: Outputs) -> tuple[Drop, ...] | Unavailable:
    """The text of a trace. Its times are the kernel's own, which marks with the host's clock hold against that.

    A mark is written a moment after the host's clock was read, so that of all marks the one with the shortest moment
    tells the difference best; from the clock TAI it is a whole number of seconds. Drops of other hosts on the same
    kernel are among the events: only count and time part them.
    """
    output = outputs["drops"]
    if output.status != 0:
        said = output.stderr.strip().splitlines() or [f"status {output.status}"]
        return Unavailable(f"what the kernel drops could not be traced: {said[-1][:200]}")
    lines = output.stdout.rpartition("\n")[0].splitlines()  # the last one may be cut off
    marks = [mark for line in lines if (mark := _MARK.match(line))]
    if not marks:
        raise UnparsableError("the trace has no mark of its own")
    offset = max(float(mark["clock"]) - float(mark["at"]) for mark in marks)
    if marks[0]["tai"]:
        offset = round(offset)
    events = [event for line in lines if (event := _EVENT.match(line))]
    drops = [_drop(event, offset) for event in events]
    return tuple(drop for drop in drops if not _NO_LOSS.fullmatch(drop.kind.location))


def _drop(event: re.Match[str], offset: float) -> Drop:
    location = event["location"].partition("+")[0]
    kind = DropKind("" if _ADDRESS.fullmatch(location) else location, event["reason"] or "")
    return Drop(float(event["at"]) + offset, kind, int(event["protocol"]))


DROPS = Source("kernel drops", (WatchProbe("drops"),), parse)
