"""Forwarding: published ports of bridge networks are behind NAT, and NAT needs the kernel to forward."""

from checks.causes.cause import Cause, Judgement, Look, MissingError, fail, passed, risk
from checks.facts.forwarding import FORWARDING
from checks.facts.netfilter import NETFILTER
from checks.facts.sysctl_files import SYSCTL_FILES, SysctlLine
from checks.model import Ended, Evidence, Vantage


def _ip_forward_off(look: Look) -> Judgement:
    """Every packet for a bridged container is dropped on its way in; on the host itself all answers as ever."""
    if look.need(FORWARDING).ip_forward:
        return passed("net.ipv4.ip_forward = 1")
    container = look.bridged
    if container is None:
        return passed("net.ipv4.ip_forward = 0, but this service is not behind NAT: nothing of it is forwarded")
    if look.outside.ok:
        return passed(f"net.ipv4.ip_forward = 0, yet it {look.outside.says} from outside, through docker-proxy")
    evidence = (
        Evidence("forwarding", "net.ipv4.ip_forward = 0: the host drops what other machines send to its containers"),
        Evidence("containers", f"container {container.name} is one of them (network {container.network_mode})"),
    )
    return fail(*evidence, *_route(look), *_ladder(look), *_origin(look), sure=_fits(look))


def _fits(look: Look) -> bool:
    """Whether all else agrees: a healthy DNAT rule, silence from outside, and no route by the kernel's own word."""
    netfilter, inbound = look.may(NETFILTER), look.way.inbound
    dnat = netfilter is not None and any(netfilter.dnat(look.service.port))
    no_route = inbound is None or inbound.device is None
    return dnat and no_route and look.outside.ended is Ended.TIMED_OUT


def _route(look: Look) -> tuple[Evidence, ...]:
    inbound = look.way.inbound
    return (Evidence("route", f"`{inbound.question}` answers: {inbound.answer}"),) if inbound else ()


def _ladder(look: Look) -> tuple[Evidence, ...]:
    if not look.answers_at(Vantage.HOST):
        return ()
    return (Evidence("path", f"from outside: {look.outside.says}; on the host, by its own address, it answers"),)


def _origin(look: Look) -> tuple[Evidence, ...]:
    """Why it is off, as far as files tell."""
    files = look.may(SYSCTL_FILES)
    if files is None:
        return ()
    line = files.at_boot()
    says = line.says if line else "no file switches it on: dockerd did when it started, and nothing does again"
    return (Evidence("sysctl files", says),)


def _ip_forward_not_persisted(look: Look) -> Judgement:
    """It is on because dockerd switched it on at its start; nothing would do that again before the next one."""
    if not look.need(FORWARDING).ip_forward:
        return passed("net.ipv4.ip_forward = 0 already")
    if look.bridged is None:
        return passed("this service is not behind NAT")
    files = look.need(SYSCTL_FILES)
    if files.unreadable:
        raise MissingError(SYSCTL_FILES.name, f"cannot read {', '.join(files.unreadable)}")
    deciding = {files.at_boot(), files.by_procps()}
    against = sorted(line.says for line in deciding if line is not None and line.value == "0")
    if against:
        return risk(Evidence("sysctl files", "; ".join(against)))
    if None in deciding:
        return risk(
            Evidence("sysctl files", "no file sets net.ipv4.ip_forward; it is 1 only until something resets it")
        )
    return passed(_quoted(files.at_boot()))


def _quoted(line: SysctlLine | None) -> str:
    return line.says if line else ""


IP_FORWARD_OFF = Cause(
    "ip-forward-off", "IPv4 forwarding is switched off", _ip_forward_off, rank=40, fixes=("enable-ip-forward",)
)
IP_FORWARD_NOT_PERSISTED = Cause(
    "ip-forward-not-persisted",
    "IPv4 forwarding is on, but not lastingly",
    _ip_forward_not_persisted,
    fixes=("enable-ip-forward",),
)
