"""Every file that sets forwarding, the reverse path filter or conntrack's size, and which line of them decides.

Orders, read in the sources: systemd-sysctl merges the sysctl.d directories by base name (a name in /etc hides the
same one below /run, /usr/local/lib and /usr/lib), sorts by base name and applies line after line, so that the last
one wins. It reads /etc/sysctl.conf only through a link such as /etc/sysctl.d/99-sysctl.conf, which Debian 13 no longer
has; RHEL 7's patched systemd (d2deeea1d5) reads it once more at the very end. procps' ``sysctl --system`` always reads
it last, and before 3.3.17 lets /run hide /etc. ufw loads a file of its own when it starts, which is after all these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from checks.facts.sysctl_order import (
    IP_FORWARD,
    SWAPPED,
    SysctlLine,
    Write,
    deciding,
    procps_writes,
    relevant,
    systemd_writes,
)
from checks.source import Outputs, Probe, Source, UnparsableError

__all__ = ["SYSCTL_CONF", "SYSCTL_FILES", "SysctlFiles", "SysctlLine"]

SYSCTL_CONF = "/etc/sysctl.conf"
_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
_VOLATILE = "/run/"
_LINE = re.compile(r"(?P<path>/[^:]+):(?P<number>\d+):(?P<text>.*)")


@dataclass(frozen=True)
class SysctlFiles:
    """``files`` is every .conf file there is, whether it says anything or not: an empty one can hide another.

    ``links`` maps those that are links to the file that is read and that holds the lines. ``unreadable`` may hold
    anything: with one of those nothing is certain.
    """

    files: tuple[str, ...]
    lines: tuple[SysctlLine, ...]
    unreadable: tuple[str, ...] = ()
    rhel7: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    systemd: int = 252
    procps: tuple[int, ...] = (4, 0, 2)
    ufw: str | None = None  # the file that ufw loads when it starts, if it is enabled

    def at_boot(self, key: str = IP_FORWARD, *, forwarding: bool = False) -> SysctlLine | None:
        """The line that decides a key when the host boots. None where no file speaks of it."""
        paths = self._merged(_DIRECTORIES)
        if self.rhel7:
            paths.append(SYSCTL_CONF)
        writes = [*systemd_writes(self._lines_of(paths), relevant(key), self.systemd)]
        if self.ufw:
            writes += self._by_procps(key, [self.ufw])
        return deciding(writes, key, booting=True, forwarding=forwarding)

    def by_procps(self, key: str = IP_FORWARD, *, forwarding: bool = True) -> SysctlLine | None:
        """The line that decides when somebody runs ``sysctl --system`` on the running host. None: it stays as it is.

        ``forwarding`` is what net.ipv4.ip_forward is at that time: a switch that does not change is not handed on.
        """
        etc, run, *others = _DIRECTORIES
        directories = (etc, run, *others) if self.procps >= (3, 3, 17) else (run, etc, *others)
        writes = self._by_procps(key, [*self._merged(directories), SYSCTL_CONF])
        return deciding(writes, key, booting=False, forwarding=forwarding)

    @property
    def after_boot(self) -> "SysctlFiles":
        """The files without those of /run, which is empty at the next boot, unless something writes them again."""
        return replace(
            self,
            files=tuple(path for path in self.files if not path.startswith(_VOLATILE)),
            lines=tuple(line for line in self.lines if not line.path.startswith(_VOLATILE)),
        )

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

    def _by_procps(self, key: str, paths: list[str]) -> list[Write]:
        return [*procps_writes(self._lines_of(paths), relevant(key), self.procps)]

    def _merged(self, directories: tuple[str, ...]) -> list[str]:
        """The sysctl.d files that count, in the order in which they are applied."""
        chosen: dict[str, str] = {}
        for directory in directories:
            for path in self.files:
                folder, _, name = path.rpartition("/")
                if folder == directory:
                    chosen.setdefault(name, path)
        return [chosen[name] for name in sorted(chosen)]

    def _lines_of(self, paths: list[str]) -> list[SysctlLine]:
        numbered = sorted(self.lines, key=lambda line: line.number)
        return [line for path in paths for line in numbered if line.path == self.links.get(path, path)]


def parse(outputs: Outputs) -> SysctlFiles:
    """Lines of ``KIND REST``, see the command; the last one is ``end``."""
    output = outputs["sysctl-files"]
    *said, end = output.stdout.splitlines() or [""]
    if end != "end":
        raise UnparsableError(f"the list of files was cut off: {output.stderr.strip()[:200]}")
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for text in said:
        kind, _, rest = text.partition(" ")
        if kind not in found:
            raise UnparsableError(f"cannot read {text[:80]!r}")
        found[kind].append(rest)
    [systemd], [procps], [platform] = found["systemd"], found["procps"], found["platform"]
    links = (link.partition(" -> ") for link in found["link"])
    lines = (_parse_line(line) for line in dict.fromkeys(found["line"]))
    return SysctlFiles(
        files=tuple(found["file"]),
        lines=tuple(line for line in lines if line),
        unreadable=tuple(found["unreadable"]),
        rhel7=" release 7." in platform,
        links={link: target for link, _, target in links},
        systemd=int(systemd),
        procps=tuple(int(number) for number in procps.split(".")) if procps else (0,),
        ufw=next(iter(found["ufw"]), None),
    )


def _parse_line(text: str) -> SysctlLine | None:
    match = _LINE.fullmatch(text)
    if match is None:
        raise UnparsableError(f"cannot read the line {text[:120]!r}")
    key, assigns, value = match["text"].strip().partition("=")
    dash = key.startswith("-")
    if not assigns and not dash:
        return None  # neither an assignment nor an exclusion: both programs pass over it
    first = value.split(maxsplit=1)[:1]  # the kernel reads the number and no further
    return SysctlLine(
        path=match["path"],
        number=int(match["number"]),
        key=_dotted(key.removeprefix("-").strip()),
        value="".join(first) if assigns else None,
        dash=dash,
    )


def _dotted(key: str) -> str:
    """The form with dots, in which a slash is a dot of a name; a key is in the other one if a slash comes first."""
    separator = re.search(r"[./]", key)
    return key.translate(SWAPPED) if separator and separator[0] == "/" else key


_KINDS = ("systemd", "procps", "platform", "ufw", "file", "link", "unreadable", "line")
_KEYS = (
    r"net[./](.*[][*?]|ipv4[./]ip_forward|ipv4[./]conf[./].*[./](forwarding|rp_filter)|"
    r"(netfilter[./])?nf_conntrack_max)"
)
_GLOBS = " ".join(f"{directory}/*.conf" for directory in _DIRECTORIES[:-1])
_COMMAND = rf"""
systemd=$(systemctl --version); systemd=${{systemd#systemd }}
procps=$(sysctl --version); procps=${{procps#"${{procps%%[0-9]*}}"}}
platform= ufw= old=
{{ IFS= read -r platform </etc/redhat-release; }} 2>/dev/null
echo "systemd ${{systemd%%[!0-9]*}}"
echo "procps ${{procps%%[!0-9.]*}}"
echo "platform $platform"
if [ -e /etc/ufw/ufw.conf ] && grep -qsi '^ENABLED="\{{0,1\}}yes' /etc/ufw/ufw.conf; then
  ufw=$(sed -n 's/^IPT_SYSCTL="\{{0,1\}}\([^"]*\).*/\1/p' /etc/default/ufw)
fi
[ -z "$ufw" ] || echo "ufw $ufw"
[ -L /lib ] || old=/lib/sysctl.d
for d in {" ".join(_DIRECTORIES[:-1])} $old; do
  [ ! -d "$d" ] || {{ [ -r "$d" ] && [ -x "$d" ]; }} || echo "unreadable $d"
done
set --
for f in {_GLOBS} ${{old:+$old/*.conf}} {SYSCTL_CONF} $ufw; do
  [ -e "$f" ] || [ -L "$f" ] || continue
  echo "file $f"
  if [ -L "$f" ]; then real=$(readlink -f "$f"); echo "link $f -> $real"; else real=$f; fi
  [ -f "$real" ] || continue
  if [ -r "$real" ]; then set -- "$@" "$real"; else echo "unreadable $real"; fi
done
grep -asHnE '^[[:space:]]*-?[[:space:]]*{_KEYS}' /dev/null "$@" | sed 's/^/line /'
echo end
"""

SYSCTL_FILES = Source("sysctl files", (Probe("sysctl-files", _COMMAND),), parse)
