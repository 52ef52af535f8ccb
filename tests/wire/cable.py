"""A way to a port on loopback that can be cut."""

import asyncio
import contextlib
from dataclasses import replace

from checks.model import Host
from tests.wire.sshd import Sshd


class Cable:
    """What is sent on connections that were made before ``cut`` was set gets lost, and nobody is told.

    One that is made afterwards goes by ``cut`` as well, unless that is another event by then.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.cut = asyncio.Event()
        self.carrying: set[asyncio.Task[None]] = set()

    def leads_to(self, sshd: Sshd, server: asyncio.Server) -> Host:
        """The host of a server of SSH as it is reached through this cable, plugged into ``server``."""
        port = server.sockets[0].getsockname()[1]
        known_hosts = sshd.folder / "known_hosts"
        known_hosts.write_text(known_hosts.read_text().replace(f":{self.port} ", f":{port} "))
        return replace(sshd.host, login=replace(sshd.host.login, port=port))

    async def plug(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self.carrying.add(asyncio.create_task(_carry(source, sink, self.cut)))

    async def close(self) -> None:
        for task in self.carrying:
            task.cancel()
        await asyncio.gather(*self.carrying, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event) -> None:
    with contextlib.closing(writer):
        while data := await reader.read(65536):
            if not cut.is_set():
                writer.write(data)
