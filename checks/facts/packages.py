"""Packages that matter to a published port, installed or replaced lately."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from checks.source import Outputs, Probe, Source, Unavailable, UnparsableError

_NAMES = (
    *(
        "docker.io",
        "docker-ce",
        "docker-ce-cli",
        "docker-engine",
        "docker",
        "moby-engine",
        "containerd",
        "containerd.io",
    ),
    *(
        "runc",
        "podman",
        "firewalld",
        "iptables",
        "iptables-nft",
        "iptables-services",
        "iptables-persistent",
        "nftables",
    ),
    *(
        "netfilter-persistent",
        "ufw",
        "initscripts",
        "network-scripts",
        "NetworkManager",
        "network-manager",
        "netplan.io",
    ),
    *("ifupdown", "systemd", "systemd-networkd", "procps", "procps-ng", "kernel", "kernel-core", "sudo", "iproute"),
)
_DPKG = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?P<did>install|upgrade|remove|purge) (?P<name>[^ :]+)(?::\S+)? "
    r"(?P<old>\S+)(?: (?P<new>\S+))?"
)
_RPM = re.compile(r"(?P<seconds>\d+) (?P<name>\S+) (?P<version>\S+)")


@dataclass(frozen=True)
class PackageChange:
    """``at`` is by the host's clock. ``did`` is what was done: ``upgraded``. Versions are empty where not told."""

    at: datetime
    name: str
    did: str
    old: str = ""
    new: str = ""

    @property
    def says(self) -> str:
        """For a person: ``upgraded from 1.0 to 1.1``."""
        if self.old:
            return f"{self.did} from {self.old} to {self.new}"
        return f"{self.did}: {self.new}" if self.new else self.did


def parse(outputs: Outputs) -> tuple[PackageChange, ...] | Unavailable:
    """``zone +0200``, then lines ``dpkg LINE`` of dpkg's log or ``rpm SECONDS NAME VERSION``; the last is ``end``."""
    output = outputs["packages"]
    lines = output.stdout.splitlines()
    if lines[-1:] != ["end"] or not lines[0].startswith("zone "):
        raise UnparsableError(f"the list of packages was cut off: {output.stderr.strip()[:200]}")
    if "unreadable" in lines:
        return Unavailable("neither dpkg's log nor rpm can be asked")
    zone = _zone(lines[0].removeprefix("zone "))
    return tuple(sorted(_changes(lines[1:-1], zone), key=lambda change: change.at))


def _zone(text: str) -> timezone:
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", text)
    if match is None:
        raise UnparsableError(f"{text[:20]!r} is no time zone")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)


def _changes(lines: list[str], zone: timezone) -> Iterator[PackageChange]:
    for line in lines:
        kind, _, rest = line.partition(" ")
        match = {"dpkg": _DPKG, "rpm": _RPM}[kind].match(rest) if kind in {"dpkg", "rpm"} else None
        if match is None:
            raise UnparsableError(f"cannot read {line[:80]!r}")
        yield _by_dpkg(match, zone) if kind == "dpkg" else _by_rpm(match)


def _by_dpkg(match: re.Match[str], zone: timezone) -> PackageChange:
    local = datetime.strptime(match["at"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
    did, old, new = {
        "install": ("installed", "", match["new"]),
        "upgrade": ("upgraded", match["old"], match["new"]),
        "remove": ("removed", "", ""),
        "purge": ("removed with its configuration", "", ""),
    }[match["did"]]
    return PackageChange(local.astimezone(UTC), match["name"], did, old, new)


def _by_rpm(match: re.Match[str]) -> PackageChange:
    at = datetime.fromtimestamp(int(match["seconds"]), UTC)
    return PackageChange(at, match["name"], "installed or upgraded", new=match["version"])


# rpm is asked for names, which it looks up: all of its packages would take it a second.
_COMMAND = rf"""
echo "zone $(date +%z)"
grep -hsE '^[^ ]+ [^ ]+ (install|upgrade|remove|purge) ({"|".join(_NAMES)}|linux-image-[^:]*):' \
  /var/log/dpkg.log.1 /var/log/dpkg.log | tail -n 30 | sed 's/^/dpkg /'
if command -v rpm >/dev/null; then
  rpm -q --qf 'rpm %{{INSTALLTIME}} %{{NAME}} %{{VERSION}}-%{{RELEASE}}\n' {" ".join(_NAMES)} 2>/dev/null |
    grep '^rpm ' | sort -k 2rn | head -n 30
elif [ ! -r /var/log/dpkg.log ]; then
  echo unreadable
fi
echo end
"""

PACKAGES = Source("packages", (Probe("packages", _COMMAND),), parse)
