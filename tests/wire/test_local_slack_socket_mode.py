"""The local Slack as a bot meets it: the real Bolt app over real Socket Mode, and what people see of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.local_slack import CannotDoError, Channel, LocalSlack, Message, Timings, User

Json = dict[str, Any]

IMPATIENT = Timings(ack_within=0.1, redeliver_after=(0.0,))
BRISK = Timings(close_after_disconnect=0.05, warning_before_close=0.05)
PATIENCE = 5.0  # seconds


class Clock:
    """A clock that tests move forward."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[LocalSlack]:
    async with LocalSlack.start(clock=clock) as running:
        yield running


@pytest.fixture
async def impatient() -> AsyncIterator[LocalSlack]:
    """Give a Slack that waits a tenth of a second for acknowledgements, for tests in which none comes."""
    async with LocalSlack.start(timings=IMPATIENT) as running:
        yield running


@pytest.fixture
async def brisk() -> AsyncIterator[LocalSlack]:
    """Give a Slack that closes sockets at once after it has told them to go."""
    async with LocalSlack.start(timings=BRISK) as running:
        yield running


def workspace(slack: LocalSlack) -> tuple[User, Channel]:
    alice = slack.add_user("alice")
    return alice, slack.add_channel("docker-health", [alice])


def app_of(slack: LocalSlack) -> AsyncApp:
    return AsyncApp(client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url))


@asynccontextmanager
async def connected(
    slack: LocalSlack, app: AsyncApp, ping_interval: float = 10
) -> AsyncIterator[AsyncSocketModeHandler]:
    before = slack.connected
    handler = AsyncSocketModeHandler(app, slack.app_token, ping_interval=ping_interval)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.wait_until(lambda: slack.connected == before + 1)
    try:
        yield handler
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


def button(text: str, action_id: str = "fix", **more: Any) -> Json:
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": text},
        "action_id": action_id,
        "value": "plan-1",
        **more,
    }


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


CONFIRM = {
    "title": plain("Restart docker?"),
    "text": {"type": "mrkdwn", "text": "All *14* containers restart."},
    "confirm": plain("Restart"),
    "deny": plain("Leave it"),
    "style": "danger",
}


async def post_alert(app: AsyncApp, channel: Channel, *buttons: Json, text: str = "registry is down") -> None:
    actions = [{"type": "actions", "elements": list(buttons)}] if buttons else []
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    await app.client.chat_postMessage(
        channel=channel.id, text=text, attachments=[{"color": "#d40e0d", "blocks": [section, *actions]}]
    )


async def alert_with(slack: LocalSlack, app: AsyncApp, channel: Channel, *buttons: Json) -> Message:
    await post_alert(app, channel, *buttons)
    return await slack.wait_for_message(channel, "registry is down")


# --- slash commands -----------------------------------------------------------------------------------------


async def test_a_command_is_acknowledged_and_answered_through_its_response_url(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)

    @app.command("/dockerhealth")
    async def answer(ack: AsyncAck, respond: AsyncRespond, command: Json) -> None:
        await ack()
        await respond(f"{command['text']} is well, <@{command['user_id']}>")

    async with connected(slack, app):
        result = await slack.command(alice, health, "/dockerhealth", "host1")
        assert (result.acked, result.payload, result.error) == (True, None, None)
        shown = await slack.wait_for_ephemeral(alice, "host1 is well")
    assert shown.shown == f"host1 is well, <@{alice.id}>"
    assert slack.messages(health) == []


async def test_the_acknowledgement_itself_may_be_the_answer(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)

    @app.command("/dockerhealth")
    async def answer(ack: AsyncAck) -> None:
        await ack(text="all well", response_type="in_channel")

    async with connected(slack, app):
        result = await slack.command(alice, health, "/dockerhealth", "host1")
    assert result.shown is not None
    assert [message.text for message in slack.messages(health)] == ["/dockerhealth host1", "all well"]


async def test_a_command_that_nobody_acknowledges_tells_the_person(impatient: LocalSlack) -> None:
    alice, health = workspace(impatient)
    async with connected(impatient, app_of(impatient)):
        result = await impatient.command(alice, health, "/dockerhealth", "host1")
    assert (result.acked, result.error) == (False, "operation_timeout")
    (shown,) = impatient.ephemerals(alice)
    assert "/dockerhealth failed because the app did not respond" in shown.text


async def test_a_command_with_no_bot_connected_fails_at_once(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    result = await slack.command(alice, health, "/dockerhealth", "host1")
    assert result.error == "dispatch_failed"


async def test_only_commands_of_the_manifest_exist(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    with pytest.raises(CannotDoError, match="no command of the app"):
        await slack.command(alice, health, "/dockerhelth")


async def test_a_response_url_works_five_times(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    url = (await slack.command(alice, health, "/dockerhealth")).response_url
    async with aiohttp.ClientSession() as session:
        statuses = []
        for number in range(6):
            async with session.post(url, json={"text": f"answer {number}"}) as answer:
                statuses.append(answer.status)
    assert statuses == [200, 200, 200, 200, 200, 404]


async def test_a_response_url_works_for_half_an_hour(slack: LocalSlack, clock: Clock) -> None:
    alice, health = workspace(slack)
    url = (await slack.command(alice, health, "/dockerhealth")).response_url
    clock.now += 30 * 60 + 1
    async with aiohttp.ClientSession() as session, session.post(url, json={"text": "late"}) as answer:
        assert (await answer.json())["error"] == "expired_url"


async def test_a_response_url_says_in_a_word_which_part_of_a_message_it_does_not_take(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    url = (await slack.command(alice, health, "/dockerhealth")).response_url
    header = {"type": "header", "text": plain("x" * 151)}
    refused: dict[str, Json] = {
        "invalid_blocks": {"text": "hi", "blocks": [header]},
        "invalid_attachments": {"text": "hi", "attachments": [{"blocks": [header]}]},
        "no_text": {},
    }
    async with aiohttp.ClientSession() as session:
        for word, body in refused.items():
            async with session.post(url, json=body) as answer:
                assert (answer.status, await answer.text()) == (400, word)


async def test_a_command_has_no_original_that_could_be_replaced(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    url = (await slack.command(alice, health, "/dockerhealth")).response_url
    async with aiohttp.ClientSession() as session:
        for body in ({"text": "looking"}, {"text": "found", "replace_original": True}):
            async with session.post(url, json=body) as answer:
                assert answer.status == 200
    assert [message.text for message in slack.ephemerals(alice)][-2:] == ["looking", "found"]


# --- buttons ------------------------------------------------------------------------------------------------


async def test_a_click_makes_the_round_trip_and_the_message_changes_in_place(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)
    clicks: list[Json] = []

    @app.action("fix")
    async def fix(ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        await ack()
        clicks.append(body)
        green = [{"color": "#2eb67d", "blocks": [{"type": "section", "text": plain("registry is back")}]}]
        await client.chat_update(
            channel=body["channel"]["id"],
            ts=body["container"]["message_ts"],
            text="registry is back",
            attachments=green,
        )

    async with connected(slack, app):
        message = await alert_with(slack, app, health, button("Restart docker"))
        result = await slack.click(alice, message, "Restart docker")
        await slack.wait_for_message(health, "registry is back")
    assert result.acked
    assert slack.messages(health) == [message]
    assert message.colours == ["#d40e0d", "#2eb67d"]
    (body,) = clicks
    assert (body["user"]["id"], body["team"]["id"]) == (alice.id, slack.identity.team_id)
    assert (body["actions"][0]["value"], body["container"]["attachment_id"]) == ("plan-1", 1)
    assert body["message"]["attachments"][0]["color"] == "d40e0d"
    assert slack.complaints == []


async def test_a_button_that_is_gone_can_be_pressed_only_by_who_has_not_seen_that(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)
    pressed: list[str] = []

    @app.action("fix")
    async def fix(ack: AsyncAck, action: Json) -> None:
        await ack()
        pressed.append(action["value"])

    async with connected(slack, app):
        message = await alert_with(slack, app, health, button("Restart docker"))
        await app.client.chat_update(channel=health.id, ts=message.ts, text="registry is back", attachments=[])
        with pytest.raises(CannotDoError, match="0 buttons"):
            await slack.click(alice, message, "Restart docker")
        result = await slack.click(alice, message, "Restart docker", revision=0)
        await slack.wait_until(lambda: pressed == ["plan-1"])
    assert result.acked


async def test_the_confirm_dialog_can_be_read_and_denied(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)
    async with connected(slack, app):
        message = await alert_with(slack, app, health, button("Restart docker", confirm=CONFIRM))
        result = await slack.click(alice, message, "fix", answer="deny")
    assert result.confirm is not None
    assert (result.confirm.text, result.confirm.confirm) == ("All *14* containers restart.", "Restart")
    assert not result.sent
    assert slack.envelopes == []


async def test_buttons_that_share_an_action_are_told_apart_by_their_value(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = counting_app(slack, Counter())
    async with connected(slack, app):
        await app.client.chat_postMessage(
            channel=health.id,
            text="registry is down",
            blocks=[{"type": "actions", "elements": [button("Fix", value=value)]} for value in ("one", "two")],
        )
        (message,) = slack.messages(health)
        with pytest.raises(CannotDoError, match="2 buttons"):
            await slack.click(alice, message, "fix")
        result = await slack.click(alice, message, "fix", value="two")
    assert (result.acked, result.button.value) == (True, "two")


async def test_a_person_outside_of_the_channel_cannot_click(slack: LocalSlack) -> None:
    _, health = workspace(slack)
    mallory = slack.add_user("mallory")
    app = app_of(slack)
    message = await alert_with(slack, app, health, button("Fix"))
    with pytest.raises(CannotDoError, match="mallory is not in"):
        await slack.click(mallory, message, "Fix")


async def test_an_ephemeral_message_is_replaced_through_the_click_on_it(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)

    @app.action("fix")
    async def fix(ack: AsyncAck, respond: AsyncRespond, body: Json) -> None:
        await ack()
        assert "message" not in body
        await respond(text="taken", replace_original=True)

    async with connected(slack, app):
        await app.client.chat_postEphemeral(
            channel=health.id,
            user=alice.id,
            text="sure?",
            blocks=[{"type": "actions", "elements": [button("Yes")]}],
        )
        (question,) = slack.ephemerals(alice)
        await slack.click(alice, question, "Yes")
        assert await slack.wait_for_ephemeral(alice, "taken") is question


async def test_an_option_is_chosen_from_a_menu(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    app = app_of(slack)
    chosen: list[str] = []

    @app.action("mute")
    async def mute(ack: AsyncAck, action: Json) -> None:
        await ack()
        chosen.append(action["selected_option"]["value"])

    options = [{"text": plain(text), "value": value} for text, value in (("1 hour", "1h"), ("1 day", "1d"))]
    async with connected(slack, app):
        menu = {"type": "overflow", "action_id": "mute", "options": options}
        message = await alert_with(slack, app, health, menu)
        await slack.choose(alice, message, "mute", "1 day")
        await slack.wait_until(lambda: chosen == ["1d"])


# --- modals -------------------------------------------------------------------------------------------------

MODAL = {
    "type": "modal",
    "callback_id": "silence",
    "title": plain("Silence host1"),
    "submit": plain("Silence"),
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": plain("Why?"),
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


def modal_app(slack: LocalSlack, opened: Callable[[AsyncWebClient, str], Awaitable[object]]) -> AsyncApp:
    app = app_of(slack)

    @app.command("/dockerhealth")
    async def command(ack: AsyncAck, client: AsyncWebClient, body: Json) -> None:
        await ack()
        await opened(client, body["trigger_id"])

    @app.view("silence")
    async def silence(ack: AsyncAck, view: Json) -> None:
        if view["state"]["values"]["why"]["text"]["value"] == "because":
            await ack(response_action="errors", errors={"why": "Say more."})
        else:
            await ack()

    return app


async def test_a_modal_is_opened_corrected_and_submitted(slack: LocalSlack) -> None:
    alice, health = workspace(slack)

    async def opened(client: AsyncWebClient, trigger_id: str) -> None:
        await client.views_open(trigger_id=trigger_id, view=MODAL)

    async with connected(slack, modal_app(slack, opened)):
        await slack.command(alice, health, "/dockerhealth", "silence host1")
        assert (await slack.wait_for_modal(alice)).title == "Silence host1"
        empty = await slack.submit_view(alice)
        assert (empty.envelope, empty.errors["why"]) == (None, "Please complete this required field.")
        assert (await slack.submit_view(alice, {"why": "because"})).errors == {"why": "Say more."}
        done = await slack.submit_view(alice, {"why": "maintenance until noon"})
    assert (done.acked, done.view, slack.modal(alice)) == (True, None, None)


async def test_a_trigger_id_opens_one_modal(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    errors: asyncio.Queue[str] = asyncio.Queue()

    async def opened(client: AsyncWebClient, trigger_id: str) -> None:
        await client.views_open(trigger_id=trigger_id, view=MODAL)
        with pytest.raises(SlackApiError) as caught:
            await client.views_open(trigger_id=trigger_id, view=MODAL)
        errors.put_nowait(caught.value.response["error"])

    async with connected(slack, modal_app(slack, opened)):
        await slack.command(alice, health, "/dockerhealth")
        assert await asyncio.wait_for(errors.get(), PATIENCE) == "exchanged_trigger_id"


async def test_a_trigger_id_works_for_three_seconds(slack: LocalSlack, clock: Clock) -> None:
    alice, health = workspace(slack)
    errors: asyncio.Queue[str] = asyncio.Queue()

    async def opened(client: AsyncWebClient, trigger_id: str) -> None:
        clock.now += 3.1
        with pytest.raises(SlackApiError) as caught:
            await client.views_open(trigger_id=trigger_id, view=MODAL)
        errors.put_nowait(caught.value.response["error"])

    async with connected(slack, modal_app(slack, opened)):
        await slack.command(alice, health, "/dockerhealth")
        assert await asyncio.wait_for(errors.get(), PATIENCE) == "expired_trigger_id"


# --- delivery -----------------------------------------------------------------------------------------------


def counting_app(slack: LocalSlack, seen: Counter[str], name: str = "bot") -> AsyncApp:
    app = app_of(slack)

    @app.action("fix")
    async def fix(ack: AsyncAck) -> None:
        await ack()
        seen[name] += 1

    return app


async def test_each_envelope_goes_to_one_of_the_sockets(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    seen: Counter[str] = Counter()
    first, second = counting_app(slack, seen, "first"), counting_app(slack, seen, "second")
    async with connected(slack, first), connected(slack, second):
        message = await alert_with(slack, first, health, button("Fix"))
        for _ in range(4):
            assert (await slack.click(alice, message, "Fix")).acked
        await slack.wait_until(lambda: seen.total() == 4)
    assert seen == {"first": 2, "second": 2}


async def test_an_envelope_delivered_twice_runs_the_listener_twice(slack: LocalSlack) -> None:
    alice, health = workspace(slack)
    seen: Counter[str] = Counter()
    app = counting_app(slack, seen)
    async with connected(slack, app):
        message = await alert_with(slack, app, health, button("Fix"))
        slack.faults.deliver_twice()
        result = await slack.click(alice, message, "Fix")
        # The second run ends without a word to Slack: the call that follows gives the test something to wait for.
        await app.client.auth_test()
        await slack.wait_until(lambda: seen["bot"] == 2)
    assert result.envelope is not None
    assert len(result.envelope.deliveries) == 2


async def test_a_lost_acknowledgement_brings_the_envelope_again(impatient: LocalSlack) -> None:
    alice, health = workspace(impatient)
    seen: Counter[str] = Counter()
    app = counting_app(impatient, seen)
    async with connected(impatient, app):
        message = await alert_with(impatient, app, health, button("Fix"))
        impatient.faults.drop_acks()
        result = await impatient.click(alice, message, "Fix")
        assert (result.acked, result.error) == (False, "operation_timeout")
        envelope = result.envelope
        assert envelope is not None
        await impatient.wait_until(lambda: envelope.acked)
    assert [delivery.attempt for delivery in envelope.deliveries] == [0, 1]
    assert seen["bot"] == 2


async def test_a_click_while_nobody_is_connected_arrives_as_a_retry(impatient: LocalSlack) -> None:
    alice, health = workspace(impatient)
    seen: Counter[str] = Counter()
    app = counting_app(impatient, seen)
    message = await alert_with(impatient, app, health, button("Fix"))
    result = await impatient.click(alice, message, "Fix")
    assert result.error == "dispatch_failed"
    envelope = result.envelope
    assert envelope is not None
    async with connected(impatient, app):
        await impatient.wait_until(lambda: envelope.acked)
    assert [delivery.attempt for delivery in envelope.deliveries] == [1]
    assert seen["bot"] == 1


async def test_an_event_reaches_the_app(slack: LocalSlack) -> None:
    alice, _ = workspace(slack)
    app = app_of(slack)

    @app.event("app_home_opened")
    async def home(event: Json, client: AsyncWebClient) -> None:
        view = {"type": "home", "blocks": [{"type": "header", "text": plain("All well")}]}
        await client.views_publish(user_id=event["user"], view=view)

    async with connected(slack, app):
        envelope = await slack.event({"type": "app_home_opened", "user": alice.id, "tab": "home"})
        await slack.wait_until(lambda: slack.home(alice) is not None)
    assert envelope.acked


# --- connections --------------------------------------------------------------------------------------------


async def test_a_socket_is_greeted_with_how_many_there_are(slack: LocalSlack) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(await url_for_socket(slack)) as ws:
        hello = await ws.receive_json()
    assert (hello["type"], hello["num_connections"]) == ("hello", 1)
    assert hello["connection_info"] == {"app_id": slack.identity.app_id}


async def url_for_socket(slack: LocalSlack) -> str:
    client = AsyncWebClient(base_url=slack.api_url)
    return str((await client.apps_connections_open(app_token=slack.app_token))["url"])


async def test_a_ticket_is_good_for_one_handshake(slack: LocalSlack) -> None:
    url = await url_for_socket(slack)
    async with aiohttp.ClientSession() as session, session.ws_connect(url):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_an_eleventh_socket_is_one_too_many(slack: LocalSlack) -> None:
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(await url_for_socket(slack)) for _ in range(10)]
        for socket in sockets:
            await socket.receive_json()
        async with session.ws_connect(await url_for_socket(slack)) as eleventh:
            frame = await eleventh.receive_json()
        for socket in sockets:
            await socket.close()
    assert (frame["type"], frame["reason"]) == ("disconnect", "too_many_websockets")


async def test_slack_pings_with_words() -> None:
    async with (
        LocalSlack.start(timings=Timings(ping_every=0.01)) as slack,
        aiohttp.ClientSession() as session,
        session.ws_connect(await url_for_socket(slack), autoping=False) as ws,
    ):
        await ws.receive_json()
        ping = await ws.receive()
    assert (ping.type, ping.data) == (aiohttp.WSMsgType.PING, b"Ping from applink-local")


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
async def test_the_bot_comes_back_after_it_was_told_to_go(brisk: LocalSlack, reason: Any) -> None:
    alice, health = workspace(brisk)
    app = app_of(brisk)

    @app.command("/dockerhealth")
    async def answer(ack: AsyncAck) -> None:
        await ack("here")

    async with connected(brisk, app, ping_interval=0.2):
        await brisk.disconnect(reason)
        await brisk.wait_until(lambda: brisk.connected == 1)
        result = await brisk.command(alice, health, "/dockerhealth")
    assert result.payload == {"text": "here"}
    assert len(brisk.calls("apps.connections.open")) >= 2


async def test_the_bot_comes_back_after_its_connection_broke(brisk: LocalSlack) -> None:
    async with connected(brisk, app_of(brisk), ping_interval=0.1):
        brisk.cut_sockets()
        await brisk.wait_until(lambda: brisk.connected == 1)


async def test_a_failed_handshake_leaves_the_adapter_on_a_dead_url_until_it_is_taken_away(
    brisk: LocalSlack,
) -> None:
    """The SDK retries the URL of which the ticket is used up; the bot's watchdog must make it ask for another."""
    brisk.faults.fail_handshakes()
    handler = AsyncSocketModeHandler(app_of(brisk), brisk.app_token, ping_interval=0.05)
    connecting = asyncio.create_task(handler.connect_async())  # type: ignore[no-untyped-call]
    try:
        await brisk.wait_until(lambda: brisk.refused_handshakes >= 3)
        assert (brisk.connected, len(brisk.calls("apps.connections.open"))) == (0, 1)
        handler.client.wss_uri = None
        await brisk.wait_until(lambda: brisk.connected == 1)
        await connecting
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def test_what_slack_would_ignore_is_noted(slack: LocalSlack) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(await url_for_socket(slack)) as ws:
        await ws.receive_json()
        await ws.send_json({"envelope_id": "never sent"})
        await slack.wait_until(lambda: bool(slack.complaints))
    assert "unknown envelope" in slack.complaints[0]
