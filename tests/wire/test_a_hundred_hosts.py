"""A hundred hosts, of which thirty swallow every packet, and no more descriptors than systemd gives by default."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

WELL, MUTE, DESCRIPTORS = 70, 30, 1024
BROKEN = "well7"
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(module: str, *arguments: object, descriptors: int) -> AsyncIterator[asyncio.subprocess.Process]:
    words = [sys.executable, "-m", f"tests.wire.hundred.{module}", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        f'ulimit -n {descriptors}; exec "$@"',
        "sh",
        *words,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def told(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line of JSON; what is logged stands between."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line.startswith(b"{"):
            news: dict[str, Any] = json.loads(line)
            return news
    raise AssertionError(f"it ended with {await process.wait()}")


@pytest.mark.slow
async def test_nobody_is_alerted_but_for_what_is_broken_and_that_within_ten_seconds(tmp_path: Path) -> None:
    async with running("hosts", tmp_path, WELL, MUTE, descriptors=4096) as hosts:
        (tmp_path / "hosts.json").write_text(json.dumps(await told(hosts)))
        async with running("bot", tmp_path, descriptors=DESCRIPTORS) as bot:
            looked_at: set[str] = set()
            alerted: set[str] = set()
            while len(looked_at) < WELL:
                news = await told(bot)
                if news.get("inside"):
                    looked_at.add(news["looked_at"])
                alerted |= {news["incident"]} if "incident" in news else set()
            assert hosts.stdin is not None
            hosts.stdin.write(b"7\n")
            began = time.monotonic()
            causes: dict[str, str] = {}
            while not causes.get(BROKEN):
                news = await told(bot)
                if "incident" in news:
                    causes[news["incident"]] = news["cause"]
            took = time.monotonic() - began
    assert causes[BROKEN] == "ip-forward-off"
    assert {host for host in alerted | set(causes) if host.startswith("well")} == {BROKEN}
    assert took < 10
