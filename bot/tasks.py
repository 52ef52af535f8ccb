"""Runs work in the background. It is waited for at the end, and its errors are logged."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run ``work`` on its own. An exception that escapes it is logged under ``name``."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)

    async def join(self) -> None:
        """Wait for what runs, and for what that starts."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self, grace: float) -> None:
        """Wait ``grace`` seconds for what runs, then cancel the rest and wait for it to clean up."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a task failed", task=task.get_name(), exc_info=error)
