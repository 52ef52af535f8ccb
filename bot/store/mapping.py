"""Rows to the words of the product and back."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from bot.approvals.auto import PastRun
from bot.incidents.model import Approval, Incident, IncidentKind, IncidentState, Offer, Stopped, Transition
from checks.commands import typed
from checks.model import Applied, Outcome, Plan, Report, Snapshot

_REPORT = TypeAdapter(Report)
_PLAN = TypeAdapter(Plan)
_APPLIED = TypeAdapter(Applied)
_SNAPSHOT = TypeAdapter(Snapshot)
_STOPPED = TypeAdapter(Stopped)


def report_json(report: Report) -> str:
    return _REPORT.dump_json(report).decode()


def report_from(text: str) -> Report:
    return _REPORT.validate_json(text)


def stopped_json(stopped: Stopped | None) -> str | None:
    return _STOPPED.dump_json(stopped).decode() if stopped is not None else None


def incident_values(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "host": incident.host,
        "service": incident.service,
        "state": incident.state,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "recurs": incident.recurs,
        "stopped": stopped_json(incident.stopped),
        "kind": incident.kind,
        "risk": incident.risk,
    }


def transition_values(incident_id: str, transition: Transition) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "old": transition.old,
        "new": transition.new,
        "reason": transition.reason,
        "at": transition.at,
        "who": transition.who,
        "kind": transition.kind,
        "since": transition.since,
    }


def transition_from(row: Row[Any]) -> Transition:
    old = IncidentState(row.old) if row.old else None
    kind = IncidentKind(row.kind) if row.kind else None
    return Transition(old, IncidentState(row.new), row.reason, row.at, row.who, kind, row.since)


def report_values(incident_id: str | None, report: Report) -> dict[str, Any]:
    root = report.diagnosis.root
    return {
        "incident_id": incident_id,
        "host": report.host,
        "service": report.service,
        "at": report.at,
        "status": report.status,
        "cause": root.cause if root else "",
        "body": report_json(report),
    }


def offer_values(incident_id: str, offer: Offer, position: int) -> dict[str, Any]:
    """The values of an offer that nobody has approved yet."""
    return {
        "id": offer.id,
        "incident_id": incident_id,
        "fix": offer.plan.fix,
        "undoes": offer.plan.undoes,
        "position": position,
        "fingerprint": offer.fingerprint,
        "plan": _PLAN.dump_json(offer.plan).decode(),
        "offered_at": offer.offered_at,
        "expires_at": offer.expires_at,
        "withdrawn": offer.withdrawn,
        "people": offer.people,
        "progress": offer.progress,
    }


def snapshot_json(snapshot: Snapshot) -> str:
    return _SNAPSHOT.dump_json(snapshot).decode()


def applied_values(applied: Applied) -> dict[str, Any]:
    return {"outcome": applied.outcome, "applied": _APPLIED.dump_json(applied).decode()}


def offer_from(row: Row[Any], agreed: Iterable[Row[Any]]) -> Offer:
    approval = None
    if row.approved_by is not None:
        approval = Approval(who=row.approved_by, at=row.approved_at, fingerprint=row.fingerprint)
    return Offer(
        id=row.id,
        plan=_PLAN.validate_json(row.plan),
        fingerprint=row.fingerprint,
        offered_at=row.offered_at,
        expires_at=row.expires_at,
        approval=approval,
        applied=_APPLIED.validate_json(row.applied) if row.applied is not None else None,
        progress=row.progress,
        withdrawn=row.withdrawn,
        people=row.people,
        agreed=tuple(Approval(who=each.who, at=each.at, fingerprint=each.fingerprint) for each in agreed),
        reference=row.reference,
        before=_SNAPSHOT.validate_json(row.before) if row.before is not None else None,
    )


def seconds_of_steps(applied: Iterable[str]) -> dict[str, float]:
    """The command of each step that succeeded, to the seconds that it took; of several the last one counts."""
    results = (result for text in applied for result in _APPLIED.validate_json(text).results)
    return {typed(result.step): result.seconds for result in results if result.ok}


def past_run(host: str, row: Row[Any]) -> PastRun:
    outcome = Outcome(row.outcome) if row.outcome is not None else None
    plan = _PLAN.validate_json(row.plan)
    ended = row.ended_at, outcome
    return PastRun(
        host, row.service, plan.cause, plan.fix, row.approved_by, row.approved_at, *ended, undoes=plan.undoes
    )


def incident_from(
    row: Row[Any],
    transition_rows: Iterable[Row[Any]],
    report: str | None,
    offer_rows: Iterable[Row[Any]],
    agreement_rows: Iterable[Row[Any]],
) -> Incident:
    agreed: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for each in agreement_rows:
        agreed[each.offer_id].append(each)
    return Incident(
        id=row.id,
        host=row.host,
        service=row.service,
        state=IncidentState(row.state),
        opened_at=row.opened_at,
        transitions=tuple(transition_from(each) for each in transition_rows),
        report=report_from(report) if report is not None else None,
        offers=tuple(offer_from(offer, agreed[offer.id]) for offer in offer_rows),
        resolved_at=row.resolved_at,
        recurs=row.recurs,
        stopped=_STOPPED.validate_json(row.stopped) if row.stopped is not None else None,
        kind=IncidentKind(row.kind),
        risk=row.risk,
    )
