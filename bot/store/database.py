"""The connection to the database: how it is opened, brought up to date, and used in short transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.migrations import upgrade

BUSY_TIMEOUT = 10_000  # milliseconds that SQLite waits for another process's transaction


class StoreError(Exception):
    """The database cannot be used."""


class Database:
    """Opened with ``Database.open``; the schema is up to date from then on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(dockerhealth_writes=True)

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
            async with database.writing() as connection:
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
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        async with self._writer.begin() as connection:
            yield connection


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
