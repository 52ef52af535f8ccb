"""A real SSH server on loopback that runs what it is asked in a real shell, or misbehaves where a test says so."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.process import SSHServerProcess

from checks.model import Host, Login, Service

Children = set[asyncio.subprocess.Process]
Answer = Callable[[asyncssh.SSHServerProcess[bytes], Children], Coroutine[None, None, None]]


@dataclass
class Sshd:
    """``host`` is how to reach it; ``commands`` is every command that it was given."""

    host: Host
    folder: Path
    server: asyncssh.SSHAcceptor
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    arrived: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    children: Children = field(default_factory=set)
    answering: set[asyncio.Task[None]] = field(default_factory=set)
    login: asyncio.Event = field(default_factory=asyncio.Event)
    session: asyncio.Event = field(default_factory=asyncio.Event)
    docker: Path | None = None  # what stands behind the host's Docker socket

    def __post_init__(self) -> None:
        """Let logins end and sessions start at once; a test that clears one of these has them wait."""
        self.login.set()
        self.session.set()

    def cut(self) -> None:
        """Break every connection, as a cable does."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()


async def in_a_shell(process: asyncssh.SSHServerProcess[bytes], children: Children) -> None:
    """Run the command as sshd does."""
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    children.add(child)
    feeding = asyncio.create_task(_feed(process, child))
    try:
        await asyncio.gather(_carry(child.stdout, process.stdout), _carry(child.stderr, process.stderr))
        status = await child.wait()
    finally:
        feeding.cancel()
    children.discard(child)
    process.exit(status)


async def _feed(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    """What the client says, until it has no more to say, or nobody listens."""
    if child.stdin is None:
        return
    with contextlib.suppress(OSError, asyncssh.Error):
        while said := await process.stdin.read(65536):
            child.stdin.write(said)
            await child.stdin.drain()
    child.stdin.close()


async def _lead_to(place: Path, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
    """Join a forwarded connection to a socket here, as sshd does, until either side has had enough."""
    near_reader, near_writer = await asyncio.open_unix_connection(place)
    ways = {asyncio.create_task(_pass_on(*way)) for way in ((reader, near_writer), (near_reader, writer))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        near_writer.transport.abort()
        writer.close()


async def _pass_on(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()


async def _carry(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    while source is not None and (printed := await source.read(65536)):
        target.write(printed)


@contextlib.asynccontextmanager
async def sshd(folder: Path, answer: Answer = in_a_shell, *, services: tuple[Service, ...] = ()) -> AsyncIterator[Sshd]:
    """Start one with fresh keys, and a host entry whose known_hosts has its key."""
    host_key, user_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    user_key.write_private_key(folder / "id")
    user_key.write_public_key(folder / "authorized_keys")
    started: list[Sshd] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            started[0].connections.append(conn)

        async def begin_auth(self, username: str) -> bool:  # noqa: ARG002  # asyncssh's signature
            await started[0].login.wait()
            return True

        async def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
            await started[0].session.wait()
            return SSHServerProcess(handle, None, 3, False)  # noqa: FBT003  # no sftp, no scp

        def connection_requested(self, *_: object) -> bool:
            return True  # a jump host forwards

        def unix_connection_requested(self, dest_path: str) -> Callable[..., Coroutine[None, None, None]] | bool:  # noqa: ARG002
            docker = started[0].docker
            return False if docker is None else functools.partial(_lead_to, docker)

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        started[0].commands.append(process.command or "")
        started[0].arrived.put_nowait(process.command or "")
        task = asyncio.create_task(answer(process, started[0].children))
        started[0].answering.add(task)
        await task

    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=str(folder / "authorized_keys"),
        encoding=None,
    )
    port = server.get_port()
    (folder / "known_hosts").write_bytes(f"[127.0.0.1]:{port} ".encode() + host_key.export_public_key())
    login = Login(
        user="dockerhealth",
        port=port,
        identity_file=folder / "id",
        known_hosts=folder / "known_hosts",
        connect_timeout=3.0,
    )
    started.append(Sshd(Host("host1", "127.0.0.1", services, login), folder, server))
    try:
        yield started[0]
    finally:
        started[0].cut()
        server.close()
        await server.wait_closed()
        for child in started[0].children:
            with contextlib.suppress(ProcessLookupError):  # one whose client went away may have ended of that
                child.kill()
        await asyncio.gather(*started[0].answering, return_exceptions=True)  # they write to channels that are gone
