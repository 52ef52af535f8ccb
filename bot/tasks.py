"""Runs work in the background. It is waited for at the end, and its errors are logged."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import structlog

from bot.errors import PassingError

T = TypeVar("T")

log = structlog.get_logger()


async def ended(work: Coroutine[Any, Any, Any], within: float, what: str) -> bool:
    """Wait for ``work``, for so many seconds at most; then it is cancelled, and not waited for. Whether it ended.

    What it raises is logged: whoever ends a thing goes on to end the next one.
    """
    task = asyncio.create_task(work, name=what)
    try:
        done, _ = await asyncio.wait([task], timeout=within)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        log.warning("it did not end in time, and is left behind", what=what, seconds=within)
    elif not task.cancelled() and (error := task.exception()):
        log.error("it ended with an error", what=what, **_told(error))
    return bool(done)


async def unless(stop: asyncio.Event, work: Awaitable[T]) -> T | None:
    """What ``work`` comes to, or None as soon as ``stop`` is set: it is cancelled then."""
    task, stopped = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        stopped.cancel()


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run ``work`` on its own. An exception that escapes it is logged under ``name``. Nothing runs once closed."""
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    async def join(self) -> None:
        """Wait for what runs, and for what that starts."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self, grace: float) -> None:
        """Wait ``grace`` seconds for what runs, then cancel the rest and wait for it to clean up."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a task failed", task=task.get_name(), **_told(error))


def _told(error: BaseException) -> dict[str, object]:
    return {"why": str(error)} if isinstance(error, PassingError) else {"exc_info": error}
