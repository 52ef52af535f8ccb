"""Ways to really break a host, as people and programs do it. `LabHost.restore` undoes every one of them.

What each does to the five vantages was seen on both generations and stands in README.md; `OUTSIDE` is what a client
gets, and test_lab_itself.py holds every host to it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from tests.lab.command import wait_for
from tests.lab.host import LabHost

Backend = Literal["iptables", "nftables"]
Fault = Callable[[LabHost], None]

_ON_HOST_NETWORK = "docker run -d --network host --restart=always --name registry registry:2"


def forwarding_switched_off(host: LabHost) -> None:
    """Story 3: something sets ip_forward to 0 while dockerd runs, and dockerd never looks again."""
    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")


def hardening_file_says_zero(host: LabHost) -> None:
    """The same, from a hardening baseline: a file says 0, so it comes back at every `systemd-sysctl`."""
    host.path("/etc/sysctl.d/99-hardening.conf").write_text("# CIS 3.1.1\nnet.ipv4.ip_forward = 0\n")
    host.run("systemctl", "restart", "systemd-sysctl.service")


def firewalld_started_after_deaf_dockerd(host: LabHost) -> None:
    """Story 2: dockerd came up without firewalld, hung up on D-Bus, and is deaf when firewalld wipes its chains.

    With the iptables backend, because firewalld 2.x with its nftables backend leaves Docker's rules alone and nothing
    breaks. The baseline's dockerd was started while firewalld was stopped: it is deaf already.
    """
    start_firewalld(host, "iptables")


def registry_on_host_network_with_firewalld_closed(host: LabHost) -> None:
    """Story 1: no DNAT carries the request past INPUT, and firewalld does not let 5000/tcp in."""
    start_firewalld(host, "nftables")
    host.run("systemctl", "restart", "docker.service")
    _run_on_host_network(host)


def registry_on_host_network_with_port_open(host: LabHost) -> None:
    """Story 1, mended: healthy."""
    registry_on_host_network_with_firewalld_closed(host)
    host.run("firewall-cmd", "--quiet", "--permanent", "--add-port=5000/tcp")
    host.run("firewall-cmd", "--quiet", "--reload")


def firewalld_running_port_not_listed_but_dnat_healthy(host: LabHost) -> None:
    """Healthy, and looks like story 1: firewalld lists no 5000/tcp, but a listening dockerd's DNAT needs none."""
    start_firewalld(host, "nftables")
    host.run("systemctl", "restart", "docker.service")
    wait_for(f"{host.name}: the registry is back", lambda: host.outside() == "200", timeout=20)


def chains_flushed_but_served_by_proxy(host: LabHost) -> None:
    """All of Docker's rules are gone, and it still answers, through docker-proxy, because INPUT is open."""
    host.sh(
        "iptables -P FORWARD ACCEPT; for table in nat filter; do iptables -t $table -F; iptables -t $table -X; done"
    )


def container_stopped(host: LabHost) -> None:
    """Someone stopped it; `--restart=always` respects that until dockerd starts anew."""
    host.run("docker", "stop", "registry")


def container_removed(host: LabHost) -> None:
    """Someone removed it: the service's container does not exist."""
    host.run("docker", "rm", "--force", "registry")


def dockerd_stopped(host: LabHost) -> None:
    """The daemon is down, with its socket, which would start it again at the first question."""
    host.run("systemctl", "stop", "docker.socket", "docker.service")


def sshd_stopped(host: LabHost) -> None:
    """The service is well, but nobody can log in to say so."""
    host.run("systemctl", "stop", "ssh.service")


def host_network_down(host: LabHost) -> None:
    """The cable is out: no vantage but the host itself reaches anything."""
    host.run("ip", "link", "set", "host0", "down")


# What a client gets. An unreachable neighbour is first a timeout and, once ARP gave up, no route.
OUTSIDE: Mapping[Fault, frozenset[str]] = MappingProxyType(
    {
        forwarding_switched_off: frozenset({"timed out"}),
        hardening_file_says_zero: frozenset({"timed out"}),
        firewalld_started_after_deaf_dockerd: frozenset({"refused"}),
        registry_on_host_network_with_firewalld_closed: frozenset({"no route"}),
        registry_on_host_network_with_port_open: frozenset({"200"}),
        firewalld_running_port_not_listed_but_dnat_healthy: frozenset({"200"}),
        chains_flushed_but_served_by_proxy: frozenset({"200"}),
        container_stopped: frozenset({"refused"}),
        container_removed: frozenset({"refused"}),
        dockerd_stopped: frozenset({"refused"}),
        sshd_stopped: frozenset({"200"}),
        host_network_down: frozenset({"timed out", "no route"}),
    }
)


def start_firewalld(host: LabHost, backend: Backend) -> None:
    """Start firewalld and await its rules: it says that it runs before it has written them."""
    setting = f"s/^FirewallBackend=.*/FirewallBackend={backend}/"
    host.run("sed", "-i", setting, "/etc/firewalld/firewalld.conf")
    host.run("systemctl", "start", "firewalld.service")
    look = {"iptables": "ip6tables -S INPUT", "nftables": "nft list chain inet firewalld filter_INPUT"}[backend]
    wait_for(f"{host.name}: firewalld's rules", lambda: "reject" in host.sh(look, check=False).lower(), timeout=20)


def _run_on_host_network(host: LabHost) -> None:
    host.run("docker", "rm", "--force", "registry")
    host.sh(_ON_HOST_NETWORK)
    wait_for(f"{host.name}: the registry listens", lambda: ":5000" in host.sh("ss -Hltn sport = :5000"), timeout=20)
