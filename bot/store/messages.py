"""The outbox's rows: for each incident, which message shows it, what that message shows, and when it is due again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from bot.store.database import Database
from bot.store.tables import messages


@dataclass(frozen=True)
class Posted:
    """The message of one incident."""

    incident_id: str
    channel: str  # as configured until it is posted, then the channel's id
    ts: str  # empty until it is posted
    superseded: str  # ts of the message whose place this one took, and which does not say so yet; empty: of none
    shown: str  # hash of what was sent last
    version: int
    due_at: datetime | None
    sent_at: datetime | None
    attempts: int
    problem: str


class Messages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, incident_id: str) -> Posted | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(messages).where(messages.c.incident_id == incident_id))).first()
            return Posted(**row._asdict()) if row else None

    async def due(self, now: datetime) -> tuple[Posted, ...]:
        """What wants sending, alerts that nobody has seen yet first."""
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(messages).where(messages.c.due_at <= now).order_by(messages.c.ts != "", messages.c.due_at)
            )
            return tuple(Posted(**row._asdict()) for row in rows)

    async def next_due(self) -> datetime | None:
        async with self._database.reading() as connection:
            due_at: datetime | None = (await connection.execute(select(func.min(messages.c.due_at)))).scalar()
            return due_at

    async def sent(self, row: Posted, channel: str, ts: str, shown: str, now: datetime) -> None:
        """The message stands at (channel, ts) and shows what hashes to ``shown``."""
        values = {"channel": channel, "ts": ts, "shown": shown, "sent_at": now, "attempts": 0, "problem": ""}
        async with self._database.writing() as connection:
            of_this = messages.c.incident_id == row.incident_id
            await connection.execute(update(messages).where(of_this).values(values))
            # Where the incident changed while the message was under way, it is due again.
            await connection.execute(
                update(messages).where(of_this, messages.c.version == row.version).values(due_at=None)
            )
            await connection.execute(
                update(messages).where(of_this, messages.c.version != row.version).values(due_at=now)
            )

    async def told_superseded(self, row: Posted) -> None:
        """The message that this one took the place of says so."""
        of_this = messages.c.incident_id == row.incident_id, messages.c.superseded == row.superseded
        async with self._database.writing() as connection:
            await connection.execute(update(messages).where(*of_this).values(superseded=""))

    async def settled(self, row: Posted) -> None:
        """There was nothing new to send."""
        unchanged = messages.c.incident_id == row.incident_id, messages.c.version == row.version
        async with self._database.writing() as connection:
            await connection.execute(update(messages).where(*unchanged).values(due_at=None, attempts=0))

    async def postpone(self, row: Posted, due_at: datetime, problem: str) -> None:
        """The attempt failed; the next one is made at ``due_at``."""
        of_this = messages.c.incident_id == row.incident_id
        values = {"due_at": due_at, "attempts": messages.c.attempts + 1, "problem": problem}
        async with self._database.writing() as connection:
            await connection.execute(update(messages).where(of_this).values(values))

    async def forget(self, row: Posted, now: datetime) -> None:
        """The message is gone from Slack: it has to be posted again."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(messages).where(messages.c.incident_id == row.incident_id).values(ts="", shown="", due_at=now)
            )
