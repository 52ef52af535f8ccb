"""How dockerd is configured where that changes what is right: daemon.json and its command line."""

import json
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError


@dataclass(frozen=True)
class DaemonSettings:
    """dockerd writes no rules with ``iptables`` off, and leaves the kernel's switch alone with ``ip_forward`` off.

    With ``userland_proxy`` off no docker-proxy listens on published ports: packets depend on NAT alone.
    """

    iptables: bool
    ip_forward: bool
    userland_proxy: bool


def parse(outputs: Outputs) -> DaemonSettings:
    file, _, command = outputs["daemon"].stdout.rpartition("\n@ ")
    if outputs["daemon"].status != 0:
        raise UnparsableError(f"cannot read /etc/docker/daemon.json: {outputs['daemon'].stderr.strip()[:200]}")
    settings = json.loads(file) if file.strip() else {}
    return DaemonSettings(
        iptables=settings.get("iptables", True) and "--iptables=false" not in command,
        ip_forward=settings.get("ip-forward", True) and "--ip-forward=false" not in command,
        userland_proxy=settings.get("userland-proxy", True) and "--userland-proxy=false" not in command,
    )


_COMMAND = r"""
[ ! -e /etc/docker/daemon.json ] || cat /etc/docker/daemon.json || exit 1
printf '\n@ '
pid=$(systemctl show -p MainPID docker.service)
case $pid in MainPID=[1-9]*) tr '\0' ' ' <"/proc/${pid#MainPID=}/cmdline" ;; esac
"""

DAEMON = Source("dockerd's settings", (Probe("daemon", _COMMAND, timeout=3),), parse)
