"""What the user of our connection may do as root, as sudo itself lists it.

``sudo -ll`` prints one command a line and says of each as whom and whether it asks for a password; ``-l`` puts several
into one line. Both wrap at 80 columns or at ``$COLUMNS``, but not into a pipe (display_privs in the source of sudo).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_WHO = re.compile(r"user (?P<name>\S+) (?P<uid>\d+)")
_NOTHING = re.compile(
    r"^sudo: (a password is required|a terminal is required|\S+ is not in the sudoers file|no tty present)"
    r"|^Sorry, user .* may not run sudo on |^\S+ is not (in the sudoers file|allowed to run sudo on)",
    flags=re.MULTILINE,
)
_DEFAULTS = re.compile(r"(Matching Defaults entries for|Runas and Command-specific defaults for) .*:")
_LISTED = re.compile(r"User .* may run the following commands on .*:")
_ENTRY = re.compile(r"(Sudoers entry|LDAP Role|SSSD Role):.*")
_ABOUT = re.compile(r"    (?P<what>RunAsUsers|RunAsGroups|Options|Cwd|Chroot|Timeout|NotBefore|NotAfter): (?P<is>.*)")
_COMMAND = re.compile(r"\t(?P<command>!?(/|ALL$|list$|sudoedit ).*)")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Rights:
    """``commands`` are those that sudo runs as root without a password: the words of each with a blank between.

    ``ALL`` is every command, and one that begins with ``!`` is excepted.
    """

    user: str
    root: bool  # the user is root, and needs no sudo
    commands: frozenset[str]

    def allows(self, words: Sequence[str]) -> bool:
        """Whether these words can be run as root. A command that is listed by its path alone takes any others."""
        if self.root:
            return True
        named = {" ".join(words), words[0], "ALL"}
        return not self.commands.isdisjoint(named) and self.commands.isdisjoint(f"!{name}" for name in named)


def parse(outputs: Outputs) -> Rights:
    """``user NAME UID``, then what sudo lists, or ``no sudo``; the last line is ``end``."""
    output = outputs["rights"]
    first, *listed, end = output.stdout.splitlines() if output.stdout.count("\n") > 1 else ("", "")
    who = _WHO.fullmatch(first)
    if who is None or end != "end":
        raise UnparsableError(f"the list was cut off: {output.stderr.strip()[:200]}")
    if who["uid"] == "0":
        return Rights(who["name"], root=True, commands=frozenset())
    if listed == ["no sudo"] or (not listed and _NOTHING.search(output.stderr)):
        return Rights(who["name"], root=False, commands=frozenset())
    return Rights(who["name"], root=False, commands=frozenset(_commands(listed)))


def _commands(lines: Sequence[str]) -> Iterator[str]:
    """The commands of the entries that need no password and are for root."""
    start = next((number for number, line in enumerate(lines) if _LISTED.fullmatch(line)), None)
    if start is None:
        raise UnparsableError("sudo did not list what it allows")
    trusted = _asks_never(lines[:start])
    as_root = free = False
    for line in filter(None, lines[start + 1 :]):
        if _ENTRY.fullmatch(line):
            as_root, free = False, trusted
        elif about := _ABOUT.fullmatch(line):
            values = about["is"].split(", ")
            as_root |= about["what"] == "RunAsUsers" and _is_root(values)
            free |= about["what"] == "Options" and "!authenticate" in values
        elif command := _COMMAND.fullmatch(line):
            if as_root and free:
                yield _ESCAPED.sub(r"\1", command["command"])
        elif line != "    Commands:":
            raise UnparsableError(f"cannot read {line[:80]!r}")


def _asks_never(defaults: Iterable[str]) -> bool:
    """Whether the defaults above the list free this user of passwords for good."""
    values = set()
    for line in filter(None, defaults):
        if line.startswith("    "):
            values.update(line.strip().split(", "))
        elif not _DEFAULTS.fullmatch(line):
            raise UnparsableError(f"cannot read {line[:80]!r}")
    return "!authenticate" in values


def _is_root(users: Sequence[str]) -> bool:
    return not {"root", "ALL", "#0"}.isdisjoint(users) and "!root" not in users


_COMMAND_LINE = """\
id=$(id -u)
echo "user $(id -un) $id"
if [ "$id" = 0 ]; then :
elif command -v sudo >/dev/null; then sudo -n -ll | cat
else echo 'no sudo'
fi
echo end
"""

RIGHTS = Source("rights", (Probe("rights", _COMMAND_LINE),), parse)
