"""The audit log for a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from bot.incidents.audit import Sealed
from bot.text import plain


def print_audit(console: Console, log: Sequence[Sealed]) -> None:
    for each in log:
        for line in _lines(each):
            console.print(line, soft_wrap=True, highlight=False)


def _lines(sealed: Sealed) -> Iterable[Text]:
    """One line for what happened; below it what was run, and what that said."""
    entry = sealed.entry
    who = f" by {plain(entry.actor)}" if entry.actor else ""
    run = f"  run {entry.run}" if entry.run else ""
    yield Text.assemble(
        (f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  ", "dim"),
        f"{entry.host}/{entry.service}  ",
        (entry.event, "bold"),
        f": {plain(entry.says)}{who}",
        (f"{run}  {sealed.reference}", "dim"),
    )
    if command := entry.data.get("command"):
        yield Text(f"    {plain(str(command))}", "cyan")
    if output := entry.data.get("output"):
        yield from (Text(f"    {plain(line)}", "dim") for line in str(output).splitlines()[-5:])
    for step in entry.data.get("steps", ()):
        yield Text(f"    {plain(str(step))}", "cyan")
    for name, (before, after) in entry.data.get("changed and not announced", {}).items():
        yield Text(f"    changed, and not announced: {plain(name)}: {_short(before)} -> {_short(after)}", "red")
    for name, (before, after) in entry.data.get("changed", {}).items():
        yield Text(f"    changed: {plain(name)}: {_short(before)} -> {_short(after)}", "dim")


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    lines = value.splitlines()
    return plain(value) if len(lines) <= 1 else f"{len(lines)} lines"
