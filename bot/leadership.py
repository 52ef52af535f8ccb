"""Which of several processes on one store acts, and which stand by.

The one that acts has the row with the highest token, and counts beats in it. One that stands by takes over when the
other has given up, is dead, or has not counted for some time by the monotonic clock of the one who waits: clocks that
are set have no part in it. Whoever was taken over from, having been frozen, say, finds its token outbid whenever it
writes.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from bot.store import Leader, Leaders, StoreError
from bot.tasks import ended

BEAT_EVERY = 2.0  # seconds
DEAD_AFTER = 8.0
"""Seconds without a beat after which a leader is dead, or might as well be."""

ASK_EVERY = 1.0
WAITED_FOR_STORE = 1.0
"""Seconds of waiting to write after which the leader may have waited as well: its silence is counted anew."""

GIVES_UP_WITHIN = 0.5
"""Seconds that it takes at most to tell the store so, twice: where that hangs, the kernel tells who stands by."""

log = structlog.get_logger()


class Leadership:
    def __init__(self, leaders: Leaders) -> None:
        self._leaders = leaders
        self._token = 0

    async def gained(self, stop: asyncio.Event) -> bool:
        """Wait until it is this process's turn to act. False if ``stop`` was set before."""
        seen: Leader | None = None
        since = time.monotonic()
        told: object = None  # what the log says of the wait
        while not stop.is_set():
            try:
                newest = await self._leaders.newest()
                if newest != seen:
                    seen, since = newest, time.monotonic()
                if newest is None or newest.over or self._is_dead(newest, since):
                    if await self._take(newest):
                        return True
                    since = time.monotonic()
                elif told != newest.token:
                    told = newest.token
                    log.info("standing by: another dockerhealth acts on this store", process=newest.process)
            except StoreError as error:
                since = time.monotonic()
                if told is not StoreError:
                    told = StoreError
                    log.warning("standing by: the store cannot be used", why=str(error))
            await _happens(stop, within=ASK_EVERY)
        return False

    @asynccontextmanager
    async def kept(self, stop: asyncio.Event) -> AsyncIterator[asyncio.Event]:
        """Act for as long as the block. What is yielded is set when ``stop`` is, or another process acts instead.

        What is written within the block is refused once another process acts.
        """
        over = asyncio.Event()
        self._leaders.act(self._token)
        following = [asyncio.create_task(work, name="leadership") for work in (self._beat(over), _follow(stop, over))]
        try:
            yield over
        finally:
            for task in following:
                task.cancel()
            await asyncio.wait(following, timeout=GIVES_UP_WITHIN)
            self._leaders.act(None)
            await ended(self._leaders.give_up(self._token), GIVES_UP_WITHIN, "to let another dockerhealth act")
            self._leaders.signs.let_go()

    def _is_dead(self, leader: Leader, since: float) -> bool:
        if self._leaders.signs.is_dead(leader.token):
            log.warning("the dockerhealth that acted is gone: taking over", process=leader.process)
            return True
        if (silent := time.monotonic() - since) > DEAD_AFTER:
            log.warning(
                "the dockerhealth that acts gives no sign of life: taking over", process=leader.process, s=silent
            )
            return True
        return False

    async def _take(self, seen: Leader | None) -> bool:
        """Act from now on. False if another process is faster, or the one that acts may be alive after all."""
        signs, taken = self._leaders.signs, None
        silent = seen is not None and not seen.over and not signs.is_dead(seen.token)
        if not signs.hold(1 + (seen.token if seen else 0)):
            return False
        try:
            process = f"{socket.gethostname()} pid {os.getpid()}"[:255]
            taken = await self._leaders.outbid(seen, process, WAITED_FOR_STORE if silent else None)
        finally:
            if taken is None:
                signs.let_go()
        if taken is None:
            return False
        self._token = taken.token
        log.info("acting", process=taken.process, token=taken.token)
        return True

    async def _beat(self, over: asyncio.Event) -> None:
        other = None
        while other is None:
            await asyncio.sleep(BEAT_EVERY)
            try:
                other = await self._leaders.beat(self._token)
            except StoreError:
                continue  # nobody else can write either; who can finds this one silent
        log.error("another dockerhealth acts on this store: standing by", process=other.process)
        over.set()


async def _follow(stop: asyncio.Event, over: asyncio.Event) -> None:
    await stop.wait()
    over.set()


async def _happens(event: asyncio.Event, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            await event.wait()
    except TimeoutError:
        return
