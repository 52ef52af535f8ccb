"""How long a look at a healthy host takes over a warm connection: `python -m tests.lab measure`."""

import asyncio
import statistics
import time
from datetime import UTC, datetime

from checks.check import Checker
from checks.engine import Engine
from checks.gather import gather
from checks.model import Host, Login, Service
from checks.ssh import Connection
from tests.lab.host import LabHost
from tests.lab.lab import Lab

RUNS = 20


def measure(lab: Lab, host: LabHost) -> str:
    """One line for a person: median and worst of the runs, and the slowest command on the host."""
    return asyncio.run(_measure(lab, host))


async def _measure(lab: Lab, host: LabHost) -> str:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host(host.name, host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    took = []
    try:
        await checker.check(known)  # the login
        for _ in range(RUNS):
            started = time.perf_counter()
            await checker.check(known)
            took.append((time.perf_counter() - started) * 1000)
    finally:
        await checker.close()
    slowest, ms = await _slowest(known, service)
    return (
        f"{host.name}: {RUNS} warm checks: median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms;"
        f" slowest command on the host: {slowest}, {ms:.0f} ms"
    )


async def _slowest(host: Host, service: Service) -> tuple[str, float]:
    connection = Connection(host)
    engine = Engine(connection)
    try:
        facts = await gather(connection, engine, (service,), lambda: datetime.now(UTC))
    finally:
        await engine.close()
        await connection.close()
    return max(((name, output.ms or 0) for name, output in facts.outputs.items()), key=lambda one: one[1])
