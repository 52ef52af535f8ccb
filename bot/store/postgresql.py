"""How PostgreSQL is used: no wait without a deadline, and one process writes at a time, as SQLite has it by itself."""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, event

CONNECTED_WITHIN = 5
"""Seconds for each address that the server's name leads to."""

ANSWERED_WITHIN = 12.0
"""Seconds after which a server that says nothing hangs, or cannot be reached: it ends a slow statement before."""

SPOKEN_WITHIN = 5_000
"""Milliseconds after which the server ends a transaction that writes, and of whose process nothing more is heard.

One that is frozen, or was cut off, would keep all others from writing for hours.
"""

_ONE_WRITES = int.from_bytes(b"dockerh", "big")
"""The advisory lock of who writes. What is read in a transaction is then so until it is written."""

T = TypeVar("T")


class _Connection(psycopg.Connection[Any]):
    """Waits for an answer with a deadline of its own: where the server hangs, none of the server's is kept."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        return super().wait(self._within(gen), *args, **options)

    def _within(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        deadline = time.monotonic() + ANSWERED_WITHIN
        try:
            waits_for = next(gen)
            while True:
                ready = yield waits_for
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError(f"the server has not answered for {ANSWERED_WITHIN:.0f} s")
                waits_for = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def tame(engine: Engine, patience: int) -> tuple[Engine, Engine]:
    """Return what reads and what writes. ``patience``: milliseconds that a transaction waits for another one."""

    @event.listens_for(engine, "do_connect")
    def connects(_dialect: object, _record: object, words: list[str], options: dict[str, Any]) -> _Connection:
        return _Connection.connect(
            *words, **{"connect_timeout": CONNECTED_WITHIN, "client_encoding": "UTF8", **options}
        )

    # Who waits for a lock is told so before what is slow is ended, and that before this side gives up.
    deadlines = (
        f"set_config('lock_timeout', '{patience}', false), set_config('statement_timeout', '{patience + 1000}', false)"
    )

    @event.listens_for(engine, "connect")
    def connected(connection: psycopg.Connection[Any], _record: object) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise psycopg.NotSupportedError(f"its encoding is {encoding}: make another database, with ENCODING 'UTF8'")
        connection.execute(f"SELECT {deadlines}, set_config('timezone', 'UTC', false)")
        connection.commit()

    spoken = f"set_config('idle_in_transaction_session_timeout', '{SPOKEN_WITHIN}', true)"

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        if connection.get_execution_options().get("dockerhealth_writes", False):
            connection.exec_driver_sql(f"SELECT {spoken}, pg_advisory_xact_lock({_ONE_WRITES})")

    # All that one transaction reads is of one moment. One that writes has to see what was written while it waited.
    reads = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    writes = engine.execution_options(isolation_level="READ COMMITTED", dockerhealth_writes=True)
    return reads, writes
