"""Which fix is carried out without a click, and when that stops, as a pure decision.

Only where the configuration names the fix for the host, the cause is proven, and a single person's click would do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.approvals.offers import usable
from bot.approvals.policy import AutoRule, Policies, policy_of
from bot.incidents.model import (
    AUTO,
    Approval,
    CameBack,
    Incident,
    IncidentState,
    LastEnded,
    Offer,
    RanOften,
    Stopped,
    Why,
)
from checks.model import Confidence, FixId, Outcome, Verdict

DAY = timedelta(hours=24)


@dataclass(frozen=True)
class PastRun:
    """A plan that was approved, ``at`` that time. ``ended_at`` and ``outcome`` are None while it is carried out."""

    host: str
    service: str
    cause: str
    fix: FixId
    who: str
    at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    undoes: str = ""  # the run that it took back

    @property
    def automatic(self) -> bool:
        return self.who == AUTO


@dataclass(frozen=True)
class PastFault:
    """A cause that was there: an incident of it was opened, or opened again."""

    host: str
    cause: str
    at: datetime


@dataclass(frozen=True)
class History:
    """What happened before on a host, in any order.

    It has to reach back to the last fix that a person approved, however long ago: what it leaves out stops nothing.
    """

    runs: tuple[PastRun, ...] = ()
    faults: tuple[PastFault, ...] = ()


@dataclass(frozen=True)
class AutoApproval:
    """This offer is carried out now."""

    offer: Offer
    approval: Approval


def automatic(incident: Incident, policies: Policies, history: History, now: datetime) -> AutoApproval | Stopped | None:
    """What is to be done without a click about an incident. None: nothing, a person decides as ever."""
    offer = _candidate(incident, now)
    rule = policies.auto_rule(offer.plan.fix, incident.host) if offer else None
    if offer is None or rule is None or not _one_click_would_do(offer, policies, now):
        return None
    cause = offer.plan.cause
    runs = sorted((run for run in history.runs if (run.host, run.cause) == (incident.host, cause)), key=lambda r: r.at)
    if any(run.outcome is None for run in runs):
        return None  # what runs may mend this as well
    faults = [fault.at for fault in history.faults if (fault.host, fault.cause) == (incident.host, cause)]
    why = _stopped(runs, [*faults, _began(incident)], rule, now)
    if why is not None:
        return Stopped(cause, why)
    return AutoApproval(offer, Approval(AUTO, now, offer.fingerprint))


def _candidate(incident: Incident, now: datetime) -> Offer | None:
    """The offer of the newest look's first plan, where that mends a proven root cause and nobody has taken over."""
    report = incident.report
    root = report.diagnosis.root if report else None
    if incident.state is not IncidentState.OPEN or report is None or root is None or not report.plans:
        return None
    plan = report.plans[0]
    proven = root.verdict is Verdict.FAIL and root.confidence is Confidence.PROVEN
    if not proven or plan.cause != root.cause or plan.by_hand or plan.undoes:
        return None
    fingerprint = plan.fingerprint
    return next((each for each in incident.offers if usable(each, now) and each.fingerprint == fingerprint), None)


def _one_click_would_do(offer: Offer, policies: Policies, now: datetime) -> bool:
    policy = policy_of(policies, offer.plan)
    quiet = policy.quiet_hours is not None and policy.quiet_hours.until(now) is not None
    return policy.allowed and max(policy.people, offer.people) == 1 and not quiet


def _began(incident: Incident) -> datetime:
    """When the fault was there for the first time, or, where it has come back since, for the last."""
    again = [change.at for change in incident.transitions if change.opens and change.old is not None]
    return again[-1] if again else incident.opened_at


def _stopped(runs: list[PastRun], faults: list[datetime], rule: AutoRule, now: datetime) -> Why | None:
    """Why it is not carried out any more; None while it may be. Before a fix that a person approved nothing counts."""
    decided = [number for number, run in enumerate(runs) if not run.automatic and not run.undoes]
    since = runs[decided[-1] + 1 :] if decided else runs
    reasons = list(_reasons(since, faults, rule))
    if reasons:
        return reasons[-1]
    today = [run for run in runs if run.automatic and not run.undoes and run.at > now - DAY]
    return RanOften(len(today)) if len(today) >= rule.per_day else None


def _reasons(runs: list[PastRun], faults: list[datetime], rule: AutoRule) -> Iterator[Why]:
    """What speaks against another run, oldest first."""
    for run in runs:
        if run.undoes:
            yield LastEnded(Outcome.UNDONE)
        elif run.outcome is not None and run.outcome is not Outcome.FIXED:
            yield LastEnded(run.outcome)
        else:
            ended = run.ended_at or run.at
            yield from (CameBack(at - ended) for at in sorted(faults) if ended < at <= ended + rule.returns_within)
