"""Asks a host's Docker Engine with the Docker SDK, through the SSH connection that is there already."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from checks.collect.allowance import Allowance
from checks.collect.ssh import Connection
from checks.model import Output
from checks.source import EngineProbe, Unavailable

AT_ONCE = 32
"""Engines that are asked at the same time. Each takes a thread for as long as it is given."""

_SOCKET = "/var/run/docker.sock"
_THREADS = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="docker-engine")
"""Of their own, so that Engines that hang do not take those that the event loop has for everything else."""

_SECONDS = 7.5
"""For all answers of one look together: an Engine may send one byte a second."""

_BYTES = 4_000_000
"""The same: two hundred containers take two millions."""


@dataclass(frozen=True)
class Answers:
    """The Engine's answers as JSON text, and for each probe that has none why."""

    outputs: dict[str, Output]
    missing: dict[str, Unavailable]


class Engine:
    """The Docker Engine of one host. Nothing of it stays open between two looks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reached_by: asyncssh.SSHClientConnection | None = None  # the connection by which it answered last
        self._busy = asyncio.Lock()
        self._asking: asyncio.Task[Answers] | None = None
        self._allowance: Allowance | None = None

    async def ask(self, probes: Sequence[EngineProbe]) -> Answers:
        """Ask each probe in turn. Raises LookError when the connection failed."""
        async with self._busy:
            await self._ended()
            self._allowance = Allowance(_SECONDS, _BYTES)
            self._asking = asyncio.create_task(self._ask(probes, self._allowance))
            return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Let go of it. Waits for a question that nobody waits for any more: its thread still uses the socket."""
        await self._ended()

    async def _ended(self) -> None:
        """End the question that was given up, if there is one."""
        if self._asking is not None and self._allowance is not None:
            self._allowance.withdraw()
            await asyncio.gather(self._asking, return_exceptions=True)
            self._asking = None

    async def _ask(self, probes: Sequence[EngineProbe], allowance: Allowance) -> Answers:
        ssh = await self._connection.connected()
        if self._reached_by is not ssh and (why := await self._connection.why_no_socket(_SOCKET)):
            # Told by one round trip of SSH; the SDK takes a thread and ten times the CPU to find out. Nor is the
            # SDK to take the wait for a new login's PAM for an Engine that is silent.
            return _none(probes, Unavailable(f"the Docker Engine: {_SOCKET}: {why}"))
        self._reached_by = None
        try:
            async with self._forwarded() as path:
                answers = await asyncio.wrap_future(_THREADS.submit(_ask, path, probes, allowance))
        except OSError as error:
            return _none(probes, Unavailable(f"the Docker Engine could not be asked from here: {error}"))
        self._reached_by = ssh if answers.outputs else None
        return answers

    @asynccontextmanager
    async def _forwarded(self) -> AsyncIterator[Path]:
        """A private local socket that leads to the Engine's."""
        path = Path(tempfile.mkdtemp(prefix="dockerhealth-"), "docker.sock")  # in a folder of mode 0700
        try:
            forward = await self._connection.forward_socket(_SOCKET, path)
            try:
                path.chmod(0o600)  # noqa: ASYNC240  # a local inode, no disk to wait for
                yield path
            finally:
                forward.close()
                await forward.wait_closed()
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)  # noqa: ASYNC240  # as above
                path.parent.rmdir()


def _none(probes: Sequence[EngineProbe], why: Unavailable) -> Answers:
    return Answers({}, {probe.name: why for probe in probes})


def _ask(socket: Path, probes: Sequence[EngineProbe], allowance: Allowance) -> Answers:
    """Runs in a thread, in which the SDK is imported too: meanwhile the host works on the gather script."""
    from checks.collect import engine_api  # noqa: PLC0415  # the SDK, which not every look comes to need

    return Answers(*engine_api.ask(socket, probes, allowance))
