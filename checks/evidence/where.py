"""The commands that look at the place where a packet died."""

from checks.evidence.journey import segment
from checks.look import Look, MissingError
from checks.model import Segment, Stretch

_BY_REASON = {
    "NETFILTER_DROP": (
        "sudo nft list ruleset; sudo iptables-save -c   # which rule's counter rises while a client tries?",
    ),
    "XFRM_POLICY": ("sudo ip xfrm policy; sudo ip -s xfrm state   # IPsec: which policy covers these addresses?",),
    "IP_RPFILTER": ("sysctl -a 2>/dev/null | grep '\\.rp_filter'; ip route   # is the way back another one?",),
    "TC_INGRESS": ("tc filter show dev {nic} ingress   # and `bpftool net` where a program of BPF is attached",),
    "TC_EGRESS": ("tc filter show dev {nic} egress   # and `bpftool net` where a program of BPF is attached",),
    "QDISC_DROP": ("tc -s qdisc   # which queue drops?",),
    "OTHERHOST": ("ip neigh; bridge fdb   # whose hardware address is that, and is it set by hand (PERMANENT)?",),
    "TCP_LISTEN_OVERFLOW": ("ss -ltn   # Recv-Q of the listener: is the program busy or hung?",),
    "SECURITY_HOOK": ("sudo journalctl -k -g 'apparmor|avc|audit' -n 20   # what a security module refused",),
}
_BY_STRETCH = {
    Stretch.BEFORE_HOST: (
        "sudo tcpdump -ni any tcp port {port}   # on {host}, while a client tries: nothing comes",
        "# look at what is between: a cloud's security group, a hardware firewall, an ACL of a switch",
    ),
    Stretch.INTO_HOST: (
        "ip rule; ip route get {container} from {client} iif {nic}   # where would the host send it?",
        "sudo nft list ruleset; sudo iptables-save -c; tc filter show dev {nic} ingress   # what may end it",
    ),
    Stretch.REFUSED_BY_HOST: (
        "sudo ss -ltnp   # who listens on {port}, and on which address?",
        "sudo nft list ruleset; sudo iptables-save -c   # which rule rejects?",
    ),
    Stretch.TAKEN_BY_HOST: (
        "sudo ss -ltnp sport = :{port}   # whose program accepts it?",
        "sudo iptables -t nat -S; sudo nft list ruleset   # what should send it on to the container (DNAT)?",
    ),
    Stretch.ELSEWHERE: (
        "ip rule; ip route get {container} from {client} iif {nic}   # which rule and table send it there?",
    ),
    Stretch.TO_CONTAINER: (
        "ip neigh show to {container}; bridge fdb; bridge link   # is the container plugged in, and known there?",
        "docker inspect -f '{{{{json .NetworkSettings.Networks}}}}' {name}   # has it that address?",
    ),
    Stretch.IN_CONTAINER: (
        "docker top {name}; docker logs --tail 20 {name}   # does its program live?",
        "sudo nsenter -n -t $(docker inspect -f '{{{{.State.Pid}}}}' {name}) ss -ltn   # and iptables-save, ip route",
    ),
    Stretch.BACK_INTO_HOST: (
        "ip rule; ip route get {client} from {container} iif BRIDGE   # where would the host send the answer?",
        "sudo nft list ruleset; sudo iptables-save -c; sudo ip xfrm policy   # what may end it",
    ),
    Stretch.BACK_ELSEWHERE: (
        "ip rule; ip route get {client} from {container} iif BRIDGE   # which rule and table send the answer there?",
    ),
    Stretch.BACK_UNTRANSLATED: (
        "sudo conntrack -L -p tcp --dport {port}; sudo iptables -t raw -S   # is the connection tracked (NOTRACK)?",
    ),
    Stretch.AFTER_HOST: (
        "# look at the way back to {client}: another firewall that sees only the answers, a router, its own firewall",
    ),
}
_BY_STRETCH[Stretch.REFUSED_BY_CONTAINER] = _BY_STRETCH[Stretch.IN_CONTAINER]
_INSIDE = {
    "NETFILTER_DROP": (
        "sudo nsenter -n -t $(docker inspect -f '{{{{.State.Pid}}}}' {name}) iptables-save -c   # its own firewall",
    ),
    "OTHERHOST": _BY_REASON["OTHERHOST"],
}
"""Reasons of what is dropped in the container's own network namespace."""


def where_to_look(look: Look) -> tuple[str, ...]:
    """Commands for a person, for where the packet died; none where that was not seen."""
    found = segment(look)
    return tuple(_in_family(look, line).format(**_names(look)) for line in _lines(found)) if found else ()


def _in_family(look: Look, line: str) -> str:
    """As one asks about packets of IPv6: `ip route get` knows it by the address."""
    return line.replace("iptables", "ip6tables").replace("ip rule", "ip -6 rule") if look.by_ipv6 else line


def _lines(found: Segment) -> tuple[str, ...]:
    inside = found.stretch in {Stretch.IN_CONTAINER, Stretch.REFUSED_BY_CONTAINER}
    by_reason = _INSIDE if inside else _BY_REASON
    return tuple(dict.fromkeys((*by_reason.get(found.reason, ()), *_BY_STRETCH[found.stretch])))


def _names(look: Look) -> dict[str, object]:
    try:
        container = look.bridged or look.container
    except MissingError:
        container = None
    inbound = look.way.inbound
    return {
        "host": look.host.name,
        "port": look.service.port,
        "client": look.way.client or "CLIENT",
        "nic": (inbound.interface if inbound else "") or "NIC",
        "container": next(iter(container.addresses), "ADDRESS") if container else look.service.target,
        "name": container.name if container else "CONTAINER",
    }
