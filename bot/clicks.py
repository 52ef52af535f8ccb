"""What a press of a button leads to. The answers are values; who puts them into words is bot/slack/replies.py."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from bot.approvals import Approvers, Click, No, Place, Refusal, at_home, decide
from bot.fixing import Fixing
from bot.incidents import Approval, Incident, Offer, acknowledge
from bot.store import Store

ATTEMPTS = 3  # at a decision that others keep overtaking
POSTED_SOON = 20  # tenths of a second

log = structlog.get_logger()


class Directory(Protocol):
    """Who is in a user group at this moment; None where Slack does not tell."""

    async def members(self, group: str) -> frozenset[str] | None: ...


@dataclass(frozen=True)
class Approved:
    """The click counted: the fix is being carried out."""

    incident: Incident
    offer: Offer
    approval: Approval


@dataclass(frozen=True)
class Acknowledged:
    incident: Incident


@dataclass(frozen=True)
class Repeated:
    """Slack delivered the same click again. The first delivery is answered, this one is not."""


@dataclass(frozen=True)
class Identity:
    """The workspace and the app that clicks must come from. An empty one fits no click."""

    team: str
    app: str


class Clicks:
    def __init__(  # noqa: PLR0913  # each is a thing of its own; app.py names them
        self,
        store: Store,
        fixing: Fixing,
        directory: Directory,
        identity: Callable[[], Identity],
        *,
        approvers: Sequence[str],
        look_again: Callable[[str], None],
        wake_outbox: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._fixing = fixing
        self._directory = directory
        self._identity = identity
        self._users = frozenset(name for name in approvers if not name.startswith("S"))
        self._groups = tuple(name for name in approvers if name.startswith("S"))
        self._look_again = look_again
        self._wake_outbox = wake_outbox
        self._clock = clock

    async def approve(self, click: Click) -> Approved | Refusal | Repeated:
        """Decide on a click on a fix button, and start the fix if it counts."""
        if not await self._store.seen.first(click.id, self._clock()):
            return Repeated()
        approvers = await self._approvers(click.user)
        for _ in range(ATTEMPTS):
            decision = await self._decide(click, approvers)
            if isinstance(decision, Refusal):
                return self._refused(click, decision)
            if await self._fixing.begin(decision.incident, decision.offer, decision.approval):
                return decision
            # Someone changed the incident between the decision and the claim: decide on what it is now.
        return self._refused(click, Refusal(No.BUSY))

    async def acknowledge(self, click: Click) -> Acknowledged | Refusal | Repeated:
        """Decide on a click on "I take care of it". Anyone may."""
        if not await self._store.seen.first(click.id, self._clock()):
            return Repeated()
        incident = await self._store.incidents.get(click.target)
        if incident is None:
            return self._refused(click, Refusal(No.GONE))
        if not at_home(click.place, await self._home(incident, click)):
            return self._refused(click, Refusal(No.ELSEWHERE, incident))
        transition = acknowledge(incident, click.user, self._clock())
        if transition is None or not await self._store.incidents.move(incident.id, transition):
            return self._refused(click, Refusal(No.NOT_OPEN, incident))
        self._wake_outbox()
        return Acknowledged(incident)

    async def _decide(self, click: Click, approvers: Approvers) -> Approved | Refusal:
        incident = await self._store.incidents.with_offer(click.target)
        if incident is None:
            return Refusal(No.GONE)
        decision = decide(incident, click, await self._home(incident, click), approvers, self._clock())
        return decision if isinstance(decision, Refusal) else Approved(incident, *decision)

    async def _approvers(self, user: str) -> Approvers:
        """The configured approvers. Groups are asked afresh at each click, unless the answer is known without."""
        if user in self._users:
            return Approvers(self._users)
        return Approvers(self._users, {group: await self._directory.members(group) for group in self._groups})

    async def _home(self, incident: Incident, click: Click) -> Place:
        """Where the incident's message stands. A click may overtake the note of where it was posted a moment ago."""
        posted = await self._store.messages.get(incident.id)
        for _ in range(POSTED_SOON):
            if not click.place.ts or (posted and posted.ts):
                break
            await asyncio.sleep(0.1)
            posted = await self._store.messages.get(incident.id)
        channel, ts = (posted.channel, posted.ts) if posted and posted.ts else ("", "")
        identity = self._identity()
        return Place(identity.team, identity.app, channel, ts)

    def _refused(self, click: Click, refusal: Refusal) -> Refusal:
        log.warning("click refused", reason=refusal.reason, user=click.user, target=click.target, place=click.place)
        if refusal.incident and refusal.reason in {No.EXPIRED, No.WITHDRAWN, No.GONE}:
            self._look_again(refusal.incident.host)
        return refusal
