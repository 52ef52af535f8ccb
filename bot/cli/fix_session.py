"""A fix, and its undo, from a terminal: the same look, policy, lock, re-check, verification and record as a button."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Self

from bot.approvals.approvers import Directory, Members, Withheld
from bot.approvals.decision import Agreed, Approved, Click, Refusal
from bot.approvals.offers import offered, usable
from bot.config import Settings
from bot.incidents.audit import planned, refused
from bot.incidents.model import Incident, IncidentKind, IncidentState, Offer, Transition, opened
from bot.monitoring.monitor import CheckResult, Monitor, MonitorSettings
from bot.remediation.approval_service import ApprovalService, nowhere
from bot.remediation.runner import Executor, Runner
from bot.slack.client import SlackClient
from bot.store import Store
from checks.check import Checker
from checks.execution.apply import apply, resume
from checks.execution.order import Event, Happened, OnEvent, Order
from checks.execution.undo import undo
from checks.model import Applied, FixId, Host, NoChange, NoUndo, Plan, Report, Service, Snapshot

Say = Callable[[str], None]


@dataclass(frozen=True)
class Proposal:
    """What would be done now. ``incident`` is None where nothing is broken yet: a risk of a service that is well."""

    plan: Plan
    report: Report | None
    incident: Incident | None = None
    offer: Offer | None = None


class FixSession:
    def __init__(  # noqa: PLR0913, PLR0917  # each is a thing of its own; ``open`` names them
        self, settings: Settings, checker: Checker, store: Store, directory: Directory, who: str, say: Say
    ) -> None:
        self._checker = checker
        self._store = store
        self._who = who
        self._say = say
        self._policies = settings.approvals.policies()
        self._monitor = Monitor(checker.hosts.values(), checker, store, MonitorSettings.of(settings), clock=_now)
        self._runner = Runner(
            store,
            Executor(self._aloud(partial(apply, checker)), self._resume),
            policies=self._policies,
            clock=_now,
        )
        self._approvals = ApprovalService(store, self._runner, directory, policies=self._policies, clock=_now)

    @classmethod
    async def open(cls, settings: Settings, who: str, say: Say, *, only_reads: bool = False) -> Self:
        """Raises StoreError."""
        store = await (Store.read if only_reads else Store.open)(settings.store)
        checker = Checker(settings.host_list(), clock=_now)
        return cls(settings, checker, store, SlackGroups(settings), who, say)

    async def close(self) -> None:
        """End what was begun here. What still runs then goes on on its host, and the next process takes it up."""
        await self._runner.close(grace=0)
        await self._monitor.close()
        await self._checker.close()
        await self._store.close()

    async def recover(self, host: Host) -> None:
        """End what a dead process left running on the host."""
        await self._runner.recover(host.name)
        await self._runner.settled()

    # --- what would be done ---

    async def propose(self, host: Host, service: Service, fix: FixId) -> Proposal | NoChange:
        """Look at the host, and say what the fix would do."""
        [checked] = await self._monitor.check(host, service, self._who)
        return _proposal(checked, fix, _now())

    async def propose_undo(self, host: Host, run: str | None) -> Proposal | NoUndo:
        """What takes back a run on a host: the newest one that can be, or the one of that id."""
        done = await self._store.runs.done(host.name)
        if run is not None:
            done = tuple((incident, offer) for incident, offer in done if offer.id == run)
        why = NoUndo(f"no run{f' {run}' if run else ''} on {host.name} is known that did anything to it")
        for incident, offer in done:
            plan = undo(offer.plan, offer.id, offer.applied) if offer.applied is not None else why
            if isinstance(plan, NoUndo):
                why = plan
                continue
            if _undone(incident, offer):
                why = NoUndo(f"run {offer.id} was taken back already")
                continue
            return Proposal(plan, incident.report, incident)
        return why

    # --- doing it ---

    async def decided(self, proposal: Proposal) -> Approved | Agreed | Refusal:
        """Whether the word of the person at this terminal counts for a proposal, and whether it is enough."""
        incident, offer = self._imagined(proposal)
        return await self._approvals.judge(incident, self._word(offer), nowhere)

    async def carry_out(self, proposal: Proposal) -> tuple[Applied, Offer] | NoChange | Agreed | Refusal:
        """Run a proposal that the person at this terminal approved a moment ago, if that is enough."""
        decision = await self.decided(proposal)
        if isinstance(decision, Refusal):
            await self._store.audit.record(refused(proposal.plan, self._who, decision.reason, _now()))
            return decision
        if isinstance(decision, Agreed) and proposal.incident is None:
            says = "it takes several people, and what is not broken has no alert in which the others could approve it"
            return NoChange(proposal.plan.fix, says)
        found = await self._recorded(proposal)
        if isinstance(found, NoChange):
            return found
        _, offer = found
        decision = await self._approvals.approve(self._word(offer), nowhere)
        return await self._ended(offer) if isinstance(decision, Approved) else decision

    def _word(self, offer: Offer) -> Click:
        return Click("", self._who, offer.id, None)

    async def _ended(self, offer: Offer) -> tuple[Applied, Offer] | NoChange:
        await self._runner.settled()
        incident = await self._store.incidents.with_offer(offer.id)
        run = incident.offer(offer.id) if incident else None
        if run is not None and run.applied is not None:
            return run.applied, run
        where = f"dockerhealth audit --host {offer.plan.host}"
        return NoChange(offer.plan.fix, f"another process has taken this over: `{where}` has what it did")

    async def _recorded(self, proposal: Proposal) -> tuple[Incident, Offer] | NoChange:
        """The incident and the offer of a proposal; one about a risk opens its incident now."""
        if proposal.incident is not None and proposal.offer is not None:
            return proposal.incident, proposal.offer
        if proposal.incident is not None:
            return proposal.incident, await self._put_up(proposal.incident, proposal.plan)
        incident = await self._monitor.prevent(proposal.report, proposal.plan, self._who) if proposal.report else None
        for offer in incident.offers if incident else ():
            if incident and offer.fingerprint == proposal.plan.fingerprint and usable(offer, _now()):
                return incident, offer
        return NoChange(proposal.plan.fix, "something has changed meanwhile. Nothing was run. Check again.")

    async def _put_up(self, incident: Incident, plan: Plan) -> Offer:
        now = _now()
        offer = offered(plan, self._policies, now, secrets.token_urlsafe(15))
        await self._store.runs.put_up(incident, offer, planned(offer, now))
        return offer

    def _imagined(self, proposal: Proposal) -> tuple[Incident, Offer]:
        """The incident and the offer, as they would be where they are made only once the proposal is approved."""
        offer = proposal.offer or offered(proposal.plan, self._policies, _now(), "not-yet-put-up")
        if proposal.incident is None:
            opening = Transition(
                None, IncidentState.OPEN, "a risk is to be mended", _now(), self._who, IncidentKind.PREVENTION
            )
            incident = opened("not-yet-opened", proposal.plan.host, proposal.plan.service, opening)
        else:
            incident = proposal.incident
        return (incident if proposal.offer else replace(incident, offers=(*incident.offers, offer))), offer

    # --- telling ---

    def _aloud(
        self, work: Callable[[Order, OnEvent], Awaitable[Applied]]
    ) -> Callable[[Order, OnEvent], Awaitable[Applied]]:
        async def told(order: Order, tell: OnEvent) -> Applied:
            return await work(order, self._telling(tell))

        return told

    async def _resume(self, order: Order, before: Snapshot | None, tell: OnEvent) -> Applied:
        applied = await resume(self._checker, order, before, self._telling(tell))
        self._say(f"{order.plan.title}, which was left unfinished, has ended: {applied.says}")
        return applied

    def _telling(self, tell: OnEvent) -> OnEvent:
        async def both(event: Event) -> None:
            await tell(event)
            if event.what is not Happened.STEP_ENDED:  # what follows says so
                self._say(event.says)

        return both


class SlackGroups:
    """Who is in a user group, for the few times that a terminal asks: nobody knows without a token for Slack."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def members(self, group: str) -> Members:
        token = self._settings.slack_bot_token
        if token is None:
            return Withheld("SLACK_BOT_TOKEN is not set here", "Set it, or press the button in Slack.")
        slack = await SlackClient.open(token.get_secret_value(), self._settings.slack_api_url)
        try:
            return await slack.members(group)
        finally:
            await slack.close()


def _proposal(checked: CheckResult, fix: FixId, now: datetime) -> Proposal | NoChange:
    report, incident = checked.report, checked.incident
    if incident is not None and incident.state is IncidentState.FIXING:
        return NoChange(fix, f"another fix runs on {incident.host} just now")
    for offer in incident.offers if incident else ():
        if incident and (offer.plan.fix, offer.plan.undoes) == (fix, "") and usable(offer, now):
            return Proposal(offer.plan, report, incident, offer)
    proposed = report.proposal(fix)
    return proposed if isinstance(proposed, NoChange) else Proposal(proposed, report)


def _undone(incident: Incident, offer: Offer) -> bool:
    return any(each.plan.undoes == offer.id and each.applied and each.applied.ran for each in incident.offers)


def _now() -> datetime:
    return datetime.now(UTC)
