"""The audit log in the database. Nothing here changes or removes an entry, and the database refuses to."""

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, insert, select

from bot.incidents.audit import GENESIS, Entry, Sealed, sealed
from bot.store.database import Database, Transaction
from bot.store.tables import audit, without_nul


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, entry: Entry) -> None:
        """Add an entry by itself. What changes something else too adds it in the same transaction: see ``append``."""
        await self._database.change(lambda connection: append(connection, entry))

    async def all(self, host: str | None = None, run: str | None = None) -> tuple[Sealed, ...]:
        """The log from its beginning, or the entries of one host or run."""
        wanted = select(audit).order_by(audit.c.number)
        if host is not None:
            wanted = wanted.where(audit.c.host == host)
        if run is not None:
            wanted = wanted.where(audit.c.run == run)

        def read(connection: Transaction) -> tuple[Sealed, ...]:
            return tuple(_from(row) for row in connection.execute(wanted))

        return await self._database.query(read)


def append(connection: Transaction, entry: Entry) -> Sealed:
    """Add an entry within a writing transaction, which nobody else's can overtake."""
    newest = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    last = connection.execute(newest).first()
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    entry = replace(entry, says=without_nul(entry.says))  # it is the hash of what is kept
    row = sealed(entry, number, previous)
    connection.execute(
        insert(audit).values(
            number=number,
            at=entry.at,
            actor=entry.actor,
            host=entry.host,
            service=entry.service,
            run=entry.run,
            event=entry.event,
            says=entry.says,
            data=json.dumps(entry.data, ensure_ascii=False),
            previous=previous,
            hash=row.hash,
        )
    )
    return row


def _from(row: Row[Any]) -> Sealed:
    entry = Entry(
        at=row.at,
        actor=row.actor,
        host=row.host,
        service=row.service,
        event=row.event,
        says=row.says,
        run=row.run,
        data=json.loads(row.data),
    )
    return Sealed(row.number, entry, row.previous, row.hash)
