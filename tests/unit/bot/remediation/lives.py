"""Several lives of the bot on one store, in a time of their own.

They die anywhere, stand still anywhere, and take turns at the store and the host in an order that a test draws. All of
it is real but for the world around them: no thread, no waiting, so that the same draws lead to the same story.
"""

import asyncio
import selectors
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from bot.store.database import Database, Transaction, _tame_sqlite  # the same SQLite as the product's
from tests.unit.bot.samples import T0

T = TypeVar("T")


class Time(asyncio.SelectorEventLoop):
    """An event loop in which it is at once as late as what comes next, when nothing is left to do before."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now

    def clock(self) -> datetime:
        return T0 + timedelta(seconds=self._leaps.now)

    def starts_anew(self) -> None:
        self._leaps.now = 0.0


class _Leaps(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is ever going to happen any more")
        self.now += max(timeout, 0)
        return super().select(0)


class Killed(BaseException):
    """Unwinds what a dead life was at. It can clean up nothing: all that it reaches for raises this again."""


class Life:
    """Whether a process lives. Something befalls it when it has reached out to the world for a given time."""

    def __init__(self) -> None:
        self.alive = True
        self.stands_still = False
        self._fate: Callable[[], None] | None = None
        self._touches_left = 0
        self._waits: set[asyncio.Future[None]] = set()

    def touches(self) -> None:
        """Before and after all that it does to the world."""
        if self._fate is not None:
            self._touches_left -= 1
            if self._touches_left < 0:
                fate, self._fate = self._fate, None
                fate()
        if not self.alive:
            raise Killed

    def awaits(self, fate: Callable[[], None], touches: int) -> None:
        self._fate, self._touches_left = fate, touches

    def stops(self) -> None:
        """Like a process that is sent SIGSTOP, or whose machine is put to sleep: what it wants next has to wait."""
        self.stands_still = True

    def dies(self) -> None:
        self.alive = False
        for future in self._waits:
            if not future.done():
                future.set_exception(Killed())

    async def waits(self, future: asyncio.Future[None]) -> None:
        self._waits.add(future)
        try:
            await future
        finally:
            self._waits.discard(future)
        self.touches()


class Turns:
    """Who comes next, of all that want something of the world at the same moment. One at a time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._waiting: list[tuple[Life, asyncio.Future[None]]] = []
        self._taken = False

    @asynccontextmanager
    async def turn(self, life: Life) -> AsyncIterator[None]:
        life.touches()
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append((life, mine))
        self.go_on(mine.get_loop())
        try:
            await life.waits(mine)
            yield
        finally:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self._taken = False
                self.go_on(mine.get_loop())

    def go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the next one come, once all have said that they want to."""
        loop.call_soon(self._give)

    def _give(self) -> None:
        self._waiting = [(life, turn) for life, turn in self._waiting if not turn.done()]
        ready = [turn for life, turn in self._waiting if not life.stands_still]
        if ready and not self._taken:
            self._taken = True
            self._random.choice(ready).set_result(None)


class LifesDatabase(Database):
    """The database as one life has it. Each transaction is a turn; a life may die before, in or after it."""

    def __init__(self, engine: Engine, life: Life, turns: Turns, written: Callable[[], None]) -> None:
        super().__init__(engine, engine.execution_options(dockerhealth_writes=True))
        self._readers = self._writer = AtOnce()  # type: ignore[assignment]
        self._life = life
        self._turns = turns
        self._written = written

    async def query(self, work: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        async with self._turns.turn(self._life):
            return await super().query(work, ahead=ahead)

    async def change(self, work: Callable[[Transaction], T], *, whoever_acts: bool = False, ahead: bool = False) -> T:
        def lived(connection: Transaction) -> T:
            result = work(connection)
            self._life.touches()
            return result

        async with self._turns.turn(self._life):
            result = await super().change(lived, whoever_acts=whoever_acts, ahead=ahead)
            self._written()
            self._life.touches()
        return result


class AtOnce:
    """In place of the database's threads: work is done where it is asked for."""

    def submit(self, work: Callable[[], T], *, ahead: bool = False) -> Future[T]:
        del ahead
        future: Future[T] = Future()
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            future.set_exception(error)
        return future


def engine_on(path: str) -> Engine:
    """The product's SQLite on a file, without waiting for the disk."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path), poolclass=StaticPool)
    _tame_sqlite(engine)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.close()

    return engine
