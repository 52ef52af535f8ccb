"""The message of an incident, in each of its states: first the cause, then the proof, then the button."""

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.incidents.model import SEVERAL_HOSTS, Incident, IncidentKind, IncidentState, Offer, Transition, downtime
from bot.incidents.runs import fixed_by, newest_run, still_needed
from bot.slack.message import FALLBACK, Block, Message
from bot.slack.views.blocks import ALWAYS, Card, Colour, Part, context, header, message, part, sections
from bot.slack.views.diagnosis import details, proof, readings, timeline, was
from bot.slack.views.markup import person, prose, valued, when
from bot.slack.views.offers import (
    acknowledge,
    apart,
    buttons,
    by_hand,
    expired,
    on_offer,
    plans,
    prevention,
    undo_buttons,
)
from bot.slack.views.runs import earlier, newest, running
from bot.text import length, plain
from bot.wording.automation import no_longer_by_itself
from bot.wording.reports import title
from checks.model import Applied, Outcome, Report, Status

LOOKS = {
    IncidentState.OPEN: ("🔴", Colour.RED),
    IncidentState.ACKNOWLEDGED: ("🟠", Colour.AMBER),
    IncidentState.FIXING: ("🟠", Colour.AMBER),
    IncidentState.RESOLVED: ("🟢", Colour.GREEN),
}
STATES = {
    IncidentState.OPEN: "opened",
    IncidentState.ACKNOWLEDGED: "acknowledged",
    IncidentState.FIXING: "fix started",
    IncidentState.RESOLVED: "resolved",
}
MOST_TRANSITIONS = 6
CALM = {IncidentKind.PREVENTION, IncidentKind.HOST_BLIND}  # services answer
BLIND = {IncidentKind.HOST_BLIND, IncidentKind.WATCHER_BLIND}
AGAIN = {
    IncidentKind.OUTAGE: "answers",
    IncidentKind.WATCHER_OFFLINE: "reached",
    IncidentKind.HOST_BLIND: "all is seen",
    IncidentKind.WATCHER_BLIND: "sees",
}


def alert(incident: Incident, now: datetime) -> Message:
    """The whole message as it should stand at ``now``."""
    mark, colour = _look(incident)
    parts = [*BODIES[incident.state](incident, now), _history(incident)]
    more = f"All of it: `{_command(incident)}`"
    top = [header(f"{mark} {incident.name}: {_headline(incident)}"), *_recurs(incident)]
    sentence = _with_room(_sentence(incident, now), _before_this(incident))
    return message(sentence, top, [Card(colour, tuple(parts))], more)


def _command(incident: Incident) -> str:
    """What tells more in a terminal."""
    if incident.service:
        return f"dockerhealth check {prose(incident.host)} {prose(incident.service)}"
    if incident.kind is IncidentKind.HOST_BLIND:
        return f"dockerhealth doctor {'HOST' if incident.host == SEVERAL_HOSTS else prose(incident.host)}"
    return "journalctl -u dockerhealth" if incident.kind is IncidentKind.WATCHER_BLIND else "dockerhealth check HOST"


def _look(incident: Incident) -> tuple[str, Colour]:
    unwatched = incident.kind is IncidentKind.UNWATCHED
    if incident.state is IncidentState.RESOLVED and (unwatched or _last_undo(incident)):
        return "⚪", Colour.GREY
    calm = incident.state is IncidentState.OPEN and incident.kind in CALM
    return LOOKS[IncidentState.ACKNOWLEDGED if calm else incident.state]


def _recurs(incident: Incident) -> tuple[Block, ...]:
    known = _before_this(incident)
    return sections([f":repeat: {valued(known, 600)}"]) if known else ()


def _before_this(incident: Incident) -> str:
    """What is known of the same fault before, and whether it is still mended by itself."""
    stopped = no_longer_by_itself(incident.stopped, incident.host) if incident.stopped else ""
    return f"{incident.recurs} {stopped}".strip()


def _with_room(sentence: str, more: str) -> str:
    """A notification with what else is known, if all of that has room."""
    both = f"{sentence} {more[:1].upper()}{more[1:].replace('`', '')}".strip()
    return both if len(both) <= FALLBACK else sentence


def _headline(incident: Incident) -> str:
    if incident.kind is IncidentKind.PREVENTION:
        return _prevention(incident)
    if incident.kind is IncidentKind.UNWATCHED:
        return "is watched no more"
    if incident.state is IncidentState.RESOLVED:
        again = f"{AGAIN[incident.kind]} again after {_down(incident)}"
        return f"{again}, {_since(undo)}" if (undo := _last_undo(incident)) else again
    if incident.report is None:
        return "cannot see" if incident.kind in BLIND else "does not answer, looking for the cause"
    return _cause(incident) or "answered when it was looked at"


def _prevention(incident: Incident) -> str:
    """Of a service that is well, and of what may break it."""
    risk = plain(incident.risk)
    if incident.state is not IncidentState.RESOLVED:
        return f"well, a fault is being prevented: {risk}"
    if undo := _last_undo(incident):
        return f"well, {_since(undo)}: {risk}"
    done = fixed_by(incident.offers) is not None
    return f"well, a fault was prevented: {risk}" if done else f"well, a fault was not prevented: {risk}"


def _last_undo(incident: Incident) -> Applied | None:
    """How the undo ended that was the last thing to be run."""
    last = newest_run(incident.offers)
    return last.applied if last is not None and last.plan.undoes else None


def _since(undo: Applied) -> str:
    return "a fix was taken back" if undo.outcome is Outcome.UNDONE else "taking a fix back went wrong"


def _sentence(incident: Incident, now: datetime) -> str:
    name = incident.name
    cause = _cause(incident)
    if incident.kind is not IncidentKind.OUTAGE:
        return _sentence_of_another_kind(incident, cause)
    if incident.state is IncidentState.RESOLVED:
        was = f" It was: {cause}." if cause else ""
        then = f" Since then, {_since(undo)}." if (undo := _last_undo(incident)) else ""
        return f"{name} answers again. It was down for {_down(incident)}.{was}{then}"
    if incident.state is IncidentState.FIXING:
        return f"{name}: {_at_work(incident)}{': ' + cause if cause else ''}."
    if not cause:
        return f"{name} does not answer from outside. No cause is known yet."
    session, _ = apart(on_offer(incident.offers, now), incident.report)
    return f"{name} does not answer: {cause}.{_ready(session, incident.report)}"


def _at_work(incident: Incident) -> str:
    undoing = any(offer.plan.undoes and offer.approval and not offer.applied for offer in incident.offers)
    return "a fix is being taken back" if undoing else "a fix is being carried out"


def _ready(session: Sequence[Offer], report: Report | None) -> str:
    if any(offer.agreed and still_needed(offer) for offer in session):
        return " A fix waits for another approval."
    if session:
        return " A fix is ready to approve."
    return " A person has to run the fix." if by_hand(report) else ""


def _sentence_of_another_kind(incident: Incident, cause: str) -> str:
    if incident.kind is IncidentKind.WATCHER_OFFLINE:
        return _sentence_of_all(incident, cause)
    if incident.kind is IncidentKind.PREVENTION:
        return f"{incident.name} is {_prevention(incident)}."
    if incident.kind is IncidentKind.UNWATCHED:
        return f"{incident.name} is watched no more: it left the configuration."
    return f"{incident.name}: {_headline(incident)}."


def _sentence_of_all(incident: Incident, cause: str) -> str:
    if incident.state is IncidentState.RESOLVED:
        return f"Hosts are reached again, after {_down(incident)}. It was: {cause}."
    return f"No host is reached from here: {cause}. What is broken on them shows when it is back."


def _cause(incident: Incident) -> str:
    """What is wrong, as far as it is known. A look may well find a service healthy that has just come back."""
    report = incident.report
    return "" if report is None or report.status is Status.HEALTHY else title(report)


def _down(incident: Incident) -> str:
    """How long it was down that is over."""
    return length(downtime(incident, incident.resolved_at or incident.opened_at))


def _open(incident: Incident, now: datetime) -> list[Part]:
    usable = on_offer(incident.offers, now)
    session, preventing = apart(usable, incident.report)
    undos = [offer for offer in usable if offer.plan.undoes]
    extra = [acknowledge(incident.id)] if incident.state is IncidentState.OPEN else []
    return [
        *_taken(incident),
        *newest(incident.offers),
        *undo_buttons(undos, incident.offers),
        *_evidence(incident),
        *expired(incident.offers, now),
        *buttons(session, *extra),
        *plans(session),
        *by_hand(incident.report),
        *plans(undos),
        *_before(incident),
        *_backing(incident, preventing),
        *earlier(incident.offers),
    ]


def _taken(incident: Incident) -> list[Part]:
    if incident.state is not IncidentState.ACKNOWLEDGED or not incident.transitions:
        return []
    last = incident.transitions[-1]
    return [part("who takes care", ALWAYS, [f"{person(last.who)} takes care of it since {when(last.at)}."])]


def _being_fixed(incident: Incident, _now: datetime) -> list[Part]:
    progress, steps = running(incident.offers)
    return [*progress, *_evidence(incident), *steps, *_before(incident), *_backing(incident, ())]


def _resolved(incident: Incident, now: datetime) -> list[Part]:
    """What brought it back; at the end the way back from there."""
    if incident.kind is IncidentKind.UNWATCHED:
        return _unwatched(incident)
    undos = [offer for offer in on_offer(incident.offers, now) if offer.plan.undoes]
    progress, steps = running(incident.offers)
    parts = [*progress, *_brought_back(incident)]
    if incident.report is not None:
        parts += [*was(incident.report), *_before(incident)]
    return [*parts, *earlier(incident.offers), *undo_buttons(undos, incident.offers), *plans(undos), *steps]


def _unwatched(incident: Incident) -> list[Part]:
    """What was known of it. No button: there is no way to its host any more."""
    said = [part("why it ended", ALWAYS, [f"{_last(incident)}. Nothing more is shown here."])]
    said += newest(incident.offers)
    return [*said, *(was(incident.report) if incident.report is not None else []), *earlier(incident.offers)]


def _brought_back(incident: Incident) -> list[Part]:
    fixed = fixed_by(incident.offers)
    parts = newest(incident.offers)
    if fixed is not None and fixed.applied is not None:
        return [*parts[:1], *readings(fixed.applied.readings, "Verified"), *parts[1:]]
    if _last_undo(incident) or incident.kind is IncidentKind.PREVENTION:
        return parts
    if incident.kind in BLIND:
        return [part("the end", ALWAYS, [f"It is over: {_last(incident)}."])]
    return [part("the recovery", ALWAYS, [f"No fix of dockerhealth brought it back. {_last(incident)}"]), *parts]


def _last(incident: Incident) -> str:
    return prose(incident.transitions[-1].reason, 300) if incident.transitions else ""


def _evidence(incident: Incident) -> list[Part]:
    if incident.report is not None:
        return proof(incident.report)
    reason = prose(incident.transitions[0].reason, 300) if incident.transitions else ""
    looking = "" if incident.kind in BLIND else " Looking at the host over SSH for the cause."
    return [part("the reason", ALWAYS, [f"{reason}.{looking}"])]


def _before(incident: Incident) -> list[Part]:
    return [] if incident.report is None else timeline(incident.report)


def _backing(incident: Incident, preventing: Sequence[Offer]) -> list[Part]:
    report = incident.report
    if report is None or (report.status is Status.HEALTHY and incident.kind is not IncidentKind.PREVENTION):
        return []
    return [*details(report), *prevention(report, preventing)]


def _history(incident: Incident) -> Part:
    """Who did what, and when, in one line."""
    shown = incident.transitions[-MOST_TRANSITIONS:]
    earlier = len(incident.transitions) - len(shown)
    words = ([f"{earlier} earlier"] if earlier else []) + [_change(transition) for transition in shown]
    return Part("history", 3, (context(" · ".join(words) or f"opened {when(incident.opened_at)}"),))


def _change(transition: Transition) -> str:
    by = f" by {person(transition.who)}" if transition.who else ""
    again = (
        "open again" if transition.new is IncidentState.OPEN and transition.old is not None else STATES[transition.new]
    )
    return f"{again} {when(transition.at)}{by}"


BODIES: dict[IncidentState, Callable[[Incident, datetime], list[Part]]] = {
    IncidentState.OPEN: _open,
    IncidentState.ACKNOWLEDGED: _open,
    IncidentState.FIXING: _being_fixed,
    IncidentState.RESOLVED: _resolved,
}
