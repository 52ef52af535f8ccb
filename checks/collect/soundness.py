"""Whether an attempt says anything of who was reached for: it may have failed because of this machine alone."""

import asyncio
import errno
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from weakref import WeakKeyDictionary

from checks.model import OwnTrouble, Phase, ReachOutcome

MOST_LATE = 0.5
"""Seconds in which the event loop may have been kept from its work during an attempt whose silence counts.

Of each time that it was, the first ``TOLERATED`` seconds do not count: an attempt takes a few turns of it.
"""

TOLERATED = 0.2

MOST_SET = 0.5
"""Seconds by which the clock may have been set meanwhile. What keeps it right by slewing moves it by microseconds."""

_BEAT = 0.1
"""Seconds from one look at the event loop to the next, while there is somebody who wants to know."""

_NOTED = 0.05
"""Seconds that it came late, from which on that is noted."""

_BY_ERRNO = {
    errno.EMFILE: OwnTrouble.NO_DESCRIPTORS,
    errno.ENFILE: OwnTrouble.NO_DESCRIPTORS,
    errno.ENOBUFS: OwnTrouble.NO_MEMORY,
    errno.ENOMEM: OwnTrouble.NO_MEMORY,
    errno.EADDRNOTAVAIL: OwnTrouble.NO_PORTS,
    errno.ENETDOWN: OwnTrouble.NO_WAY,
}

_SILENT = {ReachOutcome.TIMED_OUT, ReachOutcome.RESET}
"""What becomes of an attempt that nobody goes on with."""

_UNREACHED = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.ETIMEDOUT, None}
"""How an attempt ends where there is no route: a time-out too, when the route went after the first packet.

EACCES is a route of the kind prohibit, or the other side: firewalld rejects IPv6 with icmp6-adm-prohibited.
"""


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
    if ended in _SILENT and around.kept > MOST_LATE:
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

    lates: tuple[float, ...] = ()  # seconds that the event loop was kept from its work, each time that it was
    set_by: float = 0.0  # seconds by which its clock was set, or that it slept: less than 0 for back

    @property
    def longest(self) -> float:
        """Seconds that it was kept from its work at the longest."""
        return max(self.lates, default=0.0)

    @property
    def kept(self) -> float:
        """Seconds that it was kept from its work in all, but for what each attempt can bear."""
        return sum(max(0.0, late - TOLERATED) for late in self.lates)


class Pulse:
    """Notices when the event loop is kept from its work. It beats only while somebody measures."""

    def __init__(self) -> None:
        self._lates: deque[tuple[float, float]] = deque(maxlen=64)  # from when to when nothing ran
        self._due = 0.0
        self._measuring = 0
        self._next: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> float:
        """Measure from now on. Returns when that is, which ``end`` wants to know."""
        self._measuring += 1
        if self._next is None:
            self._schedule(loop)
        return time.monotonic()

    def end(self, begun: float) -> tuple[float, ...]:
        """Measure no more. Returns for how long nothing ran since, each time that it did not."""
        now = time.monotonic()
        self._note(now)
        self._due = max(self._due, now)  # it is noted until now
        self._measuring -= 1
        if not self._measuring and self._next is not None:
            self._next.cancel()
            self._next = None
        return tuple(until - max(since, begun) for since, until in self._lates if until > begun)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = time.monotonic() + _BEAT  # loop.time() stands still within a turn of uvloop's
        self._next = loop.call_later(_BEAT, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._note(time.monotonic())
        self._schedule(loop)

    def _note(self, now: float) -> None:
        if now - self._due > _NOTED:
            self._lates.append((self._due, now))


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
        self._lates = self._pulse.end(self._begun)

    def circumstances(self) -> Circumstances:
        """Of the attempt that has just ended."""
        set_by = (self._clock() - self.at).total_seconds() - (time.monotonic() - self._began)
        return Circumstances(self._lates, set_by)
