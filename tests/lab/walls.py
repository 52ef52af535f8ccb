"""Rules of every backend that stop a client's packets, one at a time or in company, and who stops them.

Each was seen to end as said on both generations; test_walk.py holds the walk to it.
"""

from dataclasses import dataclass

from checks.model import ReachOutcome

CLIENT = "10.77.0.1"


@dataclass(frozen=True)
class Wall:
    """``script`` builds it on a healthy host. ``stopper`` is part of what the walk says of the rule that stops."""

    name: str
    script: str
    ended: ReachOutcome | None  # None: the client is answered
    stopper: str = ""
    counted: bool = True  # whether that rule has a counter
    certain: bool = True


_CHAIN = "nft add table inet wall; nft add chain inet wall c '{ type filter hook %s; }';"
_TABLE = _CHAIN + "nft add rule inet wall c "
_FORWARD = _TABLE % "forward priority -1"
_HOST_NETWORK = """
docker rm --force registry >/dev/null
docker run -d --network host --restart=always --name registry registry:2 >/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do ss -Hltn sport = :5000 | grep -q . && break; sleep 0.5; done
"""
_TO_LEGACY = """
iptables-save >/tmp/docker.rules
iptables -P FORWARD ACCEPT; iptables -F; iptables -t nat -F; iptables -X; iptables -t nat -X
iptables-legacy-restore </tmp/docker.rules
"""
_DOCKER_ACCEPTS = "-d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 5000 -j ACCEPT"

TIMED_OUT, NO_ROUTE, REFUSED = ReachOutcome.TIMED_OUT, ReachOutcome.NO_ROUTE, ReachOutcome.REFUSED

WALLS = (
    Wall("healthy", "true", None),
    Wall("DOCKER-USER drops", "iptables -I DOCKER-USER -i host0 -j DROP", TIMED_OUT, "-A DOCKER-USER -i host0 -j DROP"),
    Wall(
        "DOCKER-USER rejects",
        "iptables -I DOCKER-USER -i host0 -p tcp -m conntrack --ctorigdstport 5000 --ctdir ORIGINAL -j REJECT"
        " --reject-with icmp-host-prohibited",
        NO_ROUTE,
        "icmp-host-prohibited",
    ),
    Wall(
        "DOCKER-USER resets",
        "iptables -I DOCKER-USER -p tcp -m multiport --dports 80,5000:5010 -j REJECT --reject-with tcp-reset",
        REFUSED,
        "tcp-reset",
    ),
    Wall("DOCKER-USER drops others", "iptables -I DOCKER-USER ! -s 10.77.0.0/24 -i host0 -j DROP", None),
    Wall(
        "DOCKER-USER admits others",
        "iptables -I DOCKER-USER -i host0 ! -s 10.99.0.0/16 -m comment --comment 'only the office' -j DROP",
        TIMED_OUT,
        "only the office",
    ),
    Wall(
        "answers dropped", "iptables -I DOCKER-USER -i docker0 -j DROP", TIMED_OUT, "-i docker0 -j DROP", counted=False
    ),
    Wall("FORWARD's jumps gone", "iptables -F FORWARD", TIMED_OUT, "chain FORWARD: policy DROP"),
    Wall("Docker's ACCEPT gone", f"iptables -D DOCKER {_DOCKER_ACCEPTS}", TIMED_OUT, "chain FORWARD: policy DROP"),
    Wall("REJECT above Docker's", "iptables -I FORWARD -j REJECT", REFUSED, "-A FORWARD -j REJECT"),
    Wall("raw drops", "iptables -t raw -A PREROUTING -p tcp --dport 5000 -j DROP", TIMED_OUT, "table raw"),
    Wall(
        "mangle drops", "iptables -t mangle -A FORWARD -d 172.17.0.2 -j DROP", TIMED_OUT, "table mangle, chain FORWARD"
    ),
    Wall("security drops", "iptables -t security -A FORWARD -i host0 -j DROP", TIMED_OUT, "table security"),
    Wall(
        "legacy policy", "iptables-legacy -P FORWARD DROP", TIMED_OUT, "legacy table filter, chain FORWARD: policy DROP"
    ),
    Wall(
        "legacy rule",
        "iptables-legacy -N own; iptables-legacy -A FORWARD -g own; iptables-legacy -A own -o docker0 -j REJECT",
        REFUSED,
        "legacy table filter, chain own",
    ),
    Wall("Docker's rules in legacy", _TO_LEGACY, None),
    Wall(
        "Docker's rules in legacy, the others drop",
        _TO_LEGACY + "iptables -P FORWARD DROP",
        TIMED_OUT,
        "table filter, chain FORWARD: policy DROP",
    ),
    Wall(
        "native policy",
        "nft add table ip wall; nft add chain ip wall c '{ type filter hook forward priority -1; policy drop; }'",
        TIMED_OUT,
        "nft table ip wall, chain c: policy drop",
        counted=False,
    ),
    Wall(
        "native policy behind",
        "nft add table inet wall; nft add chain inet wall c '{ type filter hook forward priority 10; policy drop; };'"
        "; nft add rule inet wall c ct state established,related accept",
        TIMED_OUT,
        "nft table inet wall, chain c: policy drop",
        counted=False,
    ),
    Wall("native reject", _FORWARD + "counter reject with icmpx admin-prohibited", NO_ROUTE, "admin-prohibited"),
    Wall("native reset", _FORWARD + "tcp dport 5000 counter reject with tcp reset", REFUSED, "tcp reset"),
    Wall("native bare reject", _FORWARD + "ip daddr 172.17.0.0/16 counter reject", REFUSED, "reject"),
    Wall(
        "native ingress",
        "nft add table netdev wall; nft add chain netdev wall c '{ type filter hook ingress device"
        " host0 priority 0; }'; nft add rule netdev wall c tcp dport 5000 counter drop",
        TIMED_OUT,
        "netdev wall",
    ),
    Wall(
        "native set",
        "nft add table inet wall; nft add set inet wall bad '{ type ipv4_addr; flags interval;"
        f" elements = {{ 10.1.0.0/16, {CLIENT} }}; }}'; nft add chain inet wall c '{{ type filter hook prerouting"
        " priority -150; }'; nft add rule inet wall c ip saddr @bad counter drop",
        TIMED_OUT,
        "ip saddr @bad counter drop",
    ),
    Wall(
        "native verdict map",
        _CHAIN % "forward priority -1" + "nft add chain inet wall own;"
        'nft add rule inet wall c iifname vmap \'{ "lo" : accept, "host0" : jump own }\';'
        "nft add rule inet wall own meta l4proto tcp ct original proto-dst 5000 counter drop",
        TIMED_OUT,
        "ct original proto-dst 5000 counter drop",
    ),
    Wall(
        "native concatenation",
        _FORWARD + "meta nfproto ipv4 ip saddr . tcp dport '{ 10.77.0.1 . 5000, 10.9.9.9 . 80 }' counter drop",
        TIMED_OUT,
        "counter drop",
    ),
    Wall("native, another port", _FORWARD + "tcp dport != 5000 ct direction original counter drop", None),
    Wall("native, translated ones", _FORWARD + "ct status dnat ct state new counter drop", TIMED_OUT, "ct status dnat"),
    Wall(
        "native, to the host",
        _TABLE % "prerouting priority -300" + "fib daddr type local tcp dport 5000 counter drop",
        TIMED_OUT,
        "fib daddr type local",
    ),
    Wall("a mark", _FORWARD + "meta mark and 0xf == 1 counter drop", None),
    Wall(
        "a rate",
        "iptables -I DOCKER-USER -m limit --limit 100/s -j DROP",
        TIMED_OUT,
        "-m limit",
        certain=False,
    ),
    Wall(
        "another table holds a native rule",
        "nft add rule ip filter DOCKER-USER meta hour 1-2 drop; nft insert rule ip filter DOCKER-USER counter drop",
        TIMED_OUT,
        "nft table ip filter, chain DOCKER-USER: counter drop",
    ),
    Wall(
        "host network, INPUT drops",
        _HOST_NETWORK + "iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT",
        TIMED_OUT,
        "chain INPUT: policy DROP",
    ),
    Wall(
        "host network, INPUT rejects",
        _HOST_NETWORK + "iptables -A INPUT -i host0 -p tcp --dport 5000 -j REJECT --reject-with icmp-admin-prohibited",
        NO_ROUTE,
        "icmp-admin-prohibited",
    ),
    Wall(
        "ufw's way",
        _HOST_NETWORK
        + "for c in before user after; do iptables -N ufw-$c-input; iptables -A INPUT -j ufw-$c-input; done;"
        "iptables -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT;"
        "iptables -A ufw-before-input -m conntrack --ctstate INVALID -j DROP;"
        "iptables -A ufw-before-input -p udp --dport 5353 -j ACCEPT;"
        "iptables -N ufw-not-local; iptables -A ufw-before-input -j ufw-not-local;"
        "iptables -A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN;"
        "iptables -A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN;"
        "iptables -A ufw-not-local -m limit --limit 3/min -j LOG; iptables -A ufw-not-local -j DROP;"
        "iptables -A ufw-user-input -p tcp --dport 22 -j ACCEPT;"
        "iptables -A ufw-after-input -p tcp -m multiport --dports 139,445 -j DROP; iptables -P INPUT DROP",
        TIMED_OUT,
        "chain INPUT: policy DROP",
    ),
)
