"""The outbox's rows: for each incident, which message shows it, what that message shows, and when it is due again."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Update, case, exists, func, or_, select, update

from bot.incidents.model import IncidentState
from bot.store.database import Database, Transaction
from bot.store.tables import leaders, messages

_UNCLAIMED: Final[Mapping[str, object]] = {"claimed_by": "", "claimed_until": None}
_NOTHING_UNDER_WAY: Final[Mapping[str, object]] = {**_UNCLAIMED, "post_id": ""}


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
    post_id: str = ""  # by which Slack knows a post that is being made, or whose answer was lost; empty: there is none
    claimed_by: str = ""  # who posts it
    claimed_until: datetime | None = None
    configured: str = ""  # the channel as it was asked for when it was posted
    superseded_in: str = ""  # the channel of what it superseded, where that is another one
    elsewhere: str = ""  # the state of the incident that was told past Slack; empty: none


LONGEST_WAIT = timedelta(minutes=10)
"""What is to be waited for longer was put off while the clock was ahead: it is not waited for any more."""


def is_over(wait: datetime, now: datetime) -> bool:
    """Whether a wait until then has ended."""
    return not now < wait <= now + LONGEST_WAIT


def _over(wait: ColumnElement[datetime | None], now: datetime) -> ColumnElement[bool]:
    return or_(wait <= now, wait > now + LONGEST_WAIT)


class Messages:
    """``owner`` is the life of this process: what it has claimed, no other one posts until the claim is over."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    async def get(self, incident_id: str) -> Posted | None:
        found = await self._rows(select(messages).where(messages.c.incident_id == incident_id))
        return next(iter(found), None)

    async def due(self, now: datetime) -> tuple[Posted, ...]:
        """What wants sending, alerts that nobody has seen yet first."""
        return await self._rows(
            select(messages).where(_over(messages.c.due_at, now)).order_by(messages.c.ts != "", messages.c.due_at)
        )

    async def next_due(self) -> datetime | None:
        earliest = select(func.min(messages.c.due_at))
        due_at: datetime | None = await self._database.query(
            lambda connection: connection.execute(earliest).scalar(), ahead=True
        )
        return due_at

    async def redirect(self, channel: str, now: datetime) -> int:
        """Let what was never posted go to this channel. Returns how many messages that changes."""
        waits = messages.c.ts == "", messages.c.channel != channel
        # What it superseded stands where it was. A post whose answer was lost is let go of: it went elsewhere.
        there = case((messages.c.superseded != "", messages.c.channel), else_="")
        values = {"channel": channel, "superseded_in": there, "configured": channel, "due_at": now, "attempts": 0}
        return await self._change(update(messages).where(*waits).values({**values, **_NOTHING_UNDER_WAY}))

    async def claim(self, row: Posted, now: datetime, until: datetime) -> Posted | None:
        """Be the only one who posts a message until then. None where another process does, or has.

        Returns:
            The row, with the id to post it by: that of an earlier attempt whose end nobody knows, if there was one.
        """
        post_id = row.post_id or str(uuid.uuid4())
        free = or_(
            messages.c.claimed_until.is_(None),
            _over(messages.c.claimed_until, now),
            messages.c.claimed_by == self._owner,
            _of_the_past(),
        )
        unposted = (
            messages.c.incident_id == row.incident_id,
            messages.c.ts == "",
            messages.c.channel == row.channel,
            messages.c.post_id == row.post_id,
        )
        values = {"post_id": post_id, "claimed_by": self._owner, "claimed_until": until}
        if await self._change(update(messages).where(*unposted, free).values(values)) != 1:
            return None
        return replace(row, post_id=post_id, claimed_by=self._owner, claimed_until=until)

    async def sent(  # noqa: PLR0913  # what is known of it
        self, row: Posted, channel: str, ts: str, shown: str, now: datetime, *, configured: str = ""
    ) -> None:
        """The message stands at (channel, ts) and shows what hashes to ``shown``: empty where that is not known."""
        values = {"channel": channel, "ts": ts, "shown": shown, "sent_at": now, "attempts": 0, "problem": ""}
        asked = {"configured": configured} if configured else {}
        # Where the incident changed while the message was under way, it is due again.
        up_to_date = messages.c.version == row.version if shown else messages.c.version < 0
        due_at = {"due_at": case((up_to_date, None), else_=now)}
        of_this = messages.c.incident_id == row.incident_id
        await self._change(update(messages).where(of_this).values({**values, **_NOTHING_UNDER_WAY, **asked, **due_at}))

    async def told_superseded(self, row: Posted) -> None:
        """The message that this one took the place of says so."""
        of_this = messages.c.incident_id == row.incident_id, messages.c.superseded == row.superseded
        await self._change(update(messages).where(*of_this).values(superseded="", superseded_in=""))

    async def settled(self, row: Posted) -> None:
        """There was nothing new to send."""
        unchanged = messages.c.incident_id == row.incident_id, messages.c.version == row.version
        await self._change(update(messages).where(*unchanged).values(due_at=None, attempts=0))

    async def postpone(self, row: Posted, due_at: datetime, problem: str, *, surely_not_sent: bool) -> None:
        """The attempt failed; the next one is made at ``due_at``, by the same id unless it is known to have failed."""
        of_this = messages.c.incident_id == row.incident_id
        values = {"due_at": due_at, "attempts": messages.c.attempts + 1, "problem": problem}
        free = _NOTHING_UNDER_WAY if surely_not_sent else _UNCLAIMED
        await self._change(update(messages).where(of_this).values({**values, **free}))

    async def forget(self, row: Posted, now: datetime, channel: str = "") -> None:
        """The message is gone from Slack: it has to be posted again, in ``channel`` if one is given."""
        moved = {"channel": channel, "attempts": 0} if channel else {}
        values = {"ts": "", "shown": "", "due_at": now, **_NOTHING_UNDER_WAY, **moved}
        await self._change(update(messages).where(messages.c.incident_id == row.incident_id).values(values))

    async def told_elsewhere(self, row: Posted, state: str) -> None:
        """Somebody was told past Slack that the incident is in this state."""
        await self._change(update(messages).where(messages.c.incident_id == row.incident_id).values(elsewhere=state))

    async def untold(self) -> tuple[Posted, ...]:
        """What no message in Slack shows, and what was told past Slack and may be over since."""
        unseen = or_(messages.c.ts == "", messages.c.elsewhere == IncidentState.OPEN)
        return await self._rows(select(messages).where(unseen))

    async def _rows(self, wanted: Select[Any]) -> tuple[Posted, ...]:
        def found(connection: Transaction) -> tuple[Posted, ...]:
            return tuple(Posted(**row._asdict()) for row in connection.execute(wanted))

        return await self._database.query(found, ahead=True)

    async def _change(self, change: Update) -> int:
        """Make a change and return of how many rows. What people wait for goes ahead of what is only kept.

        That holds nobody up for long: an outbox sends one message at a time.
        """
        return await self._database.change(lambda connection: connection.execute(change).rowcount, ahead=True)


def _of_the_past() -> ColumnElement[bool]:
    """Whether the one who claimed a message acted on this store before another process did."""
    highest = select(func.max(leaders.c.token)).scalar_subquery()
    return exists().where(leaders.c.life == messages.c.claimed_by, leaders.c.token < highest)
