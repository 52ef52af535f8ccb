"""The few lines of a message in Slack that a story needs, read from what a person sees of it. Pure."""

import re
from collections.abc import Iterator, Mapping

from bot.demo.local_slack import Message, Revision

PROGRESS = ":hourglass_flowing_sand:"

_MARKS = {":white_check_mark:": "✓", ":x:": "✗", ":warning:": "!", ":information_source:": "i", "\u2060": "", "`": ""}
_SUSPECTS = re.compile(r"((?:`[a-z0-9-]+` )+)(.*)")
_BOLD = re.compile(r"\*([^*\n]+)\*")
_FENCE = "```"
_LONGEST_REASON = 70
_MOST_LINES = 40


def headline(message: Message) -> str:
    return next(_lines(message), "")


def progress(message: Message | Revision) -> str:
    """What a running fix is doing, if the message says so."""
    found = next((line for line in message.plain.splitlines() if line.startswith(PROGRESS)), "")
    return clean(found.removeprefix(PROGRESS).strip())


def proof(message: Message) -> list[str]:
    return [clean(line) for line in _below(message, "*Proof*")]


def ruled_out(message: Message) -> list[str]:
    """Each suspect, and in short why it is none."""
    return [_suspect(line) for line in _below(message, "*Ruled out*")]


def buttons(message: Message) -> str:
    return " ".join(f"[{button.text}]" for button in message.buttons)


def whole(message: Message) -> list[str]:
    """All of it as plain lines, but no more than fit a screen."""
    lines = list(_lines(message))
    rest = len(lines) - _MOST_LINES
    return lines if rest <= 0 else [*lines[:_MOST_LINES], f"… and {rest} lines more"]


def named(line: str, names: Mapping[str, str]) -> str:
    """A line with names in place of ids."""
    for ident, name in names.items():
        line = line.replace(ident, name)
    return line


def clean(text: str) -> str:
    """Slack's markup as a terminal shows it."""
    return _BOLD.sub(r"\1", named(text, _MARKS))


def _lines(message: Message) -> Iterator[str]:
    return (clean(line) for line in message.plain.splitlines() if line.strip() and line != _FENCE)


def _below(message: Message, heading: str) -> Iterator[str]:
    """The items of the list under a heading."""
    lines = iter(message.plain.splitlines())
    for line in lines:
        if line.strip() == heading:
            break
    for line in lines:
        if not line.startswith("• "):
            return
        yield line.removeprefix("• ")


def _suspect(line: str) -> str:
    """The names between backticks, and then in brackets why they are no cause."""
    found = _SUSPECTS.match(line)
    if found is None:
        return clean(line)
    names, why = ", ".join(found[1].replace("`", "").split()), clean(found[2])
    short = why if len(why) <= _LONGEST_REASON else f"{why[: _LONGEST_REASON - 1].rstrip()}…"
    return f"{names} ({short})"
