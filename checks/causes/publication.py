"""Where a port is published, and where its clients go: on which address, by which name, against whom."""

import ipaddress
import shlex
from collections.abc import Iterable
from dataclasses import replace

from checks.causes.cause import UNTRANSLATED, Cause, Judgement, fail, passed, risk
from checks.evidence.arrival import is_public, links_of
from checks.evidence.inside import is_good, shown
from checks.evidence.recreate import recreate
from checks.evidence.state import PROXY, ContainerState, holders, port_refused, state_of, takers
from checks.facts.addresses import ADDRESSES, Addresses
from checks.facts.daemon import DAEMON
from checks.facts.docker_networks import DOCKER_NETWORKS, DockerNetwork
from checks.facts.engine import CONTAINERS, ENGINE, Binding, Container
from checks.facts.path import PATH
from checks.facts.sockets import SOCKETS, TAKEN_PORTS
from checks.look import Look, MissingError
from checks.model import Evidence, Phase, ReachOutcome, Vantage

_DEFAULT_NETWORK = "bridge"
_TELLS_OF_BOTH = 20  # the release from which Docker lists a binding of IPv6 as one of its own
_EVERY_IPV4 = "0.0.0.0"  # noqa: S104  # Docker's word for it


def _published_on_loopback(look: Look) -> Judgement:
    container = look.container
    bindings = _in_force(look, container)
    if container is None or not bindings:
        return passed("no running container publishes the port")
    if not all(binding.on_loopback for binding in bindings):
        return passed(f"published on {_places(bindings)}")
    if look.outside.ok or _is_loopback(look.service.target):
        return passed(f"published on {_places(bindings)}, and its client comes from the host itself")
    asked = [binding for binding in container.bindings if binding.host_port == look.service.port]
    by_default = any(not binding.on_loopback for binding in asked)
    return fail(
        Evidence(
            "containers", f"container {container.name} publishes {look.service.port} on {_places(bindings)} alone"
        ),
        *(
            (Evidence("dockerd's settings", "no address was asked for: dockerd's `ip` setting makes it so"),)
            if by_default
            else ()
        ),
        *shown(look, Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER),
        sure=is_good(look, Vantage.HOST) is not True,
        advice=recreate(container, *_everywhere(bindings)),
    )


def _published_address_gone(look: Look) -> Judgement:
    """The port is published on one address, which the host does not have (any more)."""
    container = look.container
    if container is None or (not container.running and state_of(look, container) is not ContainerState.ADDRESS_GONE):
        return passed("no container publishes the port, or another thing keeps it down")
    asked = container.bindings_of(look.service.port)
    named = [one for one in asked if not one.everywhere and not one.on_loopback and ":" not in one.host_ip]
    if not named or len(named) < len(asked):
        return passed(f"published on {_places(asked)}" if asked else f"it does not publish {look.service.port}")
    owned = look.need(look.of_clients(ADDRESSES)).every_address
    if any(binding.host_ip in owned for binding in named):
        return passed(f"published on {_places(asked)}, which the host has")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    return fail(
        Evidence("containers", f"container {container.name} publishes {look.service.port} on {_places(asked)} alone"),
        Evidence("addresses", f"the host has no such address; it has {_list(owned)}"),
        *((Evidence("containers", f"Docker says: {container.error}"),) if container.error else ()),
        *shown(look, Vantage.HOST, Vantage.CONTAINER),
        sure=is_good(look, Vantage.HOST) is not True,
        advice=(
            f"sudo ip address add {named[0].host_ip}/24 dev {_nic(look)}   # give it back; lastingly where it is set",
            "# or publish on every address:",
            *recreate(container, *_everywhere(asked)),
        ),
    )


def _published_on_another_address(look: Look) -> Judgement:
    """The port is published on an address of the host, and clients go to another one of it."""
    container = look.container
    bindings = _in_force(look, container)
    if container is None or not bindings:
        return passed("no running container publishes the port")
    places = {binding.host_ip for binding in bindings}
    if any(binding.everywhere or binding.on_loopback for binding in bindings):
        return passed(f"published on {_places(bindings)}")
    owned = look.need(look.of_clients(ADDRESSES)).every_address
    tried = _tried(look)
    if tried is None or tried in places or not places & owned:
        return passed(f"published on {_places(bindings)}, and clients go to {tried or 'an unknown address'}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    if tried not in owned:
        return passed(f"clients go to {tried}, which the host does not have")
    return fail(
        Evidence(
            "containers", f"container {container.name} publishes {look.service.port} on {_places(bindings)} alone"
        ),
        Evidence("reading", f"clients go to {tried}, another address of the host"),
        *shown(look, Vantage.HOST, Vantage.CONTAINER),
        sure=is_good(look, Vantage.HOST) is not True,
        advice=(f"# send clients to {_places(bindings)}, or:", *recreate(container, *_everywhere(bindings))),
    )


def _published_for_ipv4_alone(look: Look) -> Judgement:
    """Clients come by IPv6, and Docker publishes the port on addresses of IPv4: nobody takes what they send.

    So it is where somebody asked for 0.0.0.0, and where the container has no IPv6 and dockerd runs without docker-proxy
    (seen with 20.10 and 26.1). Docker before 20.10 says 0.0.0.0 of a docker-proxy that listens for both.
    """
    if not look.by_ipv6:
        return passed("clients do not come by IPv6")
    container, port = look.container, look.service.port
    bindings = _in_force(look, container)
    if container is None or not bindings:
        return passed("no running container publishes the port")
    if any(":" in one.host_ip for one in bindings) or not any(one.host_ip == _EVERY_IPV4 for one in bindings):
        return passed(f"published on {', '.join(one.says for one in bindings)}")
    heard = [one for one in look.need(SOCKETS) if one.port == port and one.takes_ipv6]
    if heard:
        return passed(f"somebody listens on {heard[0].address}:{port} for them")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    settings = look.may(DAEMON)
    by_nobody = settings is not None and not settings.userland_proxy and not container.by_ipv6.networks
    why = f"dockerd runs without docker-proxy, and container {container.name} has no address of IPv6"
    return fail(
        Evidence(
            "containers", f"container {container.name} publishes {port} on {_places(bindings)} alone, all of IPv4"
        ),
        Evidence("sockets", f"nobody listens on [::]:{port}, and clients go to {_tried(look)}"),
        *((Evidence("dockerd's settings", why),) if by_nobody else ()),
        *shown(look, Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER),
        sure=_tells_of_both(look)
        and look.outside.ended is ReachOutcome.REFUSED
        and is_good(look, Vantage.HOST) is False,
        advice=_for_ipv6(container, bindings, by_nobody=by_nobody),
    )


def _tells_of_both(look: Look) -> bool:
    engine = look.may(ENGINE)
    return engine is not None and engine.is_docker and engine.release >= _TELLS_OF_BOTH


def _for_ipv6(container: Container, bindings: tuple[Binding, ...], *, by_nobody: bool) -> tuple[str, ...]:
    meanwhile = "# or let the name that clients use have no address of IPv6 (AAAA)"
    if by_nobody:
        return (
            '# in /etc/docker/daemon.json: either "userland-proxy" not false, so that docker-proxy serves them,',
            '# or "ipv6": true, "fixed-cidr-v6": a /64; before Docker 27 also "ip6tables": true, "experimental": true',
            "sudo systemctl restart docker   # every container stops for some seconds",
            meanwhile,
        )
    ports = dict.fromkeys(f"{one.host_port}:{one.container_port}" for one in bindings)
    return ("# without an address Docker publishes for both families:", *recreate(container, *ports), meanwhile)


def _port_not_published(look: Look) -> Judgement:
    """The container runs, and no port of the host leads to it; or there is no container that publishes the port."""
    container, port = look.container, look.service.port
    innocent = _published_or_not_needed(look, container)
    if innocent:
        return passed(innocent)
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    if any(one.port == port for one in look.need(SOCKETS)) or look.outside.phase is not Phase.CONNECT:
        return passed(f"something listens on {port} of the host all the same")
    nobody = Evidence("sockets", f"nothing on the host listens on port {port}")
    if container is None:
        running = _list(one.name for one in look.need(CONTAINERS) if one.running)
        return fail(
            Evidence("containers", f"no container publishes port {port}; those that run: {running}"),
            nobody,
            *shown(look, Vantage.HOST),
            sure=look.outside.ended is ReachOutcome.REFUSED,
        )
    places = _places(container.published) or "nothing"
    if not container.published and port in container.udp_ports:
        places = f"{port} for UDP alone"
    told = f", though {port} was asked for" if _is_asked_for(look, container) else ""
    silent = _silent_networks(look, container)
    return fail(
        Evidence("containers", f"container {container.name} runs, and publishes {places}{told}"),
        *(Evidence(DOCKER_NETWORKS.name, f"{one.why_silent}: Docker publishes no port on it") for one in silent),
        nobody,
        *shown(look, Vantage.HOST),
        sure=is_good(look, Vantage.HOST) is not True,
        advice=_publish(look, container, silent),
    )


def _is_asked_for(look: Look, container: Container) -> bool:
    return any(binding.host_port == look.service.port for binding in container.bindings)


def _silent_networks(look: Look, container: Container) -> tuple[DockerNetwork, ...]:
    """The networks of the container, where all of them publish nothing; none where one of them does, or may."""
    known = look.may(DOCKER_NETWORKS) or {}
    joined = [known.get(one.id) for one in container.networks]
    silent = tuple(one for one in joined if one is not None and one.why_silent)
    return silent if len(silent) == len(joined) else ()


def _publish(look: Look, container: Container, silent: tuple[DockerNetwork, ...]) -> tuple[str, ...]:
    """What publishes the port. Made again on a network that publishes nothing, the container would be no better."""
    name, port = shlex.quote(container.name), f"{look.service.port}:{_inner_port(look)}"
    if not _is_asked_for(look, container):
        again = replace(container, network_mode=_DEFAULT_NETWORK) if silent else container
        beside = (f"docker network connect {shlex.quote(one.name)} {name}" for one in silent if one.internal)
        return (*_own_addresses(container, silent), *recreate(again, port), *beside, *_in_compose(container, silent))
    return (
        *_own_addresses(container, silent),
        *(f"docker network disconnect {shlex.quote(one.name)} {name}" for one in silent if not one.internal),
        f"docker network connect {_DEFAULT_NETWORK} {name}   # a network that publishes: at once, without a restart",
        *_in_compose(container, silent),
    )


def _own_addresses(container: Container, silent: tuple[DockerNetwork, ...]) -> tuple[str, ...]:
    if not any(one.is_direct for one in silent):
        return ()
    places = " and ".join(container.addresses)
    return (f"# {container.name} is reached at {places}: that may be what clients are meant to ask. If not:",)


def _in_compose(container: Container, silent: tuple[DockerNetwork, ...]) -> tuple[str, ...]:
    if container.made.compose is None or not silent:
        return ()
    return ("# lastingly: under its networks in the compose file, one that is neither internal nor macvlan nor ipvlan",)


def _published_or_not_needed(look: Look, container: Container | None) -> str:
    """Why the port need not be published by this container, or is; empty where it is missing."""
    port = look.service.port
    if container is None:
        name = look.service.container
        return f"there is no container {name}" if name is not None else ""
    if not container.running or container.on_host_network:
        return f"container {container.name} is {container.status}, network {container.network_mode!r}"
    if container.bindings_of(port):
        return f"container {container.name} publishes {port}"
    if container.network_mode.startswith("container:") or container.made.swarm:
        raise MissingError(CONTAINERS.name, f"another one publishes for container {container.name}")
    return "it is reached at the container's own address" if look.service.target in container.addresses else ""


def _port_conflict(look: Look) -> Judgement:
    """The container cannot have its port, because somebody else has it."""
    container = look.container
    if container is None or container.running:
        return passed("no container waits for its port")
    if state_of(look, container) is not ContainerState.PORT_TAKEN:
        look.need(SOCKETS)
        return _free_again(look, container)
    if look.outside.ok:
        return passed(f"somebody else answers on port {look.service.port}, as a healthy service does")
    port = look.service.port
    held_by = holders(look, container)
    who = _list(held_by) if held_by else "somebody; the sockets of the host could not be read"
    said = port_refused(look, container)
    refused = [Evidence("containers", f"it was told: {said}")] if said else []
    return fail(
        Evidence("sockets", f"port {port} of the host is held by: {who}"),
        Evidence("containers", f"container {container.name} does not run: {container.status}"),
        *refused,
        *shown(look, Vantage.HOST),
        sure=bool(refused) and bool(held_by),
        advice=(
            f"sudo ss -tanp 'sport = :{port}'   # who holds it; then: systemctl status PID",
            *(
                ("sudo systemctl restart docker   # if it is a docker-proxy that an earlier dockerd left behind",)
                if any(PROXY in one for one in held_by)
                else ()
            ),
            "# stop that one, then:",
            f"docker start {shlex.quote(container.name)}",
            *(
                (f"# should no connection ever get it: sudo sysctl -w net.ipv4.ip_local_reserved_ports={port}",)
                if takers(look)
                else ()
            ),
        ),
    )


def _free_again(look: Look, container: Container) -> Judgement:
    """That nobody else has the port, as far as sockets tell.

    Raises MissingError where Docker was told that it is taken, and what is only bound would not be seen.
    """
    port = look.service.port
    if (said := port_refused(look, container)) and not look.need(TAKEN_PORTS).bound:
        hidden = "nobody is seen there, but before iproute2 6.8 ss does not show a socket that is only bound"
        raise MissingError(TAKEN_PORTS.name, f"{hidden}; Docker was told: {said}")
    return passed(f"nobody else holds port {port}")


def _name_does_not_resolve(look: Look) -> Judgement:
    if look.outside.ended is not ReachOutcome.NAME_UNKNOWN:
        return passed(
            f"{look.service.target} resolves: {look.outside.address}" if look.outside.address else "it resolves"
        )
    return fail(
        Evidence("reading", f"{look.service.target} does not resolve where dockerhealth runs: {look.outside.detail}"),
        *shown(look, Vantage.HOST, Vantage.CONTAINER),
        advice=(
            f"getent ahosts {shlex.quote(look.service.target)}   # on a client: does it there?",
            f"# let its record, or a line of /etc/hosts, say the host's address; SSH goes to {look.host.address}",
        ),
    )


def _name_resolves_elsewhere(look: Look) -> Judgement:
    """The URL's name leads to an address that the host does not have.

    Behind NAT no address that clients use is the host's own: only where SSH goes to an address that the host has
    itself is it known that there is none.
    """
    target, tried = look.service.target, look.outside.address
    if _is_address(target):
        return passed(f"the URL has an address: {target}")
    if look.outside.ok:
        return passed(f"{target} resolves to {tried}, which answers")
    if tried is None:
        raise MissingError("reading", f"{target} was not resolved")
    if ":" in tried:
        raise MissingError(ADDRESSES.name, f"{target} resolves to {tried}, and IPv6 addresses are not looked at")
    owned = {one for one in look.need(ADDRESSES).every_address if not _is_loopback(one)}
    if tried in owned:
        return passed(f"{target} resolves to {tried}, which the host has")
    if is_public(tried) and not any(is_public(one) for one in owned):
        raise MissingError(ADDRESSES.name, f"{tried} is a public address, and the host has none: NAT may be in front")
    if look.host.address in {target, tried}:
        return passed(f"SSH reaches the host at {look.host.address} too: it is behind NAT")
    return fail(
        Evidence("reading", f"{target} resolves to {tried}, which {look.outside.says}"),
        Evidence("addresses", f"the host, to which SSH goes by {look.host.address}, has {_list(owned)}"),
        *shown(look, Vantage.LOOPBACK, Vantage.CONTAINER),
        sure=look.host.address in owned and is_good(look, Vantage.LOOPBACK) is True,
        advice=(
            f"getent ahostsv4 {shlex.quote(target)}   # on a client, and here: an old record, or a line of /etc/hosts?",
            f"# let the name say {look.host.address}, or give the service in dockerhealth the URL of its clients",
        ),
    )


def _address_not_answering(look: Look) -> Judgement:
    """The name has several addresses, and not every one accepts: by IPv6 it is refused, say, and by IPv4 answered."""
    if not look.each:
        return passed(f"{look.service.target} has one address that clients go to")
    failing = [one for one in look.each if not one.ok]
    answering = ", ".join(one.address or "" for one in look.each if one.ok)
    if not failing or not answering:
        return passed(f"all of its addresses: {', '.join(f'{one.address} {one.ended.value}' for one in look.each)}")
    return risk(
        *(
            Evidence("reading", f"{look.service.target} is also {one.address}, which is {one.says.replace('-', ' ')}")
            for one in failing
        ),
        Evidence("reading", f"it answers at {answering}; clients that try the other first wait, or fail"),
    )


def _service_address_gone(look: Look) -> Judgement:
    """The URL's address belongs on a link of the host, and is not the host's: it lost it, or it moved to another.

    A lease that ended, a virtual address that is on another machine now, or on none.
    """
    tried, published = look.service.target, look.container
    if not _is_address(tried) or ":" in tried:
        return passed(f"the URL has no address of IPv4: {tried}")
    if look.outside.ok:
        return passed(f"{tried} answers")
    addresses = look.need(ADDRESSES)
    if tried in addresses.every_address:
        return passed(f"the host has {tried}")
    owned = {one for one in addresses.every_address if not _is_loopback(one)}
    if published is not None and any(one.host_ip == tried for one in published.bindings_of(look.service.port)):
        return passed(f"the port is published on {tried}, which is a cause of its own")
    links = links_of(addresses, tried)
    if not links:
        return passed(f"{tried} belongs on no link of the host: another one has it, or translates it")
    look.need(PATH)
    if look.way.there is None or look.way.there.address != tried:
        raise MissingError(PATH.name, f"who has {tried} was not asked")
    who = look.way.there.hardware
    has = f"{who} answers for it: another machine has it, or stands before this one" if who else "nobody answers for it"
    return fail(
        Evidence("addresses", f"clients go to {tried}, which the host does not have; it has {_list(owned)}"),
        Evidence("path", f"asked on {look.way.there.device} who has {tried}: {has}"),
        *shown(look, Vantage.LOOPBACK, Vantage.HOST, Vantage.CONTAINER),
        sure=look.host.address in owned and not who,  # another machine may stand before this one: a load balancer
        advice=(
            "# whose is it? A lease that changed: let DHCP keep it. A virtual one: keepalived, or whoever moves it",
            f"ip neigh show to {tried}   # the hardware address of who has it"
            if who
            else f"sudo ip address add {tried}/{_length(addresses, links[0], tried)} dev {links[0]}   # till a reboot",
            *((f"# or give clients {look.host.address}, where SSH goes",) if look.host.address in owned else ()),
        ),
    )


def _length(addresses: Addresses, link: str, address: str) -> int:
    wanted = ipaddress.IPv4Address(address)
    return next(one.prefixlen for one in addresses.networks[link] if wanted in one)


def _nic(look: Look) -> str:
    """The interface that clients come in by, as far as that is known."""
    addresses = look.need(ADDRESSES)
    return addresses.interface_of(look.host.address) or "NIC"


def _in_force(look: Look, container: Container | None) -> tuple[Binding, ...]:
    if container is None or not container.running or container.on_host_network:
        return ()
    return container.bindings_of(look.service.port)


def _everywhere(bindings: tuple[Binding, ...]) -> tuple[str, ...]:
    """The words of ``-p``, in order and each once: the container may be bound twice, for IPv4 and IPv6."""
    return tuple(dict.fromkeys(f"0.0.0.0:{one.host_port}:{one.container_port}" for one in bindings))


def _places(bindings: tuple[Binding, ...]) -> str:
    """Without what Docker adds by itself for IPv6."""
    doubled = {one.host_port for one in bindings if one.host_ip == "0.0.0.0"}  # noqa: S104  # Docker's word for it
    shown = [one for one in bindings if one.host_ip != "::" or one.host_port not in doubled]
    return ", ".join(dict.fromkeys(one.says for one in shown))


def _inner_port(look: Look) -> int:
    """The container's port that is meant: the only one that it listens on, else the service's own number."""
    ports = {one.port for one in look.way.listening or () if not one.address.is_loopback}
    return ports.pop() if len(ports) == 1 else look.service.port


def _tried(look: Look) -> str | None:
    return look.outside.address or (look.service.target if _is_address(look.service.target) else None)


def _is_address(target: str) -> bool:
    try:
        ipaddress.ip_address(target)
    except ValueError:
        return False
    return True


def _is_loopback(target: str) -> bool:
    return _is_address(target) and ipaddress.ip_address(target).is_loopback


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


PUBLISHED_ON_LOOPBACK = Cause(
    "published-on-loopback",
    "the port is published on 127.0.0.1 only",
    _published_on_loopback,
    rank=60,
    death=UNTRANSLATED,
)
PUBLISHED_ADDRESS_GONE = Cause(
    "published-address-gone",
    "the port is published on an address that the host has lost",
    _published_address_gone,
    rank=60,
)
PUBLISHED_ON_ANOTHER_ADDRESS = Cause(
    "published-on-another-address",
    "the port is published on another address of the host",
    _published_on_another_address,
    rank=60,
    death=UNTRANSLATED,
)
PUBLISHED_FOR_IPV4_ALONE = Cause(
    "published-for-ipv4-alone",
    "clients come by IPv6, and the port is published for IPv4 alone",
    _published_for_ipv4_alone,
    rank=60,
    death=UNTRANSLATED,
)
PORT_NOT_PUBLISHED = Cause(
    "port-not-published", "the port is not published", _port_not_published, rank=60, death=UNTRANSLATED
)
PORT_CONFLICT = Cause("port-conflict", "another program holds the container's port", _port_conflict, rank=29)
SERVICE_ADDRESS_GONE = Cause(
    "service-address-gone", "the address that clients go to is not the host's (any more)", _service_address_gone, rank=5
)
ADDRESS_NOT_ANSWERING = Cause(
    "address-not-answering", "one of the name's addresses does not answer", _address_not_answering
)
NAME_DOES_NOT_RESOLVE = Cause(
    "name-does-not-resolve", "the service's name does not resolve", _name_does_not_resolve, rank=5
)
NAME_RESOLVES_ELSEWHERE = Cause(
    "name-resolves-elsewhere", "the service's name leads to another machine", _name_resolves_elsewhere, rank=5
)
