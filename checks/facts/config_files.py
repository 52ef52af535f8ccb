"""When the configuration files that matter to a published port were last written."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.source import Outputs, Probe, Source, UnparsableError

_LINE = re.compile(r"(?P<seconds>\d+) (?P<owner>\S+) (?P<path>/.+)")
_MOST = 300

_FILES = (
    *("/etc/sysctl.conf", "/etc/sysctl.d/*", "/run/sysctl.d/*", "/usr/local/lib/sysctl.d/*", "/etc/hosts"),
    *("/etc/docker/daemon.json", "/etc/default/docker", "/etc/sysconfig/docker*"),
    *("/etc/systemd/system/*.service", "/etc/systemd/system/*.timer", "/etc/systemd/system/*.d/*.conf"),
    *("/etc/firewalld/*.conf", "/etc/firewalld/*.xml", "/etc/firewalld/*/*.xml"),
    *("/etc/sysconfig/iptables", "/etc/iptables/rules.v4", "/etc/nftables.conf", "/etc/nftables/*"),
    *("/etc/sysconfig/ip6tables", "/etc/iptables/rules.v6", "/etc/sysconfig/nftables.conf"),
    *("/etc/ufw/*.conf", "/etc/ufw/*.rules", "/etc/default/ufw"),
    *("/etc/sysconfig/network", "/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network-scripts/route-*"),
    *("/etc/rc.d/init.d/network", "/etc/init.d/network", "/etc/network/interfaces", "/etc/network/interfaces.d/*"),
    *("/etc/netplan/*", "/etc/systemd/network/*", "/etc/systemd/networkd.conf"),
    *("/etc/NetworkManager/NetworkManager.conf", "/etc/NetworkManager/conf.d/*"),
    *("/etc/NetworkManager/system-connections/*", "/etc/cron.d/*", "/etc/crontab"),
)


@dataclass(frozen=True)
class ConfigFile:
    """``written`` is by the host's clock, to the second. ``owner`` is whose file it is, not who wrote to it."""

    path: str
    written: datetime
    owner: str


def parse(outputs: Outputs) -> tuple[ConfigFile, ...]:
    """Lines of stat; the last one is ``end``. A folder that may not be read looks as if it were empty."""
    output = outputs["config-files"]
    *lines, end = output.stdout.splitlines() or [""]
    if end != "end":
        raise UnparsableError(f"the list of files was cut off: {output.stderr.strip()[:200]}")
    return tuple(sorted((_file(line) for line in lines), key=lambda file: file.path))


def _file(line: str) -> ConfigFile:
    match = _LINE.fullmatch(line)
    if match is None:
        raise UnparsableError(f"cannot read {line[:80]!r}")
    return ConfigFile(match["path"], datetime.fromtimestamp(int(match["seconds"]), UTC), match["owner"])


_COMMAND = f"""
set --
for f in {" ".join(_FILES)}; do [ ! -f "$f" ] || set -- "$@" "$f"; done
[ $# = 0 ] || stat -L -c '%Y %U %n' "$@" | sort -rn | head -n {_MOST}
echo end
"""

CONFIG_FILES = Source("configuration files", (Probe("config-files", _COMMAND),), parse)
