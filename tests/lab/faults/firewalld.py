"""firewalld: started at the wrong time, closed, strict, in conflict with Docker, in panic."""

from typing import Literal

from tests.lab.command import run, wait_for
from tests.lab.faults.serving import daemon, on_host_network, restart_docker, until_served
from tests.lab.host import LabHost
from tests.lab.network import BRIDGE, IPV6_PREFIX
from tests.lab.scenario import BY_IPV6, Act, fault, healthy, ipv6_address, one_after_the_other, typed

Backend = Literal["iptables", "nftables"]

CHAINS, CLOSED = "docker-chains-missing", "firewalld-port-closed"
REJECTS, CONFLICT = "firewalld-forward-reject", "firewalld-zone-conflict"

REJECTED = "refused|no route"
"""How firewalld with its iptables backend rejects: 0.9 with host-prohibited, 1.3 and 2.3 as a closed port."""

_LEAVES_RULES = "firewalld 2 with its nftables backend leaves Docker's rules alone"
ACCEPTS_BEFORE_DOCKER = (
    "firewalld 2.5 ends its zones in nat PREROUTING with ACCEPT, ahead of Docker's jump: it is broken"
)
_NOT_STRICT = "firewalld before 2.3 has no StrictForwardPorts"


def start_firewalld(host: LabHost, backend: Backend) -> None:
    """Start firewalld and await its rules: it says that it runs before it has written them."""
    setting = f"s/^FirewallBackend=.*/FirewallBackend={backend}/"
    host.run("sed", "-i", setting, "/etc/firewalld/firewalld.conf")
    host.run("systemctl", "start", "firewalld.service")
    look = {"iptables": "ip6tables -S INPUT", "nftables": "nft list chain inet firewalld filter_INPUT"}[backend]
    wait_for(f"{host.name}: firewalld's rules", lambda: "reject" in host.sh(look, check=False).lower(), timeout=20)


def firewalld_started_after_deaf_dockerd(host: LabHost) -> None:
    """Story 2: dockerd came up without firewalld, hung up on D-Bus, and is deaf when firewalld wipes its chains.

    With the iptables backend, because firewalld 2.x with its nftables backend leaves Docker's rules alone and nothing
    breaks. The baseline's dockerd was started while firewalld was stopped: it is deaf already.
    """
    start_firewalld(host, "iptables")


def firewalld_started_with_nftables(host: LabHost) -> None:
    start_firewalld(host, "nftables")


def firewalld_given_a_direct_rule(host: LabHost) -> None:
    """With the first one firewalld 2 flushes the tables of iptables, there and then; a dockerd that hears it too."""
    firewalld_started_with_nftables(host)
    host.sh("firewall-cmd --quiet --direct --add-rule ipv4 filter INPUT 0 -p tcp --dport 9999 -j ACCEPT")


def firewalld_stopped_and_started(host: LabHost) -> None:
    """By hand, one after the other, as somebody does who tries whether it is the firewall."""
    start_firewalld(host, "iptables")
    host.run("systemctl", "stop", "firewalld.service")
    start_firewalld(host, "iptables")


def registry_on_host_network_with_firewalld_closed(host: LabHost) -> None:
    """Story 1: no DNAT carries the request past INPUT, and firewalld does not let 5000/tcp in."""
    start_firewalld(host, "nftables")
    host.run("systemctl", "restart", "docker.service")
    on_host_network(host)


def registry_on_host_network_with_port_open(host: LabHost) -> None:
    """Story 1, mended: healthy."""
    registry_on_host_network_with_firewalld_closed(host)
    host.run("firewall-cmd", "--quiet", "--permanent", "--add-port=5000/tcp")
    host.run("firewall-cmd", "--quiet", "--reload")


def registry_on_host_network_with_iptables_backend(host: LabHost) -> None:
    start_firewalld(host, "iptables")
    host.run("systemctl", "restart", "docker.service")
    on_host_network(host)


def firewalld_running_port_not_listed_but_dnat_healthy(host: LabHost) -> None:
    """Healthy, and looks like story 1: firewalld lists no 5000/tcp, but a listening dockerd's DNAT needs none."""
    start_firewalld(host, "nftables")
    host.run("systemctl", "restart", "docker.service")
    until_served(host)


def firewalld_with_iptables_running_port_not_listed_but_dnat_healthy(host: LabHost) -> None:
    start_firewalld(host, "iptables")
    host.run("systemctl", "restart", "docker.service")
    until_served(host)


def clients_by_ipv6(host: LabHost) -> None:
    """A way by IPv6 between the watcher and the host, whose docker-proxy listens there too."""
    run("ip", "address", "replace", f"{IPV6_PREFIX}::1/64", "dev", BRIDGE, "nodad")
    host.run("ip", "address", "replace", f"{ipv6_address(host)}/64", "dev", "host0", "nodad")


def strict_forward_ports(host: LabHost) -> None:
    host.run("sed", "-i", "s/^StrictForwardPorts=.*/StrictForwardPorts=yes/", "/etc/firewalld/firewalld.conf")
    start_firewalld(host, "nftables")
    restart_docker(host)


def docker0_in_zone_and_docker_restarted(zone: str) -> Act:
    """Somebody bound docker0 to a zone for good; dockerd wants it in a zone of its own and gives up."""

    def act(host: LabHost) -> None:
        host.run("firewall-offline-cmd", f"--zone={zone}", "--add-interface=docker0")
        start_firewalld(host, "nftables")
        host.run("systemctl", "restart", "docker.service", check=False)

    return act


def docker0_in_zone_and_networks_forgotten(host: LabHost) -> None:
    """The same for a dockerd that knows no network yet: newly installed, or its folder is a new one.

    One of 26.1 that knows docker0 remembers how it failed, and fails for ever: `networks have same bridge name`.
    """
    host.run("systemctl", "stop", "docker.socket", "docker.service")
    host.run("rm", "/var/lib/docker/network/files/local-kv.db")
    docker0_in_zone_and_docker_restarted("trusted")(host)


SCENARIOS = (
    fault(
        "firewalld-started-after-deaf-dockerd",
        firewalld_started_after_deaf_dockerd,
        CHAINS,
        outside=REJECTED,
        risks=("docker-deaf-to-firewalld",),
        core=True,
    ),
    fault(
        "firewalld-with-nftables-started-after-deaf-dockerd",
        firewalld_started_with_nftables,
        CHAINS,
        outside="no route",
        risks=("docker-deaf-to-firewalld",),
        not_on={"trixie": _LEAVES_RULES, "sid": _LEAVES_RULES},
    ),
    fault(
        "firewalld-given-a-direct-rule",
        firewalld_given_a_direct_rule,
        CHAINS,
        outside="no route",
        risks=("docker-deaf-to-firewalld",),
    ),
    fault("firewalld-stopped-and-started", firewalld_stopped_and_started, CHAINS, outside=REJECTED),
    fault(
        "host-network-port-closed",
        registry_on_host_network_with_firewalld_closed,
        CLOSED,
        outside="no route",
        core=True,
    ),
    fault(
        "host-network-port-closed-with-iptables",
        registry_on_host_network_with_iptables_backend,
        CLOSED,
        outside=REJECTED,
    ),
    fault(
        "host-network-port-opened-and-lost-at-reload",
        one_after_the_other(
            registry_on_host_network_with_firewalld_closed,
            typed("firewall-cmd --quiet --add-port=5000/tcp; firewall-cmd --quiet --reload"),
        ),
        CLOSED,
        outside="no route",
    ),
    fault(
        "host-network-client-in-another-zone",
        one_after_the_other(
            registry_on_host_network_with_port_open,
            typed("firewall-cmd --quiet --zone=work --add-source=$CLIENT/32"),
        ),
        CLOSED,
        outside="no route",
    ),
    fault(
        "firewalld-closed-to-clients-by-ipv6",
        one_after_the_other(firewalld_running_port_not_listed_but_dnat_healthy, clients_by_ipv6),
        CLOSED,
        outside="not permitted",
        service=BY_IPV6,
    ),
    healthy("clients-by-ipv6", clients_by_ipv6, service=BY_IPV6),
    fault(
        "strict-forward-ports",
        strict_forward_ports,
        REJECTS,
        outside="no route",
        not_on={"bullseye": _NOT_STRICT, "bookworm": _NOT_STRICT},
    ),
    fault(
        "docker0-bound-to-public",
        docker0_in_zone_and_docker_restarted("public"),
        CONFLICT,
        "dockerd-down",
        outside="refused|no route",
    ),
    fault(
        "docker0-bound-to-trusted",
        docker0_in_zone_and_docker_restarted("trusted"),
        CONFLICT,
        "dockerd-down",
        outside="refused|no route",
    ),
    fault(
        "docker0-bound-and-networks-forgotten",
        docker0_in_zone_and_networks_forgotten,
        CONFLICT,
        "dockerd-down",
        outside="refused|no route",
    ),
    fault(
        "firewalld-in-panic",
        one_after_the_other(firewalld_running_port_not_listed_but_dnat_healthy, typed("firewall-cmd --panic-on")),
        "host-unreachable",
        outside="timed out",
    ),
    healthy(
        "firewalld-spares-a-deaf-dockerd",
        firewalld_started_with_nftables,
        not_on=dict.fromkeys(("bullseye", "bookworm"), "firewalld before 2 wipes Docker's rules with either backend"),
    ),
    healthy(
        "firewalld-with-nftables-running-healthy",
        firewalld_running_port_not_listed_but_dnat_healthy,
    ),
    healthy(
        "firewalld-running-healthy",
        firewalld_with_iptables_running_port_not_listed_but_dnat_healthy,
        risks=("firewalld-not-enabled",),
        core=True,
        not_on={"sid": ACCEPTS_BEFORE_DOCKER},
    ),
    healthy(
        "firewalld-enabled-and-not-running",
        typed("systemctl enable --quiet firewalld.service"),
        risks=("firewalld-not-enabled",),
    ),
    healthy("host-network-port-open", registry_on_host_network_with_port_open),
    healthy(
        "firewalld-without-docker-rules-but-port-open",
        one_after_the_other(
            daemon(iptables=False), firewalld_started_with_nftables, typed("firewall-cmd --quiet --add-port=5000/tcp")
        ),
    ),
)
