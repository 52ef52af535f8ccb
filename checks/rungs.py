"""A rung of the reach ladder, judged in the way in which the reading from outside is."""

from datetime import datetime

from checks.answer import judge
from checks.facts.path import Rung
from checks.model import ReachOutcome, Reading, ServiceKind


def judged(rung: Rung, kind: ServiceKind) -> tuple[ReachOutcome, str]:
    """How the attempt of a rung ended for a service of this kind, and details."""
    if rung.status is None:
        return rung.ended, ""
    return judge(kind, rung.status, registry=rung.registry)


def as_reading(rung: Rung, kind: ServiceKind, at: datetime, by: str = "") -> Reading:
    """The reading that a rung is for a service of this kind."""
    ended, detail = judged(rung, kind)
    return Reading(
        vantage=rung.vantage,
        phase=rung.phase,
        ended=ended,
        ms=rung.ms,
        at=at,
        status=rung.status,
        address=rung.address,
        detail=detail,
        by=by,
    )
