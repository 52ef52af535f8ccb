"""How everyone who waits learns that something in the workspace has changed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from bot.demo.local_slack.errors import NeverHappenedError
from bot.demo.local_slack.state import Message

T = TypeVar("T")

Feed = asyncio.Queue[Message | None]
"""What a page listens to: a message that is new or changed, or None for anything else."""


class Changes:
    """Wakes those who wait, and feeds the pages that are open. Nobody polls."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: set[asyncio.Event] = set()
        self._feeds: set[Feed] = set()

    def announce(self, message: Message | None = None) -> None:
        """Tell everyone that something changed, and which message if it was one."""
        for event in self._waiting:
            event.set()
        for feed in self._feeds:
            feed.put_nowait(message)

    @contextmanager
    def feed(self) -> Iterator[Feed]:
        """Give a queue of every change from now on."""
        feed: Feed = asyncio.Queue()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    async def until(self, look: Callable[[], T | None], *, within: float | None, otherwise: Callable[[], str]) -> T:
        """Return what `look` finds, looking again after every change, or raise what `otherwise` says."""
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            async with asyncio.timeout(within):
                while (found := look()) is None:
                    await woken.wait()
                    woken.clear()
                return found
        except TimeoutError:
            raise NeverHappenedError(f"not within {within} s: {otherwise()}") from None
        finally:
            self._waiting.discard(woken)
