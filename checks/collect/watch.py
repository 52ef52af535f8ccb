"""Watches packets on a host by its root helper while known attempts are made: see deploy/host/dockerhealth-root."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import asyncssh

from checks.collect.gather import sort_out, unframe
from checks.collect.ssh import Connection
from checks.commands import ROOT_HELPER
from checks.errors import LookError
from checks.facts import WATCHING
from checks.model import Output
from checks.source import Unavailable

_READY, _WITHIN = 1.5, 4.0
"""Seconds for the watch to begin, and for it to hand over what it has."""

_NAMES = tuple(probe.name for source in WATCHING for probe in source.probes)


class Watch:
    """A watch of some ports, which goes on from its ``async with`` to its end."""

    def __init__(self, connection: Connection, ports: Sequence[int]) -> None:
        self._connection = connection
        self._command = " ".join(("sudo", "-n", ROOT_HELPER, "watch", *map(str, ports)))
        self._process: asyncssh.SSHClientProcess[bytes] | None = None
        self.outputs: Mapping[str, Output] = {}
        self.missing: Mapping[str, Unavailable] = {}

    async def __aenter__(self) -> Self:
        """Return once it watches, or will not."""
        try:
            ssh = await self._connection.connected()
            async with asyncio.timeout(_READY):
                self._process = await ssh.create_process(self._command, encoding=None)
                self._said = await self._process.stderr.readline()
        except (LookError, asyncssh.Error, OSError, TimeoutError) as error:
            self._said = repr(error).encode()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take what was seen, or why nothing was."""
        why = f"the root helper does not watch: {self._said.decode(errors='replace').strip()[:200]}"
        try:
            if self._process is not None and self._said == b"watching\n":
                self._process.stdin.write_eof()
                async with asyncio.timeout(_WITHIN):
                    answer = await self._process.stdout.read()
                self.outputs, self.missing = sort_out(unframe(answer, _NAMES))
                return
        except (asyncssh.Error, OSError, ValueError, TimeoutError) as failed:
            why = f"what was watched could not be had: {failed!r}"
        finally:
            if self._process is not None:
                self._process.close()
        self.missing = {name: Unavailable(why) for name in _NAMES}
