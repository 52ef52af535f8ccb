"""The connection to the database: how it is opened, brought up to date, and used in short transactions.

A transaction is a function of a connection, and runs from its beginning to its end in a thread: the event loop pays for
two hops a transaction, however many statements it has, and nobody who is cancelled leaves one open.
"""

import asyncio
import os
import pwd
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from queue import PriorityQueue
from typing import Any, Self, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Engine,
    Executable,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError, InternalError, NoSuchModuleError, OperationalError, SQLAlchemyError

from bot.errors import PassingError
from bot.store.announcements import Announcement, Announcements
from bot.store.migrations import revision, upgrade
from bot.store.tables import leaders
from bot.store.writability import Writability

READERS = 2
"""Transactions that read at the same time. Who comes later waits, and holds no connection while it does.

A slow one is not to hold up all others. Of Python's threads one runs at a time: more would leave the event loop less.
"""

BUSY_TIMEOUT = 10_000  # milliseconds that a transaction waits for another process's

_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}

_EXAMPLES = "sqlite:///dockerhealth.db or postgresql://USER:PASSWORD@HOST/DATABASE"

_NO_CHANGE = text("UPDATE alembic_version SET version_num = version_num")
"""Fails where nothing can be written: on a read-only file, ``BEGIN IMMEDIATE`` alone begins to read without a word."""

T = TypeVar("T")


class StoreError(Exception):
    """The database cannot be used, or did not do what it was asked."""


class ConflictError(StoreError):
    """A row would break a rule of its table: another process was faster."""


class UnwritableError(StoreError, PassingError):
    """The database cannot be used just now: it is locked for long, read-only, gone, or its disk is full."""


class OutbidError(StoreError, PassingError):
    """Another process acts on this store by now: this one must not."""


class Transaction:
    """A connection to the database within a transaction. Only what runs as one has it, in its thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.announcements: list[Announcement] = []

    def announce(self, announcement: Announcement) -> None:
        """Tell whoever waits for it, once this is stored."""
        if announcement not in self.announcements:
            self.announcements.append(announcement)

    def execute(self, statement: Executable, many: Sequence[Mapping[str, object]] | None = None) -> CursorResult[Any]:
        """Execute a statement, or execute it for each of ``many`` sets of its parameters."""
        return self._connection.execute(statement, many)

    def rollback(self) -> None:
        """Take back what was asked so far. Nothing of it is announced."""
        self.announcements.clear()
        self._connection.rollback()


class Turns:
    """Threads in which transactions have their turns one after the other, and those first that go ahead.

    The next one is taken up without the event loop, which is busiest when most waits.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._numbers = count()
        self._waiting: PriorityQueue[tuple[bool, int, Future[Any], Callable[[], Any]]] = PriorityQueue()

    def submit(self, work: Callable[[], T], *, ahead: bool = False) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.put((not ahead, next(self._numbers), future, work))
        self._threads.submit(self._next)
        return future

    def end(self) -> None:
        """Return when all that had its turn, or waits for it, is done."""
        self._threads.shutdown()

    def _next(self) -> None:
        _, _, future, work = self._waiting.get_nowait()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            future.set_exception(error)


class Database:
    """Opened with ``Database.open``; the schema is up to date from then on."""

    def __init__(self, reads: Engine, writes: Engine) -> None:
        """Two views of one engine."""
        self.announcements = Announcements()
        self.url = reads.url
        self.writability = Writability()
        self.token: int | None = None  # by which this process acts; None: by none, as that of a terminal
        self._engine, self._for_writing = reads, writes
        self._readers = Turns(READERS, "store-reader")
        self._writer = Turns(1, "store-writer")  # one writes at a time

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database, bring it up to date, and see that it can be written. Raises StoreError."""
        full = _parsed(url)
        path = _path(full)
        if path is not None:
            _check_folder(full, path)
        is_new = path is not None and not path.exists()
        database = cls(*_tamed(_engine(full)))
        try:
            await asyncio.wrap_future(database._writer.submit(database._bring_up_to_date))
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            raise StoreError(_unusable(full, error, path)) from error
        if path is not None and is_new:
            _give_away(path)
        return database

    @classmethod
    async def read(cls, url: str) -> Self:
        """Open the database for reading alone: nothing is made, nothing is changed. Raises StoreError."""
        full = _parsed(url)
        path = _path(full)
        if path is not None and not path.exists():
            raise StoreError(_nothing_at(path))
        if path is not None:
            full = full.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
        engine = _engine(full)
        database = cls(*(_tamed(engine) if path is None else (engine, engine)))
        try:
            await asyncio.wrap_future(database._readers.submit(database._see_that_it_is_there))
        except StoreError:
            await database.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            await database.close()
            raise StoreError(_unusable(full, error, None)) from error
        return database

    def _bring_up_to_date(self) -> None:
        with self._for_writing.begin() as connection:
            upgrade(connection)
            connection.execute(_NO_CHANGE)

    def _see_that_it_is_there(self) -> None:
        with self._engine.connect() as connection:
            if revision(connection) is None:
                raise StoreError(_nothing_at(_shown(self.url)))

    async def probe(self) -> None:
        """Write, and change nothing. Raises StoreError."""
        await self.change(lambda connection: connection.execute(_NO_CHANGE), whoever_acts=True)

    async def close(self) -> None:
        await asyncio.wrap_future(self._writer.submit(self._close))

    def _close(self) -> None:
        self._readers.end()  # a connection that is in use would stay open
        self._engine.dispose()

    async def query(self, work: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        """What ``work`` comes to, which only reads: ``ahead`` of all that only wait for their turn.

        Raises StoreError.
        """
        return await asyncio.wrap_future(self._readers.submit(partial(self._read, work), ahead=ahead))

    async def change(self, work: Callable[[Transaction], T], *, whoever_acts: bool = False, ahead: bool = False) -> T:
        """What ``work`` comes to, which writes when it is its turn: ``ahead`` of all that only wait for theirs.

        Who is cancelled before its turn has changed nothing. Later, all of the change is made.

        Raises ConflictError, OutbidError, UnwritableError, StoreError.
        """
        writing = self._writer.submit(partial(self._write, work, whoever_acts=whoever_acts), ahead=ahead)
        result, announcements = await asyncio.wrap_future(writing)
        for announcement in announcements:
            self.announcements.announce(announcement)
        return result

    def _read(self, work: Callable[[Transaction], T]) -> T:
        with _own_errors(), self._engine.begin() as connection:
            return work(Transaction(connection))

    def _write(self, work: Callable[[Transaction], T], *, whoever_acts: bool) -> tuple[T, list[Announcement]]:
        if not self.writability.may_try(time.monotonic()):
            raise UnwritableError(f"The store cannot be written: {self.writability.why}.")
        try:
            with _own_errors(), self._for_writing.begin() as connection:
                transaction = Transaction(connection)
                if self.token is not None and not whoever_acts:
                    self._check_token(transaction)
                result = work(transaction)
        except UnwritableError as error:
            self.writability.failed(str(error), time.monotonic())
            raise
        self.writability.worked(time.monotonic())
        return result, transaction.announcements

    def _check_token(self, transaction: Transaction) -> None:
        """Raises OutbidError."""
        highest = transaction.execute(select(func.max(leaders.c.token))).scalar()
        if highest != self.token:
            raise OutbidError("Another dockerhealth acts on this store by now. Nothing was written.")


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise errors of the database as the store's own: nobody else has to know what it is built on."""
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"The store refused a row: {_said(error)}.") from error
    except (OperationalError, InternalError) as error:  # the latter is PostgreSQL's word for what may only be read
        raise UnwritableError(
            f"The store failed: {_said(error)}. Check that it can be reached and written, that its disk has room, and "
            "that nobody keeps it locked."
        ) from error
    except SQLAlchemyError as error:
        raise StoreError(
            f"The store failed: {_said(error)}. Check that its disk has room and that it can be written."
        ) from error


def _said(error: Exception) -> str:
    """What the database said, without its hints, the statement and the values."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0].removesuffix(".")


def _parsed(url: str) -> URL:
    """The URL with the driver that is used here, whichever it names. Raises StoreError."""
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        raise StoreError(  # without any part of it, which may be the password's
            f"`store` in the configuration is no database URL, such as {_EXAMPLES}. In its password each of : / @ ? # "
            "and % has to be written as %3A %2F %40 %3F %23 and %25."
        )
    return parsed.set(drivername=_DRIVERS.get(parsed.get_backend_name(), parsed.drivername))


def _shown(url: URL) -> str:
    """The URL without a password, wherever it stands."""
    hidden = dict.fromkeys((name for name in url.query if "password" in name), "hidden")
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    """An engine with a connection for each that may have one at a time. Raises StoreError."""
    if url.get_backend_name() == "sqlite" and _path(url) is None:
        raise StoreError(f"The store {_shown(url)} remembers nothing: name a file, sqlite:///dockerhealth.db say.")
    try:
        # A connection to a server may have ended since it was used last. One that is dead is made anew.
        return create_engine(url, pool_size=READERS + 1, max_overflow=0, pool_pre_ping=_path(url) is None)
    except ImportError as error:
        install = "`pip install 'dockerhealth[postgresql]'`" if url.get_backend_name() == "postgresql" else "Install it"
        raise StoreError(
            f"The store {_shown(url)} takes a program that is not installed: {error}. {install}."
        ) from error
    except NoSuchModuleError as error:
        raise StoreError(
            f"The store {_shown(url)} is on no database that is known: name one like {_EXAMPLES}."
        ) from error


def _tamed(engine: Engine) -> tuple[Engine, Engine]:
    """What reads and what writes, so that one process at a time writes, and reads what is of one moment."""
    if engine.dialect.name == "postgresql":
        from bot.store import postgresql  # noqa: PLC0415  # its driver need not be installed

        return postgresql.tame(engine, BUSY_TIMEOUT)
    _tame_sqlite(engine)
    return engine, engine.execution_options(dockerhealth_writes=True)


def _path(url: URL) -> Path | None:
    """The file that the database is, if it is one."""
    is_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(str(url.database)).absolute() if is_file else None


def _check_folder(url: URL, path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(
            f"The store {_shown(url)} cannot be used: its folder does not exist. "
            "Create it, or change `store` in the configuration."
        )


def _nothing_at(place: str | Path) -> str:
    return f"There is no store at {place} yet: dockerhealth has not run with this configuration."


def _unusable(url: URL, error: Exception, path: Path | None) -> str:
    failed = f"The store {_shown(url)} cannot be used: {_said(error)}."
    if url.get_backend_name() != "sqlite":
        return (
            f"{failed} Check `store` in the configuration, that its server runs and lets this machine in, and that the "
            "user that it names owns the database."
        )
    why = _not_ours(path) if path is not None else ""
    return (
        f"{failed} {why}Check `store` in the configuration, and that the user that dockerhealth runs as may write to "
        "it and to its folder."
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


def _tame_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes late and never says IMMEDIATE; without it, the one below is the only one.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once, whatever the busy timeout, when another
        # process wrote in between. One that will write takes the write lock from its start, and waits for it.
        writes = connection.get_execution_options().get("dockerhealth_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
