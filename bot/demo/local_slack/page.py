"""The page that a person uses: one HTML file, a WebSocket with what happens, and what they can do as JSON posts."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from importlib.resources import files
from typing import Any, TypeVar

from aiohttp import web

from bot.demo.local_slack.content import Button, Json
from bot.demo.local_slack.core import Core
from bot.demo.local_slack.errors import CannotDoError, SlackError
from bot.demo.local_slack.payloads import message_object, view_object
from bot.demo.local_slack.people import ClickResult, People
from bot.demo.local_slack.socket_mode import SocketMode
from bot.demo.local_slack.state import Channel, Message, User, View

T = TypeVar("T")

_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """Everything that the page asks for. Who it is is chosen on the page: there is no login on loopback."""

    def __init__(self, core: Core, people: People, sockets: SocketMode) -> None:
        """Read the page once."""
        self._core = core
        self._people = people
        self._sockets = sockets
        self._open: set[web.WebSocketResponse] = set()
        self._html = files("bot.demo.local_slack").joinpath("page.html").read_text("utf-8")
        self._actions: dict[str, Callable[[Json, User], Awaitable[Json]]] = {
            "command": self._command,
            "say": self._say,
            "act": self._act,
            "act_on_view": self._act_on_view,
            "submit": self._submit,
            "close_view": self._close_view,
        }

    # --- requests -------------------------------------------------------------------------------------------

    async def html(self, _request: web.Request) -> web.Response:
        """Give the page, with a policy under which it can load nothing from elsewhere."""
        nonce = secrets.token_urlsafe(16)
        headers = {
            "Content-Security-Policy": _POLICY.format(nonce=nonce),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return web.Response(text=self._html.replace("__NONCE__", nonce), content_type="text/html", headers=headers)

    async def act(self, request: web.Request) -> web.Response:
        """Do what the person did on the page. Only JSON is taken, which no form of another site can send."""
        perform = self._actions.get(request.match_info["action"])
        if perform is None or request.content_type != "application/json":
            return web.Response(status=HTTPStatus.NOT_FOUND)
        try:
            body = await request.json()
            user = self._core.workspace.users[body["user"]]
            answer = await perform(body, user)
        except (KeyError, TypeError, ValueError):
            return web.json_response({"error": "that is not understood"}, status=HTTPStatus.BAD_REQUEST)
        except CannotDoError as error:
            return web.json_response({"error": str(error)}, status=HTTPStatus.CONFLICT)
        except SlackError as error:
            return web.json_response({"error": error.error}, status=HTTPStatus.CONFLICT)
        return web.json_response(answer)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send everything that this person sees, and then every change of it, until the page is closed."""
        user = self._person(request.query.get("user", "")) or self._first_person()
        ws = web.WebSocketResponse(timeout=1, heartbeat=20)
        await ws.prepare(request)
        self._open.add(ws)
        with self._core.changes.feed() as feed:
            sending = asyncio.create_task(self._send_changes(ws, user, feed))
            try:
                async for _ in ws:
                    pass
            finally:
                self._open.discard(ws)
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending
        return ws

    async def close(self) -> None:
        """Close the pages that are open."""
        for ws in list(self._open):
            await ws.close()

    async def _send_changes(
        self, ws: web.WebSocketResponse, user: User | None, feed: asyncio.Queue[Message | None]
    ) -> None:
        with suppress(ConnectionError):
            await ws.send_json(self._snapshot(user))
            while True:
                messages = [await feed.get()]
                while not feed.empty():
                    messages.append(feed.get_nowait())
                changed = {id(message): message for message in messages if message is not None}
                for message in changed.values():
                    if user is not None and self._visible(user, message):
                        await ws.send_json({"type": "message", "message": self._message(message)})
                if None in messages:
                    await ws.send_json(self._surroundings(user))

    # --- what a person sees ---------------------------------------------------------------------------------

    def _person(self, wanted: str) -> User | None:
        people = (user for user in self._core.workspace.users.values() if not user.is_bot)
        return next((user for user in people if wanted in {user.id, user.name}), None)

    def _first_person(self) -> User | None:
        return next((user for user in self._core.workspace.users.values() if not user.is_bot), None)

    def _visible(self, user: User, message: Message) -> bool:
        if message.ephemeral_to is not None:
            return message.ephemeral_to == user.id
        return user.id in self._core.workspace.channels[message.channel].members

    def _snapshot(self, user: User | None) -> Json:
        messages: list[Message] = []
        if user is not None:
            for channel in self._channels(user):
                messages.extend(channel.messages)
            messages.extend(self._core.workspace.ephemerals.get(user.id, ()))
        shown = [self._message(message) for message in messages if not message.deleted]
        return {**self._surroundings(user), "type": "snapshot", "messages": shown}

    def _surroundings(self, user: User | None) -> Json:
        """Return everything but the messages: who there is, which channels, what is open before this person."""
        workspace, identity = self._core.workspace, self._core.identity
        modals = workspace.modals.get(user.id, []) if user is not None else []
        return {
            "type": "surroundings",
            "team": identity.team_name,
            "bot": {"id": identity.bot_user, "name": identity.bot_name, "connected": self._sockets.connected > 0},
            "me": user.id if user is not None else None,
            "commands": sorted(self._people.commands),
            "users": {
                each.id: {"name": each.name, "real_name": each.real_name, "is_bot": each.is_bot}
                for each in workspace.users.values()
            },
            "groups": {each.id: each.handle for each in workspace.groups.values()},
            "channels": [self._channel(each) for each in (self._channels(user) if user is not None else ())],
            "modal": view_object(identity, modals[-1]) if modals else None,
        }

    def _channels(self, user: User) -> list[Channel]:
        return [each for each in self._core.workspace.channels.values() if user.id in each.members]

    def _channel(self, channel: Channel) -> Json:
        return {
            "id": channel.id,
            "name": self._core.identity.bot_name if channel.is_im else channel.name,
            "is_private": channel.is_private,
            "is_im": channel.is_im,
            "members": len(channel.members),
            "has_bot": self._core.identity.bot_user in channel.members,
        }

    def _message(self, message: Message) -> Json:
        """Return a message for the page: as the API gives it, and how often it was changed."""
        return {
            **message_object(self._core.identity, message),
            "channel": message.channel,
            "ephemeral": message.ephemeral_to is not None,
            "deleted": message.deleted,
            "revision": len(message.revisions),
            "revised_at": message.now.at,
        }

    # --- what a person does ---------------------------------------------------------------------------------

    async def _command(self, body: Json, user: User) -> Json:
        channel = self._core.workspace.channels[body["channel"]]
        command, _, text = str(body["text"]).strip().partition(" ")
        result = await self._people.command(user, channel, command, text.strip())
        return {"error": result.error}

    async def _say(self, body: Json, user: User) -> Json:
        channel = self._core.workspace.channels[body["channel"]]
        await self._people.say(user, channel, _escaped(str(body["text"])), body.get("thread_ts"))
        return {}

    async def _act(self, body: Json, user: User) -> Json:
        message = self._find(user, body)
        button = _find_button(message.buttons, body)
        result = await self._people.act_on_message(user, message, button, message.now, given=body.get("given"))
        return _outcome(result)

    async def _act_on_view(self, body: Json, user: User) -> Json:
        view = self._find_view(user, body)
        button = _find_button(view.buttons, body)
        return _outcome(await self._people.act_on_view(user, view, button, given=body.get("given")))

    async def _submit(self, body: Json, user: User) -> Json:
        result = await self._people.submit(user, self._find_view(user, body), body["values"])
        return {"error": result.error, "errors": dict(result.errors)}

    async def _close_view(self, body: Json, user: User) -> Json:
        await self._people.close_view(user, self._find_view(user, body))
        return {}

    def _find(self, user: User, body: Json) -> Message:
        workspace = self._core.workspace
        candidates: list[Message] = [
            *workspace.channels[body["channel"]].messages,
            *workspace.ephemerals.get(user.id, ()),
        ]
        ts = str(body["ts"])
        return _still_there(each for each in candidates if each.ts == ts and not each.deleted)

    def _find_view(self, user: User, body: Json) -> View:
        modals = self._core.workspace.modals.get(user.id, [])
        return _still_there(view for view in modals if view.id == body["view"])


def _find_button(buttons: list[Button], body: Json) -> Button:
    place = (body["block_id"], body["action_id"])
    return _still_there(button for button in buttons if (button.block_id, button.action_id) == place)


def _still_there(found: Iterable[T]) -> T:
    """Return the first; a person who pressed what is gone by now is told so."""
    for first in found:
        return first
    raise CannotDoError("that is not there any more")


def _outcome(result: ClickResult) -> Json:
    return {"acked": result.acked, "error": result.error}


def _escaped(text: str) -> str:
    """Write text as Slack's own client sends it: `&`, `<` and `>` are markup otherwise."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def same_origin(port: int) -> Callable[..., Any]:
    """Return a middleware that keeps other sites out.

    A request must name this very host and port, so that a name that was rebound to loopback does not get in;
    and if a browser says which site it comes from, it must be this one. Bots say nothing about that.
    """
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    origins = {f"http://{host}" for host in hosts}

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        followed_link = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
        foreign = site not in {"none", "same-origin"} and not followed_link
        if request.host not in hosts or (origin is not None and origin not in origins) or foreign:
            return web.Response(status=HTTPStatus.FORBIDDEN, text="this is for this machine only")
        return await handler(request)

    return middleware
