"""The bot in a Slack that fails in every way it can: nothing is lost, nothing runs twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.app import StartError, run
from bot.demo.local_slack import BOT_SCOPES, LocalSlack, Message
from bot.slack.outbox import RefusedError
from tests.unit.bot.samples import plan
from tests.wire.bot_world import FIX, GREEN, Site, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        assert slack.complaints == []


async def test_no_proxy_stands_between_the_bot_and_its_own_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with world.bot():
        alert = await world.alert()
        await world.slack.click(world.alice, alert, FIX)
        await world.tells(world.alice, "Approved.")


async def test_a_wrong_token_ends_the_bot_with_what_to_do(world: World) -> None:
    tokens = {
        "slack_bot_token": SecretStr(world.slack.bot_token),
        "slack_app_token": SecretStr(world.slack.app_token),
        "slack_api_url": world.slack.api_url,
        "store": world.url,
    }
    for wrong in ("slack_bot_token", "slack_app_token"):
        settings = world.settings().model_copy(update=tokens | {wrong: SecretStr("x-wrong")})
        with pytest.raises(RefusedError, match=f"Set {wrong.upper()}"):
            await run(settings, asyncio.Event())
    with pytest.raises(StartError, match="SLACK_BOT_TOKEN is not set"):
        await run(world.settings(), asyncio.Event())


async def test_a_slack_that_is_out_of_reach_at_start_is_waited_for(world: World) -> None:
    world.slack.faults.cut("auth.test", times=4)
    async with world.bot():
        alert = await world.alert()
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)


async def test_a_click_that_is_delivered_twice_runs_once_and_is_answered_once(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        world.slack.faults.deliver_twice()
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
        await asyncio.sleep(0.3)
    assert len(world.site.ran) == 1
    assert len(world.told(world.alice)) == 1


async def test_a_lost_acknowledgement_does_not_run_it_again(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        world.slack.faults.drop_acks()
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
        await world.until(lambda: all(envelope.acked for envelope in world.slack.envelopes))
    assert len(world.site.ran) == 1
    assert len(world.told(world.alice)) == 1


@pytest.mark.parametrize(
    "fail",
    [
        lambda slack: slack.faults.rate_limit("chat.postMessage", times=2),
        lambda slack: slack.faults.server_error("chat.postMessage", times=2),
        lambda slack: slack.faults.cut("chat.postMessage", times=2),
    ],
    ids=["429", "500", "cut"],
)
async def test_an_alert_arrives_once_however_often_slack_fails(world: World, fail: Callable[[LocalSlack], Any]) -> None:
    async with world.bot():
        fail(world.slack)
        alert = await world.alert()
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
    assert world.slack.messages(world.channel) == [alert]
    assert len(world.slack.calls("chat.postMessage")) == 3


async def test_an_alert_whose_blocks_are_refused_keeps_its_sentence_and_its_buttons(world: World) -> None:
    world.slack.faults.without_blocks("header", "section", "context")
    async with world.bot():
        alert = await world.alert()
        assert "host1/registry does not answer: IP forwarding is off. A fix is ready to approve." in alert.shown
        assert [block["type"] for card in alert.attachments for block in card["blocks"]] == ["actions"]
        pressed = await world.slack.click(world.alice, alert, FIX)
        assert pressed.confirm
        assert "sysctl -w net.ipv4.ip_forward=1" in pressed.confirm.text
        await world.until(lambda: "host1/registry answers again." in alert.shown)
    assert world.site.ran == [plan()]
    assert world.slack.messages(world.channel) == [alert]


async def test_an_alert_whose_buttons_are_refused_too_is_text(world: World) -> None:
    world.slack.faults.without_blocks("header", "actions")
    async with world.bot():
        world.site.well = False
        alert = await world.shows(world.channel, "IP forwarding is off")
        assert (alert.blocks, alert.attachments) == ([], [])
        assert "All of it: `dockerhealth check host1 registry`" in alert.text


async def test_an_answer_whose_blocks_are_refused_keeps_its_sentence_and_its_buttons(world: World) -> None:
    world.slack.faults.without_blocks("header")
    async with world.bot():
        world.site.well = False
        await world.slack.command(world.alice, world.channel, "/dockerhealth", "host1")
        answer = await world.tells(world.alice, "IP forwarding is off")
        assert answer.text.endswith("All of it: `dockerhealth check host1`")
        await world.slack.click(world.alice, answer, FIX)
        await world.tells(world.alice, "Approved.")
        await world.until(lambda: world.site.ran == [plan()])
    assert world.slack.calls("chat.postEphemeral") == []


async def test_an_answer_is_plain_on_its_other_way_as_well(world: World) -> None:
    world.slack.faults.without_blocks("header", "actions")
    world.slack.faults.refuse("response_url", "no_service", times=9)
    async with world.bot():
        await world.slack.command(world.carol, world.channel, "/dockerhealth")
        answer = await world.tells(world.carol, "1 service")
        assert (answer.blocks, answer.attachments) == ([], [])


# --- groups that Slack does not tell about ---


async def test_a_group_that_slack_does_not_know_is_told_at_start_and_to_whom_it_concerns(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.slack.faults.refuse("usergroups.users.list", "no_such_subteam", times=2)
    async with world.bot():
        await world.until(lambda: len(world.slack.calls("usergroups.users.list")) == 1)
        alert = await world.alert()
        logged = capsys.readouterr().out
        assert "NOBODY MAY APPROVE" in logged
        assert f"group={world.oncall.id} said='usergroups.users.list: no_such_subteam' todo='Check that id" in logged
        await world.slack.click(world.bob, alert, FIX)
        answer = await world.tells(world.bob, "Trying again does not help.")
        assert f"who is in `{world.oncall.id}` (usergroups.users.list: no_such_subteam)" in answer.text
        assert "Check that id in approvals.approvers and approvals.rules" in answer.text
        assert world.site.ran == []
        await world.slack.click(world.alice, alert, FIX)  # who is named
        await world.becomes(alert, GREEN)


async def test_an_app_that_may_not_read_groups_is_told_which_scope_it_lacks(tmp_path: Path) -> None:
    async with LocalSlack.start(scopes=BOT_SCOPES - {"usergroups:read"}) as slack:
        world = World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        async with world.bot():
            await slack.click(world.bob, await world.alert(), FIX)
            answer = await world.tells(world.bob, "missing_scope (needed: usergroups:read)")
            assert "Add the scopes of deploy/'s manifest to the app and install it again." in answer.text
    assert world.site.ran == []


async def test_a_group_that_could_not_be_asked_just_now_can_be_at_the_next_click(world: World) -> None:
    async with world.bot():
        await world.until(lambda: len(world.slack.calls("usergroups.users.list")) == 1)
        alert = await world.alert()
        world.slack.faults.refuse("usergroups.users.list", "internal_error")
        await world.slack.click(world.bob, alert, FIX)
        await world.tells(world.bob, "Try again in a minute")
        await world.slack.click(world.bob, alert, FIX)
        await world.becomes(alert, GREEN)
    assert len(world.site.ran) == 1


async def test_a_message_that_was_deleted_is_posted_again(world: World) -> None:
    async with world.bot():
        await world.alert()
        world.slack.faults.refuse("chat.update", "message_not_found")
        world.site.well = True
        await world.until(lambda: len(world.slack.messages(world.channel)) == 2)
        assert world.slack.messages(world.channel)[-1].colour == GREEN


async def test_an_answer_finds_another_way_where_the_response_url_fails(world: World) -> None:
    async with world.bot():
        world.slack.faults.refuse("response_url", "no_service", times=9)
        await world.slack.command(world.carol, world.channel, "/dockerhealth", "help")
        await world.tells(world.carol, "look at a host now")
        assert len(world.slack.calls("chat.postEphemeral")) == 1


async def test_a_slow_web_api_delays_no_acknowledgement(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        world.slack.faults.delay("*", 5, times=9)
        pressed = await world.slack.click(world.bob, alert, FIX)  # whose group has to be asked for
        assert pressed.acked
        world.slack.faults.clear()
        await world.tells(world.bob, "Approved.")


async def test_a_button_that_nothing_listens_to_is_acknowledged_and_explained(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        alert.revisions.append(_with_button(alert, "launch", "Launch"))
        pressed = await world.slack.click(world.alice, alert, "launch")
        assert pressed.acked
        await world.tells(world.alice, "I do not know this command or button.")


def _with_button(message: Message, action_id: str, text: str) -> Any:
    button = {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": text}, "value": "x"}
    return replace(message.now, blocks=[*message.blocks, {"type": "actions", "block_id": "b9", "elements": [button]}])


async def test_broken_connections_and_failed_handshakes_are_recovered_from(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        world.slack.faults.fail_handshakes(2)
        world.slack.cut_sockets()
        await world.until(lambda: world.slack.connected == 0)
        await world.until(lambda: world.slack.connected == 1)
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "too_many_websockets"])
async def test_it_comes_back_when_slack_sends_it_away(world: World, reason: Any) -> None:
    async with world.bot():
        alert = await world.alert()
        await world.slack.disconnect(reason)
        await world.until(lambda: world.slack.connected == 1)
        await world.slack.click(world.alice, alert, FIX)
        await world.becomes(alert, GREEN)
