"""Faults that nobody named, made from a seed: `python -m tests.lab random`.

A fault is lines that somebody might type on a host, and what is true of it by the way it is built: where a client's
packet dies, and which causes of the product, if any, say just that. Nothing of it comes from the product, and whether
a fault breaks the service at all is found out on a real host: many do not, and are no faults then.

Pure: the same seed makes the same faults.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

PORT = 5000

_FOREIGN = frozenset({"foreign-firewall-drop"})
_FORWARD_RULES = frozenset({"docker-forward-rule-missing"})
_LED_PAST = frozenset({"docker-forward-rule-bypassed"})
_NAT_RULES = frozenset({"docker-nat-rule-missing"})
_CHAINS = frozenset({"docker-chains-missing"})
_UNROUTABLE = frozenset({"container-unroutable"})
_NO_WAY_BACK = frozenset({"return-route-missing", "return-route-elsewhere"})
_BRIDGE = frozenset({"bridge-down"})
_NOT_LISTENING = frozenset({"container-not-listening"})
_SIZES = frozenset({"mtu-black-hole"})
_NEIGHBOUR = frozenset({"container-neighbour-wrong"})  # true of whatever keeps either from the other's MAC
_IPSEC = frozenset({"ipsec-policy-drop"})
_QUEUE = frozenset({"queue-drops"})
_NO_ROUTE_INSIDE = frozenset({"container-return-route-missing"})
_NOBODY = frozenset[str]()


class Death(StrEnum):
    """Where a client's packet dies: the last place at which a capture on every interface of the host sees it."""

    ON_ARRIVAL = "comes in by the NIC, and is not sent on"
    UNANSWERED_ARP = "who has the container's address is asked on the bridge, and nobody answers"
    ELSEWHERE = "sent on by another interface than the container's bridge"
    ON_BRIDGE = "sent to the bridge, and not on to the container's port of it"
    IN_CONTAINER = "sent to the container, which does not answer"
    REFUSED_BY_CONTAINER = "refused by the container"
    ANSWER_ON_PORT = "answered by the container, and the answer does not come to the host from the bridge"
    ANSWER_ON_BRIDGE = "the answer comes to the host from the bridge, and does not leave by the NIC"
    ANSWER_ELSEWHERE = "the answer leaves by another interface than the one that the question came by"
    ANSWER_GARBLED = "the answer leaves by the NIC, and is none to what the client asked"
    REFUSED_BY_HOST = "refused by the host itself"
    SERVED_BY_HOST = "answered by a program of the host, not by the container"


@dataclass(frozen=True)
class Fault:
    """``lines`` are for a shell on the host, with the names of `PRELUDE`.

    ``deaths``: where the packet may be seen to die, one as a rule; two where it depends on what is cached.
    ``causes``: ids of the product that say what was done; none where it has no name for it, so that each is false.
    """

    kind: str
    lines: str
    deaths: frozenset[Death]
    causes: frozenset[str] = _NOBODY


PRELUDE = """
NIC=host0 BRIDGE=docker0
CONTAINER=$(docker inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' registry)
MAC=$(docker inspect -f '{{.NetworkSettings.Networks.bridge.MacAddress}}' registry)
PID=$(docker inspect -f '{{.State.Pid}}' registry)
VETH=$(ls /sys/class/net/docker0/brif | head -n 1)
inside() { nsenter -t "$PID" -n "$@"; }
again() { docker rm -f registry >/dev/null; docker run -d --restart=always --name registry "$@" >/dev/null; }
# bytecode FILTER: for tc, a program that drops what tcpdump's filter takes (pcap-filter(7); 2 is TC_ACT_SHOT)
bytecode() { tcpdump -ddd -y EN10MB "$1" | sed 's/ 262144$/ 2/' | tr '\\n' ',' | sed 's/,$//'; }
"""
"""What the lines of a fault may use; the client's and the host's address are $CLIENT and $ADDRESS."""

_REFUSED = (Death.REFUSED_BY_HOST, Death.ON_ARRIVAL)
"""A host sends one ICMP error a second to an address: a packet that is refused may end without a word."""

Make = Callable[[random.Random], Fault]


def faults(seed: int) -> Iterator[Fault]:
    """Make faults without an end, none of them twice."""
    chance, made = random.Random(seed), set[str]()  # noqa: S311 - no secret: the same seed makes the same faults
    makers, weights = tuple(KINDS.values()), tuple(_WEIGHTS.get(kind, 1) for kind in KINDS)
    while True:
        fault = chance.choices(makers, weights)[0](chance)
        if fault.lines not in made:
            made.add(fault.lines)
            yield fault


def _fault(kind: str, lines: str, *deaths: Death, causes: frozenset[str] = _NOBODY) -> Fault:
    return Fault(kind, lines, frozenset(deaths), causes)


# What clients send, as it comes in: SSH goes by another port, and is spared by each of them.
_ASKED = (
    "-p tcp --dport 5000",
    "-i $NIC -p tcp --dport 5000",
    "-s $CLIENT -p tcp --dport 5000",
    "-d $ADDRESS -p tcp --dport 5000",
    "-s 10.77.0.0/24 -d $ADDRESS -p tcp --syn --dport 5000",
    "-p tcp -m multiport --dports 4999,5000,5443",
    "-p tcp --dport 4000:6000",
    "-p tcp ! --dport 22",
    "-p tcp --dport 5000 --tcp-flags SYN,ACK SYN",
    "! -s 192.168.7.0/24 -p tcp --dport 5000",
    "-p tcp --dport 5000 -m iprange --src-range 10.0.0.0-10.255.255.255",
    "-p tcp --dport 5000 -m pkttype --pkt-type unicast",
    "-p tcp --dport 5000 -m ttl --ttl-gt 1",
    "-p tcp --dport 5000 -m length --length 40:200",
    "-p tcp --dport 5000 -m mac --mac-source 02:00:0a:4d:00:01",
    "-p tcp --dport 5000 -m tcpmss --mss 500:2000",
    "-p tcp --dport 5000 -m time --datestart 2020-01-01",
    "-p tcp --dport 5000 -m u32 --u32 '0>>28=4'",
    "-p tcp --dport 5000 -m dscp --dscp 0",
    "-p tcp --dport 5000 -m addrtype --src-type UNICAST",
    "-p tcp --dport 5000 -m recent --name seen --set",
)
_ASKED_AND_TRACKED = (
    "-p tcp --dport 5000 -m conntrack --ctstate NEW",
    "-p tcp -m conntrack --ctorigdstport 5000",
    "-p tcp --dport 5000 -m connlimit --connlimit-above 0",
    "-m conntrack --ctorigdst $ADDRESS --ctproto tcp --ctorigdstport 5000",
)
# The same where it is on its way to the container
_SENT_ON = (
    "-i $NIC -o $BRIDGE",
    "-o $BRIDGE -p tcp --dport 5000",
    "-d $CONTAINER",
    "-d 172.17.0.0/16 -p tcp",
    "-i $NIC -m conntrack --ctstate DNAT",
    "-m conntrack --ctstate NEW",
    "! -i $BRIDGE -p tcp --syn",
    "-s $CLIENT -d $CONTAINER -p tcp --dport 5000",
)
_ANSWERS = (
    "-i $BRIDGE -p tcp --sport 5000",
    "-s $CONTAINER -p tcp --sport 5000",
    "-s 172.17.0.0/16 -d 10.77.0.0/24",
    "-p tcp --sport 5000 --tcp-flags SYN,ACK SYN,ACK",
    "-s $CONTAINER -p tcp -m length --length 40:200",
)
_ANSWERS_SENT_ON = ("-i $BRIDGE -o $NIC", "-d $CLIENT -m conntrack --ctdir REPLY", "-o $NIC -p tcp --sport 5000")
_UNREACHABLE = (
    "icmp-port-unreachable",
    "icmp-host-unreachable",
    "icmp-net-unreachable",
    "icmp-proto-unreachable",
    "icmp-host-prohibited",
    "icmp-net-prohibited",
    "icmp-admin-prohibited",
)


def _ended(verdict: str) -> tuple[Death, ...]:
    """How a packet dies of a rule on its way in."""
    if not verdict.lower().startswith("reject"):
        return (Death.ON_ARRIVAL,)
    return (Death.REFUSED_BY_HOST,) if "reset" in verdict else _REFUSED


def _iptables(chance: random.Random) -> Fault:
    """A rule somewhere before Docker's own, which ends what clients send."""
    table, chain = chance.choice(
        (
            ("raw", "PREROUTING"),
            ("mangle", "PREROUTING"),
            ("mangle", "FORWARD"),
            ("mangle", "POSTROUTING"),
            ("filter", "FORWARD"),
            ("filter", "DOCKER-USER"),
            ("filter", "DOCKER-ISOLATION-STAGE-1"),
            ("filter", "DOCKER"),
            ("security", "FORWARD"),
        )
    )
    match = chance.choice(
        {
            "raw": _ASKED,
            "mangle": (*_ASKED, *_ASKED_AND_TRACKED) if chain == "PREROUTING" else _SENT_ON,
        }.get(table, (*_SENT_ON, *_ASKED_AND_TRACKED))
    )
    if chain == "POSTROUTING":
        match = match.replace("-i $NIC ", "").replace("! -i $BRIDGE ", "")
    targets = ["DROP", "DROP", "NFQUEUE --queue-num 9"]
    if table == "filter":
        targets += [f"REJECT --reject-with {how}" for how in (*_UNREACHABLE, "tcp-reset")]
    target = chance.choice(targets)
    if "tcp-reset" in target and "-p tcp" not in match:
        match = f"{match} -p tcp"
    lines = chance.choice(
        (
            f"iptables -t {table} -I {chain} {match} -j {target}",
            (
                f"iptables -t {table} -N site-policy; iptables -t {table} -A site-policy -j {target}\n"
                f"iptables -t {table} -I {chain} {match} -j site-policy"
            ),
        )
    )
    causes = frozenset({"docker-user-drop"}) if chain == "DOCKER-USER" else _FOREIGN
    return _fault("iptables", lines, *_ended(target), causes=causes)


def _iptables_answers(chance: random.Random) -> Fault:
    table, chain = chance.choice(
        (("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("filter", "FORWARD"))
    )
    match = chance.choice(_ANSWERS if chain == "PREROUTING" else (*_ANSWERS, *_ANSWERS_SENT_ON))
    target = chance.choice(("DROP", "DROP", "NFQUEUE --queue-num 9"))
    where = chance.choice((chain, "DOCKER-USER")) if table == "filter" else chain
    causes = frozenset({"docker-user-drop"}) if where == "DOCKER-USER" else _FOREIGN
    lines = f"iptables -t {table} -I {where} {match} -j {target}"
    return _fault("iptables, answers", lines, *_met_by_answers(chain), causes=causes)


def _met_by_answers(hook: str) -> tuple[Death, ...]:
    """With net.bridge.bridge-nf-call-iptables packets meet PREROUTING on the bridge's port already."""
    early = hook.upper() == "PREROUTING"
    return (Death.ANSWER_ON_PORT, Death.ANSWER_ON_BRIDGE) if early else (Death.ANSWER_ON_BRIDGE,)


def _translated_elsewhere(chance: random.Random) -> Fault:
    """A translation ahead of Docker's: to nobody, to another port, to the host itself."""
    match = chance.choice(("-p tcp --dport 5000", "-i $NIC -p tcp --dport 5000", "-s $CLIENT -p tcp --dport 5000"))
    target, *deaths = chance.choice(
        (
            ("DNAT --to-destination 172.17.0.99:5000", Death.ON_ARRIVAL),
            ("DNAT --to-destination $CONTAINER:5999", Death.REFUSED_BY_CONTAINER, Death.ON_ARRIVAL),
            ("DNAT --to-destination 198.51.100.7", Death.ELSEWHERE, Death.ON_ARRIVAL),
            ("REDIRECT --to-ports 5999", Death.REFUSED_BY_HOST),
            ("REDIRECT --to-ports 22", Death.SERVED_BY_HOST),
        )
    )
    lines = f"iptables -t nat -I PREROUTING {match} -j {target}"
    causes = frozenset({"docker-nat-rule-bypassed", "dnat-target-stale"})
    if Death.SERVED_BY_HOST in deaths:
        causes |= {"not-a-registry"}
    return _fault("translated elsewhere", lines, *deaths, causes=causes)


def _rewritten(chance: random.Random) -> Fault:
    """A rule that lets packets through as others than they were."""
    early = "type filter hook prerouting priority -310;"
    late = "type filter hook postrouting priority 300;"
    expired = "TTL --ttl-set 1"
    lines, *deaths = chance.choice(
        (
            (f"iptables -t mangle -A PREROUTING -p tcp --dport 5000 -j {expired}", *_REFUSED),
            (f"iptables -t mangle -A PREROUTING -s $CLIENT -p tcp --dport 5000 -j {expired}", *_REFUSED),
            (f"iptables -t mangle -A PREROUTING -i $BRIDGE -j {expired}", Death.ANSWER_ON_BRIDGE),
            ("iptables -t raw -A PREROUTING -i $BRIDGE -p tcp --sport 5000 -j CT --notrack", Death.ANSWER_GARBLED),
            (_nft("ip site", early, "tcp dport 5000 tcp dport set 5999"), Death.ON_ARRIVAL),
            (_nft("ip site", early, "tcp dport 5000 ip ttl set 1"), *_REFUSED),
            (_nft("ip site", early, "tcp dport 5000 ip daddr set 198.51.100.7"), Death.ON_ARRIVAL),
            (
                _nft("ip site", late, 'oifname "docker0" tcp dport 5000 ip daddr set 172.17.0.77'),
                Death.UNANSWERED_ARP,
                *_REFUSED,
            ),
            (_nft("ip site", late, 'oifname "docker0" tcp dport 5000 tcp dport set 5999'), Death.REFUSED_BY_CONTAINER),
            (_nft("ip site", late, 'oifname "host0" tcp sport 5000 tcp sport set 5999'), Death.ANSWER_GARBLED),
            (
                _nft("ip site", "type nat hook postrouting priority 90;", 'oifname "docker0" snat to 172.17.0.77'),
                Death.IN_CONTAINER,
            ),
        )
    )
    return _fault("rewritten", lines, *deaths)


def _docker_s_rule_gone(chance: random.Random) -> Fault:
    """One of the rules that dockerd wrote is deleted, or flushed with its neighbours."""
    lines, deaths, causes = chance.choice(
        (
            ("iptables -F DOCKER", (Death.ON_ARRIVAL,), _FORWARD_RULES),
            ("iptables -I DOCKER -j RETURN", (Death.ON_ARRIVAL,), _LED_PAST),
            ("iptables -I FORWARD -o $BRIDGE -j RETURN", (Death.ON_ARRIVAL,), _LED_PAST),
            ("iptables -D FORWARD -o $BRIDGE -j DOCKER", (Death.ON_ARRIVAL,), _FORWARD_RULES),
            ("iptables -D DOCKER ! -i $BRIDGE -o $BRIDGE -d $CONTAINER -p tcp --dport 5000 -j ACCEPT",
             (Death.ON_ARRIVAL,), _FORWARD_RULES),
            ("iptables -F FORWARD", (Death.ON_ARRIVAL,), _FORWARD_RULES | _CHAINS),
            ("iptables -D FORWARD -i $BRIDGE ! -o $BRIDGE -j ACCEPT", (Death.ANSWER_ON_BRIDGE,), _FORWARD_RULES),
            ("iptables -t nat -F DOCKER; iptables -I INPUT -p tcp --dport 5000 -j DROP",
             (Death.ON_ARRIVAL,), _NAT_RULES | _FOREIGN),
            (("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
             "iptables -I INPUT -i $NIC -p tcp --dport 5000 -j REJECT"),
             _REFUSED, _NAT_RULES | _CHAINS | _FOREIGN | {"docker-nat-rule-bypassed"}),
            (("iptables -t raw -I PREROUTING -p tcp --dport 5000 -j CT --notrack\n"
             "iptables -I INPUT -p tcp --dport 5000 -j DROP"),
             (Death.ON_ARRIVAL,), _FOREIGN | {"docker-nat-rule-bypassed"}),
            (("iptables -t nat -I PREROUTING -p tcp --dport 5000 -j ACCEPT\n"
             "iptables -I INPUT -p tcp --dport 5000 -j DROP"),
             (Death.ON_ARRIVAL,), _FOREIGN | {"docker-nat-rule-bypassed"}),
        )
    )  # fmt: skip
    return _fault("Docker's rule gone", lines, *deaths, causes=causes)


_NFT_ASKED = (
    "tcp dport 5000",
    'iifname "host0" tcp dport 5000',
    "ip saddr $CLIENT tcp dport 5000",
    "tcp dport { 4999, 5000, 5443 }",
    "tcp dport 4000-6000",
    "meta l4proto tcp th dport 5000",
    "@th,16,16 5000",
    "tcp dport 5000 tcp flags & (syn | ack) == syn",
    "ip ttl > 1 tcp dport 5000",
    "meta length < 200 tcp dport 5000",
    "tcp dport 5000 meta pkttype host",
    "tcp dport 5000 ip dscp cs0",
    "tcp dport 5000 tcp option maxseg size > 100",
    "tcp dport 5000 quota over 1 bytes",
    "tcp dport 5000 meta mark 0",
    "tcp dport != 22 ip protocol tcp ip daddr $ADDRESS",
)
_NFT_SENT_ON = (
    'iifname "host0" oifname "docker0"',
    'oifname "docker0" tcp dport 5000',
    "ip daddr $CONTAINER",
    "ip daddr 172.16.0.0/12 ct state new",
    "ct status dnat ct direction original",
    "ct original proto-dst 5000 ct direction original",
    "ct original ip daddr $ADDRESS ct direction original",
    "ct state new",
    "tcp dport 5000 ct count over 0",
    "oifkind bridge",
    "meta iifgroup default tcp dport 5000",
)
_NFT_ANSWERS = (
    "tcp sport 5000",
    'iifname "docker0" tcp sport 5000',
    "ip saddr $CONTAINER",
    "ip saddr 172.16.0.0/12 ip daddr $CLIENT",
    "tcp sport 5000 tcp flags & (syn | ack) == (syn | ack)",
    "ct direction reply ct status dnat",
)
_NFT_REJECTS = (
    "reject",
    "reject with icmp port-unreachable",
    "reject with icmp host-unreachable",
    "reject with icmp net-unreachable",
    "reject with icmp admin-prohibited",
    "reject with icmp host-prohibited",
    "reject with icmpx admin-prohibited",
    "reject with icmpx no-route",
    "reject with tcp reset",
)


def _nft(table: str, chain: str, rules: str) -> str:
    """A table of nftables with one base chain, as lines."""
    return f"nft -f - <<END\ntable {table} {{\n chain site {{\n  {chain}\n  {rules}\n }}\n}}\nEND"


def _nftables(chance: random.Random) -> Fault:
    """A table of somebody's own, at any hook that a client's packet comes by, at any priority."""
    family, hook = chance.choice(("ip", "inet")), chance.choice(("prerouting", "forward", "forward", "postrouting"))
    priority = chance.choice(
        {"prerouting": (-450, -300, -199, -150, -101)}.get(hook, (-225, -150, -10, 0, 10, 50, 225))
    )
    match = chance.choice(_NFT_ASKED if hook == "prerouting" else _NFT_SENT_ON)
    if hook == "postrouting":
        match = match.replace('iifname "host0" ', "").replace("meta iifgroup default ", "")
    ends = chance.choice(("drop", "counter drop", *(_NFT_REJECTS if hook == "forward" else ("drop",))))
    if ends == "reject with tcp reset" and "tcp" not in match:
        match = f"{match} ip protocol tcp"
    if family == "inet" and "ip " not in match and "icmp " in ends:
        match = f"meta nfproto ipv4 {match}"
    refused = ends.startswith("reject")
    policy, rule = "", f"{match} {ends}"
    if not refused and chance.random() < 0.2:  # one in five
        policy, rule = " policy drop;", "tcp dport != 5000 accept\n  ip protocol icmp accept"
    lines = _nft(f"{family} site", f"type filter hook {hook} priority {priority};{policy}", rule)
    return _fault("nftables", lines, *_ended(ends), causes=_FOREIGN)


def _nftables_answers(chance: random.Random) -> Fault:
    hook = chance.choice(("prerouting", "forward"))
    priority = chance.choice((-150, -10, 0, 20))
    match = chance.choice(_NFT_ANSWERS)
    lines = _nft(
        f"{chance.choice(('ip', 'inet'))} site", f"type filter hook {hook} priority {priority};", f"{match} drop"
    )
    return _fault("nftables, answers", lines, *_met_by_answers(hook), causes=_FOREIGN)


def _netdev(chance: random.Random) -> Fault:
    """At the very interfaces, where iptables has no say."""
    hook, device, match, death = chance.choice(
        (
            ("ingress", "host0", "tcp dport 5000", Death.ON_ARRIVAL),
            ("ingress", "host0", "ip saddr $CLIENT tcp dport 5000", Death.ON_ARRIVAL),
            ("ingress", "host0", "@th,16,16 5000 ip protocol tcp", Death.ON_ARRIVAL),
            ("egress", "docker0", "tcp dport 5000", Death.ON_ARRIVAL),
            ("egress", "docker0", "ip daddr $CONTAINER", Death.ON_ARRIVAL),
            ("egress", "$VETH", "tcp dport 5000", Death.ON_BRIDGE),
            ("ingress", "$VETH", "tcp sport 5000", Death.ANSWER_ON_PORT),
            ("ingress", "$VETH", "ip saddr $CONTAINER", Death.ANSWER_ON_PORT),
            ("ingress", "docker0", "tcp sport 5000", Death.ANSWER_ON_BRIDGE),
            ("egress", "host0", "tcp sport 5000", Death.ANSWER_ON_BRIDGE),
        )
    )
    priority = chance.choice((-500, -10, 0, 300))
    ends = chance.choice(("drop", "counter drop"))
    lines = _nft("netdev site", f'type filter hook {hook} device "{device}" priority {priority};', f"{match} {ends}")
    return _fault("netdev", lines, death, causes=_FOREIGN)


def _bridge_family(chance: random.Random) -> Fault:
    hook, match, death = chance.choice(
        (
            ("output", "ip protocol tcp tcp dport 5000", Death.ON_BRIDGE),
            ("output", "ether daddr $MAC ip protocol tcp", Death.ON_BRIDGE),
            ("output", 'oifname "veth*" ip protocol tcp', Death.ON_BRIDGE),
            ("postrouting", "ip daddr $CONTAINER", Death.ON_BRIDGE),
            ("postrouting", "ether type ip ip protocol tcp tcp dport 5000", Death.ON_BRIDGE),
            ("prerouting", "ip protocol tcp tcp sport 5000", Death.ANSWER_ON_PORT),
            ("prerouting", "ether saddr $MAC ip protocol tcp", Death.ANSWER_ON_PORT),
            ("input", "ip saddr $CONTAINER ip protocol tcp", Death.ANSWER_ON_PORT),
            ("input", 'iifname "veth*" ip protocol tcp', Death.ANSWER_ON_PORT),
        )
    )
    lines = _nft("bridge site", f"type filter hook {hook} priority {chance.choice((-200, 0, 100))};", f"{match} drop")
    return _fault("bridge family", lines, death, causes=_FOREIGN)


def _arp_dropped(chance: random.Random) -> Fault:
    lines = chance.choice(
        (
            _nft("arp site", "type filter hook input priority 0;", 'iifname "docker0" arp operation reply drop'),
            _nft("arp site", "type filter hook output priority 0;", 'oifname "docker0" arp operation request drop'),
            _nft("bridge site", "type filter hook output priority 0;", "ether type arp drop"),
            _nft("bridge site", "type filter hook prerouting priority 0;", "ether type arp ether saddr $MAC drop"),
            _nft("bridge site", "type filter hook input priority 0;", "ether type arp drop"),
        )
    )
    lines += "\nip neigh flush dev $BRIDGE"
    return _fault("ARP dropped", lines, Death.UNANSWERED_ARP, *_REFUSED, causes=_FOREIGN | _NEIGHBOUR)


_LED_AWAY = (Death.ELSEWHERE, Death.ON_ARRIVAL)
"""What is routed away from the bridge leaves by another interface, unless Docker's policy of FORWARD has it before."""

_ENDS = ("blackhole", "unreachable", "prohibit")


def _dead_end(word: str) -> tuple[Death, ...]:
    return (Death.ON_ARRIVAL,) if word == "blackhole" else _REFUSED


_VPN = """\
ip link add vpn0 type veth peer name vpn1; ip link set vpn0 up; ip link set vpn1 up
ip address add 10.99.0.1/24 dev vpn0"""
_GATEWAY = "ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev vpn0"
_Led = tuple[str, tuple[Death, ...]]


def _route(chance: random.Random) -> Fault:
    """A route that takes what is for the container elsewhere."""
    word = chance.choice(_ENDS)
    network = chance.choice(("$CONTAINER/32", "172.17.0.2/31", "172.17.0.0/24"))
    led: tuple[_Led, ...] = (
        (f"ip route add {word} {network}", _dead_end(word)),
        (f"ip route add {network} via 10.77.0.1 dev $NIC", _LED_AWAY),
        (f"ip route add {network} via 10.77.0.201 dev $NIC", _REFUSED),
        (f"ip route add {network} dev $NIC", _REFUSED),
        (f"ip route add {network} dev lo", _LED_AWAY),
        (f"{_VPN}\nip route add {network} via 10.99.0.2 dev vpn0", _REFUSED),
        (f"{_VPN}\n{_GATEWAY}; ip route add {network} via 10.99.0.2 dev vpn0", _LED_AWAY),
        (
            f"{_VPN}\n{_GATEWAY}; iptables -I FORWARD -o vpn0 -j ACCEPT; ip route add {network} via 10.99.0.2 dev vpn0",
            (Death.ELSEWHERE,),
        ),
        (f"ip tuntap add tun7 mode tun; ip link set tun7 up\nip route add {network} dev tun7", _LED_AWAY),
        ("ip route delete 172.17.0.0/16 dev $BRIDGE", _LED_AWAY),
    )
    lines, deaths = chance.choice(led)
    causes = _UNROUTABLE | (_BRIDGE if "delete" in lines else _NOBODY)
    return _fault("route", lines, *deaths, causes=causes)


def _rule(chance: random.Random) -> Fault:
    """A rule of policy routing, about what clients send."""
    word, preference = chance.choice(_ENDS), chance.choice((7, 100, 5210, 32000))
    selector = chance.choice(
        (
            "iif $NIC to 172.17.0.0/16",
            "from $CLIENT to $CONTAINER",
            "iif $NIC from 10.77.0.0/24",
            "to $CONTAINER ipproto tcp",
            "to 172.16.0.0/12 iif $NIC ipproto tcp dport 5000",
        )
    )
    mark = chance.choice((1, 7, 0x80000))
    marks = f"iptables -t mangle -A PREROUTING -p tcp --dport 5000 -j MARK --set-mark {mark}"
    by_gateway = "ip route add default via 10.77.0.1 dev $NIC table 77"
    led: tuple[_Led, ...] = (
        (f"ip rule add {selector} {word} pref {preference}", _dead_end(word)),
        (
            f"ip route add {word} default table 77; ip rule add {selector} lookup 77 pref {preference}",
            _dead_end(word),
        ),
        (f"{by_gateway}\nip rule add {selector} lookup 77 pref {preference}", _LED_AWAY),
        (f"{marks}\nip rule add fwmark {mark} {word} pref {preference}", _dead_end(word)),
        (f"{marks}\n{by_gateway}\nip rule add fwmark {mark} lookup 77 pref {preference}", _LED_AWAY),
    )
    lines, deaths = chance.choice(led)
    return _fault("ip rule", lines, *deaths, causes=_UNROUTABLE)


def _way_back(chance: random.Random) -> Fault:
    """A rule or a route about the answers of the container."""
    word, preference = chance.choice(_ENDS), chance.choice((7, 100, 5210, 32000))
    selector = chance.choice(
        ("iif $BRIDGE", "from $CONTAINER", "from 172.17.0.0/16 to $CLIENT", "iif $BRIDGE ipproto tcp sport 5000")
    )
    rule = f"ip rule add {selector} lookup 88 pref {preference}"
    led: tuple[_Led, ...] = (
        (f"ip rule add {selector} {word} pref {preference}", (Death.ANSWER_ON_BRIDGE,)),
        (f"ip route add {word} default table 88; {rule}", (Death.ANSWER_ON_BRIDGE,)),
        (
            f"{_VPN}\n{_GATEWAY}; ip route add default via 10.99.0.2 dev vpn0 table 88\n{rule}",
            (Death.ANSWER_ELSEWHERE,),
        ),
        (
            (
                "ip neigh add 10.77.0.201 lladdr 02:00:00:00:00:02 dev $NIC\n"
                f"ip route add default via 10.77.0.201 dev $NIC table 88\n{rule}"
            ),
            (Death.ANSWER_GARBLED,),
        ),
    )
    lines, deaths = chance.choice(led)
    return _fault("way back", lines, *deaths, causes=_NO_WAY_BACK)


def _neighbour(chance: random.Random) -> Fault:
    lines, *deaths = chance.choice(
        (
            ("ip neigh replace $CONTAINER lladdr 02:42:ac:11:00:63 dev $BRIDGE nud permanent", Death.IN_CONTAINER),
            ("ip neigh replace $CONTAINER lladdr $(cat /sys/class/net/$BRIDGE/address) dev $BRIDGE nud permanent",
             Death.ON_BRIDGE),
            ("ip neigh replace $CONTAINER lladdr $(cat /sys/class/net/$NIC/address) dev $BRIDGE nud permanent",
             Death.IN_CONTAINER, Death.ON_BRIDGE),
            (("inside ip link set eth0 down; inside ip link set eth0 address 02:42:ac:11:00:63\n"
             "inside ip link set eth0 up; inside ip route add default via 172.17.0.1\n"
             "ip neigh replace $CONTAINER lladdr $MAC dev $BRIDGE nud permanent"), Death.IN_CONTAINER),
            ("inside ip neigh replace 172.17.0.1 lladdr 02:42:ac:11:00:63 dev eth0 nud permanent",
             Death.ANSWER_ON_PORT),
            ("inside sysctl -qw net.ipv4.conf.all.arp_ignore=8; ip neigh flush dev $BRIDGE",
             Death.UNANSWERED_ARP, *_REFUSED),
            ("inside ip link set eth0 arp off; ip neigh flush dev $BRIDGE",
             Death.UNANSWERED_ARP, *_REFUSED),
            ("sysctl -qw net.ipv4.conf.$BRIDGE.arp_ignore=8; inside ip neigh flush dev eth0", Death.ANSWER_ON_PORT,
             Death.IN_CONTAINER),
            ("bridge fdb replace $MAC dev $VETH master permanent; ip neigh flush dev $BRIDGE",
             Death.ON_BRIDGE, Death.UNANSWERED_ARP, *_REFUSED),
            ("bridge fdb replace $MAC dev $BRIDGE self permanent; ip neigh flush dev $BRIDGE",
             Death.ON_BRIDGE, Death.UNANSWERED_ARP),
            (("inside ip address replace 172.17.0.9/16 dev eth0; inside ip address delete $CONTAINER/16 dev eth0\n"
             "inside ip route replace default via 172.17.0.1; ip neigh flush dev $BRIDGE"),
             Death.UNANSWERED_ARP, *_REFUSED),
        )
    )  # fmt: skip
    return _fault("neighbour", lines, *deaths, causes=_NEIGHBOUR)


def _xfrm(chance: random.Random) -> Fault:
    """A policy of IPsec that is left, or has no association."""
    asked = chance.random() < 0.6  # as likely as not, and a little more
    direction = chance.choice(("fwd", "out"))
    selector = chance.choice(
        ("src $CLIENT dst $CONTAINER", "src 10.77.0.0/24 dst 172.17.0.0/16", "src 0.0.0.0/0 dst $CONTAINER proto tcp")
        if asked
        else (
            "src $CONTAINER dst $CLIENT",
            "src 172.17.0.0/16 dst 10.77.0.0/24",
            "src $CONTAINER dst 0.0.0.0/0 proto tcp",
        )
    )
    what = chance.choice(("action block", "tmpl src $ADDRESS dst 10.77.0.201 proto esp mode tunnel"))
    lines = f"ip xfrm policy add {selector} dir {direction} {what}"
    return _fault("xfrm", lines, Death.ON_ARRIVAL if asked else Death.ANSWER_ON_BRIDGE, causes=_IPSEC)


def _sysctl(chance: random.Random) -> Fault:
    lines, death, causes = chance.choice(
        (
            ("sysctl -qw net.ipv4.ip_forward=0", Death.ON_ARRIVAL, frozenset({"ip-forward-off"})),
            ("sysctl -qw net.ipv4.conf.all.forwarding=0", Death.ON_ARRIVAL, frozenset({"ip-forward-off"})),
            ("sysctl -qw net.ipv4.conf.$NIC.forwarding=0", Death.ON_ARRIVAL, frozenset({"interface-forwarding-off"})),
            ("sysctl -qw net.ipv4.conf.$BRIDGE.forwarding=0", Death.ANSWER_ON_BRIDGE,
             frozenset({"interface-forwarding-off"})),
            ("inside sysctl -qw net.ipv4.ip_default_ttl=1", Death.ANSWER_ON_BRIDGE, _NOBODY),
            (
                ("ip link add vpn0 type veth peer name vpn1; ip link set vpn0 up; ip link set vpn1 up\n"
                "ip route add default dev vpn0 table 99; sysctl -qw net.ipv4.conf.$BRIDGE.rp_filter=1\n"
                "ip rule add from $CLIENT to $CONTAINER iif lo lookup 99 pref 9"),
                Death.ANSWER_ON_BRIDGE,
                frozenset({"reverse-path-filter"}),
            ),
            (("inside sysctl -qw net.ipv4.conf.eth0.rp_filter=1; inside ip route del default\n"
             "inside ip route add 172.17.0.1 dev eth0"), Death.IN_CONTAINER, _NO_ROUTE_INSIDE),
        )
    )  # fmt: skip
    return _fault("sysctl", lines, death, causes=causes)


def _tc(chance: random.Random) -> Fault:
    """Traffic control, which comes before any packet filter on the way in and after it on the way out."""
    asked = chance.choice(("tcp dst port 5000", "dst port 5000", "tcp dst portrange 4990-5010"))
    answers = chance.choice(("tcp src port 5000", "src port 5000 and tcp"))
    lines, death = chance.choice(
        (
            (f'tc filter add dev $NIC ingress bpf da bytecode "$(bytecode "{asked}")"', Death.ON_ARRIVAL),
            (f'tc filter add dev $NIC egress bpf da bytecode "$(bytecode "{answers}")"', Death.ANSWER_ON_BRIDGE),
            (f'tc filter add dev $BRIDGE egress bpf da bytecode "$(bytecode "{asked}")"', Death.ON_ARRIVAL),
            (f'tc filter add dev $BRIDGE ingress bpf da bytecode "$(bytecode "{answers}")"', Death.ANSWER_ON_BRIDGE),
            (f'tc filter add dev $VETH egress bpf da bytecode "$(bytecode "{asked}")"', Death.ON_BRIDGE),
            (f'tc filter add dev $VETH ingress bpf da bytecode "$(bytecode "{answers}")"', Death.ANSWER_ON_PORT),
            ("tc qdisc replace dev $BRIDGE root pfifo limit 0", Death.ON_ARRIVAL),
            ("tc qdisc replace dev $BRIDGE root tbf rate 8bit burst 40 limit 40", Death.ON_ARRIVAL),
            ("tc qdisc replace dev $VETH root pfifo limit 0", Death.ON_BRIDGE),
            ("tc qdisc replace dev $VETH root tbf rate 8bit burst 40 limit 40", Death.ON_BRIDGE),
            ("inside tc qdisc replace dev eth0 root pfifo limit 0", Death.IN_CONTAINER),
            ("inside tc qdisc replace dev eth0 root tbf rate 8bit burst 40 limit 40", Death.IN_CONTAINER),
        )
    )
    if " filter " in lines:
        device = lines.split(" dev ")[1].split()[0]
        lines = f"tc qdisc add dev {device} clsact\n{lines}"
    return _fault("tc", lines, death, causes=_QUEUE)


def _bridge(chance: random.Random) -> Fault:
    """The bridge and its port, as devices."""
    no_arp = (Death.UNANSWERED_ARP, *_REFUSED)
    state = chance.choice((0, 1, 2, 4))
    lines, deaths, causes = chance.choice(
        (
            (f"bridge link set dev $VETH state {state}", (Death.ON_BRIDGE, *no_arp), _BRIDGE | _NEIGHBOUR),
            (f"bridge link set dev $VETH state {state}; ip neigh flush dev $BRIDGE", no_arp, _BRIDGE | _NEIGHBOUR),
            (("bridge link set dev $VETH flood off; bridge link set dev $VETH learning off\n"
             "bridge fdb delete $MAC dev $VETH master"), (Death.ON_BRIDGE,), _NOBODY),
            ("bridge link set dev $VETH bcast_flood off; ip neigh flush dev $BRIDGE", no_arp, _NEIGHBOUR),
            ("bridge link set dev $VETH locked on; bridge fdb delete $MAC dev $VETH master",
             (Death.ANSWER_ON_PORT, *no_arp), _NOBODY),
            ("ip link set $VETH nomaster", (Death.ON_BRIDGE, *no_arp, Death.ELSEWHERE), _BRIDGE),
            ("ip link set $VETH down", (Death.ON_BRIDGE, *no_arp, Death.ELSEWHERE), _BRIDGE),
            ("ip link add br-lan type bridge; ip link set br-lan up; ip link set $VETH master br-lan",
             (Death.ON_BRIDGE, *no_arp, Death.ELSEWHERE), _BRIDGE),
            ("ip link set $BRIDGE down", (Death.ELSEWHERE, *_REFUSED), _BRIDGE),
            ("ip link set $BRIDGE arp off; ip neigh flush dev $BRIDGE", (Death.ON_BRIDGE, *no_arp), _NEIGHBOUR),
            ("ip address flush dev $BRIDGE", (Death.ELSEWHERE, *no_arp), _BRIDGE),
            ("ip address add 172.18.0.1/16 dev $BRIDGE; ip address delete 172.17.0.1/16 dev $BRIDGE",
             (Death.ELSEWHERE, *no_arp), _BRIDGE | _UNROUTABLE),
            ("ip link set $VETH mtu 68", (Death.ON_BRIDGE, Death.IN_CONTAINER), _SIZES),
            ("inside ip link set eth0 mtu 68", (Death.IN_CONTAINER, Death.ON_BRIDGE), _SIZES),
            ("ip address add $CONTAINER/32 dev lo",
             (Death.REFUSED_BY_HOST, Death.SERVED_BY_HOST, Death.ON_ARRIVAL), _NOBODY),
            ("ip link set $BRIDGE mtu 68; iptables -I OUTPUT -p icmp -j DROP",
             (Death.ON_ARRIVAL, Death.ANSWER_ON_PORT), _SIZES),
        )
    )  # fmt: skip
    return _fault("bridge", lines, *deaths, causes=causes)


def _inside(chance: random.Random) -> Fault:
    """The container's own network: a firewall of its own, its routes, its address."""
    drop = chance.choice(
        ("DROP", "REJECT", "REJECT --reject-with tcp-reset", "REJECT --reject-with icmp-host-prohibited")
    )
    refuses = Death.REFUSED_BY_CONTAINER if "REJECT" in drop else Death.IN_CONTAINER
    word = chance.choice(_ENDS)
    lines, *deaths = chance.choice(
        (
            (f"inside iptables -I INPUT -p tcp --dport 5000 -j {drop}", refuses),
            (f"inside iptables -I INPUT ! -s 172.17.0.0/16 -p tcp -j {drop}", refuses),
            ("inside iptables -P INPUT DROP", Death.IN_CONTAINER),
            ("inside iptables -t raw -I PREROUTING -p tcp --dport 5000 -j DROP", Death.IN_CONTAINER),
            ("inside iptables -I OUTPUT -p tcp --sport 5000 -j DROP", Death.IN_CONTAINER),
            ("inside iptables -t nat -I PREROUTING -p tcp --dport 5000 -j REDIRECT --to-ports 5999",
             Death.REFUSED_BY_CONTAINER),
            ("inside " + _nft("inet own", "type filter hook input priority 0;", "ip saddr $CLIENT drop"),
             Death.IN_CONTAINER),
            ("inside ip route delete default", Death.IN_CONTAINER),
            (f"inside ip route add {word} 10.77.0.0/24", Death.IN_CONTAINER, Death.REFUSED_BY_CONTAINER),
            ("inside ip route replace default via 172.17.0.99", Death.IN_CONTAINER),
            ("inside ip rule add to 10.77.0.0/24 blackhole pref 50", Death.IN_CONTAINER),
            ("inside ip xfrm policy add src $CLIENT dst $CONTAINER dir in action block", Death.IN_CONTAINER),
            ("inside ip link set eth0 down",
             Death.ON_BRIDGE, Death.IN_CONTAINER, Death.UNANSWERED_ARP, *_REFUSED),
            ("inside ip address delete $CONTAINER/16 dev eth0",
             Death.IN_CONTAINER, Death.UNANSWERED_ARP, *_REFUSED),
            ("inside ip address add $CLIENT/32 dev lo", Death.IN_CONTAINER),
        )
    )  # fmt: skip
    causes = _NO_ROUTE_INSIDE if "ip route" in lines or "ip rule" in lines else _NOBODY
    causes = frozenset({"container-interface-down"}) if "eth0 down" in lines else causes
    return _fault("inside the container", lines, *deaths, causes=causes)


def _container(chance: random.Random) -> Fault:
    """How the container is run."""
    publish = chance.choice(("-p 5000:5000", "-p 0.0.0.0:5000:5000", "-p $ADDRESS:5000:5000"))
    other = chance.choice((80, 5001, 5443))
    lines, deaths, causes = chance.choice(
        (
            ("docker pause registry >/dev/null", (Death.IN_CONTAINER,), frozenset({"container-paused"})),
            ("kill -STOP $PID", (Death.IN_CONTAINER,), frozenset({"container-unhealthy"})),
            ("docker stop registry >/dev/null", (Death.REFUSED_BY_HOST,), frozenset({"container-stopped"})),
            ("docker kill registry >/dev/null", (Death.REFUSED_BY_HOST,), frozenset({"container-stopped"})),
            ("docker rm -f registry >/dev/null", (Death.REFUSED_BY_HOST,), frozenset({"container-missing"})),
            (f"again -p 5000:{other} registry:2", (Death.REFUSED_BY_CONTAINER,), _NOT_LISTENING),
            (f"again {publish} -e REGISTRY_HTTP_ADDR=0.0.0.0:{other} registry:2", (Death.REFUSED_BY_CONTAINER,),
             _NOT_LISTENING),
            (f"again {publish} -e REGISTRY_HTTP_ADDR=127.0.0.1:5000 registry:2", (Death.REFUSED_BY_CONTAINER,),
             frozenset({"container-listens-on-loopback"})),
            ("again -p 127.0.0.1:5000:5000 registry:2", (Death.REFUSED_BY_HOST,), frozenset({"published-on-loopback"})),
            (f"again -p {other}:5000 registry:2", (Death.REFUSED_BY_HOST,), frozenset({"port-not-published"})),
            ("docker network create --internal inner >/dev/null; again -p 5000:5000 --network inner registry:2",
             (Death.REFUSED_BY_HOST,), frozenset({"port-not-published"})),
            ("docker network disconnect bridge registry", (Death.REFUSED_BY_HOST,),
             frozenset({"port-not-published"})),
            (f"again {publish} --network none registry:2", (Death.REFUSED_BY_HOST,), frozenset({"port-not-published"})),
            (("docker network create site >/dev/null; docker network connect site registry\n"
             "docker network disconnect bridge registry; ip link set $(ip -o -4 address show to 172.18.0.1 |"
             " cut -d ' ' -f 2) down"), (Death.ELSEWHERE, *_REFUSED), _BRIDGE),
            ("again --network host -e REGISTRY_HTTP_ADDR=127.0.0.1:5000 registry:2", (Death.REFUSED_BY_HOST,),
             frozenset({"container-listens-on-loopback"})),
        )
    )  # fmt: skip
    return _fault("container", lines, *deaths, causes=causes)


def _on_host_network(chance: random.Random) -> Fault:
    """The registry on the host's own network, where INPUT decides and nothing is translated."""
    again = "again --network host registry:2"
    match = chance.choice((*_ASKED, "-p tcp --dport 5000 -m conntrack --ctstate NEW"))
    target = chance.choice(("DROP", "DROP", *(f"REJECT --reject-with {how}" for how in (*_UNREACHABLE, "tcp-reset"))))
    nft_rule = chance.choice(("drop", *_NFT_REJECTS))
    iptables = (f"iptables -I INPUT {match} -j {target}", target, _FOREIGN)
    lines, verdict, causes = chance.choice(
        (
            iptables,
            iptables,
            (_nft("inet site", f"type filter hook input priority {chance.choice((-10, 0, 10))};",
                  f"meta nfproto ipv4 tcp dport 5000 {nft_rule}"), nft_rule, _FOREIGN),
            ("ip xfrm policy add src $CLIENT dst $ADDRESS proto tcp dport 5000 dir in action block", "", _IPSEC),
            ("ip rule add from $ADDRESS ipproto tcp sport 5000 blackhole pref 50", "", _NO_WAY_BACK),
            ("iptables -I OUTPUT -p tcp --sport 5000 -j DROP", "", _FOREIGN),
        )
    )  # fmt: skip
    return _fault(
        "on the host's network",
        f"{again}; until ss -Hltn sport = :5000 | grep -q .; do sleep 0.1; done\n{lines}",
        *_ended(verdict),
        causes=causes,
    )


KINDS: Mapping[str, Make] = {
    "iptables": _iptables,
    "iptables, answers": _iptables_answers,
    "translated elsewhere": _translated_elsewhere,
    "rewritten": _rewritten,
    "Docker's rule gone": _docker_s_rule_gone,
    "nftables": _nftables,
    "nftables, answers": _nftables_answers,
    "netdev": _netdev,
    "bridge family": _bridge_family,
    "ARP dropped": _arp_dropped,
    "route": _route,
    "ip rule": _rule,
    "way back": _way_back,
    "neighbour": _neighbour,
    "xfrm": _xfrm,
    "sysctl": _sysctl,
    "tc": _tc,
    "bridge": _bridge,
    "inside the container": _inside,
    "container": _container,
    "on the host's network": _on_host_network,
}

_WEIGHTS = {"iptables": 3, "nftables": 3, "route": 2, "ip rule": 2, "tc": 2, "bridge": 2, "inside the container": 2}
