"""The local Slack's page: who can reach it, what each person is sent, and that what they do there really happens."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.local_slack import Channel, LocalSlack, User

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack.start() as running:
        yield running


@pytest.fixture
def alice(slack: LocalSlack) -> User:
    return slack.add_user("alice")


@pytest.fixture
def health(slack: LocalSlack, alice: User) -> Channel:
    return slack.add_channel("docker-health", [alice])


@pytest.fixture
async def browser(slack: LocalSlack) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(slack.page_url) as session:
        yield session


def bot_of(slack: LocalSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


async def test_the_page_can_load_nothing_from_elsewhere(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/") as answer:
        policy, html = answer.headers["Content-Security-Policy"], await answer.text()
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert "__NONCE__" not in html
    assert 'src="http' not in html
    assert ".innerHTML" not in html


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Host": "rebound.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["another site", "a name rebound to loopback", "a request that another site caused"],
)
async def test_other_sites_are_kept_out(
    browser: aiohttp.ClientSession, slack: LocalSlack, alice: User, health: Channel, headers: dict[str, str]
) -> None:
    said = {"user": alice.id, "channel": health.id, "text": "not me"}
    async with browser.post("/page/say", json=said, headers=headers) as answer:
        assert answer.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await browser.ws_connect("/page/live", headers=headers)
    assert slack.messages(health) == []


async def test_a_form_cannot_act(
    browser: aiohttp.ClientSession, slack: LocalSlack, alice: User, health: Channel
) -> None:
    said = {"user": alice.id, "channel": health.id, "text": "not me"}
    async with browser.post("/page/say", data=said) as answer:
        assert answer.status == 404
    assert slack.messages(health) == []


async def test_a_person_is_sent_what_they_see_and_nothing_else(
    browser: aiohttp.ClientSession, slack: LocalSlack, alice: User, health: Channel
) -> None:
    bob = slack.add_user("bob")
    slack.join(health, bob)
    slack.add_channel("platform", [bob], private=True)
    bot = bot_of(slack)
    await bot.chat_postEphemeral(channel=health.id, user=bob.id, text="for bob alone")
    await bot.chat_postMessage(channel=health.id, text="for everyone")
    async with browser.ws_connect("/page/live", params={"user": alice.id}) as live:
        snapshot = await live.receive_json()
        await bot.chat_postEphemeral(channel=health.id, user=bob.id, text="still for bob alone")
        await bot.chat_postEphemeral(channel=health.id, user=alice.id, text="for alice alone")
        frames = [await live.receive_json()]
        while frames[-1]["type"] != "message":
            frames.append(await live.receive_json())
    assert [message["text"] for message in snapshot["messages"]] == ["for everyone"]
    assert [channel["name"] for channel in snapshot["channels"]] == ["docker-health"]
    assert frames[-1]["message"]["text"] == "for alice alone"
    assert frames[-1]["message"]["ephemeral"] is True


async def test_an_update_reaches_the_open_page(
    browser: aiohttp.ClientSession, slack: LocalSlack, alice: User, health: Channel
) -> None:
    bot = bot_of(slack)
    posted = await bot.chat_postMessage(channel=health.id, text="down")
    async with browser.ws_connect("/page/live", params={"user": alice.id}) as live:
        await live.receive_json()
        await bot.chat_update(channel=health.id, ts=posted["ts"], text="back")
        frame = await live.receive_json()
        while frame["type"] != "message":
            frame = await live.receive_json()
    assert (frame["message"]["text"], frame["message"]["revision"]) == ("back", 2)


async def test_what_is_typed_is_escaped_as_slacks_own_client_does(
    browser: aiohttp.ClientSession, slack: LocalSlack, alice: User, health: Channel
) -> None:
    said = {"user": alice.id, "channel": health.id, "text": "<!channel> a & b"}
    async with browser.post("/page/say", json=said) as answer:
        assert answer.status == 200
    assert [message.text for message in slack.messages(health)] == ["&lt;!channel&gt; a &amp; b"]


async def test_a_click_on_the_page_is_a_click_of_the_chosen_person(
    browser: aiohttp.ClientSession, slack: LocalSlack, alice: User, health: Channel
) -> None:
    await bot_of(slack).chat_postMessage(
        channel=health.id,
        text="registry is down",
        blocks=[
            {
                "type": "actions",
                "block_id": "fixes",
                "elements": [{"type": "button", "action_id": "fix", "text": {"type": "plain_text", "text": "Fix"}}],
            }
        ],
    )
    (message,) = slack.messages(health)
    place = {"user": alice.id, "channel": health.id, "ts": message.ts, "block_id": "fixes"}
    async with browser.post("/page/act", json={**place, "action_id": "fix"}) as answer:
        assert await answer.json() == {"acked": False, "error": "dispatch_failed"}
    async with browser.post("/page/act", json={**place, "action_id": "gone"}) as answer:
        assert answer.status == 409
    (envelope,) = slack.envelopes
    assert (envelope.payload["user"]["id"], envelope.payload["actions"][0]["action_id"]) == (alice.id, "fix")
