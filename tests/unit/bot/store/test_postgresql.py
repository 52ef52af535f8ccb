"""A PostgreSQL server that is gone, hangs, cuts connections off, or cannot be used: said as that, and outlived."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from bot.store import Store, StoreError, UnwritableError, database
from bot.store.database import Transaction
from tests.postgresql import PASSWORD, USER, Server, opened_once
from tests.unit.bot.samples import T0, incident

AT_ONCE = 5.0  # seconds, on a machine that is busy


@pytest.fixture
def name(postgresql: Server) -> Iterator[str]:
    """Of a database with a store."""
    with postgresql.store() as name:
        yield name


@pytest.fixture
async def store(postgresql: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """One that does not wait for long."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 500)
    monkeypatch.setattr("bot.store.writability.TRY_EVERY", 0.0)
    opened = await Store.open(postgresql.url(name))
    yield opened
    await opened.close()


@contextmanager
def says_at_once(words: str) -> Iterator[None]:
    """The store does, without the password."""
    with pytest.raises(StoreError, match=words) as told:
        yield
    assert PASSWORD not in str(told.value)
    assert "\n" not in str(told.value)


async def writes(store: Store) -> None:
    await store.database.probe()
    assert store.database.writability.why == ""


async def test_a_server_that_is_gone_for_a_while_is_said_and_the_store_is_taken_up_when_it_is_back(
    store: Store, postgresql: Server
) -> None:
    with postgresql.stopped():
        for _ in range(2):
            with pytest.raises(UnwritableError, match="connection"):
                await store.database.probe()
            with pytest.raises(StoreError, match="connection"):
                await store.incidents.live()
        assert store.database.writability.trouble is not None
    await writes(store)
    assert await store.incidents.live() == ()


async def test_a_connection_that_the_server_ended_between_two_looks_costs_nothing(
    store: Store, postgresql: Server, name: str
) -> None:
    await writes(store)
    await store.incidents.live()
    postgresql.cut_off(name)
    await writes(store)
    assert await store.incidents.live() == ()
    assert store.database.writability.trouble is None


async def test_a_server_that_hangs_is_waited_for_until_a_deadline(
    store: Store, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.postgresql.ANSWERED_WITHIN", 0.5)
    monkeypatch.setattr("bot.store.postgresql.CONNECTED_WITHIN", 2)
    begun, hangs = threading.Event(), threading.Event()

    def goes_on(connection: Transaction) -> None:
        begun.set()
        hangs.wait(10)
        connection.execute(text("DELETE FROM seen"))

    writing = asyncio.create_task(store.database.change(goes_on))
    await asyncio.to_thread(begun.wait)
    with postgresql.frozen():
        hangs.set()
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(UnwritableError, match="has not answered"):
                await writing
            with pytest.raises(StoreError, match="timeout expired"):
                await store.incidents.live()
    await writes(store)
    assert await store.incidents.live() == ()


async def test_a_row_that_somebody_else_keeps_locked_is_waited_for_until_a_deadline(
    store: Store, postgresql: Server, name: str
) -> None:
    assert await store.incidents.add(incident(), "#alerts", T0)
    with psycopg.connect(postgresql.url(name)) as somebody:
        somebody.execute("SELECT * FROM alembic_version FOR UPDATE")
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(UnwritableError, match=r"lock timeout.*nobody keeps it locked"):
                await store.database.probe()
    await writes(store)


async def test_a_bot_that_is_frozen_while_it_writes_does_not_keep_the_others_from_it(
    store: Store, postgresql: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.postgresql.SPOKEN_WITHIN", 100)
    begun, thawed = threading.Event(), threading.Event()
    frozen = await Store.open(postgresql.url(name))

    def freezes(connection: Transaction) -> None:
        begun.set()
        thawed.wait(10)
        connection.execute(text("DELETE FROM seen"))

    writing = asyncio.create_task(frozen.database.change(freezes))
    async with asyncio.timeout(AT_ONCE):
        await asyncio.to_thread(begun.wait)
        assert await store.seen.first("click", T0)
    thawed.set()
    with pytest.raises(UnwritableError, match="idle-in-transaction"):
        await writing
    await frozen.close()


async def test_a_server_on_which_nothing_may_be_written_any_more_is_said_and_taken_up_again(
    store: Store, postgresql: Server, name: str
) -> None:
    alter = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    postgresql.execute(alter.format(sql.Identifier(name), sql.SQL("on")))
    postgresql.cut_off(name)
    with pytest.raises(UnwritableError, match="read-only transaction"):
        await store.database.probe()
    postgresql.execute(alter.format(sql.Identifier(name), sql.SQL("off")))
    postgresql.cut_off(name)
    await writes(store)


# --- found at start ---


async def test_a_server_that_is_not_there_is_found_at_start_with_what_to_do(tmp_path: Path) -> None:
    url = f"postgresql://{USER}:{PASSWORD}@/store?host={tmp_path}"
    with says_at_once(r"postgresql\+psycopg://dockerhealth:\*\*\*@.*connection.*Check `store`.*that its server runs"):
        await opened_once(url)
    for elsewhere in (
        f"postgres://{USER}@/store?host={tmp_path}&password={PASSWORD}",
        url.replace("sql:", "sql+psycopg2:"),
    ):
        with says_at_once(r"postgresql\+psycopg://dockerhealth.*cannot be used: .*that its server runs"):
            await Store.read(elsewhere)


async def test_a_wrong_password_is_found_at_start(postgresql: Server, name: str) -> None:
    with says_at_once("password authentication failed"):
        await opened_once(postgresql.url(name, password=f"not{PASSWORD}"))


async def test_a_database_that_nobody_has_made_is_found_at_start(postgresql: Server) -> None:
    with says_at_once('database "nowhere" does not exist'):
        await opened_once(postgresql.url("nowhere"))


async def test_a_command_that_only_reads_makes_no_store(postgresql: Server) -> None:
    database = postgresql.new_database()
    for _ in range(2):
        with says_at_once(r"There is no store at \S+ yet"):
            await Store.read(postgresql.url(database))
    postgresql.drop(database)


async def test_a_user_who_may_make_no_tables_is_found_at_start(postgresql: Server) -> None:
    database = postgresql.new_database()
    postgresql.execute(sql.SQL("CREATE ROLE guest LOGIN PASSWORD {}").format(PASSWORD))
    with says_at_once("permission denied for schema public.*owns the database"):
        await opened_once(postgresql.url(database, "guest"))
    postgresql.drop(database)
    postgresql.execute("DROP ROLE guest")


async def test_a_database_that_cannot_hold_every_letter_is_found_at_start(postgresql: Server) -> None:
    postgresql.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with says_at_once("its encoding is LATIN1: .*ENCODING 'UTF8'"):
        await opened_once(postgresql.url("latin"))
    postgresql.drop("latin")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://{USER}:{PASSWORD}@host:port/store",
        f"postgresql://{USER}:a@{PASSWORD}@host/store",
        f"oracle+nothing://{USER}:{PASSWORD}@host/store",
    ],
)
async def test_a_url_that_is_none_is_found_at_start(url: str) -> None:
    with says_at_once(r"postgresql://USER:PASSWORD@HOST/DATABASE"):
        await opened_once(url)
