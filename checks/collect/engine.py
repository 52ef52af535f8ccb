"""Asks a host's Docker Engine with the Docker SDK, through the SSH connection that is there already."""

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from checks.collect.ssh import Connection
from checks.model import Output
from checks.source import EngineProbe, Unavailable

if TYPE_CHECKING:
    from docker import DockerClient

_SOCKET = "/var/run/docker.sock"
_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="docker-engine")
"""Of their own, so that Engines that hang do not take those that the event loop has for everything else."""


@dataclass(frozen=True)
class Answers:
    """The Engine's answers as JSON text, and for each probe that has none why."""

    outputs: dict[str, Output]
    missing: dict[str, Unavailable]


class Engine:
    """The Docker Engine of one host, by a private local socket that lives as long as the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._forward: asyncssh.SSHListener | None = None
        self._forwarded_by: asyncssh.SSHClientConnection | None = None
        self._client: DockerClient | None = None
        self._asking: Future[Answers] | None = None
        self._busy = asyncio.Lock()

    async def ask(self, probes: Sequence[EngineProbe]) -> Answers:
        """Ask each probe in turn. Raises LookError when the connection failed."""
        async with self._busy:
            is_new = self._client is None or self._forwarded_by is not await self._connection.connected()
            if is_new and (why := await self._connection.why_no_socket(_SOCKET)):
                # Told by one round trip of SSH; the SDK takes a thread and ten times the CPU to find out. Nor is the
                # SDK to take the wait for a new login's PAM for an Engine that is silent.
                no_socket = Unavailable(f"the Docker Engine: {_SOCKET}: {why}")
                return Answers({}, {probe.name: no_socket for probe in probes})
            socket = await self._socket()
            self._asking = _THREADS.submit(self._ask, socket, probes)
            return await asyncio.wrap_future(self._asking)

    async def close(self) -> None:
        """Let go of it. Waits for a question that nobody waits for any more: its thread still uses the socket."""
        if self._asking is not None:
            await asyncio.to_thread(wait, [self._asking])
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._forward is not None:
            self._forward.close()
            await self._forward.wait_closed()
            self._forward = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _socket(self) -> Path:
        ssh = await self._connection.connected()
        if self._folder is not None and self._forwarded_by is ssh:
            return Path(self._folder.name, "docker.sock")
        await self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="dockerhealth-")  # 0700
        path = Path(self._folder.name, "docker.sock")
        self._forward = await self._connection.forward_socket(_SOCKET, path)
        path.chmod(0o600)  # noqa: ASYNC240  # a local inode, no disk to wait for
        self._forwarded_by = ssh
        return path

    def _ask(self, socket: Path, probes: Sequence[EngineProbe]) -> Answers:
        """Runs in a thread, in which the SDK is imported too: meanwhile the host works on the gather script."""
        from checks.collect import engine_api  # noqa: PLC0415  # the SDK, which not every look comes to need

        try:
            if self._client is None:
                self._client = engine_api.connected(socket)
        except engine_api.ERRORS as error:
            return Answers({}, {probe.name: engine_api.unavailable(error) for probe in probes})
        return Answers(*engine_api.ask(self._client, probes))
