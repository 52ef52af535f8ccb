"""Every file that says something about IPv4 forwarding, and which line of them decides.

Orders, read in the sources: systemd-sysctl merges the sysctl.d directories by base name (a name in /etc hides the
same one below /run, /usr/local/lib and /usr/lib), sorts by base name and applies line after line, so that the last
one wins. It reads /etc/sysctl.conf only through a link such as /etc/sysctl.d/99-sysctl.conf; RHEL 7's patched
systemd (d2deeea1d5) reads it once more at the very end. procps' ``sysctl --system`` always reads it last.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from checks.source import Outputs, Probe, Source, UnparsableError

SYSCTL_CONF = "/etc/sysctl.conf"
_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
_KEY = r"net[./]ipv4[./](ip_forward|conf[./].*[./]forwarding)"
_LINE = re.compile(rf"^(?P<path>/[^:]+):(?P<number>\d+):\s*-?\s*(?P<key>{_KEY})\s*(=\s*(?P<value>\S+))?\s*$")
_GLOBAL_KEYS = {"net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv4.conf.*.forwarding"}


@dataclass(frozen=True)
class SysctlLine:
    """One assignment. ``key`` is written with dots. ``value`` is None for ``-key``: leave it alone (systemd 244)."""

    path: str
    number: int
    key: str
    value: str | None

    @property
    def says(self) -> str:
        return f"{self.path}:{self.number} says {self.key} = {self.value}"

    @property
    def is_global(self) -> bool:
        """Whether it sets the switch of the whole host: ip_forward and its alias are one switch in the kernel."""
        return self.key in _GLOBAL_KEYS


@dataclass(frozen=True)
class SysctlFiles:
    """``files`` is every .conf file there is, whether it speaks of forwarding or not: an empty one can hide another."""

    files: tuple[str, ...]
    lines: tuple[SysctlLine, ...]
    unreadable: tuple[str, ...] = ()
    rhel7: bool = False

    def at_boot(self) -> SysctlLine | None:
        """The line that decides the global switch when systemd-sysctl runs. None where no file speaks of it."""
        paths = self._merged()
        if self.rhel7:
            paths.append(SYSCTL_CONF)
        return self._last(paths)

    def by_procps(self) -> SysctlLine | None:
        """The line that decides when somebody runs ``sysctl --system``."""
        return self._last([*self._merged(), SYSCTL_CONF])

    def with_line(self, line: SysctlLine) -> "SysctlFiles":
        """The files as they would be if the file of this line held this line only."""
        return replace(
            self,
            files=tuple(sorted({*self.files, line.path})),
            lines=(*(other for other in self.lines if other.path != line.path), line),
        )

    def without(self, gone: SysctlLine) -> "SysctlFiles":
        """The files as they would be if that line were commented out."""
        return replace(self, lines=tuple(line for line in self.lines if line != gone))

    def _merged(self) -> list[str]:
        """The sysctl.d files that count, in the order in which they are applied."""
        chosen: dict[str, str] = {}
        for directory in _DIRECTORIES:
            for path in self.files:
                folder, _, name = path.rpartition("/")
                if folder == directory:
                    chosen.setdefault(name, path)
        return [chosen[name] for name in sorted(chosen)]

    def _last(self, paths: list[str]) -> SysctlLine | None:
        return next(self._assignments(list(reversed(paths))), None)

    def _assignments(self, paths: list[str]) -> Iterator[SysctlLine]:
        for path in paths:
            yield from sorted(
                (line for line in self.lines if line.path == path and line.is_global and line.value is not None),
                key=lambda line: -line.number,
            )


def parse(outputs: Outputs) -> SysctlFiles:
    output = outputs["sysctl-files"]
    files, lines, rhel7 = [], [], False
    for text in output.stdout.splitlines():
        kind, _, rest = text.partition(" ")
        if kind == "file":
            files.append(rest)
        elif kind == "platform":
            rhel7 = " release 7." in rest
        elif kind == "line":
            lines.append(_parse_line(rest))
        else:
            raise UnparsableError(f"cannot read {text!r}")
    if not files and not output.stdout:
        raise UnparsableError(f"nothing was listed: {output.stderr.strip()}")
    denied = re.findall(r"grep: (/\S+): Permission denied", output.stderr)
    return SysctlFiles(tuple(files), tuple(line for line in lines if line), tuple(denied), rhel7=rhel7)


def _parse_line(text: str) -> SysctlLine | None:
    match = _LINE.match(text)
    if match is None:
        return None  # speaks of forwarding in a form that neither program accepts
    key = match["key"]
    if "/" in key and key.index("/") < (key.index(".") if "." in key else len(key)):
        key = key.replace(".", "\0").replace("/", ".").replace("\0", "/")  # slash form: a dot is part of a name
    return SysctlLine(match["path"], int(match["number"]), key, match["value"])


_GLOBS = " ".join(f"{directory}/*.conf" for directory in _DIRECTORIES[:-1])
_COMMAND = f"""\
[ -L /lib ] && old= || old='/lib/sysctl.d/*.conf'
set --
for f in {_GLOBS} $old {SYSCTL_CONF}; do [ -e "$f" ] && set -- "$@" "$f"; done
echo "platform $(cat /etc/redhat-release 2>/dev/null)"
for f; do echo "file $f"; done
grep -HnE '^[[:space:]]*-?[[:space:]]*net[./]ipv4[./](ip_forward|conf[./].*[./]forwarding)' "$@" | sed 's/^/line /'
"""

SYSCTL_FILES = Source("sysctl files", (Probe("sysctl-files", _COMMAND, timeout=3),), parse)
