"""Two faults at once: each would break the service by itself, and mending one of them is not enough."""

from tests.lab.faults.containers import container_removed, container_stopped
from tests.lab.faults.docker_rules import dnat_rule_deleted_behind_firewalld
from tests.lab.faults.firewalld import (
    ACCEPTS_BEFORE_DOCKER,
    REJECTED,
    firewalld_started_after_deaf_dockerd,
    registry_on_host_network_with_firewalld_closed,
)
from tests.lab.faults.foreign_firewalls import nft
from tests.lab.faults.forwarding import forwarding_switched_off
from tests.lab.faults.serving import PUBLISHED, registry
from tests.lab.scenario import Act, healthy, one_after_the_other, pair, typed

OFF = "ip-forward-off"

_DOCKER_USER_DROPS = typed("iptables -I DOCKER-USER -p tcp --dport 5000 -j DROP")
_FOREIGN_DROPS = nft("inet corp", "type filter hook forward priority 0;", "tcp dport 5000 drop")


def replaced(more: str = "") -> Act:
    """Somebody loads the ruleset of a host that routes for nobody, in the place of all others. ``more``: for input."""
    lines = (
        *("nft flush ruleset", "nft -f - <<'END'", "table inet filter {", "chain input {"),
        *("type filter hook input priority 0; policy drop;", "ct state established,related accept", "iif lo accept"),
        *("tcp dport 22 accept", "meta l4proto icmp accept", more, "}"),
        *("chain forward {", "type filter hook forward priority 0; policy drop;", "}", "}", "END"),
    )
    return typed("\n".join(lines))


SCENARIOS = (
    pair(
        "chains-missing-and-ip-forward-off",
        one_after_the_other(firewalld_started_after_deaf_dockerd, forwarding_switched_off),
        "docker-chains-missing",
        OFF,
        outside=REJECTED,
        core=True,
    ),
    pair(
        "ruleset-replaced-by-one-that-forwards-nothing",
        replaced(),
        "docker-chains-missing",
        "foreign-firewall-drop",
    ),
    healthy(
        "ruleset-replaced-and-served-by-proxy",
        replaced("tcp dport 5000 accept"),
        risks=("chains-missing-but-served",),
    ),
    pair(
        "docker-user-drops-and-ip-forward-off",
        one_after_the_other(_DOCKER_USER_DROPS, forwarding_switched_off),
        OFF,
        "docker-user-drop",
    ),
    pair(
        "foreign-table-drops-and-ip-forward-off",
        one_after_the_other(_FOREIGN_DROPS, forwarding_switched_off),
        OFF,
        "foreign-firewall-drop",
    ),
    pair(
        "container-stopped-and-ip-forward-off",
        one_after_the_other(container_stopped, forwarding_switched_off),
        "container-stopped",
        OFF,
        outside="refused",
    ),
    pair(
        "container-paused-and-ip-forward-off",
        one_after_the_other(typed("docker pause registry >/dev/null"), forwarding_switched_off),
        "container-paused",
        OFF,
    ),
    pair(
        "nat-rule-missing-and-ip-forward-off",
        one_after_the_other(dnat_rule_deleted_behind_firewalld, forwarding_switched_off),
        "docker-nat-rule-missing",
        OFF,
        outside=REJECTED,
        not_on={"sid": ACCEPTS_BEFORE_DOCKER},
    ),
    pair(
        "container-missing-and-chains-missing",
        one_after_the_other(firewalld_started_after_deaf_dockerd, container_removed),
        "container-missing",
        "docker-chains-missing",
        outside=REJECTED,
    ),
    pair(
        "container-listens-on-loopback-and-ip-forward-off",
        one_after_the_other(registry(f"{PUBLISHED} -e REGISTRY_HTTP_ADDR=127.0.0.1:5000"), forwarding_switched_off),
        "container-listens-on-loopback",
        OFF,
    ),
    pair(
        "container-stopped-and-firewalld-closed",
        one_after_the_other(registry_on_host_network_with_firewalld_closed, container_stopped),
        "container-stopped",
        "firewalld-port-closed",
        outside="no route",
    ),
    pair(
        "raw-drops-and-docker-user-drops",
        one_after_the_other(typed("iptables -t raw -I PREROUTING -p tcp --dport 5000 -j DROP"), _DOCKER_USER_DROPS),
        "foreign-firewall-drop",
        "docker-user-drop",
    ),
    pair(
        "accept-rules-flushed-and-ip-forward-off",
        one_after_the_other(typed("iptables -F DOCKER"), forwarding_switched_off),
        "docker-forward-rule-missing",
        OFF,
    ),
    pair(
        "docker0-down-and-ip-forward-off",
        one_after_the_other(forwarding_switched_off, typed("ip link set docker0 down")),
        "bridge-down",
        OFF,
        outside="timed out|no network",
    ),
    pair(
        "container-start-fails-for-want-of-chains",
        one_after_the_other(
            firewalld_started_after_deaf_dockerd, typed("docker restart registry >/dev/null 2>&1 || true")
        ),
        "docker-chains-missing",
        "container-start-failed",
        outside=REJECTED,
    ),
    pair(
        "legacy-drops-and-docker-user-drops",
        one_after_the_other(typed("iptables-legacy -P FORWARD DROP"), _DOCKER_USER_DROPS),
        "iptables-backends-split",
        "docker-user-drop",
    ),
)
