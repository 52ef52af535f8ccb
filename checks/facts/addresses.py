"""The host's interfaces and IPv4 addresses, and the interface that its default route leaves by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_ADDRESS = re.compile(r"^\d+: (?P<interface>\S+)\s+inet (?P<address>[\d.]+)(?:/\d+)?\s")
_LINK = re.compile(r"^\d+: (?P<interface>[^:@\s]+)(?:@\S+)?: <(?P<flags>[^>]*)>")
_DEFAULT = re.compile(r"^default\b.*\bdev (?P<interface>\S+)")


@dataclass(frozen=True)
class Addresses:
    """``addresses`` maps an interface to its IPv4 addresses; ``up`` names those that are switched on."""

    addresses: Mapping[str, tuple[str, ...]]
    up: frozenset[str]
    default_interface: str | None

    def interface_of(self, address: str) -> str | None:
        """The interface that has an address, else the one of the default route."""
        owners = (name for name, addresses in self.addresses.items() if address in addresses)
        return next(owners, self.default_interface)


def parse(outputs: Outputs) -> Addresses:
    """Three listings of ip in one, as text: iproute2 of CentOS 7 has no JSON."""
    output = outputs["addresses"]
    addresses: dict[str, list[str]] = {}
    up: set[str] = set()
    default = None
    for line in output.stdout.splitlines():
        if match := _ADDRESS.match(line):
            addresses.setdefault(match["interface"], []).append(match["address"])
        elif match := _LINK.match(line):
            if "UP" in match["flags"].split(","):
                up.add(match["interface"])
        elif match := _DEFAULT.match(line):
            default = default or match["interface"]
    if "lo" not in up:
        raise UnparsableError(f"ip did not list the interfaces: {output.stderr.strip()[:200]}")
    return Addresses({name: tuple(found) for name, found in addresses.items()}, frozenset(up), default)


ADDRESSES = Source(
    "addresses", (Probe("addresses", "ip -o -4 address show; ip -o link show; ip -4 route show", timeout=2),), parse
)
