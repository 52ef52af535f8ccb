"""The connection to the database: how it is opened, brought up to date, and used in short transactions."""

import asyncio
import os
import pwd
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, CursorResult, Executable, event, func, make_url, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.store.announcements import Announcement, Announcements
from bot.store.migrations import upgrade
from bot.store.tables import leaders
from bot.store.writability import Writability

READERS = 5
"""Transactions that read at the same time. Who comes later waits, and holds no connection while it does."""

BUSY_TIMEOUT = 10_000  # milliseconds that SQLite waits for another process's transaction

_NO_CHANGE = text("UPDATE alembic_version SET version_num = version_num")
"""Fails where nothing can be written: on a read-only file, ``BEGIN IMMEDIATE`` alone begins to read without a word."""

_ANYTHING = text("SELECT version_num FROM alembic_version")

T = TypeVar("T")


class StoreError(Exception):
    """The database cannot be used, or did not do what it was asked."""


class ConflictError(StoreError):
    """A row would break a rule of its table: another process was faster."""


class UnwritableError(StoreError):
    """The database cannot be written just now: it is locked for long, read-only, gone, or its disk is full."""


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

    async def execute(
        self, statement: Executable, many: Sequence[Mapping[str, object]] | None = None
    ) -> CursorResult[Any]:
        """Execute a statement, or execute it for each of ``many`` sets of its parameters."""
        return await _whole(self._connection.execute(statement, many))

    async def rollback(self) -> None:
        """Take back what was asked so far. Nothing of it is announced."""
        self.announcements.clear()
        await _whole(self._connection.rollback())


class Database:
    """Opened with ``Database.open``; the schema is up to date from then on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.announcements = Announcements()
        self.url = engine.url
        self.writability = Writability()
        self.token: int | None = None  # by which this process acts; None: by none, as that of a terminal
        self._engine = engine
        self._writer = engine.execution_options(dockerhealth_writes=True)
        # SQLite lets one write. Connections of those that wait for it would be gone from all others.
        self._reads, self._writes = asyncio.Semaphore(READERS), asyncio.Semaphore(1)
        self._queue = asyncio.Semaphore(1)  # in which those wait whose write may wait

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database, bring it up to date, and see that it can be written. Raises StoreError."""
        full = _with_driver(make_url(url))
        path = _path(full)
        if path is not None:
            _check_folder(full, path)
        is_new = path is not None and not path.exists()
        engine = create_async_engine(full)
        if path is not None:
            _tame_sqlite(engine)
        database = cls(engine)
        try:
            async with database._writer.begin() as connection:
                await connection.run_sync(upgrade)
                await connection.execute(_NO_CHANGE)
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            raise StoreError(_unusable(full, error, path)) from error
        if path is not None and is_new:
            _give_away(path)
        return database

    @classmethod
    async def read(cls, url: str) -> Self:
        """Open the database for reading alone: nothing is made, nothing is changed. Raises StoreError."""
        full = _with_driver(make_url(url))
        path = _path(full)
        if path is not None and not path.exists():
            raise StoreError(f"There is no store at {path} yet: dockerhealth has not run with this configuration.")
        if path is not None:
            full = full.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
        database = cls(create_async_engine(full))
        try:
            async with database._engine.connect() as connection:
                await connection.execute(_ANYTHING)
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            raise StoreError(_unusable(full, error, None)) from error
        return database

    async def probe(self) -> None:
        """Write, and change nothing. Raises StoreError."""
        async with self.writing(whoever_acts=True) as connection:
            await connection.execute(_NO_CHANGE)

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a transaction that only reads. Raises StoreError."""
        with _own_errors():
            async with self._reads, _transaction(self._engine) as transaction:
                yield transaction

    @asynccontextmanager
    async def writing(self, *, whoever_acts: bool = False, ahead: bool = False) -> AsyncIterator[Transaction]:
        """Open a transaction that writes, once it is its turn: ``ahead`` of all that only wait for theirs.

        Raises ConflictError, OutbidError, UnwritableError, StoreError.
        """
        async with nullcontext() if ahead else self._queue, self._writes:
            if not self.writability.may_try(time.monotonic()):
                raise UnwritableError(f"The store cannot be written: {self.writability.why}.")
            try:
                with _own_errors():
                    async with _transaction(self._writer) as transaction:
                        if self.token is not None and not whoever_acts:
                            await self._check_token(transaction)
                        yield transaction
            except UnwritableError as error:
                self.writability.failed(str(error), time.monotonic())
                raise
            self.writability.worked(time.monotonic())
        for announcement in transaction.announcements:
            self.announcements.announce(announcement)

    async def _check_token(self, transaction: Transaction) -> None:
        """Raises OutbidError."""
        highest = (await transaction.execute(select(func.max(leaders.c.token)))).scalar()
        if highest != self.token:
            raise OutbidError("Another dockerhealth acts on this store by now. Nothing was written.")


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise errors of the database as the store's own: nobody else has to know what it is built on."""
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"The store refused a row: {error.orig}.") from error
    except OperationalError as error:
        raise UnwritableError(
            f"The store failed: {error.orig}. Check that its disk has room, that it can be written, and that nobody "
            "keeps it locked."
        ) from error
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


def _path(url: URL) -> Path | None:
    """The file that the database is, if it is one."""
    is_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(str(url.database)).absolute() if is_file else None


def _check_folder(url: URL, path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(
            f"The store {url.render_as_string(hide_password=True)} cannot be used: its folder does not exist. "
            "Create it, or change `store` in the configuration."
        )


def _unusable(url: URL, error: Exception, path: Path | None) -> str:
    said = getattr(error, "orig", None) or error
    why = _not_ours(path) if path is not None else ""
    return (
        f"The store {url.render_as_string(hide_password=True)} cannot be used: {said}. {why}Check `store` in the "
        "configuration, and that the user that dockerhealth runs as may write to it and to its folder."
    )


def _not_ours(path: Path) -> str:
    """Whose the files are that this process may not write, and what gives them back."""
    beside = [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm")]
    shut = [
        each for each in (*beside, path.parent) if each.exists() and not os.access(each, os.W_OK, effective_ids=True)
    ]
    if not shut:
        return ""
    me, owner = _login(os.geteuid()), _login(shut[0].stat().st_uid)
    given = f": `chown {me} {path}*` gives it back" if owner != me and path.parent not in shut else ""
    return f"{shut[0]} belongs to {owner} and may not be written by {me}{given}. "


def _login(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _give_away(path: Path) -> None:
    """Let a store that root has made be its folder's owner's: the service could not write it otherwise."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for end in ("", "-wal", "-shm"):
            beside = path.with_name(f"{path.name}{end}")
            if beside.exists():
                os.chown(beside, owner.st_uid, owner.st_gid)


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
