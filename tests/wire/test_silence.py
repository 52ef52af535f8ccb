"""Readings stop while the whole bot runs: people are told in Slack, once, and told when it is over."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.demo.local_slack import LocalSlack
from bot.monitoring import scheduler
from tests.wire.bot_world import GREEN, RED, Site, World


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(scheduler, "STOP_WITHIN", 1.0)
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")


async def test_readings_of_which_none_ends(world: World) -> None:
    async with world.bot():
        world.site.may_answer.clear()
        notice = await world.shows(world.channel, "readings have stopped")
        assert notice.colour == RED
        await world.slack.command(world.alice, world.channel, "/dockerhealth")
        overview = await world.tells(world.alice, "dockerhealth itself cannot see")
        assert "🟠" in overview.shown
        world.site.may_answer.set()
        await world.becomes(notice, GREEN, "sees again")
    assert world.slack.messages(world.channel) == [notice]


async def test_an_event_loop_that_stood_still(world: World) -> None:
    async with world.bot():
        time.sleep(6)  # noqa: ASYNC251  # that is the fault
        notice = await world.shows(world.channel, "event loop stood still")
        await world.becomes(notice, GREEN, "sees again")
    assert world.slack.messages(world.channel) == [notice]
