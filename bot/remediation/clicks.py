"""What a press of a button leads to. The answers are values; who puts them into words is bot/slack/replies.py."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from bot.approvals.decision import (
    Acknowledged,
    Agreed,
    Approved,
    Approvers,
    Click,
    No,
    Place,
    Refusal,
    Repeated,
    at_home,
    decide,
)
from bot.approvals.policy import Policies, Policy, policy_of
from bot.incidents.audit import refused
from bot.incidents.model import TERMINAL, Incident, Offer, acknowledge
from bot.remediation.runner import Fixing, Run
from bot.store import Store

ATTEMPTS = 3  # at a decision that others keep overtaking
POSTED_SOON = 20  # tenths of a second

log = structlog.get_logger()


class Directory(Protocol):
    """Who is in a user group at this moment; None where Slack does not tell."""

    async def members(self, group: str) -> frozenset[str] | None: ...


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
        policies: Policies,
        look_again: Callable[[str], None],
        wake_outbox: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._fixing = fixing
        self._directory = directory
        self._identity = identity
        self._policies = policies
        self._look_again = look_again
        self._wake_outbox = wake_outbox
        self._clock = clock

    async def approve(self, click: Click) -> Approved | Agreed | Refusal | Repeated:
        """Decide on a click on a fix button, and start the fix if it is the last one that it takes."""
        if not await self._store.seen.first(click.id, self._clock()):
            return Repeated()
        for _ in range(ATTEMPTS):
            decision = await self._decide(click)
            if isinstance(decision, Refusal):
                return await self._refused_fix(click, decision)
            if await self._recorded(decision):
                return decision
            if running := await self._elsewhere(decision.incident):
                return await self._refused_fix(click, Refusal(No.HOST_BUSY, *running))
            # Someone changed the incident between the decision and its record: decide on what it is now.
        return await self._refused_fix(click, Refusal(No.OVERTAKEN))

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

    async def _decide(self, click: Click) -> Approved | Agreed | Refusal:
        incident = await self._store.incidents.with_offer(click.target)
        offer = next((each for each in incident.offers if each.id == click.target), None) if incident else None
        if incident is None or offer is None:
            return Refusal(No.GONE)
        now = self._clock()  # of what is decided upon: whatever is asked from here on may take its time
        policy = policy_of(self._policies, offer.plan)
        approvers = await approvers_of(policy, self._directory, involved(offer, click.user))
        home = await self._home(incident, click)
        return decide(incident, click, policy, approvers, home=home, now=now)

    async def _recorded(self, decision: Approved | Agreed) -> bool:
        """Make the decision count. False if it rests on what is no longer so."""
        incident, offer, approval = decision.incident, decision.offer, decision.approval
        if isinstance(decision, Approved):
            return await self._fixing.begin(incident, offer, approval)
        missing = {"digest": approval.digest, "missing": decision.missing}
        entry = Run(incident, offer, approval).entry("agreed", offer.plan.title, missing, approval.at)
        recorded = await self._store.incidents.agree(offer, approval, entry)
        log.info("approval, not enough yet", offer=offer.id, who=approval.who, counts=recorded)
        self._wake_outbox()
        return recorded

    async def _elsewhere(self, incident: Incident) -> tuple[Incident, Offer] | None:
        """What runs on the host of an incident for another one."""
        running = await self._store.runs.running(incident.host)
        return None if running is None or running[0].id == incident.id else running

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

    async def _refused_fix(self, click: Click, refusal: Refusal) -> Refusal:
        """The same for a fix, of which every attempt is on record."""
        incident = await self._store.incidents.with_offer(click.target)
        offer = next((each for each in incident.offers if each.id == click.target), None) if incident else None
        if offer is not None:
            entry = refused(offer.plan, click.user, refusal.reason, self._clock(), offer.id)
            await self._store.audit.record(entry)
        return self._refused(click, refusal)

    def _refused(self, click: Click, refusal: Refusal) -> Refusal:
        log.warning("click refused", reason=refusal.reason, user=click.user, target=click.target, place=click.place)
        if refusal.incident and refusal.reason in {No.EXPIRED, No.WITHDRAWN, No.GONE}:
            self._look_again(refusal.incident.host)
        return refusal


def involved(offer: Offer, who: str) -> frozenset[str]:
    """Whose approvals of an offer are judged when ``who`` approves it."""
    return frozenset({who, *(each.who for each in offer.agreed)})


async def approvers_of(policy: Policy, directory: Directory, people: Collection[str]) -> Approvers:
    """The approvers of a policy at this moment, as far as it takes to judge these people.

    Groups are asked for their members each time, unless everyone is named: people come and go.
    """
    users = frozenset(name for name in policy.approvers if not name.startswith("S"))
    groups = [name for name in policy.approvers if name.startswith("S")]
    if all(who in users or who.startswith(TERMINAL) for who in people):
        # Nobody's approval depends on a group; it is named all the same, for the one who asks who may.
        return Approvers(users, dict.fromkeys(groups, frozenset[str]()))
    return Approvers(users, {group: await directory.members(group) for group in groups})
