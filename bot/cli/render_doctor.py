"""What `doctor` found, for a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from bot.text import plain
from checks.doctor import Requirement, RequirementState, unreachable
from checks.errors import LookError
from checks.model import Host

_MARKS = {
    RequirementState.THERE: ("✓", "green"),
    RequirementState.NOTE: ("!", "yellow"),
    RequirementState.MISSING: ("✗", "red"),
}
_WIDEST = 9


def print_doctor(console: Console, host: Host, checked: Sequence[Requirement]) -> None:
    _print(
        console,
        [_line(Requirement("login", RequirementState.THERE, f"{host.name} at {host.address}, by its pinned host key"))],
    )
    for one in checked:
        _print(console, [_line(one), *(Text(f"      {plain(line)}", "cyan") for line in one.remedy)])
    missing = sum(one.state is RequirementState.MISSING for one in checked)
    ends = f"{missing} of {len(checked) + 1} not as it has to be." if missing else "All that is needed is there."
    more = f" What to add on {host.name}, as root, stands below each." if missing else ""
    _print(console, [Text(ends + more, "bold")])


def print_unreachable(console: Console, host: Host, error: LookError) -> None:
    _print(console, [_line(Requirement("login", RequirementState.MISSING, f"{error} ({error.id})"))])
    _print(console, (Text(f"      {plain(line)}", "cyan") for line in unreachable(host, error)))


def _line(checked: Requirement) -> Text:
    mark, colour = _MARKS[checked.state]
    return Text.assemble((f"{mark} {checked.what:<{_WIDEST}} ", f"bold {colour}"), plain(checked.says))


def _print(console: Console, lines: Iterable[Text]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)  # a command must be one line to be copied
