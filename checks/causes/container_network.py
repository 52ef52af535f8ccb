"""The container's own network: by which routes it answers, and whether it is still in the one that is published."""

import shlex
from collections.abc import Iterable

from checks.causes.cause import IN_HOST, Cause, Judgement, died, fail, passed
from checks.causes.network import bridge_of
from checks.evidence.history import by_our_clock
from checks.evidence.inside import in_its_network, shown
from checks.evidence.packet import followed, known_blockers
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import CONTAINERS, Container, named_container
from checks.facts.forwarding import FORWARDING
from checks.facts.inner_network import InnerNetwork, InnerRoute
from checks.facts.path import PATH
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, ReachOutcome, Stretch, Vantage

_IN_ANOTHER_S = "container:"
_ROUTING_RIGHTS = {"--privileged", "--cap-add=NET_ADMIN", "--cap-add=CAP_NET_ADMIN", "--cap-add=ALL"}
_ALL = (Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER)


def _container_return_route_missing(look: Look) -> Judgement:
    """Clients' packets are delivered, and the container answers by a network that does not lead back through the host.

    Docker translates the answer back on the host alone. A VPN client in the container's network, or a macvlan that it
    is in besides, takes the answers away; where its default route is gone nothing takes them. The host itself is on
    the container's link, and hears it all the same.
    """
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port through a bridge")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    look.need(PATH)
    inside, client = look.way.inside, look.way.client
    if client is None:
        raise MissingError(PATH.name, "where clients come from is not known")
    if inside is None:
        raise MissingError(PATH.name, f"the routes of container {container.name} could not be read")
    if off := interface_off(look, container):
        return passed(f"{off}: its routes went with it")
    look.need_ipv4(PATH.name)
    route, address = _towards(inside, client), _published_address(look, container)
    home = _towards(inside, address)
    if route is not None and route.gateway is not None and route.gateway in look.need(ADDRESSES).every_address:
        if _may_route_by_itself(container):
            raise MissingError(PATH.name, f"container {container.name} may have routing rules of its own, unread here")
        return _by_the_host(look, container, route, address)
    if route is not None and route.gateway in {network.gateway for network in container.networks} - {""}:
        return passed(f"container {container.name} answers by {route.gateway}, which Docker gave it and the host lacks")
    if route is not None and home is not None and route.device == home.device and route.gateway is None:
        raise MissingError(PATH.name, f"{client} is on the container's own link: see subnet-overlap")
    known = "; ".join(one.says for one in inside.routes) or "none"
    ends = "knows no way to it" if route is None else f"sends it elsewhere than to the host: {route.says}"
    blocked = any(one.stop.certain for one in known_blockers(look))
    delivered = look.outside.ended is ReachOutcome.TIMED_OUT and look.answers_at(Vantage.CONTAINER) is True
    return fail(
        Evidence("path", f"container {container.name}, asked for the way to {client}, {ends}"),
        Evidence("path", f"its routes: {known}; the host reaches it at {address}"),
        *shown(look, *_ALL),
        sure=delivered and not blocked,
        advice=_back_by_the_host(container),
    )


def interface_off(look: Look, container: Container) -> str:
    """How it shows that the container's own end of its cable is switched off; empty where it is not, or not told.

    The kernel lists no multicast group of an interface that is off: it is not among the container's links then.
    """
    addresses, bridge, inside = look.may(ADDRESSES), bridge_of(look, container), look.way.inside
    ports = addresses.ports_of(bridge) if addresses is not None and bridge is not None else ()
    dead = [port for port in ports if port.up and not port.carrier]
    its_own = set(inside.links.values()) if inside is not None else set()
    alive = any(port.carrier and port.peer in its_own for port in ports)
    if not dead or alive or (inside is None and len(ports) > 1):
        return ""
    names = " or ".join(port.name for port in dead)
    return f"{names}, plugged into {bridge}, has no carrier: its other end, in the container, is switched off"


def _container_interface_down(look: Look) -> Judgement:
    """A program in the container, or somebody on the host, switched its interface off. Docker does not notice."""
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port through a bridge")
    look.need(ADDRESSES)
    off = interface_off(look, container)
    if not off:
        return passed(f"the cable of container {container.name} is switched on at its end, as far as is seen")
    if look.outside.ok or look.answers_at(Vantage.CONTAINER):
        return passed(f"{off}, yet the container answers")
    name = shlex.quote(container.name)
    return fail(
        Evidence("addresses", off),
        Evidence("containers", f"container {container.name} runs, and Docker believes that it is connected"),
        *shown(look, Vantage.CONTAINER),
        sure=look.answers_at(Vantage.CONTAINER) is False,
        advice=(
            in_its_network(container, "ip link   # which one is DOWN"),
            f"docker logs --tail 20 {name}   # a VPN client or script in it that may do so",
        ),
    )


def _may_route_by_itself(container: Container) -> bool:
    """Whether its programs may add routing rules, as VPN clients do: /proc shows its main table alone."""
    return not _ROUTING_RIGHTS.isdisjoint(container.made.run)


def _by_the_host(look: Look, container: Container, route: InnerRoute, address: str) -> Judgement:
    """The answer comes to the host: by the network that is published, or by another one of the container's.

    Then the host's strict filter holds it for spoofed, because the answer's source is on the first one.
    """
    addresses, gateway = look.need(ADDRESSES), route.gateway or ""
    bridge, home = addresses.owner_of(gateway) or "", addresses.route_to(address)
    says = f"container {container.name} answers by the host, {gateway}: {route.says}"
    if home is None or home.device == bridge or not look.need(FORWARDING).filters_strictly(bridge):
        return passed(says)
    return fail(
        Evidence("path", f"{says}, by {bridge}; the port leads to {address}, behind {home.device}"),
        Evidence("forwarding", f"{bridge} has a strict reverse path filter: it drops an answer from {address}"),
        *shown(look, *_ALL),
        sure=look.outside.ended is ReachOutcome.TIMED_OUT,
        advice=(
            f"sudo sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.{bridge}.rp_filter=2   # loose",
            *_back_by_the_host(container),
        ),
    )


def _back_by_the_host(container: Container) -> tuple[str, ...]:
    name = shlex.quote(container.name)
    others = [network.name for network in container.networks[1:]]
    return (
        in_its_network(container, "ip route   # that table, as it is now"),
        "# a VPN in it: let its client keep the LAN's route (gluetun: FIREWALL_OUTBOUND_SUBNETS, others: LAN_NETWORK)",
        *(f"docker network disconnect {shlex.quote(other)} {name}   # if it is not needed there" for other in others),
        f"docker restart {name}   # Docker makes its routes anew: enough, where somebody changed them by hand",
    )


def _towards(inside: InnerNetwork, address: str) -> InnerRoute | None:
    """The container's route to an address; None also where its packets end."""
    route = inside.route_to(address)
    return route if route is not None and route.device is not None else None


def _published_address(look: Look, container: Container) -> str:
    """Where packets for the port are sent on to: of a container in several networks that is one address."""
    try:
        translated = followed(look).translated
    except MissingError:
        translated = None
    if translated is not None and translated[0] in container.addresses:
        return translated[0]
    return container.addresses[0]


def _shared_network_lost(look: Look) -> Judgement:
    """The program shares the network of another container, and was left in the old one when that was started anew.

    ``network_mode: service:...``, as behind a VPN container: Docker joins the network once, when the program's
    container starts. After a restart of the other one its ports lead into a network in which nobody listens.
    """
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    left = left_behind(look)
    if left is None:
        return passed("no container of this service is in the network of another one that started after it")
    owner = owner_of(look.need(CONTAINERS), left)
    if owner is None:
        return fail(
            Evidence(
                "containers", f"container {left.name} is in the network of a container that does not exist any more"
            ),
            *shown(look, *_ALL),
            advice=(
                f"docker compose up -d --force-recreate {shlex.quote(left.name)}   # it has to be made anew: docker",
                "# restart would say No such container, for it was made with the id of the one that is gone",
            ),
        )
    look.need(PATH)
    listening = look.way.listening
    if listening is None:
        raise MissingError(PATH.name, "which ports the container listens on could not be read")
    binding = next(iter(owner.bindings_of(look.service.port)), None)
    if binding is not None and any(one.port == binding.container_port for one in listening):
        return passed(f"in the network of container {owner.name} a program listens on {binding.container_port}")
    return fail(
        Evidence("containers", f"container {left.name} is in the network of {owner.name}, which publishes the port"),
        Evidence(
            "containers",
            f"{owner.name} was started anew at {by_our_clock(look, owner.started_at)}; {left.name} runs since"
            f" {by_our_clock(look, left.started_at)}: it was left in the old network",
        ),
        Evidence("sockets", f"in the new one nobody listens on {binding.container_port if binding else 'the port'}"),
        *shown(look, *_ALL),
        advice=(
            f"# so that it stays so: restart {left.name} whenever {owner.name} is (compose: depends_on, restart: true)",
        ),
    )


def left_behind(look: Look) -> Container | None:
    """The service's container that runs in a network which is not that of its owner any more; None if there is none.

    Raises MissingError where Docker could not be asked.
    """
    containers = look.need(CONTAINERS)
    named, front = named_container(containers, look.service.container), look.container
    for one in (named,) if named is not None else containers:
        if not one.running or not one.network_mode.startswith(_IN_ANOTHER_S):
            continue
        owner = owner_of(containers, one)
        if named is None and (owner is None or owner != front):
            continue
        if owner is None or (owner.running and owner.started_at > one.started_at):
            return one
    return None


def owner_of(containers: Iterable[Container], sharing: Container) -> Container | None:
    """Whose network a container shares, by its id or its name; None where that one is gone."""
    whose = sharing.network_mode.removeprefix(_IN_ANOTHER_S)
    return next((one for one in containers if whose in {one.id, one.name}), None)


def _hardware_address_twice(look: Look) -> Judgement:
    """Another container on the bridge has the same hardware address: packets go to whichever spoke last.

    Docker 25.0 kept a container's address over a restart and gave it to another one meanwhile (moby#47146); Portainer
    copies it when it makes a container anew; a compose file names it twice.
    """
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port through a bridge")
    twins = twins_of(look, container)
    if not twins:
        return passed(f"no other container on its network has the hardware address of container {container.name}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    other, mac = twins[0]
    return fail(
        Evidence("containers", f"containers {container.name} and {other.name} are on one bridge, both with {mac}"),
        Evidence("path", "the bridge sends to whichever of the two spoke last"),
        *shown(look, *_ALL),
        sure=look.answers_at(Vantage.CONTAINER) is False and look.outside.ended is ReachOutcome.TIMED_OUT,
        advice=(
            f"docker stop {shlex.quote(other.name)}   # at once: {container.name} answers again, within seconds",
            "# then make one of the two anew, without mac_address or --mac-address: a restart keeps what it has",
        ),
    )


def twins_of(look: Look, container: Container) -> list[tuple[Container, str]]:
    """The other containers on its networks that have a hardware address of it, each with that.

    Raises MissingError where Docker could not be asked.
    """
    return [
        (other, network.hardware)
        for network in container.networks
        for other in look.need(CONTAINERS)
        for there in other.networks
        if other.id != container.id and other.running and network.hardware
        if (there.id, there.hardware) == (network.id, network.hardware)
    ]


CONTAINER_INTERFACE_DOWN = Cause(
    "container-interface-down",
    "the container's own network interface is switched off",
    _container_interface_down,
    rank=36,
    fixes=(FixId.RESTART_CONTAINER,),
    death=died(Stretch.TO_CONTAINER, Stretch.IN_CONTAINER, Stretch.ELSEWHERE, *IN_HOST),
)
CONTAINER_RETURN_ROUTE_MISSING = Cause(
    "container-return-route-missing",
    "the container's answers do not go back through the host",
    _container_return_route_missing,
    rank=36,
    death=died(Stretch.IN_CONTAINER, Stretch.BACK_INTO_HOST, Stretch.BACK_ELSEWHERE),
)
SHARED_NETWORK_LOST = Cause(
    "shared-network-lost",
    "the program was left in a network that is not published any more",
    _shared_network_lost,
    rank=30,
    fixes=(FixId.RESTART_CONTAINER,),
)
HARDWARE_ADDRESS_TWICE = Cause(
    "hardware-address-twice",
    "another container has the same hardware address",
    _hardware_address_twice,
    rank=34,
    death=died(Stretch.IN_CONTAINER, Stretch.TO_CONTAINER, *IN_HOST),
)
