"""Who answers on the service's port in the place of its container: a proxy in another one, or a program of the host."""

from collections.abc import Sequence

from checks.facts.sockets import LISTENERS, SOCKETS, Listening, Sockets
from checks.look import Look


def front(look: Look) -> str:
    """Who has the port, in words. Empty where the service's container has it itself, or nobody is known to."""
    container, port = look.container, look.service.port
    if container is None:
        return ""
    if look.behind is not None:
        return f"container {container.name} ({container.made.image})" if container.running else ""
    if container.on_host_network or container.bindings_of(port):
        return ""
    return ", ".join(processes_of([one for one in listeners(look) or () if one.port == port]))


def listeners(look: Look) -> Sockets | None:
    """Who listens on the host, with the processes where they could be had; None where not even that is known."""
    return look.may(LISTENERS) or look.may(SOCKETS)


def processes_of(sockets: Sequence[Listening]) -> tuple[str, ...]:
    """Who has these sockets, in words; none where there are none."""
    processes = {process for one in sockets for process in one.processes}
    names = tuple(sorted(f"{one.name} (pid {one.pid})" for one in processes))
    return names or (("a process that only root may know",) if sockets else ())
