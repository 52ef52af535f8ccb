"""firewalld: a closed port matters only to packets that go to the host itself."""

import ipaddress
import re
import shlex

from checks.causes.cause import BY_A_RULE, Cause, Judgement, fail, passed, risk
from checks.causes.daemon import starts_once_more
from checks.causes.docker_rules import inside, not_by_iptables
from checks.evidence.packet import Blocker, Owner, agrees, blockers, known_blockers
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import CONTAINERS, ENGINE
from checks.facts.firewalld import FIREWALLD, Firewalld, Zone
from checks.facts.netfilter import NETFILTER
from checks.facts.sockets import SOCKETS
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, ReachOutcome, Vantage
from checks.walk import Hook

_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
_PANIC = "firewalld_policy_drop"  # the table that firewall-cmd --panic-on makes (nftables backend)
_RICH = re.compile(r"(filter_)?IN_\w+_(deny|pre|post)")  # chains of both backends
_AS_A_FIREWALL_DOES = {ReachOutcome.NO_ROUTE, ReachOutcome.TIMED_OUT, ReachOutcome.REFUSED}


def _firewalld_port_closed(look: Look) -> Judgement:
    """The port is listed nowhere in the zone, and no DNAT rule takes the packets past INPUT.

    firewalld accepts what was translated (``ct status dnat``, since 0.7.0), so behind a healthy DNAT rule an unlisted
    port is as it should be. Where Docker's chains are gone that is the cause, not the port.
    """
    firewalld, port = look.need(FIREWALLD), look.service.port
    not_met = _not_met(look, firewalld)
    if not_met:
        return passed(not_met)
    if look.container is None and look.answers_at(Vantage.HOST) is not True:
        raise MissingError(CONTAINERS.name, f"nothing on the host answers on {port}: where its packets go is not known")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    interface, zone, sure = ruling_zone(look, firewalld)
    blocker = _of_firewalld(look, Hook.INPUT)
    admitted = firewalld.admits(zone, port)
    if admitted and blocker is None:
        return passed(f"open: {admitted}")
    if blocker is not None and _is_of_a_rich_rule(blocker, zone):
        return passed("a rich rule goes before the zone's ports: see firewalld-rich-rule")
    evidence = (
        Evidence("firewalld", _shown(zone, interface)),
        Evidence("path", f"nothing translates port {port}: its packets meet the host's own firewall"),
        *(blocker.evidence if blocker else ()),
        Evidence("path", f"from outside: {look.outside.says}; on the host: {_inside(look)}"),
    )
    ends = _AS_A_FIREWALL_DOES | ({ReachOutcome.FAILED} if look.by_ipv6 else set())  # "Permission denied": icmpx
    fits = look.outside.ended in ends and look.answers_at(Vantage.HOST) is True
    proven = agrees(look, blocker) if blocker else not any(str(port) in rule for rule in zone.rich_rules)
    return fail(*evidence, sure=sure and fits and proven)


def _firewalld_rich_rule(look: Look) -> Judgement:
    """A rich rule of the zone turns these clients away. It goes before the zone's ports: whether those are open or not.

    As of firewalld(5.richlanguage): what rejects or drops stands in the zone's chain ``deny``, or by its priority in
    ``pre`` or ``post``. Behind Docker's DNAT it is not asked: those packets are forwarded.
    """
    firewalld = look.need(FIREWALLD)
    not_met = _not_met(look, firewalld)
    if not_met:
        return passed(not_met)
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    _, zone, _ = ruling_zone(look, firewalld)
    blocker = _of_firewalld(look, Hook.INPUT)
    if blocker is None or not _is_of_a_rich_rule(blocker, zone):
        return passed(f"no rich rule of zone {zone.name} ends a client's packet")
    denying = [rule for rule in zone.rich_rules if _denies(rule)]
    return fail(
        *blocker.evidence,
        *(Evidence("firewalld", f"zone {zone.name}: {rule}") for rule in denying),
        Evidence(
            "firewalld", f"the port itself is {'open' if firewalld.admits(zone, look.service.port) else 'closed'}"
        ),
        Evidence("path", f"from outside: {look.outside.says}; on the host: {_inside(look)}"),
        sure=agrees(look, blocker) and look.answers_at(Vantage.HOST) is True,
        advice=(
            "# somebody's policy: ask who made that rule, and what for. To take it away, now and for the next starts:",
            *(
                f"sudo firewall-cmd --zone={zone.name} --remove-rich-rule={shlex.quote(rule)}{kept}"
                for rule in denying
                for kept in ("", " --permanent")
            ),
        ),
    )


def _is_of_a_rich_rule(blocker: Blocker, zone: Zone) -> bool:
    return bool(_RICH.fullmatch(blocker.stop.place.chain)) and any(_denies(rule) for rule in zone.rich_rules)


def _denies(rich_rule: str) -> bool:
    return rich_rule.rsplit(" ", maxsplit=1)[-1] in {"reject", "drop"} or " reject " in rich_rule


def _not_met(look: Look, firewalld: Firewalld) -> str:
    """Why the ports that firewalld admits are nothing to the packets of this service; empty where they may matter."""
    port = look.service.port
    if not firewalld.running:
        return "firewalld is not running" if firewalld.installed else "firewalld is not installed"
    by_docker = look.bridged is not None and not not_by_iptables(look)
    netfilter = look.rules_for_clients if by_docker else look.may(look.of_clients(NETFILTER))
    rule = next(netfilter.dnat(port), None) if netfilter else None
    if rule is not None:
        return f"{port}/tcp need not be open: packets take the DNAT rule `{rule.spec}` and never meet INPUT"
    if by_docker:
        return f"{port}/tcp need not be open once Docker's DNAT rule is back; that rule is missing"
    sockets, container = look.may(SOCKETS), look.container
    returns = container is not None and container.on_host_network and not container.running
    if sockets is not None and not any(one.port == port for one in sockets) and not returns:
        return f"nothing on the host listens on {port}: an open port would lead nowhere"
    return ""


def _firewalld_forward_reject(look: Look) -> Judgement:
    """The packet is translated, and firewalld rejects what is forwarded: its bridge is in no zone, or ports are strict.

    StrictForwardPorts (firewalld 2.3.0) takes the acceptance of all that was translated away; before 0.7.0 there was
    none, and the bridge had to be in a zone that accepts.
    """
    firewalld = look.need(FIREWALLD)
    if not firewalld.running:
        return passed("firewalld is not running" if firewalld.installed else "firewalld is not installed")
    container = look.forwarded
    if container is None:
        return passed(look.why_by_proxy or "this service is not behind NAT: nothing of it is forwarded")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    netfilter = look.rules_for_clients
    blocker = next(
        (one for one in blockers(look) if one.owner is Owner.FIREWALLD and one.stop.hook is Hook.FORWARD), None
    )
    if blocker is None or next(netfilter.dnat(look.service.port), None) is None:
        return passed("firewalld's rules let a client's packet through FORWARD, or it does not get there")
    if not _docker_accepts(look, blocker):
        return passed("Docker's own rules would have let it through before that, and do not")
    port, address = look.service.port, next(iter(container.addresses), "ADDRESS")
    binding = container.binds(port)
    to = binding.container_port if binding else port
    settings = (
        Evidence("firewalld", "StrictForwardPorts=yes: only ports that firewalld forwards itself are let through"),
    )
    return fail(
        *(settings if firewalld.strict_forward_ports else ()),
        *blocker.evidence,
        *inside(look),
        sure=agrees(look, blocker),
        advice=(
            f"sudo firewall-cmd --add-forward-port=port={port}:proto=tcp:toport={to}:toaddr={address}   # now",
            "# the same with --permanent for its next starts; the address must then stay the container's",
            "# or: StrictForwardPorts=no in /etc/firewalld/firewalld.conf, if nobody wants it so",
        )
        if firewalld.strict_forward_ports
        else (
            "sudo systemctl restart docker   # 20.10 and later put their bridges into firewalld's zone docker",
            "sudo firewall-cmd --permanent --zone=trusted --add-interface=docker0   # for older ones, then --reload",
        ),
    )


def _docker_accepts(look: Look, blocker: Blocker) -> bool:
    """With its own tables firewalld is asked beside Docker; in the same table only after Docker's rules."""
    return blocker.stop.place.table == "firewalld" or not any(one.owner is Owner.DOCKER for one in known_blockers(look))


def _firewalld_zone_conflict(look: Look) -> Judgement:
    """A dockerd of 20.10 or later puts its bridges into zone docker, and does not start where another zone has one."""
    firewalld, docker = look.need(FIREWALLD), look.unit("docker.service")
    if not firewalld.running:
        return passed("firewalld is not running" if firewalld.installed else "firewalld is not installed")
    taken = taken_bridges(firewalld)
    if not taken:
        return passed("no zone but docker has a bridge of Docker")
    zone, interface = taken[0]
    if docker.is_active:
        return passed(f"zone {zone} has {interface}, and dockerd runs all the same")
    if look.may(ENGINE) is not None:
        return passed(f"zone {zone} has {interface}, and what answers on Docker's socket is not run by docker.service")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    result = "a failure, by the journal" if starts_once_more(look, docker) else docker.result
    return fail(
        Evidence("firewalld", f"zone {zone} has {interface}, which dockerd wants in zone docker"),
        Evidence("units", f"docker.service is {docker.active} ({docker.sub}), its last run ended with: {result}"),
        sure=result not in {"", "success"},
    )


def taken_bridges(firewalld: Firewalld) -> tuple[tuple[str, str], ...]:
    """Zones that have a bridge which dockerd wants in zone docker, each with that bridge."""
    return tuple(
        (zone.name, interface)
        for zone in firewalld.zones.values()
        for interface in zone.interfaces
        if zone.name != "docker" and _BRIDGE.fullmatch(interface)
    )


def _firewalld_panic(look: Look) -> Judgement:
    """Panic mode drops everything of everybody: seldom can anybody look at such a host."""
    blocker = next((one for one in blockers(look) if one.stop.place.table == _PANIC), None)
    if blocker is None:
        return passed("firewalld is not in panic mode")
    return fail(*blocker.evidence, advice=("firewall-cmd --panic-off   # on the host's console, as root",))


def _firewalld_not_enabled(look: Look) -> Judgement:
    """What runs now is not what runs after the next boot."""
    unit = look.unit("firewalld.service")
    if not unit.installed:
        return passed("firewalld is not installed")
    enabled = unit.enabled in {"enabled", "enabled-runtime"}
    if unit.is_active == enabled:
        return passed(f"firewalld.service is {unit.active} and {unit.enabled}")
    after = "will not run" if unit.is_active else "will run"
    return risk(Evidence("units", f"firewalld.service is {unit.active} and {unit.enabled}: it {after} after a reboot"))


def _of_firewalld(look: Look, hook: Hook) -> Blocker | None:
    return next((one for one in known_blockers(look) if one.owner is Owner.FIREWALLD and one.stop.hook is hook), None)


def ruling_zone(look: Look, firewalld: Firewalld) -> tuple[str, Zone, bool]:
    """The zone that rules the client's packets, and whether that is certain: sources go before interfaces."""
    addresses = look.need(look.of_clients(ADDRESSES))
    interface = addresses.interface_of(look.service.target) or addresses.interface_of(look.host.address)
    zone = firewalld.zone_of(interface or "")
    if interface is None or zone is None:
        raise MissingError(FIREWALLD.name, f"no zone rules the interface of {look.service.target}")
    bound = [other for other in firewalld.zones.values() if other.sources]
    if look.way.client is None:
        return interface, zone, not bound
    for other in bound:
        if _any_contains(other.sources, look.way.client):
            return interface, other, True
    return interface, zone, True


def _any_contains(sources: tuple[str, ...], client: str) -> bool:
    for source in sources:
        try:
            if ipaddress.ip_address(client) in ipaddress.ip_network(source, strict=False):
                return True
        except ValueError:
            continue  # a MAC address or an ipset: no network
    return False


def _shown(zone: Zone, interface: str) -> str:
    return (
        f"zone {zone.name} rules {interface}: ports: {' '.join(zone.ports) or 'none'}; "
        f"services: {' '.join(zone.services) or 'none'}; target: {zone.target}"
    )


def _inside(look: Look) -> str:
    answers = look.answers_at(Vantage.HOST)
    return {True: "it answers", False: "it does not answer either", None: "not tried"}[answers]


FIREWALLD_RICH_RULE = Cause(
    "firewalld-rich-rule", "a rich rule of firewalld keeps clients out", _firewalld_rich_rule, rank=50
)
FIREWALLD_PORT_CLOSED = Cause(
    "firewalld-port-closed",
    "firewalld does not admit the port",
    _firewalld_port_closed,
    rank=50,
    fixes=(FixId.OPEN_FIREWALLD_PORT, FixId.STOP_FIREWALLD),
    death=BY_A_RULE,
)
FIREWALLD_FORWARD_REJECT = Cause(
    "firewalld-forward-reject",
    "firewalld rejects what is forwarded to the container",
    _firewalld_forward_reject,
    rank=52,
    death=BY_A_RULE,
)
FIREWALLD_ZONE_CONFLICT = Cause(
    "firewalld-zone-conflict",
    "dockerd does not start: a firewalld zone has its bridge",
    _firewalld_zone_conflict,
    rank=5,
    fixes=(FixId.CLEAR_ZONE_CONFLICT,),
)
FIREWALLD_PANIC = Cause(
    "firewalld-panic", "firewalld is in panic mode and drops everything", _firewalld_panic, rank=1, death=BY_A_RULE
)
FIREWALLD_NOT_ENABLED = Cause(
    "firewalld-not-enabled", "the next boot changes whether firewalld runs", _firewalld_not_enabled
)
