"""The answer to ``/dockerhealth HOST [SERVICE]``: each service of the host as it is now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.incidents.model import Offer
from bot.slack.message import Message
from bot.slack.views.blocks import ALWAYS, Card, Colour, Part, context, header, message, part
from bot.slack.views.diagnosis import details, not_asked, proof, risks, timeline
from bot.slack.views.markup import code, prose, when
from bot.slack.views.offers import apart, buttons, by_hand, on_offer, plans
from bot.text import counted
from bot.wording.reports import title
from checks.model import Report, Status

MOST_HEALTHY = 30
MARKS = {Status.HEALTHY: "🟢", Status.UNHEALTHY: "🔴", Status.UNKNOWN: "⚪"}
COLOURS = {Status.HEALTHY: Colour.GREEN, Status.UNHEALTHY: Colour.RED, Status.UNKNOWN: Colour.GREY}
URGENCY = (Status.UNHEALTHY, Status.UNKNOWN, Status.HEALTHY)


def answer(reports: Sequence[Report], offers_by_service: Mapping[str, Sequence[Offer]], now: datetime) -> Message:
    """What is wrong first, in full; what is healthy in a line each."""
    ordered = sorted(reports, key=lambda report: URGENCY.index(report.status))
    bad = [report for report in ordered if report.status is not Status.HEALTHY]
    healthy = [report for report in ordered if report.status is Status.HEALTHY]
    cards = []
    for place, report in enumerate(bad):
        card = _card(report, offers_by_service.get(report.service, ()), now)
        cards.append(card if len(ordered) == 1 else _ranked(_named(card, report), place=place))
    if healthy:
        cards.append(_healthy(healthy))
    if ordered:
        unasked = not_asked(ordered[0], 7) if not bad else []  # of the host: who is ill has told it
        cards[-1] = replace(cards[-1], parts=(*cards[-1].parts, *unasked, _footer(ordered[0])))
    host = ordered[0].host if ordered else "this host"
    top = [header(_headline(ordered, host))]
    return message(_sentence(ordered, host), top, cards, f"All of it: `dockerhealth check {prose(host)}`")


def _headline(ordered: Sequence[Report], host: str) -> str:
    if len(ordered) == 1:
        report = ordered[0]
        return f"{MARKS[report.status]} {report.host}/{report.service}: {title(report)}"
    worst = ordered[0].status if ordered else Status.UNKNOWN
    return f"{MARKS[worst]} {host}: {_counts(ordered)}"


def _counts(reports: Sequence[Report]) -> str:
    well = sum(report.status is Status.HEALTHY for report in reports)
    return f"{well} of {counted(len(reports), 'service')} healthy"


def _sentence(ordered: Sequence[Report], host: str) -> str:
    if not ordered:
        return f"{host} has no services to check."
    worst = ordered[0]
    if worst.status is Status.HEALTHY:
        return f"{host}: {_counts(ordered)}."
    return f"{host}: {_counts(ordered)}. {worst.service}: {title(worst)}."


def _card(report: Report, offers: Sequence[Offer], now: datetime) -> Card:
    session, _ = apart(on_offer(offers, now), report)
    first = [*proof(report), *buttons(session), *timeline(report), *plans(session), *by_hand(report)]
    return Card(COLOURS[report.status], (*first, *details(report), *risks(report)))


def _named(card: Card, report: Report) -> Card:
    name = f"{MARKS[report.status]} *{prose(report.service, 70)}*: {prose(title(report), 300)}"
    return replace(card, parts=(part(report.service, ALWAYS, [name]), *card.parts))


def _ranked(card: Card, *, place: int) -> Card:
    """Where several services are ill, each later one may lose all but its name."""
    if place == 0:
        return card
    head, *rest = card.parts
    lower = (replace(each, name=f"{each.name} of {head.name}", rank=each.rank + 10 + place) for each in rest)
    return replace(card, parts=(replace(head, rank=1), *lower))


def _healthy(reports: Sequence[Report]) -> Card:
    lines = [_line(report) for report in reports[:MOST_HEALTHY]]
    if len(reports) > MOST_HEALTHY:
        lines.append(f"and {len(reports) - MOST_HEALTHY} more, healthy as well")
    at_risk = [each for report in reports for each in risks(report)]
    return Card(Colour.GREEN, (part("healthy services", 2, lines), *at_risk))


def _line(report: Report) -> str:
    outside = next((reading for reading in report.readings if reading.ok), None)
    proof_of_life = f": {code(f'{outside.says} in {outside.ms:.0f} ms', 80)}" if outside else ""
    return f"🟢 *{prose(report.service, 70)}*{proof_of_life}"


def _footer(report: Report) -> Part:
    return Part("when", 3, (context(f"Looked {when(report.at)}, took {report.took_ms / 1000:.1f} s"),))
