"""The links and routes below it all: the container's bridge, the way back to clients, the size of packets."""

import ipaddress
import re
import shlex

from checks.causes.cause import IN_HOST, Cause, Judgement, died, fail, passed
from checks.evidence.arrival import arrives_at
from checks.evidence.inside import in_its_network
from checks.evidence.journey import most_bytes
from checks.evidence.packet import followed
from checks.evidence.routing import answer_of_mark, decision, inbound, mended, outbound, shown
from checks.facts.addresses import ADDRESSES, Addresses, Network
from checks.facts.engine import CONTAINERS, ENGINE, Container
from checks.facts.forwarding import FORWARDING
from checks.facts.path import PATH, Route
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, Phase, ReachOutcome, Stretch, Vantage
from checks.walk import Trace

_PRIVATE = ipaddress.IPv4Network("10.192.0.0/10")  # seldom used, and no default of Docker's
_PASSING = "forwarding"  # the state of a bridge's port, of bridge link
_LEAST_MTU, _HEADERS = 576, 40  # bytes; headers of IPv4 and TCP, by which the MTU is more than the MSS
_INSIDE = "the container's own interface"
_OF_DOCKER = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")


def bridge_of(look: Look, container: Container) -> str | None:
    """The bridge that the container is plugged into. None where it is in no network.

    It has the network's gateway for its address; one that has lost it is known by the name that Docker gives. Raises
    MissingError for a bridge that another engine has named.
    """
    network = next(iter(container.networks), None)
    if network is None:
        return None
    addresses, engine = look.may(look.of_clients(ADDRESSES)), look.may(ENGINE)
    owner = addresses.owner_of(network.gateway) if addresses else None  # an option may have named it otherwise
    if owner is None and engine is not None and not engine.is_docker:
        raise MissingError(ADDRESSES.name, f"no interface has {network.gateway}, the gateway of network {network.name}")
    return owner or network.bridge


def _bridge_down(look: Look) -> Judgement:
    """Docker believes that the container is connected, and its bridge is down, bare or without the container."""
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port through a bridge")
    addresses, bridge = look.need(look.of_clients(ADDRESSES)), bridge_of(look, container)
    if bridge is None:
        return passed(f"container {container.name} is in no network")
    wrong = wrong_with(addresses, bridge)
    if not wrong:
        return passed(f"{bridge} is up, has its address and a container plugged in")
    if look.outside.ok or look.answers_at(Vantage.CONTAINER):
        return passed(f"{wrong}, yet the container answers")
    return fail(
        Evidence("addresses", wrong),
        Evidence("containers", f"container {container.name} is behind it, and Docker believes that it runs"),
        *_ladder(look),
        sure=look.answers_at(Vantage.CONTAINER) is False,
        advice=(
            "nmcli -t device   # is it NetworkManager that manages it? It should say: unmanaged",
            "networkctl list   # or systemd-networkd",
        ),
    )


def wrong_with(addresses: Addresses, bridge: str) -> str:  # noqa: PLR0911  # one return a thing that is wrong
    """What keeps a bridge from being one; empty where nothing does."""
    link = addresses.links.get(bridge)
    if link is None:
        return f"there is no interface {bridge}"
    if not link.up:
        return f"{bridge} is switched off"
    if not addresses.addresses.get(bridge):
        return f"{bridge} has lost its address"
    if not addresses.ports_of(bridge):
        return f"nothing is plugged into {bridge}: the container's end (veth) is detached from it"
    off = [port.name for port in addresses.ports_of(bridge) if not port.up]
    if off:
        return f"{', '.join(off)}, plugged into {bridge}, is switched off: a container's cable"
    for port in addresses.ports_of(bridge):
        state = addresses.port_states.get(port.name, _PASSING)
        if state != _PASSING and port.carrier:  # without one the other end is switched off, and the bridge is well
            return f"{bridge} passes nothing on by its port {port.name}: state {state}"
    return ""


def _ladder(look: Look) -> tuple[Evidence, ...]:
    inside = look.answers_at(Vantage.CONTAINER)
    if inside is None:
        return ()
    return (Evidence("path", f"the container's own address {'answers' if inside else 'does not answer either'}"),)


def _subnet_overlap(look: Look) -> Judgement:
    """A Docker network has the clients' addresses for its own: the answers go to a bridge, and never leave the host."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    back, addresses = _back(look), look.need(look.of_clients(ADDRESSES))
    bridge = back.device if back.device and _OF_DOCKER.fullmatch(back.device) else None
    if bridge is None:
        return passed(f"`{back.question}` answers: {back.answer}")
    subnet = ", ".join(str(network) for network in addresses.networks.get(bridge, ()))
    return fail(
        Evidence("route", f"`{back.question}` answers: {back.answer}"),
        Evidence("addresses", f"{bridge} has {subnet}: the host takes {look.way.client} for one of its containers"),
        sure=look.outside.ended is ReachOutcome.TIMED_OUT,
        advice=_another_subnet(look, addresses, bridge),
    )


def _another_subnet(look: Look, addresses: Addresses, bridge: str) -> tuple[str, ...]:
    """How the network of a bridge gets a subnet that no route of the host knows."""
    if look.by_ipv6:
        return _another_subnet_of_ipv6(bridge)
    taken = [*(route.network for route in addresses.routes if route.network.prefixlen), _network_of(look)]
    free = next(one for one in _PRIVATE.subnets(new_prefix=24) if not any(one.overlaps(other) for other in taken))
    if bridge == "docker0":
        return (
            f'# in /etc/docker/daemon.json: "bip": "{free[1]}/24"   # or another one, outside of every LAN of yours',
            "sudo systemctl restart docker   # every container stops for some seconds",
        )
    containers = look.may(CONTAINERS) or ()
    inside = {one.name: network.name for one in containers for network in one.networks if network.bridge == bridge}
    name = shlex.quote(next(iter(inside.values()), bridge.removeprefix("br-")))  # Docker takes the id for a name
    return (
        f"docker network inspect {name}   # that network; in it: {', '.join(sorted(inside)) or 'no container'}",
        f"# from a compose file? Add to it under networks, then down and up: ipam: {{config: [{{subnet: {free}}}]}}",
        f"# made by hand? docker network rm {name}, then: docker network create --subnet={free} NAME",
    )


def _another_subnet_of_ipv6(bridge: str) -> tuple[str, ...]:
    """RFC 4193: whoever draws 40 bits by lot meets nobody else's network."""
    if bridge == "docker0":
        return (
            '# in /etc/docker/daemon.json: "fixed-cidr-v6": another /64, outside of every network of yours (RFC 4193)',
            "sudo systemctl restart docker   # every container stops for some seconds",
        )
    return (f"# the network of {bridge} has to be made again with another --subnet of IPv6: docker network ls",)


def _return_route_missing(look: Look) -> Judgement:
    """What clients send arrives, and the host knows no way back to them, or one by a gateway that is not there.

    A container's answer is routed by the container's own address: routing rules may send it another way than the
    host's.
    """
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    back, addresses = _back(look), look.need(look.of_clients(ADDRESSES))
    dead = _dead_gateway(look, back)
    if back.device is not None and dead is None:
        return passed(f"`{back.question}` answers: {back.answer}")
    routes = "; ".join(route.says for route in addresses.routes) or "none"
    own, container = look.way.back, look.forwarded
    by = decision(look, back, container) if container is not None else None
    by_rule = own is not None and own.device is not None and dead is None  # the host's own answers have a way
    return fail(
        Evidence("route", f"`{back.question}` answers: {back.answer}"),
        *shown(by),
        *((Evidence("route", f"while `{own.question}` answers: {own.answer}"),) if own is not None and by_rule else ()),
        Evidence("addresses", f"gateway {dead} does not answer on its link" if dead else f"its routes: {routes}"),
        sure=look.outside.ended is ReachOutcome.TIMED_OUT,
        advice=mended(by, str(_network_of(look)))
        if by_rule
        else (
            f"sudo ip route replace {_network_of(look)} via GATEWAY   # now; GATEWAY: who leads to these clients",
            "# lastingly: a route in the configuration of the interface (nmcli, .network, ifcfg, interfaces)",
        ),
    )


def _dead_gateway(look: Look, back: Route) -> str | None:
    gateway = re.search(r" via ([\da-f.:]+) ", back.answer)
    return gateway[1] if gateway and look.need(look.of_clients(ADDRESSES)).is_silent(gateway[1]) else None


def _return_route_elsewhere(look: Look) -> Judgement:
    """The container's answers leave by another interface than the one by which clients come: into a tunnel, mostly.

    Routing may be meant so. It is proven only where nothing else is on the way, and the client is a neighbour on the
    one link and none on the other.
    """
    container = look.forwarded
    if container is None or not container.running:
        return passed(look.why_by_proxy or "no running container publishes the port through a bridge")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    back, addresses = _back(look), look.need(look.of_clients(ADDRESSES))
    there = inbound(look)
    if back.device is None or back.device == there.interface:
        return passed(f"`{back.question}` answers: {back.answer}")
    if _OF_DOCKER.fullmatch(back.device) or _dead_gateway(look, back) is not None:
        return passed(f"{back.device} is not where the answers are lost, but that they go there at all")
    if there.device != bridge_of(look, container):
        return passed(f"what clients send does not come to the container: {there.answer}")
    trace = followed(look)
    if not trace.clear:
        raise MissingError("rules", "what clients send, or its answer, may end at a rule before")
    client = look.way.client
    by = decision(look, back, container)
    near = _is_near(addresses, client, there.interface) and not _is_near(addresses, client, back.device)
    return fail(
        Evidence("route", f"`{back.question}` answers: {back.answer}"),
        *shown(by),
        Evidence(
            "addresses",
            f"{client} comes in by {there.interface}"
            + (", on whose link it is: " if near else ": ")
            + f"answers by {back.device} do not get back to it",
        ),
        *_ladder(look),
        sure=near and look.outside.ended is ReachOutcome.TIMED_OUT and look.answers_at(Vantage.CONTAINER) is True,
        advice=mended(by, str(_network_of(look))),
    )


def _is_near(addresses: Addresses, client: str | None, interface: str) -> bool:
    """Whether a client is on the link of an interface, by the networks of its addresses."""
    networks = addresses.networks.get(interface, ())
    return client is not None and any(ipaddress.ip_address(client) in network for network in networks)


def _back(look: Look) -> Route:
    """The way of the answers to a client: the container's where the packet is sent on to it, else the host's own."""
    look.need(PATH)
    back, out = look.way.back, look.way.outbound
    if back is None:
        raise MissingError(PATH.name, "where clients come from is not known")
    arrives_at(look)  # or else the host has no such address to answer from
    container, trace = look.forwarded, _followed(look)
    if container is None or not container.running or (trace is not None and trace.translated is None):
        return _told(answer_of_mark(look, back))
    if out is None or out.interface != bridge_of(look, container):
        raise MissingError(PATH.name, f"the way back from container {container.name} could not be asked")
    if out.device is None and not look.need(look.of_clients(FORWARDING)).forwards(out.interface):
        raise MissingError(PATH.name, f"while forwarding is off, `{out.question}` is answered so with any route")
    return _told(outbound(look))


def _told(route: Route) -> Route:
    """A route that was told. Raises MissingError where ip did not understand, or the kernel did not say."""
    if route.device is None and not route.ends:
        raise MissingError(PATH.name, f"`{route.question}` answers: {route.answer}")
    return route


def _followed(look: Look) -> Trace | None:
    """None where the rules, or the way of packets, are not known."""
    try:
        return followed(look)
    except MissingError:
        return None


def _network_of(look: Look) -> Network:
    return ipaddress.ip_network(f"{look.way.client}/{64 if look.by_ipv6 else 24}", strict=False)


def _mtu_black_hole(look: Look) -> Judgement:
    """The connection is made, for its packets are small; whatever is large is lost, and nobody tells the sender.

    An answer rules nothing out: that of a registry, or an error, fits into one small packet, where a pull would hang.
    """
    if look.outside.ended is ReachOutcome.ANSWERED:
        raise MissingError("reading", f"it {look.outside.says}, and that is a small answer: no large one was asked for")
    if look.outside.phase not in {Phase.TLS, Phase.HTTP} or look.outside.ended is not ReachOutcome.TIMED_OUT:
        return passed(f"it {look.outside.says}: the large packets are not what is lost")
    narrow = narrow_link(look)
    if look.small is None and not narrow:
        raise MissingError("reading", "no attempt with small packets was made")
    if look.small is not None and not look.small.ok and not narrow:
        return passed(f"with small packets it {look.small.says} as well")
    inside = look.answers_at(Vantage.HOST)
    sizes, small = _sizes(look), look.small.says if look.small else "not tried"
    return fail(
        Evidence("reading", f"from outside: {look.outside.says}; asked for small packets only: {small}"),
        Evidence("path", f"on the host, by its own address, it {'answers' if inside else 'does not answer'}"),
        Evidence("addresses", f"MTU: {', '.join(f'{name} {mtu}' for name, mtu in sizes.items())}"),
        *(
            (Evidence("capture", f"the container takes {most_bytes(look)} bytes a packet"),)
            if _narrow_inside(look)
            else ()
        ),
        sure=look.small is not None and look.small.ok and (inside is True or len(set(sizes.values())) > 1),
        advice=(
            *(_shown_narrow(look, narrow) if narrow else ()),
            f"ping -M do -s 1472 -c 3 {look.host.address}   # from a client: the largest packet of an MTU of 1500",
            "sudo iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
            '# lastingly: "mtu" in /etc/docker/daemon.json sized as the smallest link, then recreate the networks',
        ),
    )


def _shown_narrow(look: Look, narrow: str) -> tuple[str, ...]:
    why = "its MTU is smaller than any packet of a request"
    if narrow != _INSIDE or look.bridged is None:
        return (f"ip link show {narrow}   # {why}",)
    return (in_its_network(look.bridged, f"ip link   # {why}"),)


def narrow_link(look: Look) -> str:
    """A link on the way that does not carry what every host of IPv4 has to take (RFC 791, 3.1); empty for none."""
    narrow = next((name for name, mtu in _sizes(look).items() if mtu < _LEAST_MTU), "")
    return narrow or (_INSIDE if _narrow_inside(look) else "")


def _narrow_inside(look: Look) -> bool:
    """Whether the container's own interface is such a link, by what it takes in one packet."""
    most = most_bytes(look)
    return look.bridged is not None and most is not None and most + _HEADERS < _LEAST_MTU


def _sizes(look: Look) -> dict[str, int]:
    """The MTU of each link that the container's packets cross on the host."""
    container, addresses = look.bridged, look.may(look.of_clients(ADDRESSES))
    if addresses is None:
        return {}
    names = [addresses.interface_of(look.service.target) or ""]
    for network in container.networks if container else ():
        names += [network.bridge, *(port.name for port in addresses.ports_of(network.bridge))]
    return {name: addresses.links[name].mtu for name in names if name in addresses.links}


BRIDGE_DOWN = Cause(
    "bridge-down",
    "the container's bridge is down",
    _bridge_down,
    rank=35,
    fixes=(FixId.RESTART_DOCKER,),
    death=died(Stretch.TO_CONTAINER, Stretch.IN_CONTAINER, Stretch.ELSEWHERE, Stretch.BACK_INTO_HOST, *IN_HOST),
)
SUBNET_OVERLAP = Cause(
    "subnet-overlap",
    "a Docker network overlaps the clients' network",
    _subnet_overlap,
    rank=36,
    death=died(Stretch.BACK_INTO_HOST, Stretch.BACK_ELSEWHERE, *IN_HOST),
)
RETURN_ROUTE_MISSING = Cause(
    "return-route-missing",
    "the host has no route back to the clients",
    _return_route_missing,
    rank=36,
    death=died(Stretch.BACK_INTO_HOST, Stretch.BACK_ELSEWHERE, Stretch.AFTER_HOST, *IN_HOST),
)
RETURN_ROUTE_ELSEWHERE = Cause(
    "return-route-elsewhere",
    "the container's answers leave by another interface than clients come by",
    _return_route_elsewhere,
    rank=36,
    death=died(Stretch.BACK_INTO_HOST, Stretch.BACK_ELSEWHERE, Stretch.AFTER_HOST, *IN_HOST),
)
MTU_BLACK_HOLE = Cause("mtu-black-hole", "large packets are lost on the way to clients", _mtu_black_hole, rank=65)
