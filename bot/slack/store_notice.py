"""One message that dockerhealth cannot write its store, which says so itself when it can again.

It is the only one that is in no store: what it is about is that there is none.
"""

import time
import uuid
from datetime import timedelta

import structlog

from bot.slack import views
from bot.slack.outbox import MessageGoneError, Sender, SendError
from bot.store import Store
from bot.store.writability import CALM_AFTER

TOLD_AFTER = 15.0  # seconds; a backup, say, may hold it for some
TRIED_EVERY = 10.0  # seconds

log = structlog.get_logger()


class StoreNotice:
    def __init__(self, store: Store, sender: Sender, channel: str) -> None:
        self._writability = store.database.writability
        self._sender = sender
        self._channel = channel
        self._post_id = str(uuid.uuid4())
        self._stands: tuple[str, str] | None = None  # channel and ts
        self._next_try = 0.0

    async def show(self) -> None:
        """Post it if it is due, or let it say that all is well again."""
        now = time.monotonic()
        self._writability.settle(now)
        trouble = self._writability.trouble
        due = self._writability.lacking_for(now) >= TOLD_AFTER if self._stands is None else trouble is None
        if not due or now < self._next_try:
            return
        self._next_try = now + TRIED_EVERY
        try:
            if self._stands is None:
                calm_after = timedelta(seconds=CALM_AFTER) if trouble is not None and trouble.again else None
                message = views.store_unwritable(self._writability.why, calm_after)
                self._stands = await self._sender.post(self._channel, message, self._post_id)
            else:
                await self._sender.update(*self._stands, views.store_writable_again())
                self._let_go()
        except MessageGoneError:  # somebody took it away
            self._let_go()
        except SendError as error:
            log.warning("slack: how the store is could not be told", why=str(error))
        else:
            self._next_try = 0.0

    async def end(self) -> None:
        """Leave none behind that stays red: whoever acts next knows nothing of it, and tells anew what is so."""
        if self._stands is None:
            return
        ends = views.store_unwritable_at_the_end() if self._writability.why else views.store_writable_again()
        try:
            await self._sender.update(*self._stands, ends)
        except SendError as error:
            log.warning("slack: a notice stays that the store cannot be written", why=str(error))
        self._let_go()

    def _let_go(self) -> None:
        self._stands, self._post_id = None, str(uuid.uuid4())
