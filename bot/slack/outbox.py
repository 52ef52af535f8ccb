"""Delivers each incident's message to Slack at least once, and shows it once: posted once, then updated in place.

The rows (bot/store/messages.py) are written in the same transaction as the change that they announce, so a crash loses
nothing and a restart repeats nothing. Only the newest state is ever sent. A post whose answer got lost is made again,
as Slack offers no way to ask whether it arrived.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

import structlog

from bot.incidents.model import Incident
from bot.slack.message import Message
from bot.slack.views.short import superseded
from bot.store import MessageDue, Posted, Store

UPDATE_GAP = timedelta(milliseconds=700)  # Slack takes about 50 updates a minute; progress comes faster
LONGEST_BACKOFF = timedelta(minutes=1)
REFUSED_AGAIN_AFTER = timedelta(minutes=5)  # someone may invite the bot, say, without restarting it
IDLE = 2.0  # seconds; a fix from a terminal writes to the same store and cannot wake us

T = TypeVar("T")

log = structlog.get_logger()


class SendError(Exception):
    """A message was not taken. Whether it is worth trying again lies in the subclass."""


class RetryLaterError(SendError):
    """Slack is busy, failing, or out of reach. ``after`` is how long it asks to wait, if it does."""

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class RefusedError(SendError):
    """Slack will not take it until a person changes something. ``todo`` says what."""

    def __init__(self, code: str, todo: str) -> None:
        super().__init__(f"Slack refused: {code}. {todo}")
        self.code = code
        self.todo = todo


class InvalidBlocksError(SendError):
    """This workspace does not take these blocks. Plain text may pass."""


class MessageGoneError(SendError):
    """The message to update no longer exists or can no longer be edited."""


class Sender(Protocol):
    """Both raise SendError."""

    async def post(self, channel: str, message: Message) -> tuple[str, str]:
        """The channel's id and the ts of the new message."""
        ...

    async def update(self, channel: str, ts: str, message: Message) -> None: ...


async def in_fullest_form(message: Message, send: Callable[[Message], Awaitable[T]], **context: str) -> T:
    """Send a message, and what is left of it for as long as Slack refuses its blocks. Raises SendError.

    ``context`` goes into the log.
    """
    try:
        return await send(message)
    except InvalidBlocksError as error:
        plainer = message.plainer
        if plainer is None:
            raise
        log.warning("slack: the blocks were not taken, sending a plainer form", why=str(error), **context)
    return await in_fullest_form(plainer, send, **context)


class Need(StrEnum):
    POST = "post"
    UPDATE = "update"
    NOTHING_NEW = "nothing-new"  # the message shows that already
    NOT_YET = "not-yet"  # not due, or updated a moment ago


@dataclass(frozen=True)
class Wanted:
    """What a message should show, and the hash by which it is recognised."""

    message: Message
    hash: str

    @classmethod
    def of(cls, message: Message) -> "Wanted":
        text = json.dumps(message.payload(), sort_keys=True)
        return cls(message, hashlib.sha256(text.encode()).hexdigest())


def need(row: Posted, wanted: Wanted, now: datetime) -> Need:
    """What has to be sent for a row, if anything."""
    if row.due_at is None or row.due_at > now:
        return Need.NOT_YET
    if not row.ts:
        return Need.POST
    if row.shown == wanted.hash:
        return Need.NOTHING_NEW
    if row.sent_at is not None and now - row.sent_at < UPDATE_GAP:
        return Need.NOT_YET
    return Need.UPDATE


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts in a row: 1 s, 2 s, 4 s..."""
    return min(timedelta(seconds=2 ** min(attempts, 10)), LONGEST_BACKOFF)


class Outbox:
    def __init__(
        self,
        store: Store,
        sender: Sender,
        render: Callable[[Incident, datetime], Message],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._sender = sender
        self._render = render
        self._clock = clock
        self._woken = asyncio.Event()
        self._hold_until: datetime | None = None
        store.announcements.on(MessageDue, lambda _: self.wake())

    def wake(self) -> None:
        """Something changed: look for what is due now."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set, and then once more what is due."""
        while not stop.is_set():
            self._woken.clear()
            try:
                again = await self.deliver()
            except Exception:  # a loop that has ended would show nothing ever again
                log.exception("outbox: a pass failed; the next one follows")
                again = self._clock() + backoff(0)
            await self._sleep(again)
        self._hold_until = None
        await self.deliver()

    async def _sleep(self, until: datetime | None) -> None:
        seconds = IDLE if until is None else min(max((until - self._clock()).total_seconds(), 0.01), IDLE)
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def deliver(self) -> datetime | None:
        """Send what is due. Returns when to come again; None if nothing is waiting."""
        if self._hold_until and self._clock() < self._hold_until:
            return self._hold_until
        waiting: list[datetime] = []
        for row in await self._store.messages.due(self._clock()):
            again = await self._one(row)
            if again:
                waiting.append(again)
            if self._hold_until and self._clock() < self._hold_until:
                return self._hold_until  # Slack's limit is for all of us: the others would only run into it
        following = await self._store.messages.next_due()
        if following and following > self._clock():
            waiting.append(following)
        return min(waiting, default=None)

    async def _one(self, row: Posted) -> datetime | None:
        """Send one row if it needs it. Returns when to come again for it, where it is not settled."""
        incident = await self._store.incidents.get(row.incident_id)
        if incident is None:
            raise LookupError(f"the message of incident {row.incident_id} has no incident")
        now = self._clock()
        try:
            wanted = Wanted.of(self._render(incident, now))
            what = need(row, wanted, now)
            if what is Need.NOT_YET:
                return (row.sent_at or now) + UPDATE_GAP
            if what is Need.NOTHING_NEW:
                again = await self._tell_superseded(row, row.channel, incident)
                if again is None:
                    await self._store.messages.settled(row)
                return again
            channel, ts = await in_fullest_form(
                wanted.message, lambda form: self._put(row, form), incident=row.incident_id
            )
        except MessageGoneError as error:
            log.warning("outbox: the message is gone from Slack, posting it again", incident=row.incident_id, why=error)
            await self._store.messages.forget(row, now)
            return now
        except Exception as error:  # one message that cannot be sent must not hold up the others  # noqa: BLE001
            return await self._failed(row, error)
        await self._store.messages.sent(row, channel, ts, wanted.hash, self._clock())
        return await self._tell_superseded(row, channel, incident)

    async def _tell_superseded(self, row: Posted, channel: str, incident: Incident) -> datetime | None:
        """Leave nothing standing that calls a service well which is down. Returns when to try again."""
        if not row.superseded:
            return None
        try:
            await self._sender.update(channel, row.superseded, superseded(incident))
        except RetryLaterError as error:
            return await self._failed(row, error)
        except SendError as error:
            log.warning("outbox: an older message stays as it is", incident=row.incident_id, why=error)
        await self._store.messages.told_superseded(row)
        return None

    async def _put(self, row: Posted, message: Message) -> tuple[str, str]:
        if not row.ts:
            return await self._sender.post(row.channel, message)
        await self._sender.update(row.channel, row.ts, message)
        return row.channel, row.ts

    async def _failed(self, row: Posted, error: Exception) -> datetime:
        now = self._clock()
        context = {"incident": row.incident_id, "channel": row.channel, "attempt": row.attempts + 1}
        if isinstance(error, RetryLaterError):
            due_at = now + (error.after or backoff(row.attempts))
            self._hold_until = due_at if error.after else self._hold_until
            log.warning("outbox: not delivered, trying again", why=error, at=due_at, **context)
        elif isinstance(error, SendError):
            due_at = now + REFUSED_AGAIN_AFTER
            log.error("outbox: NOT DELIVERED, nobody sees this incident in Slack", why=error, at=due_at, **context)
        else:
            due_at = now + backoff(row.attempts)
            log.error("outbox: not delivered because of an error in dockerhealth", exc_info=error, at=due_at, **context)
        await self._store.messages.postpone(row, due_at, f"{type(error).__name__}: {error}")
        return due_at
