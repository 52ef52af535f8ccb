"""Whether the store can be written, told once each way. While it cannot, one at a time tries, and no crowd."""

import time

from bot.store import log

TRY_EVERY = 1.0  # seconds
ONE_TRY = 12.0  # seconds that an attempt may take: longer than a transaction waits for its turn


class Writability:
    """``why`` the store cannot be written; empty while it can be."""

    def __init__(self) -> None:
        self.why = ""
        self._since = 0.0
        self._next_try = 0.0

    @property
    def lacking_for(self) -> float:
        """Seconds since which it cannot be written; 0 while it can be."""
        return time.monotonic() - self._since if self.why else 0.0

    def may_try(self) -> bool:
        """Whether it is known to be writable, or it is time to see whether it is again."""
        now = time.monotonic()
        if self.why and now < self._next_try:
            return False
        self._next_try = now + ONE_TRY
        return True

    def failed(self, why: str) -> None:
        if not self.why:
            self._since = time.monotonic()
            log.error("store: CANNOT BE WRITTEN. Until it can, nothing is told and nothing is mended", why=why)
        self.why = why
        self._next_try = time.monotonic() + TRY_EVERY

    def worked(self) -> None:
        if self.why:
            log.info("store: can be written again; what was held goes on", after_s=round(self.lacking_for))
            self.why = ""
