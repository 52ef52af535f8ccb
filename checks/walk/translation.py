"""What destination NAT does to a packet."""

import re
from ipaddress import ip_address

from checks.walk.packet import PacketState
from checks.walk.rules import Effect

_TARGET = re.compile(
    r"^(?:(?P<address>[\d.]+)|\[(?P<bracketed>[\da-f:.]+)\]|(?P<bare>[\da-f]*:[\da-f]*:[\da-f:.]*))?(?::(?P<port>\d+))?$"
)


def destination_nat(target: str | None) -> Effect:
    """To ``172.17.0.2:5000``, ``172.17.0.2``, ``:5000``, and the like of IPv6: ``[fd00::2]:5000``, ``fd00::2``.

    Of any other target (a range) the result is not known.
    """
    match = _TARGET.match(target or "-")
    if match is None:
        return _somewhere
    said = match["address"] or match["bracketed"] or match["bare"]
    address = ip_address(said) if said else None
    port = _only(match["port"])
    return lambda state: state.translated(address or state.destination, port or state.port)


def redirect(ports: str | None) -> Effect:
    """To the host itself, whichever of its addresses; to the same port where none is given."""
    port = _only(ports) if ports and ports.isdigit() else None

    def effect(state: PacketState) -> PacketState:
        alike = [one for one in state.local if one.version == state.source.version]
        own = state.destination if state.is_local(state.destination) else min(alike, key=int, default=None)
        return state.translated(own, port if ports else state.port)

    return effect


def _only(port: str | None) -> range | None:
    return range(int(port), int(port) + 1) if port else None


def _somewhere(state: PacketState) -> PacketState:
    return state.translated(None, None)
