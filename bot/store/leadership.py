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
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from sqlalchemy import delete, insert, select, update

from bot.store.database import ConflictError, Database, StoreError, Transaction
from bot.store.signs_of_life import SignsOfLife
from bot.store.tables import leaders

BEAT_EVERY = 2.0  # seconds
DEAD_AFTER = 8.0
"""Seconds without a beat after which a leader is dead, or might as well be."""

ASK_EVERY = 1.0
WAITED_FOR_STORE = 1.0
"""Seconds of waiting to write after which the leader may have waited as well: its silence is counted anew."""

REMEMBERED = 100  # leaders of the past

log = structlog.get_logger()


@dataclass(frozen=True)
class Leader:
    """The row of a process that acts, or acted."""

    token: int
    life: str
    process: str  # for people: which machine, which pid
    beats: int
    over: bool  # it has given up


class Leadership:
    """``life`` is this process's."""

    def __init__(self, database: Database, life: str) -> None:
        self._database = database
        self._life = life
        self._signs = SignsOfLife(_beside(database))
        self._token = 0

    async def gained(self, stop: asyncio.Event) -> bool:
        """Wait until it is this process's turn to act. False if ``stop`` was set before."""
        seen: Leader | None = None
        since = time.monotonic()
        told: object = None  # what the log says of the wait
        while not stop.is_set():
            try:
                newest = await self._newest()
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
        self._database.token = self._token
        beating = asyncio.create_task(self._beat(over), name="beat")
        stopping = asyncio.create_task(_follow(stop, over), name="stop")
        try:
            yield over
        finally:
            for task in (beating, stopping):
                task.cancel()
            await asyncio.gather(beating, stopping, return_exceptions=True)
            self._database.token = None
            await self._give_up()

    # --- the row ---

    async def _newest(self) -> Leader | None:
        async with self._database.reading() as connection:
            return await _newest(connection)

    def _is_dead(self, leader: Leader, since: float) -> bool:
        if self._signs.is_dead(leader.token):
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
        leader = Leader(1 + (seen.token if seen else 0), self._life, _process(), 0, over=False)
        if not self._signs.hold(leader.token):
            return False
        taken = False
        try:
            taken = await self._outbid(seen, leader)
        finally:
            if not taken:
                self._signs.let_go()
        if taken:
            self._token = leader.token
            log.info("acting", process=leader.process, token=leader.token)
        return taken

    async def _outbid(self, seen: Leader | None, leader: Leader) -> bool:
        asked = time.monotonic()
        try:
            async with self._database.writing() as connection:
                silent = seen is not None and not seen.over and not self._signs.is_dead(seen.token)
                if silent and time.monotonic() - asked > WAITED_FOR_STORE:
                    return False
                if await _newest(connection) != seen:
                    return False
                await connection.execute(insert(leaders).values(asdict(leader)))
                await connection.execute(delete(leaders).where(leaders.c.token < leader.token - REMEMBERED))
        except ConflictError:  # where no lock of a file could tell
            return False
        return True

    async def _beat(self, over: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(BEAT_EVERY)
            try:
                async with self._database.writing(whoever_acts=True) as connection:
                    newest = await _newest(connection)
                    if newest is None or newest.token != self._token:
                        break
                    mine = leaders.c.token == self._token
                    await connection.execute(update(leaders).where(mine).values(beats=leaders.c.beats + 1))
            except StoreError:
                continue  # nobody else can write either; who can finds this one silent
        log.error("another dockerhealth acts on this store: standing by", process=newest.process if newest else "")
        over.set()

    async def _give_up(self) -> None:
        """Let another process act at once."""
        try:
            async with self._database.writing() as connection:
                await connection.execute(update(leaders).where(leaders.c.token == self._token).values(over=True))
        except StoreError as error:
            log.warning("the store cannot be told that this dockerhealth acts no more", why=str(error))
        self._signs.let_go()


async def _newest(connection: Transaction) -> Leader | None:
    rows = await connection.execute(select(leaders).order_by(leaders.c.token.desc()).limit(1))
    row = rows.first()
    return Leader(**row._asdict()) if row else None


def _beside(database: Database) -> Path | None:
    """A file beside the database, where that is a file."""
    name = database.url.database
    if database.url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return None
    return Path(f"{name}-leader").absolute()


def _process() -> str:
    return f"{socket.gethostname()} pid {os.getpid()}"[:255]


async def _follow(stop: asyncio.Event, over: asyncio.Event) -> None:
    await stop.wait()
    over.set()


async def _happens(event: asyncio.Event, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            await event.wait()
    except TimeoutError:
        return
