"""What was installed on a host for dockerhealth, and what its user can reach there. Only `doctor` asks for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.commands import ROOT_HELPER
from checks.source import Outputs, Probe, Source, UnparsableError

TOOLS: Mapping[str, tuple[str, str]] = {
    "awk": ("mawk", "gawk"),
    "curl": ("curl", "curl"),
    "docker": ("docker-cli", "docker-ce-cli"),
    "getent": ("libc-bin", "glibc-common"),
    "ip": ("iproute2", "iproute"),
    "journalctl": ("systemd", "systemd"),
    "setsid": ("util-linux", "util-linux"),
    "sudo": ("sudo", "sudo"),
    "sysctl": ("procps", "procps-ng"),
    "systemctl": ("systemd", "systemd"),
    "/usr/bin/ss": ("iproute2", "iproute"),
    "/usr/sbin/iptables-save": ("iptables", "iptables"),
}
"""Programs without which something is not looked at or not mended, and their packages on Debian and on Red Hat.

Those with a path are run by sudo. nft, firewall-cmd and the like are not among them: a host may do without.
"""

TCPDUMP = "tcpdump"
"""Watches packets, and is the package's name too. Without it they are told by rules and counters, as is nearly all."""

SOCKET = "/var/run/docker.sock"
_HELPER = re.compile(r"(?P<owner>\d+) (?P<mode>[0-7]{3,4}) (?P<version>[0-9a-f]*)")


@dataclass(frozen=True)
class Helper:
    """The root helper as it lies on the host. ``exposed``: others than root may change it, or put another there."""

    version: str
    exposed: bool


@dataclass(frozen=True)
class Installation:
    groups: frozenset[str]
    home: str
    keeps_receipts: bool  # the folder for receipts can be written, or made
    reads_journal: bool
    reaches_socket: bool | None  # None where there is no Docker socket
    tools: frozenset[str]  # those of TOOLS that are there, and TCPDUMP
    traces: bool  # the kernel has tracefs, by which it tells what it drops
    helper: Helper | None


def parse(outputs: Outputs) -> Installation:
    """Lines of ``KIND REST``; the last one is ``end``."""
    *lines, end = outputs["installation"].stdout.splitlines() or [""]
    if end != "end":
        raise UnparsableError("what is installed was cut off")
    said: dict[str, list[str]] = {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        said.setdefault(kind, []).append(rest)
    [groups], [home], [receipts], [journal], [socket], [traces] = (
        said[kind] for kind in ("groups", "home", "receipts", "journal", "socket", "traces")
    )
    return Installation(
        groups=frozenset(groups.split()),
        home=home,
        keeps_receipts=receipts == "yes",
        reads_journal=journal == "yes",
        reaches_socket={"yes": True, "no": False}.get(socket),
        tools=frozenset(said.get("tool", ())),
        traces=traces == "yes",
        helper=_helper(said.get("helper", []), said.get("folder", [])),
    )


def _helper(files: list[str], folders: list[str]) -> Helper | None:
    """The file, and the folders above it: who may write to one of those may put another file in its place."""
    if not files:
        return None
    found = [_HELPER.fullmatch(line) for line in (*files, *folders)]
    if None in found:
        raise UnparsableError(f"cannot read {files + folders}")
    places = [match for match in found if match is not None]
    exposed = any(place["owner"] != "0" or int(place["mode"], 8) & 0o022 for place in places)
    return Helper(places[0]["version"], exposed)


_COMMAND = f"""
echo "groups $(id -Gn)"
echo "home $HOME"
here=$HOME/.dockerhealth
[ -e "$here" ] || here=$HOME
if [ -d "$here" ] && [ -w "$here" ] && [ -x "$here" ]; then echo 'receipts yes'; else echo 'receipts no'; fi
journal=no
for f in /run/log/journal/*/system.journal /var/log/journal/*/system.journal; do [ ! -r "$f" ] || journal=yes; done
echo "journal $journal"
if [ ! -S {SOCKET} ]; then echo 'socket none'; elif [ -w {SOCKET} ]; then echo 'socket yes'; else echo 'socket no'; fi
if grep -qw tracefs /proc/filesystems; then echo 'traces yes'; else echo 'traces no'; fi
for tool in {" ".join(TOOLS)} {TCPDUMP}; do
  if command -v "$tool" >/dev/null; then echo "tool $tool"; fi
done
if [ -e {ROOT_HELPER} ]; then
  version=$(sed -n 's/^# Version \\([0-9a-f]*\\):.*/\\1/p' {ROOT_HELPER})
  echo "helper $(stat -L -c '%u %a' {ROOT_HELPER}) $version"
  for folder in /usr/local/sbin /usr/local /usr /; do echo "folder $(stat -L -c '%u %a' $folder) "; done
fi
echo end
"""

INSTALLATION = Source("installation", (Probe("installation", _COMMAND),), parse)
