"""What systemd-networkd is told to make of IPv4 forwarding: ``IPv4Forwarding=``, from systemd 256 on.

In networkd.conf and its drop-ins it is the switch of the whole host, written whenever networkd starts, after all sysctl
files; in the .network file of an interface, and its drop-ins, the switch of that one, written whenever networkd
configures it. Without it networkd leaves the switch alone (systemd.network(5), networkd.conf(5); seen with 257).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_DIRECTORIES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")  # the first one wins
_LINE = re.compile(r"(?P<path>/[^:]+):(?P<number>\d+):\s*IPv4Forwarding\s*=\s*(?P<value>.*?)\s*", flags=re.IGNORECASE)
_SWITCHES = dict.fromkeys(("yes", "true", "1", "on"), True) | dict.fromkeys(("no", "false", "0", "off"), False)


@dataclass(frozen=True)
class NetworkdLine:
    path: str
    number: int
    on: bool

    @property
    def says(self) -> str:
        return f"{self.path}:{self.number} says IPv4Forwarding={'yes' if self.on else 'no'}"


@dataclass(frozen=True)
class Networkd:
    """``everywhere`` is the line for the whole host, None where none says it; ``interfaces`` those for single ones."""

    everywhere: NetworkdLine | None = None
    interfaces: Mapping[str, NetworkdLine] | None = None

    def against(self, interfaces: Iterable[str]) -> tuple[NetworkdLine, ...]:
        """The lines that switch forwarding off, for the whole host or for one of these interfaces."""
        lines = (self.everywhere, *((self.interfaces or {}).get(name) for name in interfaces))
        return tuple(dict.fromkeys(line for line in lines if line is not None and not line.on))


def parse(outputs: Outputs) -> Networkd:
    """Lines of ``KIND REST``, see the command; the last one is ``end``."""
    output = outputs["networkd"]
    *said, end = output.stdout.splitlines() or [""]
    if end != "end":
        raise UnparsableError(f"the list of files was cut off: {output.stderr.strip()[:200]}")
    found: dict[str, list[str]] = {"file": [], "line": [], "link": []}
    for text in said:
        kind, _, rest = text.partition(" ")
        if kind not in found:
            raise UnparsableError(f"cannot read {text[:80]!r}")
        found[kind].append(rest)
    lines = [line for text in dict.fromkeys(found["line"]) if (line := _line(text)) is not None]
    links = {name: files for name, *files in (text.split() for text in found["link"])}
    interfaces = {name: line for name, files in links.items() if (line := _last(lines, files)) is not None}
    return Networkd(_last(lines, _in_order(found["file"])), interfaces)


def _line(text: str) -> NetworkdLine | None:
    match = _LINE.fullmatch(text)
    if match is None:
        raise UnparsableError(f"cannot read the line {text[:120]!r}")
    on = _SWITCHES.get(match["value"].lower())
    return None if on is None else NetworkdLine(match["path"], int(match["number"]), on)


def _in_order(files: list[str]) -> list[str]:
    """networkd.conf, of the first directory that has one, then the drop-ins by their names, each name once."""
    main = [f"{directory}/networkd.conf" for directory in _DIRECTORIES if f"{directory}/networkd.conf" in files]
    drop_ins: dict[str, str] = {}
    for directory in _DIRECTORIES:
        for path in files:
            folder, _, name = path.rpartition("/")
            if folder == f"{directory}/networkd.conf.d":
                drop_ins.setdefault(name, path)
    return [*main[:1], *(drop_ins[name] for name in sorted(drop_ins))]


def _last(lines: list[NetworkdLine], files: list[str]) -> NetworkdLine | None:
    """The assignment that is read last."""
    said = [line for path in files for line in lines if line.path == path]
    return said[-1] if said else None


_MAIN = " ".join(f"{directory}/networkd.conf {directory}/networkd.conf.d/*.conf" for directory in _DIRECTORIES)
# Which file configures an interface is in networkd's own state, by the interface's number: NETWORK_FILE=FILE, and
# NETWORK_FILE_DROPINS="FILE:FILE".
_COMMAND = rf"""
set --
for f in {_MAIN}; do
  [ -f "$f" ] || continue
  echo "file $f"
  set -- "$@" "$f"
done
for i in /sys/class/net/*/ifindex; do
  read -r number <"$i" || continue
  s=/run/systemd/netif/links/$number
  [ -r "$s" ] || continue
  files=
  while IFS= read -r said; do
    case $said in NETWORK_FILE=*|NETWORK_FILE_DROPINS=*) ;; *) continue ;; esac
    IFS='":'
    for f in ${{said#*=}}; do files="$files${{f:+$f }}"; done
    unset IFS
  done <"$s"
  [ -n "$files" ] || continue
  i=${{i%/ifindex}}
  echo "link ${{i##*/}} $files"
  set -- "$@" $files
done
grep -IsHniE '^[[:space:]]*IPv4Forwarding[[:space:]]*=' /dev/null "$@" | sed 's/^/line /'
echo end
"""

NETWORKD = Source("networkd's files", (Probe("networkd", _COMMAND),), parse)
