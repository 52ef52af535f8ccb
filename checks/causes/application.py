"""The program in a running container: it does not listen, listens where nobody comes, or does not answer."""

import shlex
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from checks.causes.cause import Cause, Judgement, fail, passed
from checks.causes.container_network import left_behind
from checks.causes.disk import is_out_of_room
from checks.causes.network import narrow_link
from checks.evidence.history import by_our_clock
from checks.evidence.inside import ending, innermost, rung, says, shown, was_accepted
from checks.evidence.journey import may_journey
from checks.evidence.recreate import recreate
from checks.evidence.state import ContainerState, state_of
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import Container
from checks.facts.path import PATH, Listener, Rung
from checks.facts.system import SYSTEM
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, ReachOutcome, ServiceKind, Stretch, Vantage

_ALL = (Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER)
_NO_ANSWER = {ReachOutcome.TIMED_OUT, ReachOutcome.RESET}
_STARTING = timedelta(seconds=10)
_EVERY_IPV4, _EVERY_IPV6 = IPv4Address(0), IPv6Address(0)
_NO_SOCKET = "NO_SOCKET"  # the kernel's reason where nobody listens (enum skb_drop_reason)


def _container_unhealthy(look: Look) -> Judgement:
    """It accepts the connection, also at its own address, and the request comes to nothing."""
    container = look.container
    other = _not_up(look, container)
    if other is not None or container is None:
        return other or passed("there is no container")
    nearest = innermost(look)
    waiting = _waiting(look, container)
    if not waiting and not _is_no_answer(look, nearest):
        return passed(f"at {nearest.address}, where no rule is in the way, it {says(look, nearest)}")
    if look.outside.ok or (look.small is not None and look.small.ok):
        return passed(f"it {look.outside.says} from outside" if look.outside.ok else "it answers in small packets")
    if is_out_of_room(look):
        return passed("it has no room left: see disk-full")
    narrow = narrow_link(look)
    if narrow:
        raise MissingError(ADDRESSES.name, f"by the MTU of {narrow} no request may come to it whole")
    by_itself = nearest.vantage is Vantage.CONTAINER or container.on_host_network
    if not by_itself:
        look.need_rules_in_iptables()  # Podman's conmon accepts a port whose rules are gone, and is silent (5.4.2)
    return fail(
        *shown(look, *_ALL),
        *((Evidence("sockets", waiting),) if waiting else ()),
        Evidence("containers", f"container {container.name} runs since {by_our_clock(look, container.started_at)}"),
        *_health(container),
        sure=by_itself,
        advice=(
            f"docker logs --tail 20 {shlex.quote(container.name)}   # what it is busy with",
            f"docker top {shlex.quote(container.name)}",
        ),
    )


def _waiting(look: Look, container: Container) -> str:
    """What tells that the program listens and accepts nothing: the kernel's queue is full, and it drops who knocks.

    Empty where a connection was made, or nobody waits for one.
    """
    nearest, port = innermost(look), _port(look, container)
    if nearest.ended is not ReachOutcome.TIMED_OUT or was_accepted(look, nearest):
        return ""
    queues = [one for one in look.way.listening or () if one.port == port and one.waiting]
    if not queues:
        return ""
    return f"{queues[0].waiting} connections wait at {queues[0].says} for the program to accept them: it does not"


def _is_no_answer(look: Look, nearest: Rung) -> bool:
    """Whether a connection was accepted, and came to nothing; for a service that is no registry also: to an error.

    One that answers in another scheme is well, and misunderstood.
    """
    if not was_accepted(look, nearest) or (look.way.other_scheme and look.way.other_scheme.status is not None):
        return False
    ended = ending(look, nearest)
    return ended in _NO_ANSWER or (look.service.kind is ServiceKind.HTTP and ended is ReachOutcome.BAD_STATUS)


def _container_not_listening(look: Look) -> Judgement:
    """Docker publishes a port of the container on which no program of it listens."""
    container = look.container
    other = _not_up(look, container)
    if other is not None or container is None:
        return other or passed("there is no container")
    port = _port(look, container)
    if port is None:
        return passed(f"container {container.name} does not publish {look.service.port}")
    listening = _listening(look)
    there = [one for one in listening if one.port == port]
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    if there:
        return _not_for_docker(look, container, there) or passed(
            f"in container {container.name} a program listens on {_named(there)}"
        )
    if left_behind(look) is not None:
        return passed("its program is in another network: see shared-network-lost")
    else_where = sorted({one.port for one in listening}) if not container.on_host_network else []
    heard = f"only on {', '.join(map(str, else_where))}" if else_where else "on nothing at all"
    what = "" if container.on_host_network else f"; it listens {heard}"
    advice: tuple[str, ...] = (f"docker logs --tail 20 {shlex.quote(container.name)}   # did it come up?",)
    if len(else_where) == 1:
        advice = (*advice, *recreate(container, f"{look.service.port}:{else_where[0]}"))
    return fail(
        Evidence("sockets", f"no program in container {container.name} listens on port {port}{what}"),
        *shown(look, *_ALL),
        sure=bool(else_where) or not _just_started(look, container),
        advice=advice,
    )


def _not_for_docker(look: Look, container: Container, there: list[Listener]) -> Judgement | None:
    """It listens on the port, and not at the address to which Docker sends packets: for one family alone, or elsewhere.

    None where it does, or the attempt at the container's own address was not refused. A socket on ``::`` takes IPv4 as
    well, unless its program or net.ipv6.bindv6only says no (ipv6(7)); a rule in the container may refuse instead, or
    send the packet to another of its ports.
    """
    tried = rung(look, Vantage.CONTAINER)
    outside_of_it = [one for one in there if not one.address.is_loopback]
    if tried is None or tried.ended is not ReachOutcome.REFUSED or not outside_of_it:
        return None
    heard = {str(one.address) for one in outside_of_it}
    if heard & {tried.address, str(_EVERY_IPV6 if ":" in tried.address else _EVERY_IPV4)}:
        return None
    if elsewhere := _sent_elsewhere(look, container, tried.address):
        return passed(elsewhere)
    watched = may_journey(look)
    died = watched.segment if watched is not None else None
    if died is not None and (died.stretch is not Stretch.REFUSED_BY_CONTAINER or died.reason not in {"", _NO_SOCKET}):
        return None
    families = {one.address.version for one in outside_of_it}
    other = 4 if ":" in tried.address else 6
    only = f"for IPv{other} alone" if families == {other} else "for others"
    return fail(
        Evidence(
            "sockets",
            f"in container {container.name} the program listens on {_named(outside_of_it)}, {only}:"
            f" Docker sends clients to {tried.address}, where that is refused",
        ),
        *shown(look, *_ALL),
        sure=not any(one.address == IPv6Address("::") for one in outside_of_it),
        advice=(f"# let the program listen on 0.0.0.0:{there[0].port} (or, of IPv6, with IPV6_V6ONLY off)",),
    )


def _sent_elsewhere(look: Look, container: Container, address: str) -> str:
    """Why who refuses is not the container: the host sends to another hardware address. Empty where it does not."""
    given = next((one.hardware for one in container.networks if one.address == address), "")
    for neighbour in look.need(ADDRESSES).neighbours.get(address, ()):
        if given and neighbour.hardware and neighbour.hardware != given:
            return f"what is sent to {address} goes to {neighbour.hardware}, and container {container.name} has {given}"
    return ""


def _container_listens_on_loopback(look: Look) -> Judgement:
    """The program listens on 127.0.0.1 of the container's own network: nobody outside of it gets there."""
    container = look.container
    other = _not_up(look, container)
    if other is not None or container is None:
        return other or passed("there is no container")
    port = _port(look, container)
    listening = _listening(look)
    there = [one for one in listening if one.port == port]
    if not there:
        return passed(f"in container {container.name} nothing listens on {port}")
    if any(not one.address.is_loopback for one in there):
        return passed(f"in container {container.name} a program listens on {_named(there)}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    where = "the host's" if container.on_host_network else "the container's"
    return fail(
        Evidence(
            "sockets", f"in container {container.name} the program listens on {_named(there)}: {where} loopback alone"
        ),
        *shown(look, *_ALL),
        sure=innermost(look).ended is not ReachOutcome.ANSWERED,
        advice=(
            f"# let the program listen on 0.0.0.0:{port}; a registry: http.addr, or REGISTRY_HTTP_ADDR=0.0.0.0:{port}",
            *recreate(container, *_published(look, container)),
        ),
    )


def _not_up(look: Look, container: Container | None) -> Judgement | None:
    """Why the program in the container cannot be to blame; None where the container is up."""
    if container is None:
        return passed("no container is known for this service")
    state = state_of(look, container)
    if state is not ContainerState.WELL:
        return passed(f"container {container.name} is {container.status}: {state}")
    return None


def _port(look: Look, container: Container) -> int | None:
    """The container's port behind the service's; None where the container publishes none there."""
    if container.on_host_network:
        return look.service.port
    binding = next(iter(container.bindings_of(look.service.port)), None)
    return binding.container_port if binding else None


def _published(look: Look, container: Container) -> tuple[str, ...]:
    binding = next(iter(container.bindings_of(look.service.port)), None)
    return (f"{binding.host_port}:{binding.container_port}",) if binding else ()


def _listening(look: Look) -> tuple[Listener, ...]:
    look.need(PATH)
    if look.way.listening is None:
        raise MissingError(PATH.name, "which ports the container listens on could not be read")
    return look.way.listening


def _named(listening: list[Listener]) -> str:
    return ", ".join(one.says for one in listening)


def _just_started(look: Look, container: Container) -> bool:
    system = look.may(SYSTEM)
    if system is None:
        return True
    started = datetime.strptime(container.started_at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return system.clock - started < _STARTING


def _health(container: Container) -> tuple[Evidence, ...]:
    if container.health is None:
        return ()
    output = f": {container.health.output[:200]}" if container.health.output else ""
    says = f"its HEALTHCHECK says {container.health.status} ({container.health.failures} failures in a row){output}"
    return (Evidence("containers", says),)


CONTAINER_UNHEALTHY = Cause(
    "container-unhealthy",
    "the program in the container does not answer as it should",
    _container_unhealthy,
    rank=32,
    fixes=(FixId.RESTART_CONTAINER,),
)
CONTAINER_NOT_LISTENING = Cause(
    "container-not-listening",
    "nothing in the container listens on the published port",
    _container_not_listening,
    rank=31,
)
CONTAINER_LISTENS_ON_LOOPBACK = Cause(
    "container-listens-on-loopback",
    "the program in the container listens on its loopback only",
    _container_listens_on_loopback,
    rank=31,
)
