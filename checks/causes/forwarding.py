"""Forwarding: published ports of bridge networks are behind NAT, and NAT needs the kernel to forward."""

from checks.causes.cause import Cause, Judgement, died, fail, passed, risk
from checks.causes.kernel import counted
from checks.evidence.networkd import networkd, switched_off_by_networkd
from checks.evidence.origin import who_switched_forwarding
from checks.evidence.packet import RULES, followed, strangers_packet
from checks.facts.addresses import ADDRESSES
from checks.facts.forwarding import FORWARDING, Forwarding
from checks.facts.netfilter import NETFILTER
from checks.facts.network_service import NETWORK_SERVICE
from checks.facts.path import Route
from checks.facts.sysctl_files import SYSCTL_FILES, SysctlFiles, SysctlLine
from checks.look import Look, MissingError
from checks.model import LADDER, Evidence, FixId, ReachOutcome, Stretch, Vantage
from checks.walk import walk

NOT_FORWARDED, NOT_FORWARDED_IPV6 = "IpInAddrErrors", "Ip6InAddrErrors"
"""Rise by one for each packet that would have to be forwarded and may not (seen on Linux 6.18)."""

_OF_IPV6 = "net.ipv6.conf.all.forwarding"


def _ip_forward_off(look: Look) -> Judgement:
    """Every packet for a bridged container is dropped on its way in; on the host itself all answers as ever."""
    forwarding = look.need(FORWARDING)
    if look.by_ipv6:
        return passed("clients come by IPv6, which has a switch of its own")
    if forwarding.ip_forward:
        return passed("net.ipv4.ip_forward = 1")
    sent_on = _sent_on(look)
    if sent_on is None:
        return passed("net.ipv4.ip_forward = 0, but this service is not behind NAT: nothing of it is forwarded")
    if look.outside.ok:
        return passed(f"net.ipv4.ip_forward = 0, yet it {look.outside.says} from outside, through a proxy")
    return fail(
        Evidence("forwarding", "net.ipv4.ip_forward = 0: the host drops what other machines send to its containers"),
        sent_on,
        *_route(look.way.inbound),
        *counted(look, NOT_FORWARDED),
        *_ladder(look),
        *_origin(look),
        sure=_fits(look, look.way.inbound),
    )


def _sent_on(look: Look) -> Evidence | None:
    """What shows that packets for the service have to be forwarded: the container, or the rules if Docker is silent.

    None where they are not. Raises MissingError where neither tells.
    """
    try:
        container = look.bridged
    except MissingError:
        translated = followed(look).translated
        if translated is None or translated[0] in look.need(ADDRESSES).every_address:
            raise
        return Evidence(
            "rules", "the rules send it on to {}:{}, which is none of the host's addresses".format(*translated)
        )
    if container is None:
        return None
    return Evidence("containers", f"container {container.name} is one of them (network {container.network_mode})")


def _interface_forwarding_off(look: Look) -> Judgement:
    """One interface's own switch is off while the host's is on: the way in, or the way of the answers."""
    forwarding = look.need(FORWARDING)
    if look.by_ipv6:
        return passed("clients come by IPv6, of which the host's one switch decides")
    if not forwarding.ip_forward:
        return passed("net.ipv4.ip_forward = 0: that is the switch of all interfaces")
    container = look.bridged
    if container is None:
        return passed("this service is not behind NAT: nothing of it is forwarded")
    off = _off(look, forwarding)
    if not off:
        routes = (look.way.inbound, look.way.outbound)
        return passed(_switched_on(forwarding, [route.interface for route in routes if route is not None]))
    if look.outside.ok:
        return passed(f"net.ipv4.conf.{off[0][0]}.forwarding = 0, yet it {look.outside.says} from outside")
    evidence: list[Evidence] = []
    for name, route, what in off:
        says = f"net.ipv4.conf.{name}.forwarding = 0 while net.ipv4.ip_forward = 1: the host drops {what}"
        evidence += [Evidence("forwarding", says), *_route(route)]
    return fail(
        *evidence,
        *counted(look, NOT_FORWARDED),
        *_ladder(look),
        *_lines_against(look, [name for name, _, _ in off]),
        *_by_networkd(look),
        *_by_network_manager(look),
        sure=all(_fits(look, route) for _, route, _ in off),
    )


def _ipv6_forwarding_off(look: Look) -> Judgement:
    """What clients send by IPv6 is translated, and then has to be forwarded as by IPv4: it has a switch of its own.

    dockerd switches it on when it makes a bridge with IPv6. Where docker-proxy serves them nothing is forwarded.
    """
    if not look.by_ipv6:
        return passed("clients do not come by IPv6")
    forwarding = look.need(look.of_clients(FORWARDING))
    if forwarding.ip_forward:
        return passed(f"{_OF_IPV6} = 1")
    container = look.forwarded
    if container is None:
        return passed(f"{_OF_IPV6} = 0; {look.why_by_proxy or 'this service is not behind NAT'}")
    if look.outside.ok:
        return passed(f"{_OF_IPV6} = 0, yet it {look.outside.says} from outside")
    translated = followed(look).translated
    if translated is None or translated[0] not in container.addresses:
        return passed(f"{_OF_IPV6} = 0, but no rule sends these packets on to the container")
    felt = counted(look, NOT_FORWARDED_IPV6)
    return fail(
        Evidence("forwarding", f"{_OF_IPV6} = 0: the host drops what other machines send to its containers by IPv6"),
        Evidence("rules", f"the rules send it on to {translated[0]}, container {container.name}"),
        *felt,
        *_ladder(look),
        sure=bool(felt) and look.outside.ended is ReachOutcome.TIMED_OUT,
        advice=(
            f"sudo sysctl -w {_OF_IPV6}=1   # now; see the next line first",
            "# who forwards takes no router's word any more; where this host has its IPv6 route from one, before that:",
            "sudo sysctl -w net.ipv6.conf.NIC.accept_ra=2   # NIC: by which that router is reached",
            f"# lastingly: {_OF_IPV6} = 1 in a file of /etc/sysctl.d that none after it contradicts",
        ),
    )


def switched_off(look: Look) -> tuple[str, ...]:
    """The interfaces on the way of a client's packet and of its answer whose own switch is off."""
    return tuple(dict.fromkeys(name for name, _, _ in _off(look, look.need(FORWARDING))))


def _off(look: Look, forwarding: Forwarding) -> list[tuple[str, Route, str]]:
    """These interfaces, the way for which each matters, and what the host drops there."""
    ways = ((look.way.inbound, "what clients send"), (look.way.outbound, "what the container answers"))
    return [
        (name, route, what)
        for route, what in ways
        if route is not None and not forwarding.interfaces.get(name := route.interface, True)
    ]


def _switched_on(forwarding: Forwarding, names: list[str]) -> str:
    return ", ".join(f"net.ipv4.conf.{name}.forwarding = 1" for name in names if name in forwarding.interfaces) or (
        "net.ipv4.ip_forward = 1, and no interface is known to differ"
    )


def _lines_against(look: Look, names: list[str]) -> tuple[Evidence, ...]:
    files = look.may(SYSCTL_FILES)
    keys = {f"net.ipv4.conf.{name}.forwarding" for name in (*names, "*")}
    lines = [line for line in files.lines if line.key in keys and not line.is_on] if files else []
    return tuple(Evidence("sysctl files", line.says) for line in lines)


def _fits(look: Look, route: Route | None) -> bool:
    """Whether all else agrees: a healthy DNAT rule, silence from outside, and no route by the kernel's own word."""
    no_route = route is None or route.device is None
    return _translated(look) and no_route and look.outside.ended is ReachOutcome.TIMED_OUT


def _translated(look: Look) -> bool:
    """Whether a rule sends a client's packet on to the container: Docker's, or of another engine one that it meets."""
    if not look.rules_elsewhere:
        netfilter = look.may(NETFILTER)
        return netfilter is not None and any(netfilter.dnat(look.service.port))
    try:
        sent_to = followed(look).translated
    except MissingError:
        return False
    return sent_to is not None and look.bridged is not None and sent_to[0] in look.bridged.addresses


def _route(route: Route | None) -> tuple[Evidence, ...]:
    return (Evidence("route", f"`{route.question}` answers: {route.answer}"),) if route else ()


def _ladder(look: Look) -> tuple[Evidence, ...]:
    if not look.answers_at(Vantage.HOST):
        return ()
    return (Evidence(LADDER, f"from outside: {look.outside.says}; on the host, by its own address, it answers"),)


def _origin(look: Look) -> tuple[Evidence, ...]:
    """Why it is off, as far as files and the journal tell."""
    files = look.may(SYSCTL_FILES)
    if files is None:
        return who_switched_forwarding(look)
    line = files.at_boot()
    by_dockerd = "" if look.rules_elsewhere else ": dockerd did when it started, and nothing does again"
    says = line.says if line else f"no file switches it on{by_dockerd}"
    return (Evidence("sysctl files", says), *_by_networkd(look), *who_switched_forwarding(look))


def _ip_forward_not_persisted(look: Look) -> Judgement:
    """It is on because dockerd switched it on at its start; nothing would do that again before the next one."""
    if not look.need(FORWARDING).ip_forward:
        return passed("net.ipv4.ip_forward = 0 already")
    if look.bridged is None:
        return passed("this service is not behind NAT")
    files = look.need(SYSCTL_FILES)
    if files.unreadable:
        raise MissingError(SYSCTL_FILES.name, f"cannot read {', '.join(files.unreadable)}")
    deciding = {files.at_boot(), files.by_procps(), files.after_boot.at_boot()}
    against = sorted(line.says for line in deciding if line is not None and not line.is_on)
    by_networkd = _by_networkd(look)
    if against or by_networkd:
        return risk(*((Evidence("sysctl files", "; ".join(against)),) if against else ()), *by_networkd)
    for_all = networkd(look).everywhere
    if for_all is not None:
        return passed(for_all.says)
    if None in deciding:
        return risk(Evidence("sysctl files", _not_kept(files)))
    return passed(_quoted(files.at_boot()))


def _by_networkd(look: Look) -> tuple[Evidence, ...]:
    lines = switched_off_by_networkd(look)
    return tuple(
        Evidence("networkd's files", f"{line.says}, which systemd-networkd does whenever it starts") for line in lines
    )


def _by_network_manager(look: Look) -> tuple[Evidence, ...]:
    """What `nmcli device reapply` does to an interface whose profile says nothing (seen with NetworkManager 1.58)."""
    if not copied_by_network_manager(look):
        return ()
    return (
        Evidence("forwarding", "net.ipv4.conf.default.forwarding = 0, which NetworkManager copies to an interface"),
    )


def copied_by_network_manager(look: Look) -> bool:
    """Whether NetworkManager switches an interface off again whenever it configures it, for want of a word."""
    unit, forwarding = look.may_unit("NetworkManager.service"), look.need(FORWARDING)
    return unit is not None and unit.is_active and not forwarding.interfaces.get("default", True)


def _not_kept(files: SysctlFiles) -> str:
    volatile = files.at_boot()
    if volatile is None or files.after_boot.at_boot() is not None:
        return "no file sets net.ipv4.ip_forward; it is 1 only until something resets it"
    return f"{volatile.says}, and nothing else does: /run is empty after the next boot"


def _forward_policy_open(look: Look) -> Judgement:
    """Nothing ends what strangers have the host send on.

    The policy DROP comes from dockerd, and only where it switches forwarding on itself: not after a persisted 1, and
    not again once another program has set it back (``ufw disable`` does, seen on 0.36).
    """
    if not look.need(FORWARDING).ip_forward:
        return passed("nothing is forwarded")
    look.need_rules_in_iptables()
    trace = walk(look.need(RULES), strangers_packet(look))
    if trace.blocked:
        return passed(trace.stops[-1].says)
    if not trace.clear:
        why = f"whether it ends there is not known: {trace.stops[0].says}" if trace.stops else "they are too many"
        raise MissingError(RULES.name, why)
    files = look.may(SYSCTL_FILES)
    line = files.at_boot() if files else None
    kept_on = f"{line.says}, so that dockerd never sets that policy to DROP" if line is not None and line.is_on else ""
    return risk(
        Evidence("netfilter", "no policy or rule of FORWARD ends it: whoever can reach this host is routed by it"),
        Evidence("sysctl files", kept_on)
        if kept_on
        else Evidence("forwarding", "dockerd sets the policy to DROP only when it finds forwarding off at its start"),
    )


def _network_service_resets_forwarding(look: Look) -> Judgement:
    """Every restart of initscripts' network service leaves forwarding as the files say, and none says 1."""
    service = look.need(NETWORK_SERVICE)
    if not service.installed or not service.resets:
        return passed("no network.service of initscripts that switches forwarding off")
    if not service.enabled and not service.active:
        return passed("network.service is neither active nor enabled")
    if look.bridged is None:
        return passed("this service is not behind NAT")
    line = look.need(SYSCTL_FILES).at_boot()
    if line is not None and line.is_on:
        return passed(f"{line.says}: its start applies that again")
    return risk(
        Evidence("network service", f"a stop of network.service switches forwarding off: {service.resets[0].says}"),
        Evidence("sysctl files", line.says if line else "no file switches it on again when the service starts"),
    )


def _quoted(line: SysctlLine | None) -> str:
    return line.says if line else ""


IP_FORWARD_OFF = Cause(
    "ip-forward-off",
    "IPv4 forwarding is switched off",
    _ip_forward_off,
    rank=40,
    fixes=(FixId.ENABLE_IP_FORWARD,),
    death=died(Stretch.INTO_HOST, of=("IP_INADDRERRORS",)),
)
INTERFACE_FORWARDING_OFF = Cause(
    "interface-forwarding-off",
    "forwarding is switched off on one interface",
    _interface_forwarding_off,
    rank=41,
    fixes=(FixId.ENABLE_INTERFACE_FORWARDING,),
    death=died(Stretch.INTO_HOST, Stretch.BACK_INTO_HOST, of=("IP_INADDRERRORS",)),
)
IPV6_FORWARDING_OFF = Cause(
    "ipv6-forwarding-off",
    "IPv6 forwarding is switched off",
    _ipv6_forwarding_off,
    rank=40,
    death=died(Stretch.INTO_HOST),
)
IP_FORWARD_NOT_PERSISTED = Cause(
    "ip-forward-not-persisted",
    "IPv4 forwarding is on, but not lastingly",
    _ip_forward_not_persisted,
    fixes=(FixId.ENABLE_IP_FORWARD,),
)
FORWARD_POLICY_OPEN = Cause(
    "forward-policy-open", "the host routes between all its networks, for everyone", _forward_policy_open
)
NETWORK_SERVICE_RESETS_FORWARDING = Cause(
    "network-service-resets-forwarding",
    "the next restart of the network service switches forwarding off",
    _network_service_resets_forwarding,
    fixes=(FixId.ENABLE_IP_FORWARD,),
)
