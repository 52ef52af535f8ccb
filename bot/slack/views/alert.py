"""The message of an incident, in each of its states: first the cause, then the proof, then the button."""

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.incidents import Incident, Offer, State, Transition
from bot.slack.message import Message
from bot.slack.views.blocks import ALWAYS, Card, Colour, Part, context, header, message, part
from bot.slack.views.diagnosis import details, proof, readings, timeline, was
from bot.slack.views.markup import person, prose, when
from bot.slack.views.offers import acknowledge, apart, attempts, buttons, expired, on_offer, plans, prevention, running
from bot.words import fixed_by, length, title
from checks.model import Status

LOOKS = {
    State.OPEN: ("🔴", Colour.RED),
    State.ACKNOWLEDGED: ("🟠", Colour.AMBER),
    State.FIXING: ("🟠", Colour.AMBER),
    State.RESOLVED: ("🟢", Colour.GREEN),
}
STATES = {
    State.OPEN: "opened",
    State.ACKNOWLEDGED: "acknowledged",
    State.FIXING: "fix started",
    State.RESOLVED: "resolved",
}
MOST_TRANSITIONS = 6


def alert(incident: Incident, now: datetime) -> Message:
    """The whole message as it should stand at ``now``."""
    mark, colour = LOOKS[incident.state]
    parts = [*BODIES[incident.state](incident, now), _history(incident)]
    target = "HOST" if incident.of_all else f"{prose(incident.host)} {prose(incident.service)}"
    more = f"All of it: `dockerhealth check {target}`"
    top = [header(f"{mark} {incident.name}: {_headline(incident)}")]
    return message(_sentence(incident, now), top, [Card(colour, tuple(parts))], more)


def _headline(incident: Incident) -> str:
    if incident.state is State.RESOLVED:
        return f"{'reached' if incident.of_all else 'answers'} again after {_down(incident)}"
    if incident.report is None:
        return "does not answer, looking for the cause"
    return _cause(incident) or "answered when it was looked at"


def _sentence(incident: Incident, now: datetime) -> str:
    name = incident.name
    cause = _cause(incident)
    if incident.of_all:
        return _sentence_of_all(incident, cause)
    if incident.state is State.RESOLVED:
        return f"{name} answers again. It was down for {_down(incident)}.{f' It was: {cause}.' if cause else ''}"
    if incident.state is State.FIXING:
        return f"{name}: a fix is being carried out{': ' + cause if cause else ''}."
    if not cause:
        return f"{name} does not answer from outside. No cause is known yet."
    mending, _ = apart(on_offer(incident.offers, now), incident.report)
    ready = " A fix is ready to approve." if mending else ""
    return f"{name} does not answer: {cause}.{ready}"


def _sentence_of_all(incident: Incident, cause: str) -> str:
    if incident.state is State.RESOLVED:
        return f"Hosts are reached again, after {_down(incident)}. It was: {cause}."
    return f"No host is reached from here: {cause}. What is broken on them shows when it is back."


def _cause(incident: Incident) -> str:
    """What is wrong, as far as it is known. A look may well find a service healthy that has just come back."""
    report = incident.report
    return "" if report is None or report.status is Status.HEALTHY else title(report)


def _down(incident: Incident) -> str:
    return length((incident.resolved_at or incident.opened_at) - incident.opened_at)


def _open(incident: Incident, now: datetime) -> list[Part]:
    mending, preventing = apart(on_offer(incident.offers, now), incident.report)
    extra = [acknowledge(incident.id)] if incident.state is State.OPEN else []
    return [
        *_taken(incident),
        *_evidence(incident),
        *attempts(incident.offers),
        *expired(incident.offers, now),
        *buttons(mending, *extra),
        *plans(mending),
        *_before(incident),
        *_backing(incident, preventing),
    ]


def _taken(incident: Incident) -> list[Part]:
    if incident.state is not State.ACKNOWLEDGED or not incident.transitions:
        return []
    last = incident.transitions[-1]
    return [part("who takes care", ALWAYS, [f"{person(last.who)} takes care of it since {when(last.at)}."])]


def _fixing(incident: Incident, _now: datetime) -> list[Part]:
    progress, steps = running(incident.offers)
    return [*progress, *_evidence(incident), *_before(incident), *steps, *_backing(incident, ())]


def _resolved(incident: Incident, _now: datetime) -> list[Part]:
    fixed = fixed_by(incident.offers)
    parts = [*attempts(incident.offers)] if incident.offers else []
    if fixed is None:
        parts.insert(0, part("the recovery", ALWAYS, [f"No fix of dockerhealth brought it back. {_last(incident)}"]))
    elif fixed.applied is not None:
        parts += readings(fixed.applied.readings, "Verified")
    if incident.report is not None:
        parts += [*was(incident.report), *_before(incident)]
    return parts


def _last(incident: Incident) -> str:
    return prose(incident.transitions[-1].reason, 300) if incident.transitions else ""


def _evidence(incident: Incident) -> list[Part]:
    if incident.report is not None:
        return proof(incident.report)
    reason = prose(incident.transitions[0].reason, 300) if incident.transitions else ""
    return [part("the reason", ALWAYS, [f"{reason}. Looking at the host over SSH for the cause."])]


def _before(incident: Incident) -> list[Part]:
    return [] if incident.report is None else timeline(incident.report)


def _backing(incident: Incident, preventing: Sequence[Offer]) -> list[Part]:
    report = incident.report
    if report is None or report.status is Status.HEALTHY:
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
    again = "open again" if transition.new is State.OPEN and transition.old is not None else STATES[transition.new]
    return f"{again} {when(transition.at)}{by}"


BODIES: dict[State, Callable[[Incident, datetime], list[Part]]] = {
    State.OPEN: _open,
    State.ACKNOWLEDGED: _open,
    State.FIXING: _fixing,
    State.RESOLVED: _resolved,
}
