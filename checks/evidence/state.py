"""The state that a container is in, and which one cause that state is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from checks.evidence.front import listeners, processes_of
from checks.evidence.inside import is_good
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import CONTAINERS, LOGS, Binding, Container
from checks.facts.sockets import PORT_TAKERS, TAKEN_PORTS, Listening, Taken
from checks.facts.system import SYSTEM
from checks.look import Look
from checks.model import Vantage

_JUST_STARTED = timedelta(seconds=30)
_OFTEN = 2  # restarts by the policy that make a loop
_PORT_TAKEN = ("port is already allocated", "address already in use")
_ADDRESS_GONE = "cannot assign requested address"
_NO_ROOM = "no space left on device"
_CONTAINERD = "containerd.sock"
_PASSES = ("iptables", "xtables lock", "deadline exceeded", "timed out", _NO_ROOM)
"""What the start itself is refused for while it lasts (its chains, its disk), or a moment's trouble."""
PROXY = "docker-proxy"


class ContainerState(StrEnum):
    """What is the matter with a container, each the business of one cause."""

    WELL = "well"
    PAUSED = "paused"
    PORT_TAKEN = "its port is taken"
    ADDRESS_GONE = "its address is gone"
    NO_ROOM = "no room on its disk"
    OUT_OF_MEMORY = "out of memory"
    RESTARTING = "it keeps crashing"
    START_FAILED = "its start failed"
    STOPPED = "stopped"


def state_of(look: Look, container: Container) -> ContainerState:  # noqa: PLR0911  # one return a state
    """The state that explains the most goes first: why it is down before that it is down."""
    if container.status == "paused":
        return ContainerState.PAUSED
    if container.running:
        return ContainerState.RESTARTING if crash_loop(look, container) else ContainerState.WELL
    said = last_words(look, container)
    if _port_taken(look, container):
        return ContainerState.PORT_TAKEN
    if _ADDRESS_GONE in container.error and not _owned(look, container):
        return ContainerState.ADDRESS_GONE
    if any(_NO_ROOM in text for text in said):
        return ContainerState.NO_ROOM
    if container.oom_killed:
        return ContainerState.OUT_OF_MEMORY
    if container.status == "restarting":
        return ContainerState.RESTARTING
    return ContainerState.START_FAILED if container.error or container.status == "created" else ContainerState.STOPPED


def last_words(look: Look, container: Container) -> tuple[str, ...]:
    """What Docker says of its last start, and how its log ends where it keeps restarting."""
    said = (container.error, *(look.may(LOGS) or {}).get(container.id, ()))
    return tuple(text for text in said if text)


def port_refused(look: Look, container: Container) -> str | None:
    """The words in which it was said that the port is taken already; None where nobody said so."""
    said = last_words(look, container)
    return next((text for text in said if any(words in text for words in _PORT_TAKEN)), None)


def start_may_help(look: Look, container: Container) -> bool:
    """Whether what Docker said of the last start that failed is seen to be over, or passes by itself.

    Who starts it while a runtime, a mount or its program is missing is told the same again.
    """
    said = container.error
    if port_refused(look, container) is not None:
        return not _port_taken(look, container)
    if _ADDRESS_GONE in said:
        return _owned(look, container)
    if _CONTAINERD in said:
        containerd = look.may_unit("containerd.service")
        return containerd is not None and containerd.is_active
    return any(words in said for words in _PASSES)


def _port_taken(look: Look, container: Container) -> bool:
    """Whether somebody else has the port now. One that keeps restarting may have it itself, for a moment."""
    refused = port_refused(look, container) is not None
    if listeners(look) is None:
        return refused
    return bool(holders(look, container)) and (refused or container.status != "restarting")


def _owned(look: Look, container: Container) -> bool:
    """Whether the host has every address that the container's ports are published on."""
    addresses = look.may(ADDRESSES)
    named = {binding.host_ip for binding in container.bindings if not binding.everywhere}
    return addresses is not None and named <= addresses.every_address


def crash_loop(look: Look, container: Container) -> bool:
    """Whether a running container is only between two crashes: started a moment ago by its policy, and no answer."""
    system = look.may(SYSTEM)
    if look.outside.ok or system is None or container.restarts < _OFTEN:
        return False
    age = system.clock - datetime.strptime(container.started_at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    good = is_good(look, Vantage.HOST if container.on_host_network else Vantage.CONTAINER)
    return age < _JUST_STARTED and good is not True


def holders(look: Look, container: Container) -> tuple[str, ...]:
    """Who holds the port of a container that does not run, in words: other containers, or processes of the host."""
    port = look.service.port
    wanted = [binding for binding in container.bindings if binding.host_port == port]
    if not container.on_host_network and not wanted:
        return ()
    others = [
        f"container {one.name} ({one.made.image})"
        for one in look.need(CONTAINERS)
        if one.id != container.id and one.running and one.bindings_of(port)
    ]
    held = [one for one in listeners(look) or () if one.port == port and (not wanted or _meets(one, wanted))]
    names = processes_of(held)
    if others or names:
        return tuple(others) or names
    return tuple(one.says for one in takers(look) if not wanted or _meets(one, wanted))


def takers(look: Look) -> tuple[Taken, ...]:
    """The sockets that have the service's port without listening on it, with their processes where those were told.

    What is left of a closed connection is none: nobody has it any more, and it is gone within a minute.
    """
    taken = look.may(TAKEN_PORTS)
    seen = look.may(PORT_TAKERS) or (taken.sockets if taken else ())
    return tuple(one for one in seen if one.port == look.service.port and one.is_owned)


def _meets(socket: Listening | Taken, wanted: Sequence[Binding]) -> bool:
    """Whether a socket is in the way of a binding: the same address, or either of them is every address."""
    address = socket.address.strip("[]").removeprefix("::ffff:")
    return address in {"*", "0.0.0.0", "::"} or any(one.everywhere or one.host_ip == address for one in wanted)  # noqa: S104  # as ss writes it
