"""The Web API as the bot uses it: the outbox's sender, answers to one person, who is who.

Each method is called by slack_sdk's own function, which knows how it takes its arguments: some take JSON, of others,
such as ``usergroups.users.list``, Slack drops a JSON body without a word.
"""

import json
from collections.abc import Awaitable
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final, Self
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.approvals.approvers import Members, Unreachable, Withheld
from bot.slack.message import Message
from bot.slack.outbox import (
    ChannelRefusedError,
    InvalidBlocksError,
    MessageGoneError,
    RefusedError,
    RetryLaterError,
    SendError,
    WrongTokenError,
    in_fullest_form,
)

TIMEOUT: Final = 10  # seconds, one call
MOST_PAGES: Final = 20  # of 1,000 channels that the bot is in
TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = 500

NOT_THESE_BLOCKS: Final = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long", "msg_too_long"}
)
GONE: Final = frozenset(
    {
        "cant_update_message",
        "duplicate_channel_not_found",
        "duplicate_message_not_found",  # what was posted under this client_msg_id was deleted since
        "edit_window_closed",
        "message_not_found",
    }
)
PASSING: Final = frozenset(
    {
        "access_denied",  # while the workspace moves into an organisation
        "accesslimited",
        "fatal_error",
        "internal_error",
        "org_login_required",  # with team_added_to_org: while the workspace moves into an organisation
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
        "unknown_error",
    }
)
WRONG_TOKEN: Final = frozenset(
    {"account_inactive", "invalid_auth", "not_allowed_token_type", "not_authed", "token_expired", "token_revoked"}
)
CHANNEL_REFUSED: Final = frozenset(
    {*WRONG_TOKEN, "channel_not_found", "is_archived", "missing_scope", "not_in_channel", "restricted_action"}
)
"""What holds for every message to a channel, and not for one message."""
_TOKEN = "Set SLACK_BOT_TOKEN (or SLACK_BOT_TOKEN_FILE) to the bot token of the installed app (xoxb-...) and restart."  # noqa: S105  # no token
_APP_TOKEN = "Set SLACK_APP_TOKEN (or SLACK_APP_TOKEN_FILE) to an app-level token with connections:write (xapp-...)."  # noqa: S105
OPEN_SOCKET: Final = "apps.connections.open"
INTRODUCING: Final = frozenset({OPEN_SOCKET, "auth.test"})
POSTING: Final = frozenset({"chat.postMessage", "chat.update"})
_INVITE = "Invite the bot in that channel: /invite @dockerhealth."
TODO: Final = {
    "channel_not_found": f"Check slack.alert_channel. If the channel is private: {_INVITE}",
    "not_in_channel": _INVITE,
    "is_archived": "Unarchive the channel, or set slack.alert_channel to another one and restart.",
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "account_inactive": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "not_allowed_token_type": _TOKEN,
    "missing_scope": "Add the scopes of deploy/'s manifest to the app and install it again.",
    "no_such_subteam": (
        "Check that id in approvals.approvers and approvals.rules, and that the user group exists and is enabled."
    ),
    "plan_upgrade_required": (
        "The workspace's plan has no user groups: name people in approvals.approvers and approvals.rules, and restart."
    ),
    "restricted_action": "A rule of the workspace forbids the bot to post there; ask its admin.",
}

log = structlog.get_logger()


class SlackClient:
    """Opened with ``SlackClient.open``. What it cannot do it raises as a SendError."""

    def __init__(self, session: aiohttp.ClientSession, token: str, api_url: str) -> None:
        self._session = session
        self._api_url = api_url
        # The outbox tries again itself, with what is newest by then.
        self._once = self._web(token, [])
        self._patient = self._web(token, _patience())

    @classmethod
    async def open(cls, token: str, api_url: str) -> Self:
        # One session keeps the connection to Slack warm: a new TLS handshake a call would be a third of an alert's way.
        return cls(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)), token, api_url)

    async def close(self) -> None:
        await self._session.close()

    def without_token(self) -> AsyncWebClient:
        """A client for what brings a token of its own: Socket Mode."""
        return self._web(None, _patience())

    # --- the outbox's sender ---

    async def post(self, channel: str, message: Message, post_id: str) -> tuple[str, str]:
        # Slack documents client_msg_id only by errors of this method ("No duplicate message exists associated with
        # client_msg_id"): a second post under one id answers with the message of the first. That needs no scope to
        # read history, as any other way to find a message again does. A workspace in which it does not hold gets what
        # it got before: a second message where the answer to the first was lost.
        posting = self._once.chat_postMessage(
            channel=channel, unfurl_links=False, unfurl_media=False, client_msg_id=post_id, **message.payload()
        )
        answer = await _answered("chat.postMessage", posting)
        return answer["channel"], answer["ts"]

    async def update(self, channel: str, ts: str, message: Message) -> None:
        await _answered("chat.update", self._once.chat_update(channel=channel, ts=ts, **message.payload()))

    # --- who is who ---

    async def team(self) -> str:
        """The id of the workspace that the token belongs to."""
        answer = await _answered("auth.test", self._patient.auth_test())
        team: str = answer["team_id"]
        return team

    async def greet(self, app_token: str) -> None:
        """Find out whether Socket Mode would take the app token: the SDK itself tries a wrong one for ever."""
        await _answered(OPEN_SOCKET, self.without_token().apps_connections_open(app_token=app_token))

    async def why_not_in(self, channel: str) -> str:
        """What has to be done before the bot can post in a channel; empty where it can. Raises SendError.

        Slack is asked for the channels that the bot is in, which takes no history and names no other channel.
        """
        cursor = ""
        for _ in range(MOST_PAGES):
            asking = self._patient.users_conversations(
                types="public_channel,private_channel", limit=1000, cursor=cursor
            )
            answer = await _answered("users.conversations", asking)
            for each in answer.get("channels", ()):
                if channel in {each["id"], f"#{each.get('name', '')}"}:
                    return TODO["is_archived"] if each.get("is_archived") else ""
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return f"{_INVITE} Or check slack.alert_channel, if there is none of that name."

    async def members(self, group: str) -> Members:
        """Who is in a user group now. What Slack does not tell is in the log, too."""
        try:
            answer = await _answered("usergroups.users.list", self._patient.usergroups_users_list(usergroup=group))
        except RefusedError as error:
            log.error(  # noqa: TRY400  # the text says it all
                "slack: NOBODY MAY APPROVE through this user group, Slack does not tell who is in it",
                group=group,
                said=error.code,
                todo=error.todo,
            )
            return Withheld(error.code, error.todo)
        except SendError as error:
            log.warning("slack: who is in an approvers' user group could not be asked", group=group, why=str(error))
            return Unreachable()
        return frozenset(answer["users"])

    # --- answers to one person ---

    async def answer(self, response_url: str, channel: str, user: str, message: Message) -> None:
        """Show ``message`` to the one who asked, and to nobody else. Raises SendError."""
        try:
            await in_fullest_form(message, lambda form: self._respond(response_url, form), user=user)
        except SendError as error:
            log.warning("slack: the response_url did not work, trying an ephemeral message", why=str(error), user=user)
            await in_fullest_form(message, lambda form: self._show(channel, user, form), user=user)

    async def _show(self, channel: str, user: str, message: Message) -> None:
        showing = self._patient.chat_postEphemeral(channel=channel, user=user, **message.payload())
        await _answered("chat.postEphemeral", showing)

    async def _respond(self, url: str, message: Message) -> None:
        hook = AsyncWebhookClient(url, timeout=TIMEOUT, session=self._session, retry_handlers=_patience())
        if direct(url):
            hook.proxy = None
        body = message.payload() | {"response_type": "ephemeral", "replace_original": False}
        try:
            answer = await hook.send_dict(body)
        except (aiohttp.ClientError, OSError) as error:
            raise RetryLaterError(f"no answer from the response_url: {error!r}") from error
        if answer.status_code != 200:  # noqa: PLR2004  # HTTP's OK
            raise not_shown(answer.status_code, answer.body)

    def _web(self, token: str | None, handlers: list[AsyncRetryHandler]) -> AsyncWebClient:
        client = AsyncWebClient(
            token=token, base_url=self._api_url, timeout=TIMEOUT, session=self._session, retry_handlers=handlers
        )
        if direct(self._api_url):
            client.proxy = None
        return client


def direct(url: str) -> bool:
    """Whether a URL must be reached without the proxy of the environment: slack_sdk knows no NO_PROXY."""
    name = urlsplit(url).hostname or ""
    try:
        loopback = ip_address(name).is_loopback
    except ValueError:
        loopback = name == "localhost"
    return loopback or bool(proxy_bypass(name))


def _patience() -> list[AsyncRetryHandler]:
    return [
        AsyncConnectionErrorRetryHandler(max_retry_count=2),
        AsyncRateLimitErrorRetryHandler(max_retry_count=3),
        AsyncServerErrorRetryHandler(max_retry_count=2),
    ]


async def _answered(method: str, call: Awaitable[AsyncSlackResponse]) -> dict[str, Any]:
    """What Slack answers to one call. Raises SendError, whose class says whether trying again makes sense."""
    try:
        answer = await call
    except SlackApiError as error:
        raise classified(method, error) from error
    except aiohttp.ClientConnectorError as error:
        raise RetryLaterError(f"{method}: Slack is not reached ({error!r})", not_sent=True) from error
    except (aiohttp.ClientError, OSError, SlackClientError) as error:
        raise RetryLaterError(f"{method}: no answer from Slack ({error!r})") from error
    except (
        AttributeError,
        ValueError,
    ) as error:  # the SDK's own, on a body that is no JSON object: a proxy's page, say
        raise RetryLaterError(f"{method}: what answered is not Slack, but a proxy perhaps ({error})") from error
    if not isinstance(answer.data, dict):
        raise RetryLaterError(f"{method}: what answered is not Slack, but a proxy perhaps")
    return answer.data


def classified(method: str, error: SlackApiError) -> SendError:
    """What kind of failure Slack's answer is."""
    response: Any = error.response
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    body = getattr(response, "data", response)
    code = body.get("error") if isinstance(body, dict) else None
    if status == TOO_MANY_REQUESTS or code == "ratelimited":
        return RetryLaterError(f"{method}: Slack asks to wait", _retry_after(getattr(response, "headers", {})))
    if status >= SERVER_ERRORS or not isinstance(body, dict) or not code or code in PASSING:
        return RetryLaterError(f"{method}: Slack answered {status} {code or ''}".rstrip())
    if code in NOT_THESE_BLOCKS:
        return InvalidBlocksError(f"{method}: {code} {body.get('response_metadata') or ''}".rstrip())
    if code in GONE:
        return MessageGoneError(f"{method}: {code}")
    needed = f" (needed: {body.get('needed')})" if body.get("needed") else ""
    todo = (
        _APP_TOKEN
        if method == OPEN_SOCKET
        else TODO.get(code, f"See https://docs.slack.dev/reference/methods/{method} for what this error means.")
    )
    return _refusal(method, code)(f"{method}: {code}{needed}", todo)


def _refusal(method: str, code: str) -> type[RefusedError]:
    if method in INTRODUCING and code in {*WRONG_TOKEN, "missing_scope"}:
        return WrongTokenError
    return ChannelRefusedError if method in POSTING and code in CHANNEL_REFUSED else RefusedError


def not_shown(status: int, body: str) -> SendError:
    """What kind of failure the answer of a response_url is: one word, bare or in JSON."""
    try:
        said = json.loads(body)
    except ValueError:
        said = body.strip()
    code = str(said.get("error", "")) if isinstance(said, dict) else str(said)
    if code in NOT_THESE_BLOCKS:
        return InvalidBlocksError(f"response_url: {code}")
    if status >= SERVER_ERRORS:
        return RetryLaterError(f"the response_url answered {status}")
    return RefusedError(f"response_url: {status} {code[:200]}", "")


def _retry_after(headers: Any) -> timedelta:
    seconds = str(headers.get("Retry-After", headers.get("retry-after", "")))
    return timedelta(seconds=min(int(seconds), 300) if seconds.isdigit() else 5)
