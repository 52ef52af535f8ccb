"""What a reading costs, held against what it cannot do without: the ratio holds on a busy machine too."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest

from bot.incidents.model import Thresholds
from bot.monitoring.monitor import Monitor, MonitorSettings
from bot.store import Store
from checks.check import Checker
from checks.model import Host, Service, ServiceKind
from tests.bench.answering import Answers, answering
from tests.unit.bot.life import POLICIES

HOSTS, PER_HOST, AT_ONCE, ROUNDS = 20, 10, 20, 7
MOST = 2.6
"""Times the CPU of a bare connection with a request and an answer. It was 3.3 when readings took streams."""


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


async def cpu(each: Callable[[Host, Service], Awaitable[None]], watched: list[Host]) -> float:
    """Seconds of this process for every service once, so many at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(host: Host, service: Service) -> None:
        async with turns:
            await each(host, service)

    began = time.process_time()
    await asyncio.gather(*(one(host, service) for host in watched for service in host.services))
    return time.process_time() - began


async def test_watching_a_service_that_is_well_costs_little_more_than_to_ask_it(answers: Answers, store: Store) -> None:
    watched = hosts(answers.port(0))
    checker = Checker(watched, clock=now)
    monitor = Monitor(watched, checker, store, MonitorSettings(Thresholds(2, 2), POLICIES, "#alerts"), clock=now)
    ratios = []
    for _ in range(ROUNDS):
        floor = await cpu(lambda _, service: bare(service), watched)
        ratios.append(await cpu(monitor.read, watched) / floor)
    await monitor.close()
    await checker.close()
    seen = answers.seen()
    assert len(seen) == PER_HOST
    assert min(len(times) for times in seen.values()) == 2 * HOSTS * ROUNDS
    assert median(ratios) < MOST, f"readings cost {median(ratios):.2f} times a bare connection"
