"""Delivers each incident's message to Slack once: posted once, then updated in place. Only the newest state is sent.

The rows (bot/store/messages.py) are written in the same transaction as the change that they announce, so a crash loses
nothing and a restart repeats nothing. A row is claimed before it is posted: without a store that can be written nothing
is. What was posted and could not be stored is kept, and stored before anything else is sent. A post whose answer was
lost is made again under the same id, and Slack answers with the message that is there already (bot/slack/client.py).
"""

import asyncio
import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import structlog

from bot.incidents.model import Incident
from bot.slack.message import Message
from bot.slack.views.short import superseded
from bot.store import MessageDue, Posted, Store, StoreError
from bot.store.messages import is_over

UPDATE_GAP = timedelta(milliseconds=700)  # Slack takes about 50 updates a minute; progress comes faster
LONGEST_BACKOFF = timedelta(seconds=10)  # someone invites the bot, or Slack is back: the alert is there soon after
REFUSAL_SAID_AGAIN = timedelta(minutes=5)
CLAIM = timedelta(seconds=15)  # longer than a post takes; a process that died within one holds it up for so long
IDLE = 2.0  # seconds; a fix from a terminal writes to the same store and cannot wake us

T = TypeVar("T")

log = structlog.get_logger()


class SendError(Exception):
    """A message was not taken. Whether it is worth trying again lies in the subclass."""


class RetryLaterError(SendError):
    """Slack is busy, failing, or out of reach.

    ``after`` is how long it asks to wait, if it does. ``not_sent`` tells that it did nothing for sure: where it does
    not, the answer alone may have been lost.
    """

    def __init__(self, message: str, after: timedelta | None = None, *, not_sent: bool = False) -> None:
        super().__init__(message)
        self.after = after
        self.not_sent = not_sent or after is not None


class RefusedError(SendError):
    """Slack will not take it until a person changes something. ``todo`` says what."""

    def __init__(self, code: str, todo: str) -> None:
        super().__init__(f"Slack refused: {code}. {todo}")
        self.code = code
        self.todo = todo


class ChannelRefusedError(RefusedError):
    """Slack takes nothing in that channel until a person changes something."""


class WrongTokenError(RefusedError):
    """Slack does not know a token, or it is none for this: the configuration is wrong."""


class InvalidBlocksError(SendError):
    """This workspace does not take these blocks. Plain text may pass."""


class MessageGoneError(SendError):
    """The message to update no longer exists or can no longer be edited."""


class Sender(Protocol):
    """Both raise SendError."""

    async def post(self, channel: str, message: Message, post_id: str) -> tuple[str, str]:
        """The channel's id and the ts of the message: of the one that an earlier post under this id made, if any."""
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
    if row.due_at is None or not is_over(row.due_at, now):
        return Need.NOT_YET
    if not row.ts:
        return Need.POST
    if row.shown == wanted.hash:
        return Need.NOTHING_NEW
    if row.sent_at is not None and abs(now - row.sent_at) < UPDATE_GAP:
        return Need.NOT_YET
    return Need.UPDATE


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts in a row: 1 s, 2 s, 4 s, 8 s, then 10 s each."""
    return min(timedelta(seconds=2 ** min(attempts, 10)), LONGEST_BACKOFF)


@dataclass(frozen=True)
class Sent:
    """What Slack has taken, until the store knows it too."""

    row: Posted
    channel: str
    ts: str
    shown: str  # empty where Slack shows what an earlier attempt said
    at: datetime
    configured: str = ""


@dataclass
class Hold:
    """Nothing is sent, or nothing to one channel, until the next attempt. Each one in a row waits longer."""

    attempts: int = 0
    until: datetime | None = None
    wait: timedelta = timedelta()  # which was to end then

    def holds(self, now: datetime) -> bool:
        """Whether it is still waited for. What would take longer than the wait itself, the clock was put back in."""
        return self.until is not None and now < self.until <= now + self.wait

    def again(self, now: datetime, after: timedelta | None = None) -> datetime:
        """Wait from now on: for ``after``, or longer than the last time."""
        self.wait = after or backoff(self.attempts)
        self.until = now + self.wait
        self.attempts += 1
        return self.until


class Outbox:
    """``channel`` is where alerts go from now on, whatever was configured when they were stored."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        render: Callable[[Incident, datetime], Message],
        clock: Callable[[], datetime],
        *,
        channel: str = "",
    ) -> None:
        self._store = store
        self._sender = sender
        self._render = render
        self._clock = clock
        self._channel = channel
        self._redirected = not channel
        self._woken = asyncio.Event()
        self._slack = Hold()
        self._channels: defaultdict[str, Hold] = defaultdict(Hold)
        self._unstored: dict[str, Sent] = {}
        self._said: dict[str, tuple[str, datetime]] = {}  # what is refused, and when the log was told
        store.announcements.on(MessageDue, lambda _: self.wake())

    def wake(self) -> None:
        """Something changed: look for what is due now."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set, and then once more what is due, or is in a moment."""
        while not stop.is_set():
            self._woken.clear()
            try:
                again = await self.deliver()
            except StoreError as error:  # that it cannot be written it says itself, once
                log.debug("outbox: the store fails", why=str(error))
                again = self._clock() + timedelta(seconds=IDLE)
            except Exception:  # a loop that has ended would show nothing ever again
                log.exception("outbox: a pass failed; the next one follows")
                again = self._clock() + backoff(0)
            await self._sleep(again)
        self._slack = Hold()
        with contextlib.suppress(StoreError):  # the next process sends it
            again = await self.deliver()
            if again is not None and again - self._clock() <= UPDATE_GAP:
                await asyncio.sleep(max((again - self._clock()).total_seconds(), 0))
                await self.deliver()

    async def _sleep(self, until: datetime | None) -> None:
        seconds = IDLE if until is None else min(max((until - self._clock()).total_seconds(), 0.01), IDLE)
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def deliver(self) -> datetime | None:
        """Send what is due. Returns when to come again; None if nothing is waiting. Raises StoreError."""
        if self._store.database.writability.why:
            await self._store.database.probe()
        await self._store_what_was_sent()
        if not self._redirected:
            await self._redirect()
        if self._slack.holds(self._clock()):
            return self._slack.until
        waiting: list[datetime] = []
        for row in await self._store.messages.due(self._clock()):
            held = self._channels.get(row.channel)
            if held is not None and held.until is not None and held.holds(self._clock()):
                waiting.append(held.until)
                continue
            again = await self._one(row)
            if again:
                waiting.append(again)
            if self._slack.holds(self._clock()):
                return (
                    self._slack.until
                )  # the limit, or the outage, is for all of us: the others would only run into it
        following = await self._store.messages.next_due()
        if following and following > self._clock():
            waiting.append(following)
        return min(waiting, default=None)

    async def _store_what_was_sent(self) -> None:
        for incident_id, sent in tuple(self._unstored.items()):
            await self._store.messages.sent(
                sent.row, sent.channel, sent.ts, sent.shown, sent.at, configured=sent.configured
            )
            del self._unstored[incident_id]

    async def _redirect(self) -> None:
        """What is held goes where alerts go now."""
        count = await self._store.messages.redirect(self._channel, self._clock())
        self._redirected = True
        if count:
            log.info("outbox: alerts that nobody has seen go to the channel that is configured now", alerts=count)

    async def _one(self, row: Posted) -> datetime | None:
        """Send one row if it needs it. Returns when to come again for it, where it is not settled."""
        incident = await self._store.incidents.get(row.incident_id)
        if incident is None:
            raise LookupError(f"the message of incident {row.incident_id} has no incident")
        now = self._clock()
        try:
            wanted = Wanted.of(self._render(incident, now))
        except Exception as error:  # one message that cannot be made must not hold up the others  # noqa: BLE001
            return await self._failed(row, error)
        match need(row, wanted, now):
            case Need.NOT_YET:
                return (row.sent_at or now) + UPDATE_GAP
            case Need.NOTHING_NEW:
                again = await self._tell_superseded(row, row.channel, incident)
                if again is None:
                    await self._store.messages.settled(row)
                return again
            case Need.UPDATE:
                return await self._send(row, incident, wanted)
            case Need.POST:
                claimed = await self._store.messages.claim(row, now, now + CLAIM)
                if claimed is None:
                    return row.claimed_until if row.claimed_until and row.claimed_until > now else now + UPDATE_GAP
                return await self._send(claimed, incident, wanted, maybe_there=bool(row.post_id))

    async def _send(
        self, row: Posted, incident: Incident, wanted: Wanted, *, maybe_there: bool = False
    ) -> datetime | None:
        """Post or update. Of one that is ``maybe_there`` already nobody knows what it says."""
        try:
            channel, ts = await in_fullest_form(
                wanted.message, lambda form: self._put(row, form), incident=row.incident_id
            )
        except MessageGoneError as error:
            log.warning("outbox: the message is gone from Slack, posting it again", incident=row.incident_id, why=error)
            await self._store.messages.forget(row, self._clock())
            return self._clock()
        except Exception as error:  # one message that cannot be sent must not hold up the others  # noqa: BLE001
            return await self._failed(row, error)
        self._slack = Hold()
        self._channels.pop(row.channel, None)
        self._said.pop(row.channel, None)
        now = self._clock()
        shown = "" if maybe_there else wanted.hash
        self._unstored[row.incident_id] = Sent(row, channel, ts, shown, now, "" if row.ts else row.channel)
        await self._store_what_was_sent()
        if maybe_there:
            log.info("outbox: a post whose end was not known is made sure of", incident=row.incident_id, ts=ts)
            return now + UPDATE_GAP
        return await self._tell_superseded(row, channel, incident)

    async def _tell_superseded(self, row: Posted, channel: str, incident: Incident) -> datetime | None:
        """Leave nothing standing that calls a service well which is down. Returns when to try again."""
        if not row.superseded:
            return None
        try:
            await self._sender.update(row.superseded_in or channel, row.superseded, superseded(incident))
        except RetryLaterError as error:
            return await self._failed(row, error)
        except SendError as error:
            log.warning("outbox: an older message stays as it is", incident=row.incident_id, why=error)
        await self._store.messages.told_superseded(row)
        return None

    async def _put(self, row: Posted, message: Message) -> tuple[str, str]:
        if not row.ts:
            return await self._sender.post(row.channel, message, row.post_id)
        await self._sender.update(row.channel, row.ts, message)
        return row.channel, row.ts

    async def _failed(self, row: Posted, error: Exception) -> datetime:
        now = self._clock()
        context = {"incident": row.incident_id, "channel": row.channel, "attempt": row.attempts + 1}
        match error:
            case RetryLaterError():
                due_at = self._slack.again(now, error.after)
                log.warning("outbox: not delivered, trying again", why=error, at=due_at, **context)
            case ChannelRefusedError() if self._stands_elsewhere(row):
                log.warning(
                    "outbox: nothing can be shown where the alert stands, posting it anew", why=error, **context
                )
                await self._store.messages.forget(row, now, self._channel)
                return now
            case ChannelRefusedError():
                due_at = self._channels[row.channel].again(now)
                self._say(row.channel, error, context)
            case SendError():
                due_at = now + backoff(row.attempts)
                self._say(row.incident_id, error, context)
            case _:
                due_at = now + backoff(row.attempts)
                log.error("outbox: not delivered because of an error in dockerhealth", exc_info=error, **context)
        surely = not isinstance(error, RetryLaterError) or error.not_sent
        await self._store.messages.postpone(row, due_at, f"{type(error).__name__}: {error}", surely_not_sent=surely)
        return due_at

    def _stands_elsewhere(self, row: Posted) -> bool:
        """Whether a message was posted where alerts do not go any more."""
        return bool(row.ts and row.configured and self._channel and row.configured != self._channel)

    def _say(self, of: str, error: SendError, context: dict[str, Any]) -> None:
        """Have a refusal in the log, and not each time that it is met."""
        words, now = str(error), self._clock()
        last = self._said.get(of)
        if last is None or last[0] != words or abs(now - last[1]) >= REFUSAL_SAID_AGAIN:
            self._said[of] = words, now
            log.error("outbox: NOT DELIVERED, nobody sees this incident in Slack; trying on", why=words, **context)
