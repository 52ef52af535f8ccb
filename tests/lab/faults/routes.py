"""Rules and routes of the host that lead elsewhere than to the container, and connections that nobody tracks.

After public reports: a VPN client whose rule comes before the main table, a blackhole route that a management of
addresses left behind, a NOTRACK rule against floods.
"""

from tests.lab.scenario import fault, healthy, typed

UNROUTABLE, BYPASSED = "container-unroutable", "docker-nat-rule-bypassed"

SCENARIOS = (
    fault("route-to-container-is-a-blackhole", typed("ip route add blackhole 172.17.0.2/32"), UNROUTABLE),
    fault(
        "rule-makes-container-unreachable",
        typed("ip rule add to 172.17.0.0/16 iif host0 unreachable pref 100"),
        UNROUTABLE,
        outside="no route|timed out",
    ),
    fault(
        "rule-sends-what-is-for-containers-to-a-vpn",
        typed(
            "ip route add default dev lo table 52   # where its tunnel was\n"
            "ip rule add to 172.16.0.0/12 iif host0 lookup 52 pref 100"
        ),
        UNROUTABLE,
    ),
    fault(
        "not-tracked-and-not-let-in",
        typed(
            "iptables -t raw -I PREROUTING -p tcp --dport 5000 -j CT --notrack\n"
            "iptables -A INPUT -p tcp --dport 5000 -j DROP"
        ),
        BYPASSED,
    ),
    healthy("rule-of-a-vpn-for-others", typed("ip rule add to 192.168.7.0/24 blackhole pref 100")),
)
