"""What the kernel forwards now: the global switch and each interface's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_GLOBAL = "/proc/sys/net/ipv4/ip_forward"
_PER_INTERFACE = "/proc/sys/net/ipv4/conf/"


@dataclass(frozen=True)
class Forwarding:
    """``interfaces`` maps a name (``eth0``, also ``all`` and ``default``) to its own switch.

    Read from /proc: since Docker 23 ``docker info`` keeps what it saw when dockerd started (moby 483aa6294b).
    """

    ip_forward: bool
    interfaces: Mapping[str, bool]


def parse(outputs: Outputs) -> Forwarding:
    values: dict[str, bool] = {}
    for line in outputs["forwarding"].stdout.splitlines():
        path, _, value = line.rpartition(":")
        if value not in {"0", "1"}:
            raise UnparsableError(f"{line!r} is no switch")
        values[path] = value == "1"
    if _GLOBAL not in values:
        raise UnparsableError(f"{_GLOBAL} was not read: {outputs['forwarding'].stderr.strip()}")
    return Forwarding(
        ip_forward=values[_GLOBAL],
        interfaces={
            path.removeprefix(_PER_INTERFACE).removesuffix("/forwarding"): value
            for path, value in values.items()
            if path.startswith(_PER_INTERFACE)
        },
    )


FORWARDING = Source(
    "forwarding", (Probe("forwarding", f"grep -H . {_GLOBAL} {_PER_INTERFACE}*/forwarding", timeout=2),), parse
)
