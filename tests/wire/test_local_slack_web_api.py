"""The local Slack's Web API, called by the real SDK: what it accepts, and in which words it refuses."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.local_slack import BOT_SCOPES, Channel, LocalSlack, User

Json = dict[str, Any]


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
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack.start() as running:
        yield running


@pytest.fixture
def alice(slack: LocalSlack) -> User:
    return slack.add_user("alice", real_name="Alice Archer")


@pytest.fixture
def health(slack: LocalSlack, alice: User) -> Channel:
    return slack.add_channel("docker-health", [alice])


@pytest.fixture
def bot(slack: LocalSlack) -> AsyncWebClient:
    return client_of(slack)


def client_of(slack: LocalSlack, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token if token is None else token, base_url=slack.api_url)


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def alert(colour: str, text: str, *more: Json) -> list[Json]:
    return [{"color": colour, "blocks": [section(text), *more]}]


async def refusal(call: Callable[..., Any], **args: Any) -> Json:
    with pytest.raises(SlackApiError) as caught:
        await call(**args)
    answer = caught.value.response.data
    assert isinstance(answer, dict)
    return answer


# --- who may call -------------------------------------------------------------------------------------------


async def test_the_bot_learns_who_it_is(slack: LocalSlack, bot: AsyncWebClient) -> None:
    answer = await bot.auth_test()
    assert (answer["user_id"], answer["team_id"], answer["bot_id"]) == (
        slack.identity.bot_user,
        slack.identity.team_id,
        slack.identity.bot_id,
    )


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-of-somewhere-else", "invalid_auth")])
async def test_a_missing_or_wrong_token_is_refused(slack: LocalSlack, token: str, error: str) -> None:
    assert (await refusal(client_of(slack, token).auth_test))["error"] == error


async def test_each_token_is_good_for_its_own_methods_only(slack: LocalSlack) -> None:
    app = client_of(slack, slack.app_token)
    assert (await refusal(app.auth_test))["error"] == "not_allowed_token_type"
    answer = await refusal(app.apps_connections_open, app_token=slack.bot_token)
    assert answer["error"] == "not_allowed_token_type"
    opened = await app.apps_connections_open(app_token=slack.app_token)
    assert opened["url"].startswith("ws://127.0.0.1:")


async def test_a_missing_scope_is_refused_and_named() -> None:
    async with LocalSlack.start(scopes=BOT_SCOPES - {"usergroups:read"}) as slack:
        answer = await refusal(client_of(slack).usergroups_list)
    assert (answer["error"], answer["needed"]) == ("missing_scope", "usergroups:read")
    assert "chat:write" in answer["provided"]


async def test_direct_messages_need_a_scope_that_the_bot_does_not_ask_for(bot: AsyncWebClient, alice: User) -> None:
    assert (await refusal(bot.conversations_open, users=alice.id))["needed"] == "im:write"


async def test_a_method_that_slack_does_not_have_is_unknown(bot: AsyncWebClient) -> None:
    assert (await refusal(bot.api_call, api_method="chat.postMesage"))["error"] == "unknown_method"


# --- where it may write -------------------------------------------------------------------------------------


async def test_the_bot_must_be_in_a_channel_to_post_there(slack: LocalSlack, bot: AsyncWebClient) -> None:
    elsewhere = slack.add_channel("elsewhere", with_bot=False)
    assert (await refusal(bot.chat_postMessage, channel=elsewhere.id, text="hi"))["error"] == "not_in_channel"
    slack.join(elsewhere, slack.bot)
    await bot.chat_postMessage(channel=elsewhere.id, text="hi")
    assert [message.text for message in slack.messages(elsewhere)] == ["hi"]


async def test_a_private_channel_without_the_bot_does_not_exist_for_it(slack: LocalSlack, bot: AsyncWebClient) -> None:
    slack.add_channel("secret", with_bot=False, private=True, channel_id="C0SECRET")
    answer = await refusal(bot.chat_postMessage, channel="C0SECRET", text="hi")
    assert answer["error"] == "channel_not_found"
    listed = await bot.conversations_list(types="public_channel,private_channel")
    assert listed["channels"] == []


async def test_a_channel_may_be_named_to_post_but_not_to_update(bot: AsyncWebClient, health: Channel) -> None:
    posted = await bot.chat_postMessage(channel="#docker-health", text="hi")
    assert posted["channel"] == health.id
    answer = await refusal(bot.chat_update, channel="#docker-health", ts=posted["ts"], text="ho")
    assert answer["error"] == "channel_not_found"


async def test_a_message_must_say_something(bot: AsyncWebClient, health: Channel) -> None:
    empty = {"channel": health.id, "text": ""}
    assert (await refusal(bot.api_call, api_method="chat.postMessage", json=empty))["error"] == "no_text"


async def test_metadata_is_kept_and_must_have_its_shape(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    metadata = {"event_type": "incident", "event_payload": {"id": 7}}
    await bot.chat_postMessage(channel=health.id, text="down", metadata=metadata)
    assert slack.messages(health)[0].now.metadata == metadata
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="down", metadata={"id": 7})
    assert answer["error"] == "invalid_metadata_format"


async def test_a_name_of_its_own_needs_a_scope_that_the_bot_does_not_ask_for(
    bot: AsyncWebClient, health: Channel
) -> None:
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="hi", username="root")
    assert answer["needed"] == "chat:write.customize"


async def test_text_that_is_far_too_long_is_cut(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    await bot.chat_postMessage(channel=health.id, text="x" * 50_000)
    assert len(slack.messages(health)[0].text) == 40_000


# --- what it may write --------------------------------------------------------------------------------------


async def test_a_section_that_is_too_long_is_refused_and_pointed_at(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    blocks = [section("short"), section("x" * 3001)]
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="report", blocks=blocks)
    assert answer["error"] == "invalid_blocks"
    assert (
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/1/text/text]"
        in answer["response_metadata"]["messages"]
    )
    assert slack.messages(health) == []


async def test_blocks_of_an_attachment_are_looked_at_as_well(bot: AsyncWebClient, health: Channel) -> None:
    answer = await refusal(
        bot.chat_postMessage, channel=health.id, text="report", attachments=alert("#d40e0d", "x" * 3001)
    )
    assert answer["error"] == "invalid_attachments"
    assert "[json-pointer:/attachments/0/blocks/0/text/text]" in answer["response_metadata"]["messages"][1]


async def test_an_attachment_with_blocks_takes_no_text_beside_them(bot: AsyncWebClient, health: Channel) -> None:
    mixed = [{"color": "#d40e0d", "text": "old style", "blocks": [section("new style")]}]
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="report", attachments=mixed)
    assert (answer["error"], answer["errors"]) == ("invalid_attachments", ["invalid_keys"])


async def test_all_blocks_together_have_a_bound(bot: AsyncWebClient, health: Channel) -> None:
    blocks = [section("x" * 2700) for _ in range(5)]
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="report", blocks=blocks)
    assert answer["error"] == "msg_blocks_too_long"


async def test_newer_blocks_work_only_where_they_were_rolled_out(bot: AsyncWebClient, health: Channel) -> None:
    blocks: list[Json] = [{"type": "markdown", "text": "| a | b |"}]
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="table", blocks=blocks)
    assert answer["error"] == "invalid_blocks"
    async with LocalSlack.start(newer_blocks=["markdown"]) as newer:
        there = newer.add_channel("docker-health")
        await client_of(newer).chat_postMessage(channel=there.id, text="table", blocks=blocks)


async def test_a_workspace_may_be_without_any_kind_of_block(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    slack.faults.without_blocks("section")
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="hi", blocks=[section("hi")])
    assert (answer["error"], answer["errors"]) == (
        "invalid_blocks",
        ["unsupported type: section [json-pointer:/blocks/0/type]"],
    )
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="hi", attachments=alert("#d40e0d", "hi"))
    assert answer["error"] == "invalid_attachments"
    await bot.chat_postMessage(channel=health.id, text="hi", blocks=[{"type": "divider"}])


# --- updating in place --------------------------------------------------------------------------------------


async def test_a_message_is_updated_in_place_red_and_then_green(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    posted = await bot.chat_postMessage(
        channel=health.id, text="registry is down", attachments=alert("#D40E0D", "*registry* is down")
    )
    await bot.chat_update(
        channel=health.id,
        ts=posted["ts"],
        text="registry is back",
        attachments=alert("#2EB67D", "*registry* is back"),
    )
    (message,) = slack.messages(health)
    assert message.colours == ["#d40e0d", "#2eb67d"]
    assert "is down" in message.revisions[0].shown
    assert "is down" not in message.shown


async def test_an_update_with_text_alone_removes_the_blocks(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    posted = await bot.chat_postMessage(
        channel=health.id, text="one", blocks=[section("block")], attachments=alert("good", "attached")
    )
    await bot.chat_update(channel=health.id, ts=posted["ts"], text="two")
    (message,) = slack.messages(health)
    assert message.blocks == []
    assert message.shown == "two\nattached"


async def test_only_own_messages_can_be_updated_or_deleted(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel, alice: User
) -> None:
    hers = await slack.say(alice, health, "is the registry down?")
    place = {"channel": health.id, "ts": hers.ts}
    assert (await refusal(bot.chat_update, **place, text="no"))["error"] == "cant_update_message"
    assert (await refusal(bot.chat_delete, **place))["error"] == "cant_delete_message"


async def test_a_message_that_is_not_there_cannot_be_updated(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    posted = await bot.chat_postMessage(channel=health.id, text="one")
    await bot.chat_delete(channel=health.id, ts=posted["ts"])
    answer = await refusal(bot.chat_update, channel=health.id, ts=posted["ts"], text="two")
    assert answer["error"] == "message_not_found"
    assert slack.messages(health) == []


async def test_replies_stand_in_the_thread_of_their_parent(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    parent = await bot.chat_postMessage(channel=health.id, text="incident")
    await bot.chat_postMessage(channel=health.id, text="detail", thread_ts=parent["ts"])
    assert [message.text for message in slack.messages(health, thread_ts=parent["ts"])] == ["detail"]
    answer = await refusal(bot.chat_postMessage, channel=health.id, text="lost", thread_ts="1.000001")
    assert answer["error"] == "thread_not_found"


async def test_an_ephemeral_message_is_seen_by_one_member(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel, alice: User
) -> None:
    stranger = slack.add_user("mallory")
    await bot.chat_postEphemeral(channel=health.id, user=alice.id, text="only you")
    assert [message.text for message in slack.ephemerals(alice)] == ["only you"]
    assert slack.messages(health) == []
    answer = await refusal(bot.chat_postEphemeral, channel=health.id, user=stranger.id, text="psst")
    assert answer["error"] == "user_not_in_channel"


async def test_a_permalink_leads_to_the_message(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    posted = await bot.chat_postMessage(channel=health.id, text="one")
    link = (await bot.chat_getPermalink(channel=health.id, message_ts=posted["ts"]))["permalink"]
    assert link == f"{slack.page_url}archives/{health.id}/p{posted['ts'].replace('.', '')}"


# --- people and groups --------------------------------------------------------------------------------------


async def test_changed_members_of_a_group_are_seen_at_the_next_question(
    slack: LocalSlack, bot: AsyncWebClient, alice: User
) -> None:
    oncall = slack.add_group("oncall", [alice])
    assert (await bot.usergroups_users_list(usergroup=oncall.id))["users"] == [alice.id]
    slack.set_group("@oncall", [])
    assert (await bot.usergroups_users_list(usergroup=oncall.id))["users"] == []


async def test_lists_come_in_pages(slack: LocalSlack, bot: AsyncWebClient) -> None:
    for name in ("a", "b", "c"):
        slack.add_channel(name)
    first = await bot.conversations_list(limit=2)
    second = await bot.conversations_list(limit=2, cursor=first["response_metadata"]["next_cursor"])
    assert [channel["name"] for channel in (*first["channels"], *second["channels"])] == ["a", "b", "c"]
    assert second["response_metadata"]["next_cursor"] == ""


async def test_a_form_is_read_like_json(slack: LocalSlack, health: Channel) -> None:
    form = {
        "token": slack.bot_token,
        "channel": health.id,
        "text": "hi",
        "blocks": '[{"type":"divider"}]',
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{slack.api_url}chat.postMessage", data=form) as answer,
    ):
        assert (await answer.json())["ok"] is True
    assert slack.messages(health)[0].blocks[0]["type"] == "divider"


async def test_json_reaches_only_the_methods_that_take_it(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel, alice: User
) -> None:
    oncall = slack.add_group("oncall", [alice])
    posted = await bot.api_call("chat.postMessage", json={"channel": health.id, "text": "hi"})
    assert posted["channel"] == health.id
    lost = {
        "usergroups.users.list": ({"usergroup": oncall.id}, "usergroup"),
        "conversations.info": ({"channel": health.id}, "channel"),
        "conversations.members": ({"channel": health.id}, "channel"),
        "chat.getPermalink": ({"channel": health.id, "message_ts": posted["ts"]}, "channel"),
        "files.getUploadURLExternal": ({"filename": "report.txt", "length": 3}, "filename"),
    }
    for method, (arguments, missing) in lost.items():
        answer = await refusal(bot.api_call, api_method=method, json=arguments)
        assert answer["error"] == "invalid_arguments", method
        assert answer["response_metadata"]["messages"] == [f"[ERROR] missing required field: {missing}"]
        assert (await bot.api_call(method, params=arguments))["ok"], method
    assert (await refusal(bot.api_call, api_method="users.info", json={"user": alice.id}))["error"] == "user_not_found"
    assert len((await bot.api_call("users.list", json={"limit": 1}))["members"]) > 1, "the limit is lost as well"


async def test_a_file_is_uploaded_and_shared(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    await bot.files_upload_v2(
        channel=health.id, content="everything that was seen", filename="report.txt", title="The report"
    )
    (message,) = slack.messages(health)
    assert [file["title"] for file in message.files] == ["The report"]


# --- limits and faults --------------------------------------------------------------------------------------


async def test_posting_too_fast_is_refused_until_the_time_it_names() -> None:
    clock = Clock()
    async with LocalSlack.start(rate_limits=True, clock=clock) as slack:
        bot, one, other = client_of(slack), slack.add_channel("one"), slack.add_channel("other")
        for _ in range(4):
            await bot.chat_postMessage(channel=one.id, text="burst")
        with pytest.raises(SlackApiError) as caught:
            await bot.chat_postMessage(channel=one.id, text="too much")
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "1"
        await bot.chat_postMessage(channel=other.id, text="another channel has its own limit")
        clock.now += 1
        await bot.chat_postMessage(channel=one.id, text="in time")
    assert [call.error for call in slack.calls("chat.postMessage")].count("ratelimited") == 1


async def test_the_sdk_retries_after_a_429(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    bot.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    slack.faults.rate_limit("chat.postMessage", retry_after=0)
    await bot.chat_postMessage(channel=health.id, text="at last")
    assert [call.status for call in slack.calls("chat.postMessage")] == [429, 200]
    assert [message.text for message in slack.messages(health)] == ["at last"]


async def test_a_lost_answer_leaves_the_message_posted(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    bot.retry_handlers.clear()
    slack.faults.lose_answer("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await bot.chat_postMessage(channel=health.id, text="posted all the same")
    assert [message.text for message in slack.messages(health)] == ["posted all the same"]


async def test_a_repeated_client_msg_id_answers_with_the_message_that_it_posted(
    slack: LocalSlack, bot: AsyncWebClient, health: Channel
) -> None:
    first = await bot.chat_postMessage(channel=health.id, text="first", client_msg_id="6f2c")
    again = await bot.chat_postMessage(channel=health.name, text="second", client_msg_id="6f2c")
    assert again["ts"] == first["ts"]
    assert [message.text for message in slack.messages(health)] == ["first"]
    other = slack.add_channel("other")
    refused = await refusal(bot.chat_postMessage, channel=other.id, text="elsewhere", client_msg_id="6f2c")
    assert refused["error"] == "duplicate_channel_not_found"
    await bot.chat_delete(channel=health.id, ts=first["ts"])
    refused = await refusal(bot.chat_postMessage, channel=health.id, text="gone", client_msg_id="6f2c")
    assert refused["error"] == "duplicate_message_not_found"


async def test_a_cut_connection_posts_nothing(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    bot.retry_handlers.clear()
    slack.faults.cut("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await bot.chat_postMessage(channel=health.id, text="never")
    assert slack.messages(health) == []


async def test_faults_are_used_up(slack: LocalSlack, bot: AsyncWebClient, health: Channel) -> None:
    slack.faults.refuse("chat.postMessage", "fatal_error")
    slack.faults.server_error("*")
    assert (await refusal(bot.chat_postMessage, channel=health.id, text="one"))["error"] == "fatal_error"
    with pytest.raises(SlackApiError) as caught:
        await bot.chat_postMessage(channel=health.id, text="two")
    assert caught.value.response.status_code == 500
    await bot.chat_postMessage(channel=health.id, text="three")
    assert [message.text for message in slack.messages(health)] == ["three"]
