"""The bot in a strict Slack, over real Socket Mode and a real Web API: from a broken service to a green message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.app import Bot, StartError, run
from bot.config import Settings
from bot.demo.local_slack import Channel, LocalSlack, Message, User
from bot.outbox import RefusedError
from bot.slack.client import SlackClient
from bot.slack.views.blocks import Colour
from bot.store import Store
from checks.apply import OnProgress, Progress
from checks.model import Applied, Host, Plan, Reading, Report, Service
from tests.unit.bot_samples import broken, failed, fixed, good, healthy, plan

CHANNEL = "#docker-health"
PATIENCE = 30.0  # seconds, on a machine that is busy
FIX = "approve:enable-ip-forward"
RED, AMBER, GREEN = Colour.RED, Colour.AMBER, Colour.GREEN


class Site:
    """A host whose one service breaks, and is mended by the fix that a test allows to end."""

    def __init__(self) -> None:
        self.well = True
        self.plan = plan()
        self.ran: list[Plan] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.reached = asyncio.Event()

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the protocol's
        self.reached.set()
        return good(_now()) if self.well else failed(_now())

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:  # noqa: ARG002
        return (healthy(_now()) if self.well else broken(self.plan, at=_now()),)

    async def mend(self, approved: Plan, on_progress: OnProgress) -> Applied:
        self.ran.append(approved)
        await on_progress(Progress("step 1 of 1: switch it on"))
        await self.may_end.wait()
        self.well = True
        return fixed(_now())


class World:
    """A Slack, a site, and the bot in between."""

    def __init__(self, slack: LocalSlack, site: Site, url: str) -> None:
        self.slack, self.site, self.url = slack, site, url
        self.alice = slack.add_user("alice")
        self.bob = slack.add_user("bob")
        self.carol = slack.add_user("carol")
        self.oncall = slack.add_group("oncall", [self.bob])
        self.channel = slack.add_channel(CHANNEL, [self.alice, self.bob, self.carol])
        self.expire_after = timedelta(minutes=30)
        self.look_every = timedelta(minutes=5)

    def settings(self) -> Settings:
        host = {"address": "10.0.0.11", "services": {"registry": {"url": "http://10.0.0.11:5000/v2/"}}}
        settings = Settings(
            hosts={"host1": host},  # type: ignore[dict-item]  # as in the file
            approvals={"approvers": [self.alice.id, self.oncall.id]},  # type: ignore[arg-type]
        )
        checks = settings.checks.model_copy(
            update={"reach_every": timedelta(seconds=0.1), "look_every": self.look_every}
        )
        approvals = settings.approvals.model_copy(update={"expire_after": self.expire_after})
        return settings.model_copy(update={"checks": checks, "approvals": approvals})

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[None]:
        """One life of the bot."""
        stop = asyncio.Event()
        store = await Store.open(self.url)
        client = await SlackClient.open(self.slack.bot_token, self.slack.api_url)
        bot = Bot(self.settings(), store, client, self.site, self.site.mend)
        running = asyncio.create_task(bot.run(self.slack.app_token, stop))
        try:
            await self.until(lambda: self.slack.connected > 0)
            yield
        finally:
            stop.set()
            await running
            await client.close()
            await store.close()

    async def alert(self) -> Message:
        """Break the service, and wait for the alert with its button."""
        self.site.well = False
        return await self.shows(self.channel, lambda message: _has(message, FIX))

    async def becomes(self, message: Message, colour: str, words: str = "") -> None:
        await self.until(lambda: message.colour == colour and words in message.shown)

    async def until(self, true: Callable[[], bool]) -> None:
        await self.slack.wait_until(true, timeout=PATIENCE)

    async def tells(self, user: User, words: str) -> Message:
        return await self.slack.wait_for_ephemeral(user, words, timeout=PATIENCE)

    async def shows(self, channel: Channel, wanted: Callable[[Message], bool] | str) -> Message:
        return await self.slack.wait_for_message(channel, wanted, timeout=PATIENCE)

    def told(self, user: User) -> list[str]:
        return [message.text for message in self.slack.ephemerals(user)]


def _now() -> datetime:
    return datetime.now(UTC)


def _has(message: Message, action: str) -> bool:
    return any(button.action_id == action for button in message.buttons)


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
        assert f"<@{world.alice.id}> approved" in alert.shown
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
        await world.tells(world.carol, "You may not approve fixes. Nothing was run.")
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
        await asyncio.sleep(2.1)
        await world.slack.click(world.alice, alert, FIX, revision=first)
        await world.tells(world.alice, "This offer expired")
        await world.until(lambda: _has(alert, FIX) and len(alert.revisions) > first + 1)
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
        assert _has(alert, FIX)
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
        assert _has(alert, FIX)
        assert not _has(alert, "acknowledge")


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


# --- a Slack that misbehaves ---


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


async def test_blocks_that_are_refused_are_sent_as_text(world: World) -> None:
    async with world.bot():
        world.slack.faults.refuse("chat.postMessage", "invalid_blocks")
        world.site.well = False
        alert = await world.shows(world.channel, "IP forwarding is off")
        assert (alert.blocks, alert.attachments) == ([], [])


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
