"""Whether an attempt says anything of who was reached for: it may have failed because of this machine alone."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from weakref import WeakKeyDictionary

from checks.model import OwnTrouble, Phase, ReachOutcome

MOST_LATE = 0.5
"""Seconds in which the event loop may have been kept from its work during an attempt whose silence counts."""

MOST_SET = 0.5
"""Seconds by which the clock may have been set meanwhile. What keeps it right by slewing moves it by microseconds."""

_BEAT = 0.1
"""Seconds from one look at the event loop to the next, while there is somebody who wants to know."""

_BY_ERRNO = {
    errno.EMFILE: OwnTrouble.NO_DESCRIPTORS,
    errno.ENFILE: OwnTrouble.NO_DESCRIPTORS,
    errno.ENOBUFS: OwnTrouble.NO_MEMORY,
    errno.ENOMEM: OwnTrouble.NO_MEMORY,
    errno.EADDRNOTAVAIL: OwnTrouble.NO_PORTS,
    errno.ENETDOWN: OwnTrouble.NO_WAY,
    errno.EACCES: OwnTrouble.NO_WAY,  # a route of the kind prohibit, or a security module
    errno.EPERM: OwnTrouble.NO_WAY,
}

_SILENT = {ReachOutcome.TIMED_OUT, ReachOutcome.RESET}
"""What becomes of an attempt that nobody goes on with."""

_UNREACHED = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, None}
"""How an attempt ends where there is no route: a time-out too, when the route went after the first packet."""


class NoNameServerError(OSError):
    """No name server said what a name stands for, nor that there is no such name."""


def trouble_of(error: BaseException) -> OwnTrouble | None:
    """What of ours an error of the system tells by itself. None where it may be the other side's. Pure."""
    if isinstance(error, NoNameServerError):
        return OwnTrouble.NO_NAME_SERVER
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return None  # OpenSSL counts its errors for itself
    return None if error.errno is None else _BY_ERRNO.get(error.errno)


def judge_soundness(ended: ReachOutcome, phase: Phase, around: "Circumstances") -> OwnTrouble | None:
    """What of ours may have made an attempt end so, whose error does not tell that by itself. Pure."""
    if ended is ReachOutcome.ANSWERED:
        return None
    if ended is ReachOutcome.TIMED_OUT and phase is Phase.RESOLVE:
        return OwnTrouble.NO_NAME_SERVER
    if ended in _SILENT and around.late > MOST_LATE:
        return OwnTrouble.LOOP_LATE
    return OwnTrouble.CLOCK_SET if abs(around.set_by) > MOST_SET else None


def has_way(error: OSError, family: int, address: tuple[object, ...]) -> bool:
    """Whether this machine has a route to an address that it did not reach. Sends nothing.

    The errors alone do not tell: a router, or the link, says the same of a host that is not there.
    """
    if error.errno not in _UNREACHED:
        return True
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
    except OSError as without:
        return without.errno not in _UNREACHED
    return True


@dataclass(frozen=True)
class Circumstances:
    """What this machine went through while an attempt was made."""

    late: float  # seconds that the event loop was kept from its work
    set_by: float  # seconds by which its clock was set, or that it slept: less than 0 for back


class Pulse:
    """Notices when the event loop is kept from its work. It beats only while somebody measures."""

    def __init__(self) -> None:
        self._late = 0.0
        self._due = 0.0
        self._measuring = 0
        self._next: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> float:
        """Measure from now on. Returns what to give to ``end``."""
        self._measuring += 1
        if self._next is None:
            self._schedule(loop)
        return self._late + self._overdue()

    def end(self, begun: float) -> float:
        """Measure no more. Returns how many seconds it came late since."""
        late = self._late + self._overdue() - begun
        self._measuring -= 1
        if not self._measuring and self._next is not None:
            self._next.cancel()
            self._next = None
        return late

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + _BEAT
        self._next = loop.call_at(self._due, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._late += self._overdue()
        self._schedule(loop)

    def _overdue(self) -> float:
        return max(0.0, time.monotonic() - self._due)  # loop.time() stands still within a turn of uvloop's


_PULSES: WeakKeyDictionary[asyncio.AbstractEventLoop, Pulse] = WeakKeyDictionary()


class Measured:
    """Measures around one attempt: ``with Measured(clock) as measured``, and then what its circumstances were."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._pulse = _PULSES.setdefault(self._loop, Pulse())
        self.at = self._clock()
        self._began = time.monotonic()
        self._begun = self._pulse.begin(self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._late = self._pulse.end(self._begun)

    def circumstances(self) -> Circumstances:
        """Of the attempt that has just ended."""
        set_by = (self._clock() - self.at).total_seconds() - (time.monotonic() - self._began)
        return Circumstances(self._late, set_by)
