"""Every alert once, in the right place, in the end: whatever Slack, the store or the configuration do meanwhile."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.demo.local_slack import LocalSlack
from checks.check import Checker
from checks.execution.apply import resume
from tests.wire.bot_world import FIX, GREEN, RED, Site, World, now

LOCKED_FOR = 12.0  # seconds; longer than a transaction waits for its turn


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        assert slack.complaints == []


async def test_an_alert_whose_answer_was_lost_stands_there_once(world: World) -> None:
    async with world.bot():
        world.slack.faults.lose_answer("chat.postMessage", times=2)
        alert = await world.alert()
        await world.until(lambda: len(alert.revisions) > 1)  # it was found again: what it shows is made sure of
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
    assert world.slack.messages(world.channel) == [alert]
    assert len(world.slack.calls("chat.postMessage")) == 3


async def test_where_slack_knows_no_such_ids_a_lost_answer_costs_one_message_more_and_no_other(world: World) -> None:
    world.slack.faults.ignore_client_msg_ids()
    async with world.bot():
        world.slack.faults.lose_answer("chat.postMessage")
        await world.alert()
        await world.until(lambda: len(world.slack.messages(world.channel)) == 2)
        alert = world.slack.messages(world.channel)[-1]
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
    assert len(world.slack.messages(world.channel)) == 2


async def test_an_alert_that_could_not_be_noted_as_sent_is_not_posted_again(world: World) -> None:
    """The store is locked from the moment at which Slack has the message."""
    async with world.bot():
        world.slack.faults.delay("chat.postMessage", 1.5)
        world.site.well = False
        await world.until(lambda: _claimed(world))
        async with world.locked():
            await asyncio.sleep(LOCKED_FOR)
        alert = await world.shows(world.channel, lambda message: bool(message.buttons) and message.colour == RED)
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
    assert [each for each in world.slack.messages(world.channel) if "host1/registry" in each.shown] == [alert]


def _claimed(world: World) -> bool:
    with closing(sqlite3.connect(world.file)) as reader:
        return bool(reader.execute("SELECT 1 FROM messages WHERE claimed_by != ''").fetchall())


async def test_when_the_bot_is_invited_the_alert_is_there_soon(world: World) -> None:
    world.slack.leave(world.channel, world.slack.bot)
    async with world.bot():
        world.site.well = False
        await world.until(lambda: len(world.slack.calls("chat.postMessage")) >= 4)
        world.slack.join(world.channel, world.slack.bot)
        began = time.monotonic()
        await world.shows(world.channel, "IP forwarding is off")
        assert time.monotonic() - began < 15


async def test_alerts_that_an_archived_channel_did_not_take_go_to_the_one_that_is_configured_next(world: World) -> None:
    world.channel.is_archived = True
    async with world.bot():
        world.site.well = False
        await world.until(lambda: any(call.error == "is_archived" for call in world.slack.calls("chat.postMessage")))
    others = world.slack.add_channel("#others", [world.alice])
    world.alert_channel = "#others"
    async with world.bot():
        alert = await world.shows(others, "IP forwarding is off")
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)


async def test_an_open_alert_whose_channel_was_archived_goes_on_in_the_one_that_is_configured_next(
    world: World,
) -> None:
    async with world.bot():
        await world.alert()
    world.channel.is_archived = True
    others = world.slack.add_channel("#others", [world.alice])
    world.alert_channel = "#others"
    async with world.bot():
        world.site.well = True
        again = await world.shows(others, "answers again")
        assert again.colour == GREEN


async def test_an_alert_stays_where_it_stands_when_others_go_elsewhere(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
    others = world.slack.add_channel("#others", [world.alice])
    world.alert_channel = "#others"
    async with world.bot():
        world.site.well = True
        await world.becomes(alert, GREEN)
    assert world.slack.messages(others) == []


@pytest.mark.parametrize(
    ("hindrance", "todo"), [("not invited", "/invite @dockerhealth"), ("archived", "Unarchive the channel"), ("", "")]
)
async def test_a_channel_that_alerts_cannot_go_to_is_told_at_start_with_what_to_do(
    world: World, capsys: pytest.CaptureFixture[str], hindrance: str, todo: str
) -> None:
    if hindrance == "not invited":
        world.slack.leave(world.channel, world.slack.bot)
    world.channel.is_archived = hindrance == "archived"
    async with world.bot():
        await world.until(lambda: bool(world.slack.calls("users.conversations")))
        await asyncio.sleep(0.5)
    logged = capsys.readouterr().out
    assert ("NOBODY SEES ALERTS" in logged) is bool(hindrance)
    assert todo in logged


async def test_an_alert_whose_host_left_the_configuration_is_ended_with_words_and_has_no_button(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
    world.host_name = "host2"
    async with world.bot():
        await world.until(lambda: "is watched no more" in alert.shown)
        assert "left the configuration" in alert.shown
        assert alert.colour not in {RED, GREEN}
        assert alert.buttons == []
        await world.slack.click(world.alice, alert, FIX, revision=-2)  # by one whose Slack has not caught up
        await world.until(lambda: bool(world.told(world.alice)))
        assert "Nothing was run" in world.told(world.alice)[-1]
    assert world.site.ran == []


async def test_a_fix_whose_host_left_the_configuration_while_it_ran_ends_with_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.site.may_end.clear()
    async with world.bot():
        alert = await world.alert()
        await world.slack.click(world.alice, alert, FIX)
        await world.until(lambda: bool(world.site.ran))
    world.host_name = "host2"
    checker = Checker(world.settings().host_list(), clock=now)
    monkeypatch.setattr(Site, "look_afterwards", lambda _, *arguments: resume(checker, *arguments))
    async with world.bot():
        await world.until(lambda: "is watched no more" in alert.shown)
        assert "How far it got is not known: host1/registry left the configuration" in alert.plain
        assert "KeyError" not in alert.shown
        assert alert.buttons == []
    await checker.close()
