"""Decides whether a person's word counts, puts it on record, and begins what enough people have approved.

A button in Slack and a person at a terminal come here alike. What decides is pure: bot/approvals.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from bot.approvals.approvers import Directory, approvers_of, involved
from bot.approvals.decision import Agreed, Approved, Click, Place, Refusal, RefusalReason, decide
from bot.approvals.policy import Policies, policy_of
from bot.incidents.audit import refused
from bot.incidents.model import Incident, Offer
from bot.remediation.runner import Run, Runner
from bot.store import Store

ATTEMPTS = 3  # at a decision that others keep overtaking

Home = Callable[[Incident], Awaitable[Place | None]]
"""Finds where an incident's own message stands; None where nobody needs to know."""

log = structlog.get_logger()


async def nowhere(_incident: Incident) -> None:
    """The home of what is approved at a terminal."""


class ApprovalService:
    def __init__(
        self,
        store: Store,
        runner: Runner,
        directory: Directory,
        *,
        policies: Policies,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._runner = runner
        self._directory = directory
        self._policies = policies
        self._clock = clock

    async def approve(self, click: Click, home: Home) -> Approved | Agreed | Refusal:
        """Decide on an approval, record it, and start the fix if it is the last one that it takes.

        Args:
            click: Who approves which offer, and where.
            home: Asked for the place of the incident's own message.

        Returns:
            Approved: the fix has begun. Agreed: more people have to approve. Refusal: nothing changed.
        """
        for _ in range(ATTEMPTS):
            incident = await self._store.incidents.with_offer(click.target)
            decision = await self.judge(incident, click, home) if incident else Refusal(RefusalReason.GONE)
            if isinstance(decision, Refusal):
                return await self.refuse(click, decision)
            if await self._recorded(decision):
                return decision
            if running := await self._elsewhere(decision.incident):
                return await self.refuse(click, Refusal(RefusalReason.HOST_BUSY, *running))
            # Someone changed the incident between the decision and its record: decide on what it is now.
        return await self.refuse(click, Refusal(RefusalReason.OVERTAKEN))

    async def judge(self, incident: Incident, click: Click, home: Home) -> Approved | Agreed | Refusal:
        """Decide whether an approval would count now, and would be enough. Nothing is recorded, nothing begins."""
        offer = incident.offer(click.target)
        if offer is None:
            return Refusal(RefusalReason.GONE)
        now = self._clock()  # of what is decided upon: whatever is asked from here on may take its time
        policy = policy_of(self._policies, offer.plan)
        approvers = await approvers_of(policy, self._directory, involved(offer, click.user))
        return decide(incident, click, policy, approvers, home=await home(incident), now=now)

    async def refuse(self, click: Click, refusal: Refusal) -> Refusal:
        """Put a refused approval of a known offer on record."""
        incident = await self._store.incidents.with_offer(click.target)
        offer = incident.offer(click.target) if incident else None
        if offer is not None:
            entry = refused(offer.plan, click.user, refusal.reason, self._clock(), offer.id)
            await self._store.audit.record(entry)
        log.warning("approval refused", reason=refusal.reason, who=click.user, offer=click.target, place=click.place)
        return refusal

    async def _recorded(self, decision: Approved | Agreed) -> bool:
        """Make the decision count. False if it rests on what is no longer so."""
        incident, offer, approval = decision.incident, decision.offer, decision.approval
        if isinstance(decision, Approved):
            return await self._runner.begin(incident, offer, approval)
        missing = {"fingerprint": approval.fingerprint, "missing": decision.missing}
        entry = Run(incident, offer, approval).entry("agreed", offer.plan.title, missing, approval.at)
        recorded = await self._store.incidents.agree(offer, approval, entry)
        log.info("approval, not enough yet", offer=offer.id, who=approval.who, counts=recorded)
        return recorded

    async def _elsewhere(self, incident: Incident) -> tuple[Incident, Offer] | None:
        """What runs on the host of an incident for another one."""
        running = await self._store.runs.running(incident.host)
        return None if running is None or running[0].id == incident.id else running
