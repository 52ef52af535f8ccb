"""The answer to ``/dockerhealth`` alone: all hosts at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from bot.slack.message import Message
from bot.slack.views.blocks import ALWAYS, Card, Colour, Part, context, header, message, part
from bot.slack.views.markup import prose, when
from bot.text import counted, length

MOST_ILL = 25
MOST_HOSTS = 100


@dataclass(frozen=True)
class Glance:
    """One service as it was last seen."""

    host: str
    service: str
    ok: bool | None  # None: not reached yet
    says: str = ""  # the cause where one is known, else the last reading in words
    down: timedelta | None = None  # for how long, where it has an incident
    blind: str = ""  # why the newest look did not see all of the host


def overview(glances: Sequence[Glance], now: datetime, own_trouble: str = "") -> Message:
    """What is ill, one line each; then the hosts on which all is well.

    ``own_trouble`` is why readings say nothing at the moment, where they fail on dockerhealth's own machine.
    """
    ill = [glance for glance in glances if glance.ok is False]
    waiting = sum(glance.ok is None for glance in glances)
    blind = {glance.host: glance.blind for glance in glances if glance.blind}
    words = _counts(glances, len(ill), waiting)
    words += f", not all is seen of {counted(len(blind), 'host')}" if blind else ""
    words += ", by older readings: dockerhealth itself cannot see" if own_trouble else ""
    mark = "🔴" if ill else "🟠" if blind or own_trouble else "⚪" if waiting else "🟢"
    cards = [
        *([Card(Colour.AMBER, (_own_trouble(own_trouble),))] if own_trouble else []),
        *([Card(Colour.RED, (_ill(ill),))] if ill else []),
        *([Card(Colour.AMBER, (_blind(blind),))] if blind else []),
        Card(Colour.GREEN, (*_well(glances), _footer(now))),
    ]
    return message(f"{words}.", [header(f"{mark} {words}")], cards, "Ask for one host: `/dockerhealth HOST`")


def _own_trouble(why: str) -> Part:
    return part("dockerhealth itself", ALWAYS, [f"🟠 {prose(why, 600)}"])


def _counts(glances: Sequence[Glance], ill: int, waiting: int) -> str:
    if not glances:
        return "No hosts are configured"
    services = f"{len(glances) - ill - waiting} of {counted(len(glances), 'service')} answer"
    hosts = f" on {counted(len({glance.host for glance in glances}), 'host')}"
    return services + hosts + (f", {waiting} not reached yet" if waiting else "")


def _ill(ill: Sequence[Glance]) -> Part:
    lines = [_line(glance) for glance in ill[:MOST_ILL]]
    if len(ill) > MOST_ILL:
        lines.append(f"and {len(ill) - MOST_ILL} more")
    return part("services that do not answer", ALWAYS, lines)


def _line(glance: Glance) -> str:
    down = f" · down for {length(glance.down)}" if glance.down is not None else ""
    says = f": {prose(glance.says, 160)}" if glance.says else ""
    return f"🔴 *{prose(glance.host, 70)}/{prose(glance.service, 70)}*{says}{down}"


def _blind(blind: Mapping[str, str]) -> Part:
    """What fails there would be alerted, and not explained."""
    lines = [f"🟠 *{prose(host, 70)}*: {prose(why, 300)}" for host, why in list(blind.items())[:MOST_ILL]]
    if len(blind) > MOST_ILL:
        lines.append(f"and {len(blind) - MOST_ILL} more")
    return part("hosts that cannot be looked at", ALWAYS, ["*Not seen by the newest look*", *lines])


def _well(glances: Sequence[Glance]) -> list[Part]:
    """One line a host, of the services that do not need attention."""
    lines = []
    for host, group in groupby(sorted(glances, key=lambda glance: glance.host), key=lambda glance: glance.host):
        fine = [glance for glance in group if glance.ok is not False]
        if fine:
            names = ", ".join(glance.service + ("" if glance.ok else " (not reached yet)") for glance in fine)
            seen = "🟢" if all(glance.ok for glance in fine) else "⚪"
            mark = "🟠" if any(glance.blind for glance in fine) else seen
            lines.append(f"{mark} *{prose(host, 70)}* {prose(names, 200)}")
    if len(lines) > MOST_HOSTS:
        lines[MOST_HOSTS:] = [f"and {len(lines) - MOST_HOSTS} more hosts"]
    return [part("hosts", 2, lines)] if lines else []


def _footer(now: datetime) -> Part:
    return Part("when", ALWAYS, (context(f"As of {when(now)}. `/dockerhealth HOST` looks closer."),))
