"""Who answers on the service's port in the place of its container: a proxy in another one, or a program of the host."""

from checks.facts.sockets import LISTENERS, SOCKETS
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
    listening = [one for one in look.may(LISTENERS) or look.may(SOCKETS) or () if one.port == port]
    processes = {process for one in listening for process in one.processes}
    names = ", ".join(sorted(f"{one.name} (pid {one.pid})" for one in processes))
    return names or ("a process that only root may know" if listening else "")
