"""Short answers to the one who asked."""

from collections.abc import Sequence
from datetime import timedelta

from bot.incidents.model import Incident
from bot.slack.message import Message
from bot.slack.views.blocks import sections
from bot.slack.views.markup import code, prose
from bot.text import length

COMMANDS = (
    ("/dockerhealth", "all hosts at a glance"),
    ("/dockerhealth HOST", "look at a host now: what is wrong, why, and what would mend it"),
    ("/dockerhealth HOST SERVICE", "the same for one service"),
    ("/dockerhealth help", "this"),
)


def help_text() -> Message:
    lines = [f"`{command}` {does}" for command, does in COMMANDS]
    lines.append("Looking changes nothing. A fix runs only when an approver presses its button and confirms.")
    return Message("\n".join(lines), sections(lines))


def looking(host: str) -> Message:
    return _one(f"Looking at {code(host, 80)} …")


def unknown_host(name: str, nearest: Sequence[str]) -> Message:
    return _one(f"I do not know a host {code(name, 80)}. {_nearest(nearest, '`/dockerhealth` lists all hosts.')}")


def unknown_service(host: str, name: str, known: Sequence[str]) -> Message:
    return _one(f"{code(host, 80)} has no service {code(name, 80)}. {_nearest(known, 'It has none.')}")


def superseded(incident: Incident) -> Message:
    """What is left of a message whose incident was posted anew."""
    return Message(f"{prose(incident.name)} was well, and failed all the same: see its alert below.")


def others_connected(others: int) -> Message:
    """What to do about other processes that are connected as the same Slack app."""
    count = "Another process is" if others == 1 else f"{others} other processes are"
    return _one(
        f"{count} connected as this Slack app. Commands and clicks reach one of us, as it falls out, and who does not "
        "know a button runs nothing. Give each dockerhealth an app of its own, or one store to both: "
        "then one stands by."
    )


def store_unwritable(why: str, calm_after: timedelta | None = None) -> Message:
    """What is wrong with dockerhealth itself, where it cannot note what it tells.

    ``calm_after`` is given where it was so a moment ago: how long it must not be so any more until it is over.
    """
    if calm_after is not None:
        until = "It watches on, and tells and mends nothing while it cannot."
        until += f" This is over after {length(calm_after)} without it."
        return _one(f"🔴 dockerhealth cannot write its store, again and again. {until} {prose(why)}")
    until = "It watches on, and tells and mends nothing until it can."
    return _one(f"🔴 dockerhealth cannot write its store. {until} {prose(why)}")


def store_writable_again() -> Message:
    return _one("🟢 dockerhealth can write its store again: what was held is told now.")


def store_unwritable_at_the_end() -> Message:
    """What becomes of the notice where dockerhealth ends, or begins anew, and the store cannot be written yet."""
    told = "when it ended, or took a new configuration. If it still cannot, that is told anew."
    return _one(f"⚪ dockerhealth could not write its store {told}")


def _nearest(names: Sequence[str], otherwise: str) -> str:
    return f"Did you mean {' or '.join(code(name, 80) for name in names[:5])}?" if names else otherwise


def _one(text: str) -> Message:
    return Message(text, sections([text]))
