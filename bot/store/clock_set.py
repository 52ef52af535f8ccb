"""Moves along, where the clock is set, what is waited for."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam, select, update

from bot.store.announcements import MessageDue
from bot.store.database import Database, Transaction
from bot.store.messages import LONGEST_WAIT
from bot.store.tables import host_locks, messages, offers


async def clock_set(database: Database, by: timedelta, now: datetime) -> None:
    """Let what is waited for come when it would have come, although the clock was set. ``now`` is by the old one.

    What is of the future by the old clock was not dated by it, but by one that was right or wrong before: it stays.
    """
    async with database.writing(ahead=True) as connection:
        for column in (messages.c.due_at, messages.c.claimed_until, host_locks.c.lease_until):
            await _move(connection, column, by, column <= now + LONGEST_WAIT)
        waiting = offers.c.approved_by.is_(None), offers.c.withdrawn.is_(False)
        await _move(connection, offers.c.expires_at, by, *waiting, offers.c.offered_at <= now)
        connection.announce(MessageDue())


async def _move(connection: Transaction, column: Column[Any], by: timedelta, *which: ColumnElement[bool]) -> None:
    """Move the times of a column. No database does that in the same words as another."""
    [key] = column.table.primary_key.columns
    dated = select(key.label("of"), column.label("at")).where(column.is_not(None), *which)
    moved = [{"of_this": row.of, "moved": row.at + by} for row in await connection.execute(dated)]
    if moved:
        one = update(column.table).where(key == bindparam("of_this")).values({column.name: bindparam("moved")})
        await connection.execute(one, moved)
