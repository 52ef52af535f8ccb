"""The program in a running container: it does not listen, listens where nobody comes, or does not answer."""

import shlex
from datetime import UTC, datetime, timedelta

from checks.causes.cause import Cause, Judgement, fail, passed
from checks.causes.disk import is_out_of_room
from checks.causes.network import narrow_link
from checks.evidence.inside import ending, innermost, says, shown, was_accepted
from checks.evidence.recreate import recreate
from checks.evidence.state import ContainerState, state_of
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import Container
from checks.facts.path import PATH, Listener, Rung
from checks.facts.system import SYSTEM
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, ReachOutcome, ServiceKind, Vantage

_ALL = (Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER)
_NO_ANSWER = {ReachOutcome.TIMED_OUT, ReachOutcome.RESET}
_STARTING = timedelta(seconds=10)


def _container_unhealthy(look: Look) -> Judgement:
    """It accepts the connection, also at its own address, and the request comes to nothing."""
    container = look.container
    other = _not_up(look, container)
    if other is not None or container is None:
        return other or passed("there is no container")
    nearest = innermost(look)
    if not _is_no_answer(look, nearest):
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
        Evidence(
            "containers", f"container {container.name} runs since {container.started_at[:19].replace('T', ' ')} UTC"
        ),
        *_health(container),
        sure=by_itself,
        advice=(
            f"docker logs --tail 20 {shlex.quote(container.name)}   # what it is busy with",
            f"docker top {shlex.quote(container.name)}",
        ),
    )


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
    if there:
        return passed(f"in container {container.name} a program listens on {_named(there)}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
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
