"""Notices that the machine's clock was set, and follows it once all that is remembered has moved along."""

import structlog

from bot.clock import Clock
from bot.monitoring.monitor import Monitor
from bot.store import Store

log = structlog.get_logger()


class ClockFollower:
    def __init__(self, clock: Clock, store: Store, monitor: Monitor) -> None:
        self._clock = clock
        self._store = store
        self._monitor = monitor

    async def follow(self) -> None:
        """Follow the clock if it was set. Raises StoreError, and then the time goes on as before."""
        by = self._clock.set_by
        if by:
            await self._store.clock_set(by, self._clock())
            self._clock.follow(by)
            self._monitor.clock_set(by)
            log.warning("the clock was set: what waits and what lasts has moved along", by=by.total_seconds())
