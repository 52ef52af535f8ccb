"""A name server that knows the soak's hosts, and that keeps silent when it is told to."""

import asyncio
import errno
import ipaddress
import struct
from collections.abc import Mapping, Sequence
from typing import Self, cast

DOMAIN = "soak.test"
PORT = 53
_A, _IN = 1, 1
_TTL = 5
_NO_SUCH_NAME = 3


class NameServer(asyncio.DatagramProtocol):
    """Answers questions for addresses (RFC 1035), of one name each."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """``addresses`` are those of the hosts, by their names without the domain."""
        self.silent = False
        self.address = ""
        self._addresses = {f"{name}.{DOMAIN}": address for name, address in addresses.items()}
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def start(cls, places: Sequence[str], addresses: Mapping[str, str]) -> Self:
        """Listen at the first of these addresses of loopback that is free: soaks may run side by side.

        Raises OSError without the right to.
        """
        loop = asyncio.get_running_loop()
        for place in places:
            try:
                _, server = await loop.create_datagram_endpoint(lambda: cls(addresses), (place, PORT))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or place == places[-1]:
                    raise
            else:
                server.address = place
                return server
        raise ValueError("no address to listen at")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.silent and self._transport is not None:
            self._transport.sendto(self._answer(data), addr)

    def _answer(self, query: bytes) -> bytes:
        name, end = _name(query)
        kind, _ = struct.unpack_from("!HH", query, end)
        question = query[12 : end + 4]
        address = self._addresses.get(name)
        records = b""
        if address is not None and kind == _A:
            value = ipaddress.IPv4Address(address).packed
            records = struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL, len(value)) + value
        flags = 0x8580 | (0 if address is not None else _NO_SUCH_NAME)
        return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records


def _name(query: bytes) -> tuple[str, int]:
    """The name that is asked for, and where it ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", errors="replace").lower())
        at += 1 + length
    return ".".join(labels), at + 1
