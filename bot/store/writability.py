"""Whether the store can be written, and when that is told. While it cannot, one at a time tries, and no crowd. Pure."""

from dataclasses import dataclass, replace
from math import inf

from bot.store import log

TRY_EVERY = 1.0  # seconds
ONE_TRY = 12.0  # seconds that an attempt may take: longer than a transaction waits for its turn

OVER_AFTER = 30.0
"""Seconds without a failed write after which it is told that the trouble is over."""

CALM_AFTER = 600.0
"""The same for a trouble that came so soon after another one: a store that is locked now and then is told once."""


@dataclass(frozen=True)
class Trouble:
    """A time in which writes failed, all or some of them. Times are seconds of a clock that nobody sets."""

    since: float  # the first one
    failed_at: float  # the newest one
    again: bool  # it came soon after another trouble

    def is_over(self, now: float) -> bool:
        return now - self.failed_at >= (CALM_AFTER if self.again else OVER_AFTER)


class Writability:
    """``why`` the store cannot be written; empty while it can be.

    ``trouble`` outlasts that: one who locks it for some seconds now and then would have it told each time.
    """

    def __init__(self) -> None:
        self.why = ""
        self.trouble: Trouble | None = None
        self._lacking_since = 0.0
        self._next_try = 0.0
        self._over_at = -inf  # the last trouble

    def lacking_for(self, now: float) -> float:
        """Seconds since which nothing could be written; 0 while it can be."""
        return now - self._lacking_since if self.why else 0.0

    def may_try(self, now: float) -> bool:
        """Whether it is known to be writable, or it is time to see whether it is again."""
        if self.why and now < self._next_try:
            return False
        self._next_try = now + ONE_TRY
        return True

    def failed(self, why: str, now: float) -> None:
        if not self.why:
            self._lacking_since = now
        if self.trouble is None:
            self.trouble = Trouble(now, now, again=now - self._over_at < CALM_AFTER)
            often = " AGAIN AND AGAIN" if self.trouble.again else ""
            log.error(f"store: CANNOT BE WRITTEN{often}. Until it can, nothing is told and nothing is mended", why=why)
        self.trouble = replace(self.trouble, failed_at=now)
        self.why = why
        self._next_try = now + TRY_EVERY

    def worked(self, now: float) -> None:
        self.why = ""
        self.settle(now)

    def settle(self, now: float) -> None:
        """End the trouble if it is over: nobody may have anything to write meanwhile."""
        if self.trouble is not None and not self.why and self.trouble.is_over(now):
            lasted = round(self.trouble.failed_at - self.trouble.since)
            log.info("store: can be written again; what was held went on", after_s=lasted)
            self.trouble, self._over_at = None, now
