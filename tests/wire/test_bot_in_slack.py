"""The bot in a strict Slack: from a broken service to a green message, and everything that people ask it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.demo.local_slack import LocalSlack
from tests.unit.bot.samples import plan
from tests.wire.bot_world import AMBER, FIX, GREEN, RED, Site, World, has


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        assert slack.complaints == []


async def test_a_broken_service_is_alerted_approved_by_a_click_fixed_and_turned_green(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        assert alert.colour == RED
        assert "IP forwarding is off" in alert.shown
        assert "net.ipv4.ip_forward = 0" in alert.shown
        world.site.may_end.clear()
        pressed = await world.slack.click(world.alice, alert, FIX)
        assert pressed.acked
        assert pressed.confirm
        assert "sysctl -w net.ipv4.ip_forward=1" in pressed.confirm.text
        await world.becomes(alert, AMBER, "step 1 of 1")
        assert f"is being carried out, approved by <@{world.alice.id}>" in alert.shown
        assert not alert.buttons
        await world.tells(world.alice, "Approved.")
        world.site.may_end.set()
        await world.becomes(alert, GREEN, "Verified")
        assert f"approved by <@{world.alice.id}>" in alert.shown
    assert world.slack.messages(world.channel) == [alert]
    assert world.site.ran == [plan()]


async def test_a_second_click_is_told_who_was_first_and_runs_nothing(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        posted = len(alert.revisions) - 1
        world.site.may_end.clear()
        await world.slack.click(world.alice, alert, FIX)
        await world.tells(world.alice, "Approved.")
        await world.slack.click(world.bob, alert, FIX, revision=posted)
        answer = await world.tells(world.bob, "approved this already")
        assert answer.text.startswith(f"<@{world.alice.id}> approved this already")
        world.site.may_end.set()
        await world.becomes(alert, GREEN)
        await world.slack.click(world.bob, alert, FIX, revision=posted)
        await world.tells(world.bob, "Fixed.")
    assert len(world.site.ran) == 1


async def test_two_clicks_at_the_same_moment_run_it_once(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        await asyncio.gather(*[world.slack.click(who, alert, FIX) for who in (world.alice, world.bob) * 3])
        await world.becomes(alert, GREEN)
        await world.until(lambda: len(world.told(world.alice)) + len(world.told(world.bob)) == 6)
    assert len(world.site.ran) == 1
    told = world.told(world.alice) + world.told(world.bob)
    assert len([words for words in told if words.startswith("Approved.")]) == 1


async def test_a_member_of_the_approvers_group_may_and_a_stranger_may_not(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        await world.slack.click(world.carol, alert, FIX)
        await world.tells(world.carol, "You may not approve this fix. Nothing was run.")
        assert alert.colour == RED
        assert world.site.ran == []
        world.slack.set_group(world.oncall, [world.carol])
        await world.slack.click(world.carol, alert, FIX)
        await world.becomes(alert, GREEN)
    assert len(world.site.ran) == 1


async def test_an_expired_offer_is_refused_and_replaced(world: World) -> None:
    world.expire_after = timedelta(seconds=2)
    async with world.bot():
        alert = await world.alert()
        first = len(alert.revisions) - 1
        world.site.out_of_reach = True  # no look finds the plan again
        await asyncio.sleep(2.1)
        world.site.out_of_reach = False
        await world.slack.click(world.alice, alert, FIX, revision=first)
        await world.tells(world.alice, "This offer expired")
        await world.until(lambda: has(alert, FIX) and len(alert.revisions) > first + 1)
    assert world.site.ran == []


async def test_a_click_after_the_host_changed_is_refused(world: World) -> None:
    world.look_every = timedelta(seconds=0.2)
    async with world.bot():
        alert = await world.alert()
        first = len(alert.revisions) - 1
        world.site.plan = plan(basis="2")
        await world.until(lambda: len(alert.revisions) > first + 1)
        await world.slack.click(world.alice, alert, FIX, revision=first)
        await world.tells(world.alice, "The host has changed since this was offered.")
    assert world.site.ran == []


async def test_a_restart_forgets_nothing_repeats_nothing_and_its_buttons_work(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
    async with world.bot():
        await asyncio.sleep(1.0)
        assert has(alert, FIX)
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
    assert len(world.slack.calls("chat.postMessage")) == 1
    assert len(world.site.ran) == 1


async def test_a_click_while_the_bot_was_away_counts_when_it_is_back(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
    await world.slack.click(world.alice, alert, FIX)
    async with world.bot():
        await world.becomes(alert, GREEN)
        await world.tells(world.alice, "Approved.")
    assert len(world.site.ran) == 1


async def test_a_fault_that_goes_away_turns_the_message_green_without_a_click(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        world.site.well = True
        await world.becomes(alert, GREEN, "No fix of dockerhealth brought it back")
        await world.slack.click(world.alice, alert, FIX, revision=len(alert.revisions) - 2)
        await world.tells(world.alice, "is well again. Nothing was run.")


async def test_anyone_may_take_care_of_an_incident(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        await world.slack.click(world.carol, alert, "acknowledge")
        await world.becomes(alert, AMBER, "acknowledged")
        await world.tells(world.carol, "host1/registry is yours.")
        assert f"<@{world.carol.id}>" in alert.shown
        assert has(alert, FIX)
        assert not has(alert, "acknowledge")


# --- commands ---


async def test_all_hosts_at_a_glance(world: World) -> None:
    async with world.bot():
        await world.site.reached.wait()
        await asyncio.sleep(0.05)
        done = await world.slack.command(world.carol, world.channel, "/dockerhealth")
        assert done.acked
        await world.tells(world.carol, "1 of 1 service answer")


async def test_a_host_is_looked_at_and_the_button_of_the_answer_works(world: World) -> None:
    async with world.bot():
        world.site.well = False
        done = await world.slack.command(world.alice, world.channel, "/dockerhealth", "HOST1 registry")
        assert done.acked
        answer = await world.tells(world.alice, "IP forwarding is off")
        await world.slack.click(world.alice, answer, FIX)
        alert = await world.shows(world.channel, "host1/registry")
        await world.becomes(alert, GREEN, "Verified")
    assert len(world.slack.messages(world.channel)) == 1
    assert len(world.site.ran) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("help", "look at a host now"),
        ("hots1", "Did you mean `host1`?"),
        ("<!channel>", "I do not know a host"),
        ("host1 regstry", "Did you mean `registry`?"),
    ],
)
async def test_words_that_are_no_host_are_answered_with_what_is_meant(world: World, text: str, words: str) -> None:
    async with world.bot():
        await world.slack.command(world.carol, world.channel, "/dockerhealth", text)
        answer = await world.tells(world.carol, words)
        assert "<!channel>" not in answer.text


async def test_a_host_can_be_asked_about_where_the_bot_is_not_a_member(world: World) -> None:
    elsewhere = world.slack.add_channel("random", [world.carol], with_bot=False)
    async with world.bot():
        await world.slack.command(world.carol, elsewhere, "/dockerhealth", "host1")
        await world.tells(world.carol, "registry")
