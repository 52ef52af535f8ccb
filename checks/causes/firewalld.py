"""firewalld: a closed port matters only to packets that go to the host itself."""

import ipaddress

from checks.causes.cause import Cause, Judgement, Look, MissingError, fail, passed
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import CONTAINERS
from checks.facts.firewalld import FIREWALLD, Firewalld, Zone
from checks.facts.netfilter import NETFILTER
from checks.model import Ended, Evidence, Vantage

_AS_A_FIREWALL_DOES = {Ended.NO_ROUTE, Ended.TIMED_OUT, Ended.REFUSED}


def _firewalld_port_closed(look: Look) -> Judgement:
    """The port is listed nowhere in the zone, and no DNAT rule takes the packets past INPUT.

    firewalld accepts what was translated (``ct status dnat``, since 0.7.0), so behind a healthy DNAT rule an unlisted
    port is as it should be. Where Docker's chains are gone that is the cause, not the port.
    """
    firewalld = look.need(FIREWALLD)
    if not firewalld.running:
        return passed("firewalld is not running" if firewalld.installed else "firewalld is not installed")
    port = look.service.port
    if look.bridged is not None:
        rule = next(look.need(NETFILTER).dnat(port), None)
        if rule is not None:
            return passed(f"{port}/tcp need not be open: packets take the DNAT rule `{rule.spec}` and never meet INPUT")
        return passed(f"{port}/tcp need not be open once Docker's DNAT rule is back; that rule is missing")
    if look.container is None and look.answers_at(Vantage.HOST) is not True:
        raise MissingError(CONTAINERS.name, f"nothing on the host answers on {port}: where its packets go is not known")
    interface, zone, sure = ruling_zone(look, firewalld)
    admitted = firewalld.admits(zone, port)
    if admitted:
        return passed(f"open: {admitted}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    evidence = (
        Evidence("firewalld", _shown(zone, interface)),
        Evidence("path", f"nothing translates port {port}: its packets meet the host's own firewall"),
        Evidence("path", f"from outside: {look.outside.says}; on the host: {_inside(look)}"),
    )
    fits = look.outside.ended in _AS_A_FIREWALL_DOES and look.answers_at(Vantage.HOST) is True
    return fail(*evidence, sure=sure and fits and not any(str(port) in rule for rule in zone.rich_rules))


def ruling_zone(look: Look, firewalld: Firewalld) -> tuple[str, Zone, bool]:
    """The zone that rules the client's packets, and whether that is certain: sources go before interfaces."""
    addresses = look.need(ADDRESSES)
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


FIREWALLD_PORT_CLOSED = Cause(
    "firewalld-port-closed",
    "firewalld does not admit the port",
    _firewalld_port_closed,
    rank=50,
    fixes=("open-firewalld-port",),
)
