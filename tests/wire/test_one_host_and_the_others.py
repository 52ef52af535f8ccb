"""What one host answers does not keep the event loop from the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from bot.demo.hosts import USER, DemoHost
from checks.check import Checker
from checks.model import Host, Login, Output, Service, Status

BANS = "".join(f"[0:0] -A DOCKER-USER -s 10.{n >> 8}.{n & 255}.1/32 -j DROP\n" for n in range(40_000))
"""Nearly 2 MB, which is what a probe may print."""


def now() -> datetime:
    return datetime.now(UTC)


class Banning(DemoHost):
    """A host whose firewall bans tens of thousands of addresses, one rule each."""

    def outputs(self, *, again: bool = False) -> Mapping[str, Output]:
        outputs = dict(super().outputs(again=again))
        said = outputs["iptables"]
        filters, commit, others = said.stdout.partition("COMMIT\n")
        outputs["iptables"] = replace(said, stdout=f"{filters}{BANS}{commit}{others}")
        return outputs


@pytest.fixture
async def banning(tmp_path: Path) -> AsyncIterator[Host]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    demo = Banning("127.0.3.1", "debian12-docker20.10.24", now)
    await demo.start(key)
    (tmp_path / "known_hosts").write_text(demo.known_hosts_line)
    login = Login(USER, demo.ssh_port, tmp_path / "id", tmp_path / "known_hosts")
    yield Host("host1", demo.address, (Service("registry", demo.url, container="registry"),), login)
    await demo.close()


@asynccontextmanager
async def longest_turn() -> AsyncIterator[list[float]]:
    """The CPU time, in seconds, that the event loop spent at most without letting others have a turn."""
    longest, began = [0.0], [time.thread_time()]

    def ends() -> None:
        now = time.thread_time()
        longest[0], began[0] = max(longest[0], now - began[0]), now

    async def measure() -> None:
        while True:
            await asyncio.sleep(0.01)
            ends()

    measuring = asyncio.create_task(measure())
    try:
        yield longest
        ends()  # the last turn, in which what is measured came to its end
    finally:
        measuring.cancel()


async def test_tens_of_thousands_of_rules_keep_the_event_loop_from_nothing(banning: Host) -> None:
    checker = Checker([banning], clock=now)
    try:
        async with longest_turn() as longest:
            [report] = await checker.check(banning)
    finally:
        await checker.close()
    assert report.status is Status.HEALTHY
    assert report.unavailable == ()
    assert longest[0] < 0.4
