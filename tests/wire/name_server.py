"""A name server on loopback that knows the names it is told, or has a trouble of its own."""

import asyncio
import contextlib
import ipaddress
import struct
from collections.abc import AsyncIterator
from typing import cast

from checks.collect import names

_A, _AAAA, _IN = 1, 28, 1
_ANSWER, _SERVFAIL, _NXDOMAIN = 0x8180, 2, 3  # RFC 1035 4.1.1
_SAME_NAME = 0xC00C  # a pointer to the name in the question


class NameServer(asyncio.DatagramProtocol):
    """``names`` maps each name to its addresses; ``asked`` is every name that it was asked for."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.is_silent = False
        self.fails = False
        self.ttl = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data)
        kind, _ = struct.unpack_from("!HH", data, end)
        self.asked.append(name)
        if not self.is_silent and self._transport is not None:
            self._transport.sendto(self._answer(data[:2], data[12 : end + 4], name, kind), addr)

    def _answer(self, identity: bytes, question: bytes, name: str, kind: int) -> bytes:
        version = {_A: 4, _AAAA: 6}.get(kind)
        found = [place for one in self.names.get(name, []) if (place := ipaddress.ip_address(one)).version == version]
        status = _SERVFAIL if self.fails else 0 if name in self.names else _NXDOMAIN
        head = identity + struct.pack("!HHHHH", _ANSWER | status, 1, len(found), 0, 0)
        records = (
            struct.pack("!HHHIH", _SAME_NAME, kind, _IN, self.ttl, len(place.packed)) + place.packed for place in found
        )
        return head + question + b"".join(records)


def _name(data: bytes) -> tuple[str, int]:
    labels, here = [], 12
    while length := data[here]:
        labels.append(data[here + 1 : here + 1 + length].decode())
        here += 1 + length
    return ".".join(labels).lower(), here + 1


@contextlib.asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Start one, which is the only one that this event loop asks."""
    made = asyncio.get_running_loop().create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
    transport, server = await made
    names.use(names.Names([f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"]))
    try:
        yield server
    finally:
        await names.close()
        transport.close()
