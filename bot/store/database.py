"""The connection to the database: how it is opened, brought up to date, and used in short transactions."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, CursorResult, Executable, event, func, make_url, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.store.announcements import Announcement, Announcements
from bot.store.migrations import upgrade
from bot.store.tables import leaders

READERS = 5
"""Transactions that read at the same time. Who comes later waits, and holds no connection while it does."""

BUSY_TIMEOUT = 10_000  # milliseconds that SQLite waits for another process's transaction

T = TypeVar("T")


class StoreError(Exception):
    """The database cannot be used, or did not do what it was asked."""


class ConflictError(StoreError):
    """A row would break a rule of its table: another process was faster."""


class OutbidError(StoreError):
    """Another process acts on this store by now: this one must not."""


class Transaction:
    """A connection to the database within a transaction.

    Whatever is asked of it ends before the one who asked is cancelled. Else the driver's thread would carry on alone:
    begin what nobody ends, and hold the lock on the database with it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.announcements: list[Announcement] = []

    def announce(self, announcement: Announcement) -> None:
        """Tell whoever waits for it, once this is stored."""
        if announcement not in self.announcements:
            self.announcements.append(announcement)

    async def execute(self, statement: Executable) -> CursorResult[Any]:
        return await _whole(self._connection.execute(statement))

    async def rollback(self) -> None:
        """Take back what was asked so far. Nothing of it is announced."""
        self.announcements.clear()
        await _whole(self._connection.rollback())


class Database:
    """Opened with ``Database.open``; the schema is up to date from then on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.announcements = Announcements()
        self.url = engine.url
        self.token: int | None = None  # by which this process acts; None: by none, as that of a terminal
        self._engine = engine
        self._writer = engine.execution_options(dockerhealth_writes=True)
        # SQLite lets one write. Connections of those that wait for it would be gone from all others.
        self._reads, self._writes = asyncio.Semaphore(READERS), asyncio.Semaphore(1)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Raises StoreError."""
        full = _with_driver(make_url(url))
        if full.get_backend_name() == "sqlite":
            _check_folder(full)
        engine = create_async_engine(full)
        if full.get_backend_name() == "sqlite":
            _tame_sqlite(engine)
        database = cls(engine)
        try:
            async with database._writer.begin() as connection:
                await connection.run_sync(upgrade)
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            shown = full.render_as_string(hide_password=True)
            raise StoreError(
                f"The store {shown} cannot be used: {error}. Check `store` in the configuration, and that the user "
                "that dockerhealth runs as may write to it and to its folder."
            ) from error
        return database

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a transaction that only reads. Raises StoreError."""
        with _own_errors():
            async with self._reads, _transaction(self._engine) as transaction:
                yield transaction

    @asynccontextmanager
    async def writing(self, *, whoever_acts: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that writes, once it is its turn. Raises ConflictError, OutbidError, StoreError."""
        with _own_errors():
            async with self._writes, _transaction(self._writer) as transaction:
                if self.token is not None and not whoever_acts:
                    highest = (await transaction.execute(select(func.max(leaders.c.token)))).scalar()
                    if highest != self.token:
                        raise OutbidError("Another dockerhealth acts on this store by now. Nothing was written.")
                yield transaction
        for announcement in transaction.announcements:
            self.announcements.announce(announcement)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise errors of the database as the store's own: nobody else has to know what it is built on."""
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"The store refused a row: {error.orig}.") from error
    except SQLAlchemyError as error:
        raise StoreError(
            f"The store failed: {error}. Check that its disk has room and that it can be written."
        ) from error


@asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncIterator[Transaction]:
    stack = AsyncExitStack()
    try:
        yield Transaction(await _whole(stack.enter_async_context(engine.begin())))
    except BaseException as error:
        await _whole(stack.__aexit__(type(error), error, error.__traceback__))
        raise
    await _whole(stack.aclose())


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` comes to. Who is cancelled meanwhile is told so when it has ended."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # told to nobody: being cancelled comes first
    raise cancelled


def _with_driver(url: URL) -> URL:
    return url.set(drivername="sqlite+aiosqlite") if url.drivername == "sqlite" else url


def _check_folder(url: URL) -> None:
    if url.database and not Path(url.database).absolute().parent.is_dir():
        raise StoreError(
            f"The store {url.render_as_string(hide_password=True)} cannot be used: its folder does not exist. "
            "Create it, or change `store` in the configuration."
        )


def _tame_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes late and never says IMMEDIATE; without it, the one below is the only one.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def began(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once, whatever the busy timeout, when another
        # process wrote in between. One that will write takes the write lock from its start, and waits for it.
        writes = connection.get_execution_options().get("dockerhealth_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
