"""Rules and routes of the host that lead elsewhere than to the container, and connections that nobody tracks.

After public reports: a VPN client whose rule comes before the main table, a blackhole route that a management of
addresses left behind, a NOTRACK rule against floods.
"""

from tests.lab.scenario import IN_OFFICE, fault, healthy, typed

NO_WAY_BACK, ELSEWHERE = "return-route-missing", "return-route-elsewhere"
UNROUTABLE, BYPASSED = "container-unroutable", "docker-nat-rule-bypassed"

_VPN = "ip link add tailscale0 type bridge; ip link set tailscale0 up; ip route add default dev tailscale0 table 52\n"

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
    fault(
        "rule-for-container-s-answers-is-a-blackhole",
        typed("ip rule add from 172.17.0.2 blackhole pref 100"),
        NO_WAY_BACK,
    ),
    fault("rule-prohibits-container-s-answers", typed("ip rule add from 172.17.0.0/16 prohibit pref 100"), NO_WAY_BACK),
    fault("container-s-answers-leave-by-a-vpn", typed(f"{_VPN}ip rule add iif docker0 lookup 52 pref 5270"), ELSEWHERE),
    fault(
        "container-s-answers-leave-by-a-second-nic",
        typed(
            "ip link add host1 type bridge; ip address add 192.168.9.2/24 dev host1; ip link set host1 up\n"
            "ip neigh add 192.168.9.1 lladdr 02:00:c0:a8:09:01 dev host1 nud permanent   # its gateway is there\n"
            "ip route add default via 192.168.9.1 dev host1 table 100\n"
            "ip rule add from 172.17.0.0/16 lookup 100 pref 200"
        ),
        ELSEWHERE,
    ),
    fault(
        "marked-answers-leave-by-a-vpn",
        typed(
            f"{_VPN}ip rule add fwmark 0x52 lookup 52 pref 5270\n"
            "iptables -t mangle -A PREROUTING -i docker0 -j MARK --set-mark 0x52"
        ),
        ELSEWHERE,
    ),
    fault(
        "marked-requests-leave-by-a-vpn",
        typed(
            f"{_VPN}ip rule add fwmark 0x52 lookup 52 pref 5270\n"
            "iptables -t mangle -A PREROUTING -i host0 -p tcp --dport 5000 -j MARK --set-mark 0x52"
        ),
        UNROUTABLE,
    ),
    fault(
        "nft-marked-answers-are-unreachable",
        typed(
            "ip rule add fwmark 7 unreachable pref 100; nft add table inet corp\n"
            "nft 'add chain inet corp only { type filter hook prerouting priority mangle; }'\n"
            "nft add rule inet corp only iifname docker0 meta mark set 7"
        ),
        NO_WAY_BACK,
    ),
    fault(
        "rule-by-port-makes-answers-unreachable",
        typed("ip rule add ipproto tcp sport 5000 unreachable pref 100"),
        NO_WAY_BACK,
    ),
    fault(
        "route-to-clients-by-a-container-s-cable",
        typed(
            "ip address add $OFFICE/24 dev host0\n"
            'for port in /sys/class/net/docker0/brif/*; do ip route add $OFFICE_CLIENT dev "${port##*/}"; done'
        ),
        ELSEWHERE,
        service=IN_OFFICE,
    ),
    fault(
        "wireguard-for-everything-takes-the-answers",  # what wg-quick does for AllowedIPs = 0.0.0.0/0
        typed(
            "ip address add $OFFICE/32 dev host0\n"
            "ip link add wg0 type bridge; ip link set wg0 up; ip route add default dev wg0 table 51820\n"
            "ip rule add not fwmark 51820 table 51820; ip rule add table main suppress_prefixlength 0"
        ),
        ELSEWHERE,
        service=IN_OFFICE,
    ),
    healthy(
        "marked-for-a-rule-that-leads-to-the-same",
        typed(
            "ip route add default dev host0 table 60; ip rule add fwmark 0x60 lookup 60 pref 100\n"
            "iptables -t mangle -A PREROUTING -i docker0 -j MARK --set-mark 0x60"
        ),
    ),
    healthy("rule-of-a-vpn-for-others", typed("ip rule add to 192.168.7.0/24 blackhole pref 100")),
)
