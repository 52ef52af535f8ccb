"""Moves along, where the clock is set, what is waited for and what lasts. When something was said stays as it was."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam, or_, select, update

from bot.incidents.model import REOPEN_WITHIN, IncidentState
from bot.store.announcements import MessageDue
from bot.store.baselines import Baselines
from bot.store.database import Database, Transaction
from bot.store.messages import LONGEST_WAIT
from bot.store.tables import blind_hosts, host_locks, incidents, messages, offers, transitions


async def clock_set(database: Database, by: timedelta, now: datetime) -> None:
    """Let waits and durations be what they are although the clock was set. ``now`` is by the old one.

    What is of the future by the old clock was not dated by it, but by one that was right or wrong before: it stays.
    """

    def move(connection: Transaction) -> None:
        Baselines.move(connection, by, now)
        _move_incidents(connection, by, now)
        _move(connection, blind_hosts.c.since, by, blind_hosts.c.since <= now)
        for column in (messages.c.due_at, messages.c.claimed_until, host_locks.c.lease_until):
            _move(connection, column, by, column <= now + LONGEST_WAIT)
        waiting = offers.c.approved_by.is_(None), offers.c.withdrawn.is_(False)
        _move(connection, offers.c.expires_at, by, *waiting, offers.c.offered_at <= now)
        connection.announce(MessageDue())

    await database.change(move, ahead=True)


def _move_incidents(connection: Transaction, by: timedelta, now: datetime) -> None:
    """Move the beginnings and ends of incidents that are live, or may go on."""
    may_go_on = or_(incidents.c.state != IncidentState.RESOLVED, incidents.c.resolved_at > now - REOPEN_WITHIN)
    lasting = incidents.c.opened_at <= now, may_go_on
    of_them = transitions.c.incident_id.in_(select(incidents.c.id).where(*lasting))
    connection.execute(update(transitions).where(of_them, transitions.c.since.is_(None)).values(since=transitions.c.at))
    _move(connection, transitions.c.since, by, of_them, transitions.c.since <= now)
    recent = incidents.c.id.in_(connection.execute(select(incidents.c.id).where(*lasting)).scalars().all())
    _move(connection, incidents.c.opened_at, by, recent)
    _move(connection, incidents.c.resolved_at, by, recent)


def _move(connection: Transaction, column: Column[Any], by: timedelta, *which: ColumnElement[bool]) -> None:
    """Move the times of a column. No database does that in the same words as another."""
    [key] = column.table.primary_key.columns
    dated = select(key.label("of"), column.label("at")).where(column.is_not(None), *which)
    moved = [{"of_this": row.of, "moved": row.at + by} for row in connection.execute(dated)]
    if moved:
        one = update(column.table).where(key == bindparam("of_this")).values({column.name: bindparam("moved")})
        connection.execute(one, moved)
