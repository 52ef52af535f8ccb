"""dockerhealth itself: its gather alone, with every fact parsed, as the bot does it, and its logins."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from checks.check import Checker
from checks.collect.engine import Engine
from checks.collect.gather import gather
from checks.collect.ssh import Connection, RawOutput
from checks.facts import ALL_FACTS
from checks.model import Report
from checks.source import Facts, Unavailable

from .contestant import Turn
from .floor import each
from .site import Site

GATHER = "dockerhealth, gather"
PARSED = "dockerhealth, gather and every fact"
CHECK = "dockerhealth, check"
LOGIN = "dockerhealth, login"


class Counted(Connection):
    """Counts what arrives."""

    received = 0

    async def run(self, command: str, **how: Any) -> RawOutput:
        raw = await super().run(command, **how)
        self.received += len(raw.stdout) + len(raw.stderr)
        return raw


class Gather:
    """One snapshot of each host, over warm connections."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._warm = {address: Counted(site.host(address)) for address in site.addresses}
        self._engines = {address: Engine(connection) for address, connection in self._warm.items()}
        self._cold: list[Connection] = []
        self._last: Facts | None = None

    async def open(self) -> None:
        await each(self._site, self._log_in)

    def turns(self) -> Mapping[str, Turn]:
        return {GATHER: self._gathers, PARSED: self._gathers_parsed, LOGIN: self._logins}

    async def tidy(self) -> None:
        for connection in self._cold:
            await connection.close()
        self._cold = []

    def helpers_cpu(self) -> float:
        return 0.0

    def notes(self) -> tuple[str, ...]:
        if self._last is None:
            return ()
        values = {source.name: self._last.get(source) for source in ALL_FACTS}
        told = [name for name, value in values.items() if not isinstance(value, Unavailable)]
        missing = [f"no {name}: {value.reason}" for name, value in values.items() if isinstance(value, Unavailable)]
        return (f"facts of these hosts: {', '.join(told)}", *missing)

    async def close(self) -> None:
        for address, connection in self._warm.items():
            await self._engines[address].close()
            await connection.close()

    async def _log_in(self, address: str) -> None:
        await self._warm[address].connected()

    async def _gathers(self) -> int:
        return self._received(await each(self._site, self._gather))

    async def _gathers_parsed(self) -> int:
        return self._received(await each(self._site, self._gather_parsed))

    async def _gather(self, address: str) -> Facts:
        connection, engine = self._warm[address], self._engines[address]
        return await gather(connection, engine, connection.host.services, _now)

    async def _gather_parsed(self, address: str) -> Facts:
        facts = await self._gather(address)
        for source in ALL_FACTS:
            facts.get(source)
        return facts

    async def _logins(self) -> int:
        self._cold = [Connection(self._site.host(address)) for address in self._site.addresses]
        cold = dict(zip(self._site.addresses, self._cold, strict=True))

        async def log_in(address: str) -> None:
            await cold[address].connected()

        await each(self._site, log_in)
        return 0

    def _received(self, snapshots: list[Facts]) -> int:
        self._last = snapshots[-1]
        received = sum(connection.received for connection in self._warm.values())
        for connection in self._warm.values():
            connection.received = 0
        return received


class Check:
    """The whole of it: the reading from outside, gather, diagnosis, plans."""

    def __init__(self, site: Site) -> None:
        hosts = [site.host(address) for address in site.addresses]
        self._checker = Checker(hosts, clock=_now, concurrency=site.concurrency)
        self._reports: list[Report] = []

    async def open(self) -> None:
        await self._checks()

    def turns(self) -> Mapping[str, Turn]:
        return {CHECK: self._checks}

    async def tidy(self) -> None:
        """Nothing is left open but what is meant to stay warm."""

    def helpers_cpu(self) -> float:
        return 0.0

    def notes(self) -> tuple[str, ...]:
        says = sorted({report.trouble.says if report.trouble else report.status.value for report in self._reports})
        return (f"the checks end with: {', '.join(says)[:300]}",)

    async def close(self) -> None:
        await self._checker.close()

    async def _checks(self) -> int:
        done = await asyncio.gather(*(self._checker.check(host) for host in self._checker.hosts.values()))
        self._reports = [report for reports in done for report in reports]
        return 0


def _now() -> datetime:
    return datetime.now(UTC)
