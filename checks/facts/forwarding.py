"""What the kernel forwards now, the global switch and each interface's own; and what it takes for a spoofed source."""

from collections.abc import Mapping
from dataclasses import dataclass

from checks.model import Output
from checks.source import Outputs, Probe, Source, UnparsableError

_GLOBAL, _GLOBAL_IPV6 = "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"
_PER_INTERFACE = "/proc/sys/net/ipv4/conf/"
_STRICT = 1


@dataclass(frozen=True)
class Forwarding:
    """``interfaces`` maps a name (``eth0``, also ``all`` and ``default``) to its own switch.

    ``rp_filter`` maps the same names to the reverse path filter: 0 off, 1 strict, 2 loose.
    Read from /proc: since Docker 23 ``docker info`` keeps what it saw when dockerd started (moby 483aa6294b).
    """

    ip_forward: bool
    interfaces: Mapping[str, bool]
    rp_filter: Mapping[str, int]

    def filters(self, interface: str) -> bool:
        """Whether a packet from a source to which no route leads is dropped."""
        return self._filter_of(interface) > 0

    def forwards(self, interface: str) -> bool:
        """Whether what comes in by an interface is sent on."""
        return self.ip_forward and self.interfaces.get(interface, True)

    def filters_strictly(self, interface: str) -> bool:
        """Whether a packet must come in where its answer would leave."""
        return self._filter_of(interface) == _STRICT

    def _filter_of(self, interface: str) -> int:
        """The higher one counts (kernel: ip-sysctl.rst)."""
        return max(self.rp_filter.get("all", 0), self.rp_filter.get(interface, 0))


def parse(outputs: Outputs) -> Forwarding:
    values = _values(outputs["forwarding"], _GLOBAL)
    return Forwarding(
        ip_forward=values[_GLOBAL] == 1,
        interfaces={name: value == 1 for name, value in _per_interface(values, "forwarding").items()},
        rp_filter=_per_interface(values, "rp_filter"),
    )


def parse_ipv6(outputs: Outputs) -> Forwarding:
    """One switch for the whole host: an interface's own one only tells whether that is a router to its neighbours.

    Seen on Linux 6.18, and so it is in ip6_forward() of all (net/ipv6/ip6_output.c). IPv6 has no reverse path filter.
    """
    return Forwarding(_values(outputs["forwarding-ipv6"], _GLOBAL_IPV6)[_GLOBAL_IPV6] > 0, {}, {})


def _values(output: Output, needed: str) -> dict[str, int]:
    """Lines ``PATH:VALUE`` of grep."""
    values: dict[str, int] = {}
    for line in output.stdout.splitlines():
        path, _, value = line.rpartition(":")
        if value not in {"0", "1", "2"}:
            raise UnparsableError(f"{line!r} is no switch")
        values[path] = int(value)
    if needed not in values:
        raise UnparsableError(f"{needed} was not read: {output.stderr.strip()}")
    return values


def _per_interface(values: Mapping[str, int], switch: str) -> dict[str, int]:
    return {
        path.removeprefix(_PER_INTERFACE).removesuffix(f"/{switch}"): value
        for path, value in values.items()
        if path.startswith(_PER_INTERFACE) and path.endswith(f"/{switch}")
    }


_COMMAND = f"grep -H . {_GLOBAL} {_PER_INTERFACE}*/forwarding {_PER_INTERFACE}*/rp_filter"

FORWARDING = Source("forwarding", (Probe("forwarding", _COMMAND),), parse)

_COMMAND_IPV6 = f"[ -e {_GLOBAL_IPV6} ] || echo {_GLOBAL_IPV6}:0; grep -sH . {_GLOBAL_IPV6}; true"  # or no IPv6

FORWARDING_IPV6 = Source("forwarding of IPv6", (Probe("forwarding-ipv6", _COMMAND_IPV6, of_ipv6=True),), parse_ipv6)
