"""A fix from a terminal: the same look, plan, claim, re-check, verification and record as behind a button."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from bot.config import Settings
from bot.fixing import Fixing
from bot.incidents import Approval, Incident, Offer, Rules, State
from bot.offers import usable
from bot.store import Store
from bot.watch import Checked, Watch, Watching
from checks.apply import OnProgress, Progress, apply
from checks.check import Checker
from checks.model import Applied, Host, NoChange, Plan, Service


@dataclass(frozen=True)
class Proposal:
    """What a fix would do now. ``record`` is None where no incident asks for it: a risk on a healthy service."""

    plan: Plan
    record: tuple[Incident, Offer] | None = None


class Mending:
    def __init__(self, settings: Settings, checker: Checker, store: Store, who: str) -> None:
        self._checker = checker
        self._store = store
        self._who = who
        rules = Rules(settings.checks.open_after, settings.checks.resolve_after)
        watching = Watching(rules, settings.approvals.expire_after, settings.slack.alert_channel)
        self._watch = Watch(checker.hosts.values(), checker, store, watching, wake_outbox=_bot_does_that, clock=_now)

    @classmethod
    async def open(cls, settings: Settings, who: str) -> Self:
        """Raises StoreError."""
        store = await Store.open(settings.store)
        return cls(settings, Checker(settings.host_list(), clock=_now), store, who)

    async def close(self) -> None:
        await self._watch.close()
        await self._checker.close()
        await self._store.close()

    async def propose(self, host: Host, service: Service, fix: str) -> Proposal | NoChange:
        """Look at the host, and say what the fix would do."""
        [checked] = await self._watch.check(host, service, self._who)
        return _proposal(checked, fix, _now())

    async def carry_out(self, proposal: Proposal, tell: Callable[[str], None]) -> Applied | NoChange:
        """Run a proposal that a person approved a moment ago."""

        async def run(plan: Plan, on_progress: OnProgress) -> Applied:
            async def on_each(progress: Progress) -> None:
                tell(progress.says)
                await on_progress(progress)

            return await apply(self._checker, plan, on_each)

        if proposal.record is None:
            return await run(proposal.plan, _not_stored)
        incident, offer = proposal.record
        fixing = Fixing(self._store, run, wake_outbox=_bot_does_that, after=_bot_looks_again, clock=_now)
        approval = Approval(self._who, _now(), offer.plan.digest)
        if not await fixing.claim(incident, offer, approval):
            return NoChange(
                offer.plan.fix, "someone was faster: the incident has changed. Nothing was run. Check again."
            )
        return await fixing.carry_out(incident, offer)


def _proposal(checked: Checked, fix: str, now: datetime) -> Proposal | NoChange:
    report, incident = checked.report, checked.incident
    if incident is not None and incident.state is State.FIXING:
        return NoChange(fix, f"another fix runs on {incident.host} just now")
    for offer in incident.offers if incident else ():
        if incident and offer.plan.fix == fix and usable(offer, now):
            return Proposal(offer.plan, (incident, offer))
    candidates: tuple[Plan | NoChange, ...] = (*report.plans, *report.refused)
    for planned in candidates:
        if planned.fix == fix:
            return planned if isinstance(planned, NoChange) else Proposal(planned)
    if report.trouble is not None:
        return NoChange(fix, report.trouble.says)
    return NoChange(fix, f"nothing that it mends is wrong with {report.host}/{report.service} now")


def _now() -> datetime:
    return datetime.now(UTC)


def _bot_does_that() -> None:
    """The bot's outbox finds in the store what it has to show."""


def _bot_looks_again(_host: str, _service: str) -> None:
    """The bot's own readings follow what was done here."""


async def _not_stored(_progress: Progress) -> None:
    """No incident, no progress to store."""
