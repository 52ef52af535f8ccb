"""What is known of a fault that was there before: how often, what came first each time, and what would last. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from bot.incidents.model import Incident, IncidentKind
from bot.incidents.runs import fixed_by
from bot.text import length, plain
from checks.model import UNDETERMINED, Change, ChangeKind, Lasts, Outcome, Plan

DAYS = 7
BEFORE = timedelta(minutes=5)
"""What happened longer before a fault than this is not taken for what came first."""

CLOCKS = timedelta(seconds=2)
"""By how much the host's clock may be ahead without anybody noticing."""

SIMILAR = timedelta(seconds=10)
SECOND = timedelta(seconds=1)
LONGEST_WHO = 160  # characters

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True)
class First:
    """What came before the fault: how long before, in each incident that has it; the newest one."""

    change: Change
    before: tuple[timedelta, ...]


def recurrence(past: Iterable[Incident], incident: Incident, now: datetime) -> str:
    """What an alert says of earlier incidents of the same fault in the last days. Empty for a first time."""
    cause = _cause(incident)
    earlier = sorted((each for each in past if cause and _same(each, incident, cause, now)), key=lambda e: e.opened_at)
    if not earlier:
        return ""
    first = _first([*earlier, incident])
    return f"{_how_often(len(earlier) + 1, first)} {_advice(_mended(earlier), _for_good(incident, cause), first)}"


def _cause(incident: Incident) -> str:
    """The root cause; where the newest look found the service well already, that of the fix that was carried out.

    Nothing was broken where something was to be prevented.
    """
    if incident.kind is IncidentKind.PREVENTION:
        return ""
    root = incident.report.diagnosis.root if incident.report else None
    if root is not None:
        return "" if root.cause == UNDETERMINED else root.cause
    return next((offer.plan.cause for offer in incident.offers if offer.approval), "")


def _same(earlier: Incident, incident: Incident, cause: str, now: datetime) -> bool:
    place = (earlier.host, earlier.service) == (incident.host, incident.service)
    recent = now - timedelta(days=DAYS) < earlier.opened_at < incident.opened_at
    return place and recent and _cause(earlier) == cause


# --- what came first -------------------------------------------------------------------------------------------


def _first(incidents: Sequence[Incident]) -> First | None:
    """What came before most of them: rather what somebody is known to have asked for, and the earliest of that."""
    same: dict[tuple[ChangeKind, tuple[str, ...]], dict[str, tuple[timedelta, Change]]] = {}
    for incident in incidents:
        for before, change in _changes(incident):
            nearest = same.setdefault((change.kind, change.of), {})
            if incident.id not in nearest or before < nearest[incident.id][0]:
                nearest[incident.id] = before, change
    found = [first for nearest in same.values() if (first := _together(list(nearest.values()))) is not None]
    return max(found, key=lambda first: (len(first.before), first.change.asked, max(first.before)), default=None)


def _changes(incident: Incident) -> Iterator[tuple[timedelta, Change]]:
    """What happened shortly before an incident, and how long before."""
    for change in incident.report.timeline if incident.report else ():
        before = incident.opened_at - change.at
        if -CLOCKS <= before <= BEFORE and change.kind.happened:
            yield max(before, timedelta(0)), change


def _together(seen: Sequence[tuple[timedelta, Change]]) -> First | None:
    """The same change, each time that it was at a similar distance; None where there are not two."""
    middle = timedelta(seconds=median(before.total_seconds() for before, _ in seen))
    tolerated = max(SIMILAR, middle / 2)
    alike = [(before, change) for before, change in seen if abs(before - middle) <= tolerated]
    return First(alike[-1][1], tuple(before for before, _ in alike)) if len(alike) > 1 else None


# --- words -----------------------------------------------------------------------------------------------------


def _how_often(count: int, first: First | None) -> str:
    often = f"{_ordinal(count).capitalize()} time in {DAYS} days"
    if first is None:
        return f"{often}."
    times = "each time" if len(first.before) == count else f"{len(first.before)} of {count} times"
    return f"{often}, {times} {_distance(first.before)} {_what(first.change)}."


def _ordinal(number: int) -> str:
    if number <= len(ORDINALS):
        return ORDINALS[number - 1]
    teens = 10 < number % 100 < 14  # noqa: PLR2004  # 11th, 12th, 13th
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _distance(before: Sequence[timedelta]) -> str:
    if max(before) < SECOND:
        return "just after"
    shortest, longest = length(min(before)), length(max(before))
    return f"{longest} after" if shortest == longest else f"{shortest} to {longest} after"


def _what(change: Change) -> str:
    """Who asked for it, or what else was seen at that time; a login or a command names its user by itself."""
    what, who = plain(change.says), plain(change.who)
    shown = who if len(who) <= LONGEST_WHO else f"{who[:LONGEST_WHO].rstrip()}…"
    return f"{what}: {shown}" if who and change.kind is ChangeKind.UNIT else what


def _advice(before: Plan | None, lasting: Plan | None, first: First | None) -> str:
    """What did not last, and what will."""
    cause = "what came first is what to stop" if first else "find out what does it"
    if before is not None and before.lasts is Lasts.FOR_GOOD:
        return f"`{before.fix}` mended it before and was to last, so something took it back: {cause}."
    past = f"`{before.fix}` mended it before and did not last. " if before is not None else ""
    return f"{past}The lasting fix is `{lasting.fix}`." if lasting else f"{past}No fix for it lasts: {cause}."


def _mended(earlier: Sequence[Incident]) -> Plan | None:
    """The newest fix that brought the service back and was not taken back by a person."""
    offers = [offer for each in earlier for offer in each.offers]
    undone = {offer.plan.undoes for offer in offers if offer.applied and offer.applied.outcome is Outcome.UNDONE}
    fixed = fixed_by([offer for offer in offers if offer.id not in undone])
    return fixed.plan if fixed else None


def _for_good(incident: Incident, cause: str) -> Plan | None:
    plans = incident.report.plans if incident.report else ()
    return next((plan for plan in plans if plan.cause == cause and plan.lasts is Lasts.FOR_GOOD), None)
