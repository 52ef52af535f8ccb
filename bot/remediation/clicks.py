"""What a press of a button leads to. The answers are values; who puts them into words is bot/slack/replies.py."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.approvals.decision import (
    Acknowledged,
    Agreed,
    Approved,
    Click,
    Place,
    Refusal,
    RefusalReason,
    Repeated,
    at_home,
)
from bot.incidents.model import Incident, acknowledge
from bot.remediation.approval_service import ApprovalService
from bot.store import Store

POSTED_SOON = 20  # tenths of a second

log = structlog.get_logger()


@dataclass(frozen=True)
class AppIdentity:
    """The workspace and the app that clicks must come from. An empty one fits no click."""

    team: str
    app: str


class Clicks:
    def __init__(
        self,
        store: Store,
        approvals: ApprovalService,
        identity: Callable[[], AppIdentity],
        *,
        clock: Callable[[], datetime],
        alone: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """``alone`` tells whether no other process is connected as this app, and has clicks that are not ours."""
        self._store = store
        self._approvals = approvals
        self._identity = identity
        self._clock = clock
        self._alone = alone

    async def approve(self, click: Click) -> Approved | Agreed | Refusal | Repeated:
        """Decide on a click on a fix button, and start the fix if it is the last one that it takes."""
        if not await self._store.seen.first(click.id, self._clock()):
            return Repeated()
        answer = await self._approvals.approve(click, lambda incident: self._home(incident, click))
        if isinstance(answer, Refusal) and answer.reason is RefusalReason.GONE:
            return await self._unknown()
        return answer

    async def acknowledge(self, click: Click) -> Acknowledged | Refusal | Repeated:
        """Decide on a click on "I take care of it". Anyone may."""
        if not await self._store.seen.first(click.id, self._clock()):
            return Repeated()
        incident = await self._store.incidents.get(click.target)
        if incident is None:
            return self._refused(click, await self._unknown())
        if not at_home(click.place, await self._home(incident, click)):
            return self._refused(click, Refusal(RefusalReason.ELSEWHERE, incident))
        transition = acknowledge(incident, click.user, self._clock())
        if transition is None or not await self._store.incidents.move(incident.id, transition):
            return self._refused(click, Refusal(RefusalReason.NOT_OPEN, incident))
        return Acknowledged(incident)

    async def _home(self, incident: Incident, click: Click) -> Place:
        """Where the incident's message stands. A click may overtake the note of where it was posted a moment ago."""
        posted = await self._store.messages.get(incident.id)
        for _ in range(POSTED_SOON):
            if click.place is None or not click.place.ts or (posted and posted.ts):
                break
            await asyncio.sleep(0.1)
            posted = await self._store.messages.get(incident.id)
        channel, ts = (posted.channel, posted.ts) if posted and posted.ts else ("", "")
        identity = self._identity()
        return Place(identity.team, identity.app, channel, ts)

    async def _unknown(self) -> Refusal:
        """Why a button is not known: it is of the past, or another's."""
        alone = self._alone is None or await self._alone()
        return Refusal(RefusalReason.GONE if alone else RefusalReason.OF_ANOTHER)

    def _refused(self, click: Click, refusal: Refusal) -> Refusal:
        log.warning("click refused", reason=refusal.reason, user=click.user, target=click.target, place=click.place)
        return refusal
