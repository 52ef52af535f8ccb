"""A rung of the ladder as a reading: judged in the way in which the reading from outside is."""

from datetime import datetime

from checks.answer import judge
from checks.facts.path import Rung
from checks.model import Reading, ServiceKind


def as_reading(rung: Rung, kind: ServiceKind, at: datetime, by: str = "") -> Reading:
    """The reading that a rung is for a service of this kind."""
    ended, detail = rung.ended, ""
    if rung.status is not None:
        headers = {"docker-distribution-api-version": ""} if rung.registry else {}
        ended, detail = judge(kind, rung.status, headers)
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
