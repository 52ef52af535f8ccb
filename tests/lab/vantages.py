"""The outcome of one request from each place that tells something, for tables and for tests that compare."""

import sys
from typing import NamedTuple

from tests.lab import outside
from tests.lab.command import run
from tests.lab.host import LabHost

_ADDRESS = "docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' registry 2>/dev/null"


class Vantages(NamedTuple):
    """How the registry answers from outside and from three places on its host; `-` where there is no address."""

    outside: str
    loopback: str
    own: str
    container: str


def look(host: LabHost, container: str = "") -> Vantages:
    """Ask from everywhere. The container's address is asked for first, unless given: dockerd may not answer."""
    address = container or container_address(host)
    return Vantages(
        host.outside(),
        _inside(host, "127.0.0.1"),
        _inside(host, host.address),
        _inside(host, address) if address else "-",
    )


def container_address(host: LabHost) -> str:
    return host.sh(f"timeout 5 {_ADDRESS}", check=False).strip()


def _inside(host: LabHost, address: str) -> str:
    """The lab's own witness, run in the host's network namespace alone: the same words, whatever is installed."""
    program = (sys.executable, outside.__file__, address, str(outside.REGISTRY_PORT))
    return run("nsenter", "-t", str(host.leader), "-n", *program).stdout
