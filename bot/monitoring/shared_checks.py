"""One look at a host serves all who want one at the same moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from checks.model import Host, Report, Vantage

Reports = tuple[Report, ...]

AT_ONCE = 20
"""Hosts that are looked at at the same time."""

KEPT_FOR = 20.0
"""Seconds from the beginning of a look, after which its reports are not shared any more."""

_SLACK = 0.1
"""Seconds between the readings of the two clocks, at most."""


@dataclass(eq=False)
class _SharedCheck:
    """One that has not begun yet, as others are before it, serves whoever comes until then."""

    reports: asyncio.Task[Reports]
    began: datetime | None = None
    began_monotonic: float = 0.0  # seconds of the clock that nobody sets


class SharedChecks:
    """The newest look at each host, waiting, running or ended."""

    def __init__(self, check: Callable[[Host], Awaitable[Reports]], clock: Callable[[], datetime]) -> None:
        self._check = check
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._newest: dict[str, _SharedCheck] = {}

    async def look(self, host: Host, since: datetime) -> Reports:
        """The reports of a look that began at ``since`` or later; a new one where there is none."""
        newest = self._newest.get(host.name)
        if newest is None or not self._begins_after(newest, since) or _failed(newest.reports):
            self._let_go_of_old_ones()
            task = asyncio.create_task(self._run(host), name=f"look at {host.name}")
            newest = self._newest[host.name] = _SharedCheck(task)
        # One who stops waiting must not end the look for the others.
        return await asyncio.shield(newest.reports)

    async def look_at_fault(self, host: Host, service: str, since: datetime, well: datetime | None) -> Reports:
        """The reports of a look that saw a service fail, though it began before ``since``, when a reading did.

        It must have begun after the service was seen ``well``. Where there is none, those of one of ``since`` or later.
        """
        newest = self._newest.get(host.name)
        if well and newest and newest.began and self._begins_after(newest, well) and not _failed(newest.reports):
            reports = await asyncio.shield(newest.reports)
            if any(report.service == service and _fails(report) for report in reports):
                return reports
        return await self.look(host, since)

    def _let_go_of_old_ones(self) -> None:
        """Nobody waits for a look of so long ago, and the reports of all hosts are tens of megabytes."""
        long_ago = time.monotonic() - KEPT_FOR
        self._newest = {
            name: check
            for name, check in self._newest.items()
            if check.began_monotonic > long_ago or not check.reports.done()
        }

    def _begins_after(self, check: _SharedCheck, since: datetime) -> bool:
        """Whether a look began at ``since`` or later, by both clocks: the wall's may have been put back meanwhile.

        Then what began long ago would seem to begin in the future, and be the newest for as long as that lasts.
        """
        if check.began is None:
            return True
        now = self._clock()
        age = time.monotonic() - check.began_monotonic
        return since <= check.began <= now and age <= (now - since).total_seconds() + _SLACK

    async def close(self) -> None:
        tasks = [look.reports for look in self._newest.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, host: Host) -> Reports:
        async with self._turns:
            check = self._newest[host.name]  # this one: none follows it before it has begun
            check.began, check.began_monotonic = self._clock(), time.monotonic()
            return await self._check(host)


def _failed(task: asyncio.Task[Reports]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _fails(report: Report) -> bool:
    return any(reading.vantage is Vantage.OUTSIDE and not reading.ok for reading in report.readings)
