"""The network service of initscripts, whose stop switches forwarding off (RHEL and CentOS up to 9, where installed).

``/etc/rc.d/init.d/network stop`` runs ``sysctl -w net.ipv4.ip_forward=0`` and ``start`` applies sysctl.d again, so that
only a persisted 1 survives a restart (initscripts, rhel7-branch: rc.d/init.d/network).
"""

import re
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

NAME = "network.service"
_LINE = re.compile(r"(?P<path>/[^:]+):(?P<number>\d+):(?P<text>.*)")
_LONGEST = 120  # characters of a line that are kept


@dataclass(frozen=True)
class ScriptLine:
    path: str
    number: int
    text: str

    @property
    def says(self) -> str:
        return f"{self.path}:{self.number} says `{self.text}`"


@dataclass(frozen=True)
class NetworkService:
    """``resets`` are the lines of its script or unit file that switch forwarding off. ``enabled``: starts at boot."""

    installed: bool
    enabled: bool = False
    active: bool = False
    resets: tuple[ScriptLine, ...] = ()
    unreadable: tuple[str, ...] = ()


def parse(outputs: Outputs) -> NetworkService:
    """``Key=value`` lines of systemctl, then lines of ``KIND REST``; the last one is ``end``."""
    output = outputs["network-service"]
    *said, end = output.stdout.splitlines() or [""]
    values = dict(line.split("=", 1) for line in said if re.match(r"\w+=", line))
    if end != "end" or "LoadState" not in values:
        raise UnparsableError(f"systemctl said nothing of {NAME}: {output.stderr.strip()[:200]}")
    if values["LoadState"] == "not-found":
        return NetworkService(installed=False)
    rest = [line.partition(" ") for line in said]
    return NetworkService(
        installed=True,
        enabled=values.get("UnitFileState") in {"enabled", "enabled-runtime"} or ("linked", " ", "yes") in rest,
        active=values.get("ActiveState") == "active",
        resets=tuple(dict.fromkeys(_line(text) for kind, _, text in rest if kind == "line")),
        unreadable=tuple(path for kind, _, path in rest if kind == "unreadable"),
    )


def _line(text: str) -> ScriptLine:
    match = _LINE.fullmatch(text)
    if match is None:
        raise UnparsableError(f"cannot read the line {text[:80]!r}")
    return ScriptLine(match["path"], int(match["number"]), match["text"].strip()[:_LONGEST])


# What systemd 219 makes of a SysV script has no UnitFileState worth the name: there the link for runlevel 3 tells.
_COMMAND = rf"""
said=$(systemctl show -p LoadState,ActiveState,UnitFileState,SourcePath,FragmentPath,ExecStop {NAME}) || exit 1
scripts=
while IFS= read -r line; do
  case $line in
    LoadState=*|ActiveState=*|UnitFileState=*) printf '%s\n' "$line" ;;
    SourcePath=*|FragmentPath=*) scripts="$scripts ${{line#*=}}" ;;
    ExecStop=*path=*) line=${{line##*path=}}; scripts="$scripts ${{line%%[ ;]*}}" ;;
  esac
done <<END
$said
END
for f in /etc/rc.d/rc3.d/S[0-9]*network /etc/rc3.d/S[0-9]*network; do [ ! -e "$f" ] || echo 'linked yes'; done
set --
for f in $scripts /etc/rc.d/init.d/network /etc/init.d/network; do
  [ -f "$f" ] || continue
  f=$(readlink -f "$f")
  if [ -r "$f" ]; then set -- "$@" "$f"; else echo "unreadable $f"; fi
done
[ $# = 0 ] || grep -IsHnE \
  '^[^#]*(ip_forward|conf[./]all[./]forwarding) *= *0|^[^#]*echo +0 *> *[^ ]*/(ip_forward|all/forwarding)' "$@" |
  sed 's/^/line /'
echo end
"""

NETWORK_SERVICE = Source("network service", (Probe("network-service", _COMMAND),), parse)
