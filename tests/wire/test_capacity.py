"""What a reading costs, held against what it cannot do without: the ratio holds on a busy machine too."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from bot.incidents.model import Thresholds
from bot.monitoring.monitor import Monitor, MonitorSettings
from bot.monitoring.scheduler import Scheduler
from bot.remediation.runner import Runner
from bot.store import Store
from checks.check import Checker
from checks.model import Host, Service, ServiceKind
from tests.bench.answering import Answers, answering
from tests.unit.bot.life import POLICIES

HOSTS, PER_HOST, AT_ONCE, ROUNDS = 20, 10, 20, 3
EVERY = timedelta(seconds=0.5)
MEASURED = 3.0  # seconds
MOST = 2.6
"""Times the CPU of a bare connection with a request and an answer. With a job of APScheduler a service it was 4.5."""


@pytest.fixture
def answers() -> Iterator[Answers]:
    with answering() as found:
        yield found


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path}/store.db")
    yield store
    await store.close()


def now() -> datetime:
    return datetime.now(UTC)


def hosts(port: int) -> list[Host]:
    def service(host: int, number: int) -> Service:
        return Service(f"s{number}", f"http://127.20.1.{host + 1}:{port}/s{number}", ServiceKind.HTTP)

    return [
        Host(f"host{host}", f"127.20.1.{host + 1}", tuple(service(host, number) for number in range(PER_HOST)))
        for host in range(HOSTS)
    ]


async def bare(service: Service) -> None:
    """All that a reading of HTTP must do."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
        await loop.sock_connect(sock, (service.target, service.port))
        await loop.sock_sendall(sock, f"GET {service.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await loop.sock_recv(sock, 4096)


class Readings:
    """A monitor that does nothing but read, and a runner with nothing to run."""

    def __init__(self, monitor: Monitor) -> None:
        self.hosts = monitor.hosts
        self.made = 0
        self._monitor = monitor

    async def read(self, host: Host, service: Service) -> None:
        await self._monitor.read(host, service)
        self.made += 1

    async def look(self, host: Host) -> None:
        """Nobody looks."""

    async def recover(self) -> None:
        """Nothing runs."""


async def cpu_of_bare(watched: list[Host]) -> float:
    """Seconds of this process that one bare connection takes."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(service: Service) -> None:
        async with turns:
            await bare(service)

    began = time.process_time()
    await asyncio.gather(*(one(service) for host in watched for service in host.services))
    return (time.process_time() - began) / (HOSTS * PER_HOST)


async def cpu_of_reading(monitor: Monitor) -> float:
    """Seconds of this process that one reading takes, with all that makes it come at its time."""
    readings = Readings(monitor)
    scheduler = Scheduler(
        cast("Monitor", readings), cast("Runner", readings), reach_every=EVERY, look_every=timedelta(hours=1)
    )
    scheduler.start()
    began, made = time.process_time(), readings.made
    await asyncio.sleep(MEASURED)
    used = time.process_time() - began
    made = readings.made - made
    await scheduler.stop()
    return used / made


async def test_watching_services_that_are_well_costs_little_more_than_to_ask_them(
    answers: Answers, store: Store
) -> None:
    watched = hosts(answers.port(0))
    checker = Checker(watched, clock=now)
    monitor = Monitor(watched, checker, store, MonitorSettings(Thresholds(2, 2), POLICIES, "#alerts"), clock=now)
    ratios = []
    for _ in range(ROUNDS):
        floor = await cpu_of_bare(watched)
        ratios.append(await cpu_of_reading(monitor) / floor)
    await monitor.close()
    await checker.close()
    assert min(ratios) < MOST, f"readings cost {min(ratios):.2f} times a bare connection"
