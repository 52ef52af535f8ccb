"""The time of day by which dockerhealth goes: that of the machine, but for when that is set.

What is remembered was dated by the clock as it was before. Until it has all moved along, the time goes on from there:
so no duration is measured from one clock to the other, however late the change is noticed.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MOST_OFF = timedelta(milliseconds=500)
"""By how much the machine's clock may be off before it was set. One that is slewed takes ``since_boot`` with it."""

MEASURED = 3
"""Times that the two clocks are read together: this process may stand still between the one and the other."""


def wall() -> datetime:
    """The time of day as the machine has it."""
    return datetime.now(UTC)


def since_boot() -> timedelta:
    """How long the machine is up, with the time that it slept. Nobody sets that."""
    return timedelta(microseconds=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)


class Clock:
    """Called, it tells the time of day. It never jumps but when ``follow`` lets it."""

    def __init__(self, wall: Callable[[], datetime] = wall, since_boot: Callable[[], timedelta] = since_boot) -> None:
        self._wall = wall
        self._since_boot = since_boot
        self._boot = self._measured()

    def __call__(self) -> datetime:
        return self._boot + self._since_boot()

    @property
    def set_by(self) -> timedelta:
        """By how much the machine's clock was set, forward or back, and is not followed yet; zero where it was not."""
        by = self._measured() - self._boot
        return by if abs(by) > MOST_OFF else timedelta()

    def follow(self, by: timedelta) -> None:
        """Go by the machine's clock again, which was set by so much."""
        self._boot += by

    def _measured(self) -> datetime:
        """When the machine began, by its clock."""
        return min(self._once() for _ in range(MEASURED))[1]

    def _once(self) -> tuple[timedelta, datetime]:
        """The same, and how long it took to find out."""
        before = self._since_boot()
        at = self._wall()
        after = self._since_boot()
        return after - before, at - before
