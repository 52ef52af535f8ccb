"""A whole bot on a PostgreSQL server that is restarted under it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from bot import logs
from bot.demo.local_slack import LocalSlack
from bot.slack import store_notice
from bot.store import writability
from tests.postgresql import PASSWORD, Server
from tests.unit.bot.samples import plan
from tests.wire.bot_world import FIX, GREEN, Site, World, has


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.store() as name:
        yield postgresql.url(name)


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), url)
        assert slack.complaints == []


async def test_while_the_server_is_gone_that_is_said_once_and_afterwards_all_goes_on(
    world: World, postgresql: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_notice, "TOLD_AFTER", 0.5)
    monkeypatch.setattr(writability, "OVER_AFTER", 1.0)
    logs.configure(logging.INFO)
    async with world.bot():
        with postgresql.stopped():
            world.site.well = False
            await world.slack.command(world.alice, world.channel, "/dockerhealth")
            await world.tells(world.alice, "I cannot write my store just now")
            notice = await world.shows(world.channel, "cannot write its store")
        alert = await world.shows(world.channel, lambda message: has(message, FIX))
        await world.until(lambda: "can write its store again" in notice.shown)
        monkeypatch.setattr(store_notice, "TOLD_AFTER", 60.0)
        world.site.may_end.clear()
        await world.slack.click(world.alice, alert, FIX)
        await world.until(lambda: world.site.ran == [plan()])
        with postgresql.stopped():
            world.site.may_end.set()  # the fix ends, and cannot note that
            await asyncio.sleep(1)
        await world.becomes(alert, GREEN, "Verified")
    assert world.site.ran == [plan()]
    assert world.slack.messages(world.channel) == [notice, alert]
    logged = capsys.readouterr().err
    assert "Traceback" not in logged
    assert PASSWORD not in logged
