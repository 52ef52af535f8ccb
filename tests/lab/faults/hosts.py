"""The host as a whole: not there, or not to be logged in to."""

from tests.lab.host import LabHost
from tests.lab.scenario import fault, healthy, typed

UNREACHABLE = "host-unreachable"


def sshd_stopped(host: LabHost) -> None:
    """The service is well, but nobody can log in to say so."""
    host.run("systemctl", "stop", "ssh.service")


def host_network_down(host: LabHost) -> None:
    """The cable is out: no vantage but the host itself reaches anything."""
    host.run("ip", "link", "set", "host0", "down")


SCENARIOS = (
    fault("host-cable-out", host_network_down, UNREACHABLE, outside="timed out|no route"),
    fault("host-lost-its-address", typed("ip address flush dev host0"), UNREACHABLE, outside="timed out|no route"),
    fault(
        "host-drops-everything",
        typed("iptables -I INPUT -i host0 -j DROP; iptables -t raw -I PREROUTING -i host0 -j DROP"),
        UNREACHABLE,
    ),
    healthy("healthy", lambda _: None, core=True, risks=("ip-forward-not-persisted",)),
    healthy(
        "kernel-modules-gone",
        typed("mkdir -p /usr/lib/modules/$(uname -r)-newer"),
        risks=("kernel-modules-gone",),
    ),
    healthy("sshd-stopped", sshd_stopped),
)
