"""Bare asyncssh, the least that a client over asyncssh can cost: host keys verified, no deadlines, no parsing."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

import asyncssh

from .contestant import Turn
from .site import Site

FLOOR = "asyncssh, bare session"
AES = "asyncssh, bare session, AES-GCM"
RUN = "asyncssh, run()"
LOGIN = "asyncssh, login"

T = TypeVar("T")


class Floor:
    """Keeps the bytes that arrive, and nothing more."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._warm: dict[str, asyncssh.SSHClientConnection] = {}
        self._cold: list[asyncssh.SSHClientConnection] = []
        self._options = asyncssh.SSHClientConnectionOptions(
            config=None,
            username=site.user,
            port=site.port,
            client_keys=[asyncssh.read_private_key(str(site.key))],
            known_hosts=asyncssh.read_known_hosts(str(site.known_hosts)),
            agent_path=None,
        )

    async def open(self) -> None:
        connections = await each(self._site, self._connect)
        self._warm = dict(zip(self._site.addresses, connections, strict=True))

    def turns(self) -> Mapping[str, Turn]:
        return {FLOOR: self._sessions, RUN: self._runs, LOGIN: self._logins}

    async def tidy(self) -> None:
        await close_all(self._cold)
        self._cold = []

    def helpers_cpu(self) -> float:
        return 0.0

    def notes(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        await close_all(self._warm.values())

    async def _connect(self, address: str) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(address, options=self._options)

    async def _sessions(self) -> int:
        return sum(len(answer) for answer in await each(self._site, self.session))

    async def session(self, address: str) -> bytes:
        """Run the command on one host and return all that it printed."""
        kept = _Kept()
        channel, _ = await self._warm[address].create_session(lambda: kept, self._site.commands[address], encoding=None)
        channel.write_eof()
        await channel.wait_closed()
        return b"".join(kept.parts)

    async def _runs(self) -> int:
        return sum(await each(self._site, self._run))

    async def _run(self, address: str) -> int:
        done = await self._warm[address].run(self._site.commands[address], encoding=None, stdin=asyncssh.DEVNULL)
        return len(done.stdout or b"") + len(done.stderr or b"")

    async def _logins(self) -> int:
        self._cold = await each(self._site, self._connect)
        return 0


class FloorAes(Floor):
    """The same with a cipher that the CPU helps with; asyncssh itself prefers ChaCha20, in several calls a packet."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
        self._options = asyncssh.SSHClientConnectionOptions(self._options, encryption_algs=ciphers)

    def turns(self) -> Mapping[str, Turn]:
        return {AES: self._sessions}


async def answer_of(site: Site) -> bytes:
    """What the first host answers to the command."""
    address = site.addresses[0]
    one = Floor(replace(site, addresses=(address,)))
    await one.open()
    try:
        return await one.session(address)
    finally:
        await one.close()


class _Kept(asyncssh.SSHClientSession[bytes]):
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        del datatype
        self.parts.append(data)


async def each(site: Site, work: Callable[[str], Awaitable[T]]) -> list[T]:
    """Work on every address, as many at a time as the site allows."""
    free = asyncio.Semaphore(site.concurrency)

    async def one(address: str) -> T:
        async with free:
            return await work(address)

    return list(await asyncio.gather(*(one(address) for address in site.addresses)))


async def close_all(connections: Collection[asyncssh.SSHClientConnection]) -> None:
    for connection in connections:
        connection.close()
    for connection in connections:
        await connection.wait_closed()
