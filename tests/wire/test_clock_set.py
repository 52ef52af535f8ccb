"""The clock of the machine is set while the whole bot runs: nothing waits or lasts any longer by that."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.demo.local_slack import LocalSlack
from tests.wire.bot_world import GREEN, PATIENCE, Site, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")


@pytest.mark.parametrize("jump", [timedelta(minutes=-5), timedelta(hours=-1), timedelta(hours=1)], ids=str)
async def test_an_alert_that_slack_did_not_take_at_once_is_not_held_up_by_a_clock_that_is_set(
    world: World, jump: timedelta
) -> None:
    async with world.bot():
        world.slack.faults.rate_limit("chat.postMessage", retry_after=5)
        world.site.well = False
        await _put_off(world)
        world.clock_set_by = jump
        began = time.monotonic()
        await world.shows(world.channel, "IP forwarding is off")
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1)], ids=str)
async def test_an_outage_is_told_to_have_lasted_as_long_as_it_did(world: World, jump: timedelta) -> None:
    async with world.bot():
        began = time.monotonic()
        alert = await world.alert()
        world.clock_set_by = jump
        await asyncio.sleep(3)
        world.site.well = True
        await world.becomes(alert, GREEN)
        lasted = time.monotonic() - began
    [told] = re.findall(r"down for (\d+) s\.", alert.text)
    assert float(told) == pytest.approx(lasted, abs=2)


async def _put_off(world: World) -> None:
    """Wait until the store has it that the alert is to be posted later."""
    async with asyncio.timeout(PATIENCE):
        with closing(sqlite3.connect(world.file)) as reader:
            while not reader.execute("SELECT 1 FROM messages WHERE attempts > 0").fetchall():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
