"""Runs what is due: readings every few seconds, looks every few minutes, each at its own moment."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]

from bot.monitoring.monitor import Monitor
from bot.remediation.runner import Runner

JITTER = 0.05  # of an interval, so that many services do not drift into step
STOP_WITHIN = 6.0  # seconds; the longest reading takes less
RECOVER_EVERY = timedelta(seconds=5)


class Scheduler:
    """A job that still runs when it is due again is left out once; what was missed is done once, not many times."""

    def __init__(self, monitor: Monitor, runner: Runner, *, reach_every: timedelta, look_every: timedelta) -> None:
        # It warns of each run that is left out, which a service that does not answer makes the normal case.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        self._running: set[asyncio.Task[Any]] = set()
        for host in monitor.hosts.values():
            for service in host.services:
                self._every(reach_every, monitor.read, host, service)
            self._every(look_every, monitor.look, host, at_once=True)
        self._every(RECOVER_EVERY, runner.recover)

    def start(self) -> None:
        self._scheduler.start()

    async def stop(self) -> None:
        """Start no job any more, and let those that run end."""
        self._scheduler.pause()
        await asyncio.sleep(0)  # one that was started this very moment is not in the set before that
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_WITHIN)
        self._scheduler.shutdown(wait=False)

    def _every(
        self, interval: timedelta, job: Callable[..., Awaitable[Any]], *args: object, at_once: bool = False
    ) -> None:
        """Run ``job`` for ever, from a random moment on: a hundred hosts are not asked in the same one."""
        seconds = interval.total_seconds()
        spread = min(seconds, 10.0) if at_once else seconds
        first = datetime.now(UTC) + timedelta(seconds=random.uniform(0, spread))  # noqa: S311  # no secret
        self._scheduler.add_job(
            self._run, "interval", (job, *args), seconds=seconds, jitter=seconds * JITTER, next_run_time=first
        )

    async def _run(self, job: Callable[..., Awaitable[Any]], *args: object) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine that runs is in one
        self._running.add(task)
        try:
            await job(*args)
        finally:
            self._running.discard(task)
