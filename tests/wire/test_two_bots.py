"""Two whole processes on one store: one acts and the other stands by, whatever becomes of the first."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from bot.demo.local_slack import LocalSlack, Message
from bot.slack.views.blocks import Colour

TAKES_OVER_WITHIN = 15.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class World:
    """A Slack, a service that can be switched off, and bots that watch it."""

    def __init__(self, slack: LocalSlack, folder: Path) -> None:
        self.slack = slack
        self.folder = folder
        self.channel = slack.add_channel("#docker-health", [slack.add_user("alice")])
        self.reached = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._port = 0

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def fail(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        self.reached.set()
        writer.close()

    @asynccontextmanager
    async def bot(self, name: str, store: str = "store") -> AsyncIterator[Process]:
        config = self.folder / f"{store}.yaml"
        host = {"address": "127.0.0.1", "services": {"web": {"url": f"http://127.0.0.1:{self._port}/well"}}}
        url = f"sqlite:///{self.folder}/{store}.db"
        document = {"hosts": {"host1": host}, "checks": {"reach_every": "1s"}, "store": url}
        config.write_text(yaml.safe_dump(document))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "DOCKERHEALTH_SLACK_API_URL": self.slack.api_url,
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            command = (sys.executable, "-m", "bot", "run", "-c", str(config))
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdin=DEVNULL, stdout=log, stderr=log
            )
        try:
            await self.says(name, "started", "standing by")
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.wait()

    async def says(self, name: str, *words: str) -> None:
        async with asyncio.timeout(60):
            while not any(word in self.log(name) for word in words):  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.05)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    async def watches(self, within: float) -> float:
        """Seconds until somebody reads the service again."""
        self.reached.clear()
        begun = time.monotonic()
        async with asyncio.timeout(within):
            await self.reached.wait()
        return time.monotonic() - begun

    async def alerts(self) -> list[Message]:
        await self.slack.wait_for_message(self.channel, lambda message: message.colour == Colour.RED, timeout=30)
        await asyncio.sleep(3)
        return self.slack.messages(self.channel)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        world = World(slack, tmp_path)
        await world.serve()
        yield world
        await world.fail()


async def test_when_the_first_is_killed_the_second_takes_over_and_a_fault_is_told_once(world: World) -> None:
    async with world.bot("first") as first, world.bot("second"):
        assert "standing by" in world.log("second")
        assert world.slack.connected == 1
        first.kill()
        await first.wait()
        assert await world.watches(TAKES_OVER_WITHIN) < TAKES_OVER_WITHIN
        await world.fail()
        [alert] = await world.alerts()
        await world.serve()
        await world.slack.wait_until(lambda: alert.colour == Colour.GREEN, timeout=30)


async def test_when_the_first_is_frozen_the_second_takes_over_and_the_first_stands_by_when_it_wakes(
    world: World,
) -> None:
    async with world.bot("first") as first, world.bot("second") as second:
        first.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)  # a reading that the kernel had accepted is no sign of the second
        assert await world.watches(TAKES_OVER_WITHIN) < TAKES_OVER_WITHIN
        await world.fail()
        await world.alerts()
        first.send_signal(signal.SIGCONT)
        await world.says("first", "another dockerhealth acts on this store: standing by")
        assert len(await world.alerts()) == 1
        second.terminate()
        await second.wait()
        await world.serve()
        await world.watches(TAKES_OVER_WITHIN)
        await world.slack.wait_until(
            lambda: [each.colour for each in world.slack.messages(world.channel)] == [Colour.GREEN], timeout=30
        )
