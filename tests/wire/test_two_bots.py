"""Two bots: on one store one acts, the other stands by; on two stores with one Slack app each is told of the other."""

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
from bot.demo.local_slack.socket_mode import SocketMode
from bot.slack import socket
from bot.slack.views.blocks import Colour
from tests.wire import bot_world

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


# --- two stores, one Slack app ---


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack.start() as slack:
        yield slack


async def test_a_click_that_reaches_the_wrong_one_of_two_bots_is_answered_with_what_to_do(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "ASK_AGAIN_AFTER", 3600.0)
    right = bot_world.World(slack, bot_world.Site(), f"sqlite:///{tmp_path}/right.db")
    async with right.bot():
        alert = await right.alert()
        wrong = bot_world.World(slack, bot_world.Site(), f"sqlite:///{tmp_path}/wrong.db")
        async with wrong.bot():
            await wrong.until(lambda: slack.connected == 2)
            for _ in range(2):  # one reaches each
                await slack.click(right.alice, alert, bot_world.FIX)
            await right.tells(right.alice, "Another dockerhealth is connected as the same Slack app")
            await right.becomes(alert, bot_world.GREEN)
    assert len(right.site.ran) == 1
    assert wrong.site.ran == []


async def test_a_bot_that_shares_its_app_says_so_once_in_the_channel(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "ASK_AGAIN_AFTER", 0.5)
    monkeypatch.setattr(socket, "ASK_AGAIN_WHEN_TOLD", 0.5)
    first = bot_world.World(slack, bot_world.Site(), f"sqlite:///{tmp_path}/first.db")
    second = bot_world.World(slack, bot_world.Site(), f"sqlite:///{tmp_path}/second.db")
    async with first.bot():
        async with second.bot():
            await second.shows(first.channel, "Another process is connected as this Slack app")
            await asyncio.sleep(4)
        told = [each for each in slack.messages(first.channel) if "connected as this Slack app" in each.shown]
    assert 1 <= len(told) <= 2  # each of the two may say so


async def test_a_dead_connection_of_its_own_is_no_other_bot(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "ASK_AGAIN_AFTER", 1.0)
    world = bot_world.World(slack, bot_world.Site(), f"sqlite:///{tmp_path}/store.db")
    real = SocketMode._hello  # noqa: SLF001  # what Slack says first
    counted = iter([2])
    monkeypatch.setattr(SocketMode, "_hello", lambda self: real(self) | {"num_connections": next(counted, 1)})
    async with world.bot():
        await asyncio.sleep(5)
    assert slack.messages(world.channel) == []
