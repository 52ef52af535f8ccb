"""The kernel: forwarding, the reverse-path filter, the bridge, the table of connections."""

from tests.lab import conntrack
from tests.lab.command import run
from tests.lab.faults import network_service
from tests.lab.faults.firewalld import registry_on_host_network_with_port_open
from tests.lab.faults.serving import PUBLISHED, daemon, registry, restart_docker
from tests.lab.host import LabHost
from tests.lab.network import BRIDGE
from tests.lab.scenario import IN_OFFICE, Act, fault, healthy, office_address, one_after_the_other, typed, write

OFF, INTERFACE_OFF = "ip-forward-off", "interface-forwarding-off"

_NETWORKD_SAYS_NO = """
printf '[Match]\\nName=host0\\n[Network]\\nAddress=%s/24\\nGateway=%s\\nIPv4Forwarding=no\\n' $ADDRESS $CLIENT \\
    > /etc/systemd/network/10-host0.network
networkctl reload && networkctl reconfigure host0
"""
_NETWORKD_WILL_SAY_NO = """
mkdir -p /etc/systemd/networkd.conf.d
printf '[Network]\\nIPv4Forwarding=no\\n' > /etc/systemd/networkd.conf.d/50-hardening.conf
"""
_NETWORKD_SAYS_NO_ANYWHERE = _NETWORKD_WILL_SAY_NO + "systemctl restart systemd-networkd.service"
_NO_SETTING = dict.fromkeys(("bullseye", "bookworm"), "systemd before 256 has no IPv4Forwarding=")
# The reverse-path filter looks the client up and finds another interface; real answers carry a mark, which it does not
# know of (src_valid_mark is 0), and which sends them the right way.
_ASYMMETRIC = """
ip address add $OFFICE/32 dev host0
ip link add wan0 type bridge && ip link set wan0 up
ip route add 10.77.1.0/24 dev wan0
ip route add 10.77.1.0/24 dev host0 table 100
ip rule add fwmark 1 lookup 100 priority 100
iptables -t mangle -A PREROUTING -i docker0 -j MARK --set-mark 1
"""
_ON_ITS_OWN_NETWORK = one_after_the_other(
    typed("docker network create --opt com.docker.network.bridge.name=br-own own >/dev/null"),
    registry(f"{PUBLISHED} --network own"),
)


def _strict(script: str) -> Act:
    """Strictness on top of an asymmetric way. The watcher knows the host's address on the link already.

    A filter that is strict does not answer the watcher's ARP question either, as no router between them would ask.
    """

    def known_on_the_link(host: LabHost) -> None:
        mac = host.sh("cat /sys/class/net/host0/address").strip()
        run("ip", "neigh", "replace", office_address(host), "lladdr", mac, "dev", BRIDGE, "nud", "reachable")

    return one_after_the_other(typed(_ASYMMETRIC + script), known_on_the_link)


def forwarding_switched_off(host: LabHost) -> None:
    """Story 3: something sets ip_forward to 0 while dockerd runs, and dockerd never looks again."""
    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")


def hardening_file_says_zero(host: LabHost) -> None:
    """The same, from a hardening baseline: a file says 0, so it comes back at every `systemd-sysctl`."""
    write(host, "/etc/sysctl.d/99-hardening.conf", "# CIS 3.1.1\nnet.ipv4.ip_forward = 0\n")
    host.run("systemctl", "restart", "systemd-sysctl.service")


def forwarding_kept_on(host: LabHost) -> None:
    """A file says 1: it is on before dockerd starts, which then leaves the policy of FORWARD as it is."""
    write(host, "/etc/sysctl.d/50-forward.conf", "net.ipv4.ip_forward = 1\n")
    host.run("systemctl", "restart", "systemd-sysctl.service")


SCENARIOS = (
    fault("ip-forward-off", forwarding_switched_off, OFF),
    fault("ip-forward-off-by-its-other-name", typed("sysctl -qw net.ipv4.conf.all.forwarding=0"), OFF),
    fault("ip-forward-off-hardened", hardening_file_says_zero, OFF),
    fault(
        "ip-forward-off-by-sysctl-conf",
        typed("echo net/ipv4/ip_forward=0 >> /etc/sysctl.conf; sysctl -q -p /etc/sysctl.conf"),
        OFF,
    ),
    fault("ip-forward-off-by-web-program", network_service.web_program_restarts_network, OFF, core=True),
    fault("ip-forward-off-by-root-web-program", network_service.root_web_program_restarts_network, OFF),
    fault("ip-forward-off-by-timer", network_service.timer_restarts_network, OFF),
    fault("ip-forward-off-by-person", network_service.person_restarts_network, OFF),
    fault("ip-forward-off-by-script", network_service.script_restarts_network, OFF),
    fault("ip-forward-off-by-program-in-a-login", network_service.program_in_root_login_restarts_network, OFF),
    fault("host0-forwarding-off", typed("sysctl -qw net.ipv4.conf.host0.forwarding=0"), INTERFACE_OFF, core=True),
    fault("docker0-forwarding-off", typed("sysctl -qw net.ipv4.conf.docker0.forwarding=0"), INTERFACE_OFF),
    fault(
        "own-bridge-forwarding-off",
        one_after_the_other(_ON_ITS_OWN_NETWORK, typed("sysctl -qw net.ipv4.conf.br-own.forwarding=0")),
        INTERFACE_OFF,
    ),
    fault("networkd-says-no-forwarding", typed(_NETWORKD_SAYS_NO), INTERFACE_OFF, not_on=_NO_SETTING),
    fault("networkd-says-no-forwarding-anywhere", typed(_NETWORKD_SAYS_NO_ANYWHERE), OFF, not_on=_NO_SETTING),
    healthy(
        "networkd-will-say-no-forwarding-anywhere",
        typed(_NETWORKD_WILL_SAY_NO),
        risks=("ip-forward-not-persisted",),
        not_on=_NO_SETTING,
    ),
    healthy(
        "forwarding-kept-on-by-a-file-of-run",
        typed("mkdir -p /run/sysctl.d; echo net.ipv4.ip_forward=1 > /run/sysctl.d/99-on.conf"),
        risks=("ip-forward-not-persisted",),
    ),
    fault(
        "ip-forward-off-and-a-file-of-run-hides-one-that-says-no",
        typed(
            "mkdir -p /run/sysctl.d /usr/local/lib/sysctl.d\n"
            "echo net.ipv4.ip_forward=0 > /usr/local/lib/sysctl.d/99-zzz.conf\n"
            "echo '# nothing' > /run/sysctl.d/99-zzz.conf\n"
            "sysctl -qw net.ipv4.ip_forward=0"
        ),
        OFF,
    ),
    fault(
        "strict-reverse-path-filter",
        _strict("sysctl -qw net.ipv4.conf.host0.rp_filter=1"),
        "reverse-path-filter",
        service=IN_OFFICE,
        core=True,
    ),
    fault(
        "strict-reverse-path-filter-for-all",
        _strict(
            "echo net.ipv4.conf.all.rp_filter=1 > /etc/sysctl.d/90-strict.conf\n"
            "sysctl -q -p /etc/sysctl.d/90-strict.conf"
        ),
        "reverse-path-filter",
        service=IN_OFFICE,
    ),
    fault("docker0-down", typed("ip link set docker0 down"), "bridge-down", outside="timed out|no network", core=True),
    fault(
        "docker0-without-address",
        typed("ip -4 address flush dev docker0"),
        "bridge-down",
        outside="timed out|no network|no route",
    ),
    fault(
        "container-unplugged-from-bridge",
        typed('for port in /sys/class/net/docker0/brif/*; do ip link set "${port##*/}" nomaster; done'),
        "bridge-down",
        outside="timed out|no route",
    ),
    fault(
        "container-cable-down",
        typed('for port in /sys/class/net/docker0/brif/*; do ip link set "${port##*/}" down; done'),
        "bridge-down",
        outside="timed out|no route",
    ),
    fault(
        "ip-forward-off-while-dockerd-hangs",
        typed("sysctl -qw net.ipv4.ip_forward=0; kill -STOP $(pgrep -x dockerd)"),
        OFF,
    ),
    fault(
        "bridge-with-the-least-mtu-there-is",
        typed("ip link set docker0 mtu 68; iptables -I OUTPUT -p icmp -j DROP"),
        "mtu-black-hole",
    ),
    fault(
        "veth-mtu-below-the-container-s",
        typed('for port in /sys/class/net/docker0/brif/*; do ip link set "${port##*/}" mtu 200; done'),
        "mtu-black-hole",
    ),
    fault("conntrack-full", lambda host: conntrack.crowd(host, conntrack.HELD - 15), "conntrack-full"),
    healthy(
        "host-network-port-open-forwarding-off",
        one_after_the_other(registry_on_host_network_with_port_open, forwarding_switched_off),
    ),
    healthy(
        "forwarding-files-disagree-and-one-wins",
        typed(
            "echo net.ipv4.ip_forward=0 > /etc/sysctl.d/10-hardening.conf\n"
            "echo net.ipv4.ip_forward=1 > /etc/sysctl.d/99-docker.conf\n"
            "systemctl restart systemd-sysctl.service"
        ),
    ),
    healthy(
        "second-nic-without-forwarding",
        typed("ip link add wan0 type bridge && ip link set wan0 up && sysctl -qw net.ipv4.conf.wan0.forwarding=0"),
    ),
    healthy("strict-reverse-path-filter-on-a-straight-way", typed("sysctl -qw net.ipv4.conf.all.rp_filter=1")),
    healthy(
        "network-service-enabled-and-never-restarted",
        network_service.install_network_service,
        risks=("network-service-resets-forwarding",),
    ),
    healthy("registry-on-a-network-of-its-own", _ON_ITS_OWN_NETWORK),
    healthy("no-docker-proxy", daemon(userland_proxy=False)),
    healthy(
        "forwarding-kept-on-and-policy-open",
        one_after_the_other(forwarding_kept_on, typed("iptables -P FORWARD ACCEPT"), restart_docker),
        risks=("forward-policy-open",),
    ),
    healthy(
        "forward-policy-left-open",  # as `ufw disable` does, and no start of dockerd mends while forwarding is on
        one_after_the_other(typed("iptables -P FORWARD ACCEPT"), restart_docker),
        risks=("forward-policy-open",),
    ),
    healthy(
        "forward-policy-open-and-closed-by-a-rule", typed("iptables -P FORWARD ACCEPT; iptables -A FORWARD -j DROP")
    ),
    healthy(
        "conntrack-filling",
        lambda host: conntrack.crowd(host, round(conntrack.HELD * 1.15)),
        risks=("conntrack-filling",),
    ),
)
