"""Clients come by IPv6: docker-proxy serves them, or Docker's own rules of it where ip6tables is on."""

from checks.model import Stretch
from tests.lab.command import wait_for
from tests.lab.faults.firewalld import (
    clients_by_ipv6,
    firewalld_running_port_not_listed_but_dnat_healthy,
    start_firewalld,
)
from tests.lab.faults.foreign_firewalls import nft
from tests.lab.faults.serving import answering, daemon, python, registry
from tests.lab.host import LabHost
from tests.lab.outside import reach_url
from tests.lab.scenario import BY_IPV6, UNDETERMINED, Act, fault, healthy, ipv6_address, one_after_the_other, typed

FOREIGN, OFF, UNROUTABLE = "foreign-firewall-drop", "ipv6-forwarding-off", "container-unroutable"
NO_WAY_BACK = "return-route-missing"

_NO_DOCKER_USER = "Docker before 23 makes no chain DOCKER-USER in ip6tables"


def by_ipv6(*acts: Act) -> Act:
    return one_after_the_other(clients_by_ipv6, *acts)


def translated(*acts: Act) -> Act:
    """By Docker's own rules: its containers have addresses of IPv6, and ip6tables is on (experimental before 27)."""
    network = daemon(ipv6=True, fixed_cidr_v6="fd00:d0c::/64", ip6tables=True, experimental=True)
    return one_after_the_other(clients_by_ipv6, network, _until_served, *acts)


def _until_served(host: LabHost) -> None:
    url = BY_IPV6.url.format(ipv6=ipv6_address(host))
    wait_for(f"{host.name}: reachable by IPv6", lambda: reach_url(url) == "200", timeout=20)


def _firewalld_in_front(host: LabHost) -> None:
    start_firewalld(host, "nftables")
    host.run("systemctl", "restart", "docker.service")
    _until_served(host)


SCENARIOS = (
    fault(
        "ip6tables-drops-the-port",
        by_ipv6(typed("ip6tables -I INPUT -p tcp --dport 5000 -j DROP")),
        FOREIGN,
        service=BY_IPV6,
    ),
    fault(
        "ip6tables-rejects-the-port",
        by_ipv6(typed("ip6tables -I INPUT -p tcp --dport 5000 -j REJECT")),
        FOREIGN,
        outside="refused",
        service=BY_IPV6,
    ),
    fault(
        "nft-drops-the-port-for-ipv6-and-does-not-count",
        by_ipv6(nft("ip6 corp", "type filter hook input priority 0;", "tcp dport 5000 drop")),
        FOREIGN,
        service=BY_IPV6,
    ),
    healthy(
        "ip6tables-drops-another-port",
        by_ipv6(typed("ip6tables -I INPUT -p tcp --dport 5432 -j DROP")),
        service=BY_IPV6,
    ),
    fault(
        "firewalld-open-for-ipv4-alone",
        one_after_the_other(
            firewalld_running_port_not_listed_but_dnat_healthy,
            clients_by_ipv6,
            typed("firewall-cmd --quiet --add-rich-rule='rule family=ipv4 port port=5000 protocol=tcp accept'"),
        ),
        "firewalld-port-closed",
        outside="not permitted",
        service=BY_IPV6,
    ),
    fault(
        "container-without-ipv6-and-no-docker-proxy",
        by_ipv6(daemon(userland_proxy=False)),
        "published-for-ipv4-alone",
        outside="refused",
        service=BY_IPV6,
    ),
    fault(
        "published-for-ipv4-alone",
        by_ipv6(registry("-p 0.0.0.0:5000:5000")),
        "published-for-ipv4-alone",
        outside="refused",
        service=BY_IPV6,
    ),
    healthy("translated-by-ip6tables", translated(), service=BY_IPV6),
    healthy("translated-by-ip6tables-behind-firewalld", translated(_firewalld_in_front), service=BY_IPV6),
    healthy(
        "translated-and-forwarding-off-for-ipv4", translated(typed("sysctl -qw net.ipv4.ip_forward=0")), service=BY_IPV6
    ),
    healthy(
        "translated-and-one-interface-no-router",
        translated(typed("sysctl -qw net.ipv6.conf.host0.forwarding=0")),
        service=BY_IPV6,
    ),
    fault(
        "forwarding-off-for-ipv6", translated(typed("sysctl -qw net.ipv6.conf.all.forwarding=0")), OFF, service=BY_IPV6
    ),
    fault(
        "ip6tables-drops-what-is-forwarded",
        translated(typed("ip6tables -I FORWARD -p tcp --dport 5000 -j DROP")),
        FOREIGN,
        service=BY_IPV6,
    ),
    fault(
        "nft-rejects-what-is-forwarded-by-ipv6",
        translated(
            nft("inet corp", "type filter hook forward priority -5;", "meta nfproto ipv6 tcp dport 5000 reject")
        ),
        FOREIGN,
        outside="refused",
        service=BY_IPV6,
    ),
    fault(
        "docker-s-accept-of-ipv6-gone",
        translated(typed("ip6tables -F DOCKER")),
        "docker-forward-rule-missing",
        service=BY_IPV6,
    ),
    fault(
        "docker-user-drops-ipv6",
        translated(typed("ip6tables -I DOCKER-USER -i host0 -j DROP")),
        "docker-user-drop",
        service=BY_IPV6,
        not_on={"bookworm": _NO_DOCKER_USER, "bullseye": _NO_DOCKER_USER},
    ),
    fault(
        "route-of-the-answer-by-ipv6-gone",
        translated(typed("ip -6 route del fd77::/64 dev host0")),
        NO_WAY_BACK,
        service=BY_IPV6,
    ),
    fault(
        "rule-of-ipv6-ends-the-answer",
        translated(typed("ip -6 rule add from fd00:d0c::/64 iif docker0 blackhole priority 100")),
        NO_WAY_BACK,
        service=BY_IPV6,
    ),
    fault(
        "rule-of-ipv6-keeps-packets-from-the-container",
        translated(typed("ip -6 rule add to fd00:d0c::/64 iif host0 blackhole priority 100")),
        UNROUTABLE,
        service=BY_IPV6,
    ),
    fault(
        "program-listens-for-ipv4-alone",
        translated(python(answering())),
        "container-not-listening",
        outside="refused",
        service=BY_IPV6,
    ),
    fault("ip6tables-input-policy-drops", by_ipv6(typed("ip6tables -P INPUT DROP")), FOREIGN, service=BY_IPV6),
    fault(
        "ip6tables-legacy-drops-the-port",
        by_ipv6(typed("ip6tables-legacy -I INPUT -p tcp --dport 5000 -j DROP")),
        FOREIGN,
        service=BY_IPV6,
    ),
    fault(
        "docker-proxy-of-ipv6-killed",
        by_ipv6(typed("kill -9 $(pgrep -ax docker-proxy | sed -n '/-host-ip ::/s/ .*//p')")),
        "docker-proxy-gone",
        outside="refused",
        service=BY_IPV6,
    ),
    fault(
        "docker-s-translation-of-ipv6-gone-and-input-rejects",
        translated(typed("ip6tables -t nat -F DOCKER; ip6tables -A INPUT -p tcp --dport 5000 -j REJECT")),
        "docker-nat-rule-missing",
        outside="refused",
        service=BY_IPV6,
    ),
    fault(
        "ip6tables-tracks-no-packets-of-the-port",
        translated(
            typed(
                "ip6tables -t raw -I PREROUTING -p tcp --dport 5000 -j NOTRACK\n"
                "ip6tables -A INPUT -p tcp --dport 5000 -j DROP"
            )
        ),
        "docker-nat-rule-bypassed",
        service=BY_IPV6,
    ),
    fault(
        "neighbour-of-ipv6-is-another",
        translated(
            typed(
                "ip -6 neigh replace $(docker inspect -f '{{.NetworkSettings.GlobalIPv6Address}}' registry)"
                " lladdr 02:42:ac:11:00:63 dev docker0 nud permanent"
            )
        ),
        "container-neighbour-wrong",
        service=BY_IPV6,
    ),
    fault(
        "docker0-down-for-ipv6",
        translated(typed("ip link set docker0 down")),
        "bridge-down",
        outside="no network",
        service=BY_IPV6,
    ),
    fault("paused-for-ipv6", translated(typed("docker pause registry")), "container-paused", service=BY_IPV6),
    fault(
        "container-without-default-route-of-ipv6",
        translated(typed("nsenter -n -t $(docker inspect -f '{{.State.Pid}}' registry) ip -6 route del default")),
        UNDETERMINED,
        service=BY_IPV6,
        segment=Stretch.IN_CONTAINER,
    ),
    healthy(
        "nft-drops-the-port-for-ipv4",
        translated(nft("ip corp", "type filter hook forward priority 0;", "tcp dport 5000 drop")),
        service=BY_IPV6,
    ),
    healthy(
        "nft-of-both-families-drops-ipv4",
        translated(nft("inet corp", "type filter hook forward priority 0;", "ip saddr != 10.99.0.0/16 drop")),
        service=BY_IPV6,
    ),
    healthy("proxied-and-forwarding-off", by_ipv6(typed("sysctl -qw net.ipv4.ip_forward=0")), service=BY_IPV6),
)
