"""LocalSlack: a strict Slack on loopback that a test or the demo starts, drives and looks into."""

import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Literal, Self, TypeVar

from aiohttp import web

from bot.demo.local_slack import chat, directory, files, views
from bot.demo.local_slack.content import Button, Json
from bot.demo.local_slack.core import BOT_SCOPES, ApiCall, Core, Tokens
from bot.demo.local_slack.errors import CannotDoError
from bot.demo.local_slack.faults import Faults
from bot.demo.local_slack.inputs import Given
from bot.demo.local_slack.limits import RateLimits
from bot.demo.local_slack.page import Page, same_origin
from bot.demo.local_slack.people import ClickResult, CommandResult, People, SubmitResult
from bot.demo.local_slack.responses import handle_response
from bot.demo.local_slack.socket_mode import Envelope, Reason, SocketMode, Timings
from bot.demo.local_slack.state import Channel, Clock, Identity, Message, User, UserGroup, View, Workspace
from bot.demo.local_slack.tickets import ResponseUrls, Triggers
from bot.demo.local_slack.web_api import WebApi

T = TypeVar("T")

UserRef = User | str
ChannelRef = Channel | str
GroupRef = UserGroup | str
Wanted = Callable[[Message], bool] | str
"""Which message is meant: what is true of it, or words that a person reads in it."""

HOST = "127.0.0.1"
_LARGEST_BODY = 16 * 1024**2
_PATIENCE = 5.0
_NOTHING: Mapping[str, Given] = {}


class LocalSlack:
    """A running workspace with one installed app. Users and channels are named by object, id or name."""

    def __init__(self, core: Core, sockets: SocketMode, people: People) -> None:
        """Use `LocalSlack.start` instead."""
        self._core = core
        self._sockets = sockets
        self._people = people

    @classmethod
    @asynccontextmanager
    async def start(  # noqa: PLR0913  each is one way in which workspaces differ
        cls,
        *,
        port: int = 0,
        scopes: Collection[str] = BOT_SCOPES,
        commands: Collection[str] = ("/dockerhealth",),
        rate_limits: bool = False,
        newer_blocks: Collection[str] = (),
        timings: Timings | None = None,
        clock: Clock = time.time,
    ) -> AsyncIterator[Self]:
        """Run a workspace on a loopback port (0 picks a free one) until the block is left.

        `rate_limits` turns Slack's own limits on. `newer_blocks` names those of block_kit.NEWER_BLOCKS that this
        workspace has already got. `clock` tells the time for everything that expires.
        """
        timings = timings or Timings()
        listening = socket.create_server((HOST, port))
        port = listening.getsockname()[1]
        base = f"http://{HOST}:{port}"
        identity = Identity()
        core = Core(
            workspace=Workspace(identity, clock),
            base=base,
            tokens=Tokens(f"xoxb-local-{secrets.token_hex(12)}", f"xapp-1-local-{secrets.token_hex(12)}"),
            bot_scopes=frozenset(scopes),
            newer_blocks=frozenset(newer_blocks),
            triggers=Triggers(timings.trigger_lives),
            response_urls=ResponseUrls(base, identity.team_id),
            limits=RateLimits() if rate_limits else None,
        )
        sockets = SocketMode(core, timings)
        people = People(core, sockets, frozenset(commands))
        page = Page(core, people, sockets)
        runner = web.AppRunner(_application(core, sockets, page, port), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            yield cls(core, sockets, people)
        finally:
            await sockets.close()
            await page.close()
            await runner.cleanup()

    # --- where it is ----------------------------------------------------------------------------------------

    @property
    def api_url(self) -> str:
        """Return the base URL for the Web API clients: what SLACK_API_URL is set to. It ends in `/api/`."""
        return f"{self._core.base}/api/"

    @property
    def page_url(self) -> str:
        """Return the page for people."""
        return f"{self._core.base}/"

    @property
    def bot_token(self) -> str:
        """Return the xoxb- token."""
        return self._core.tokens.bot

    @property
    def app_token(self) -> str:
        """Return the xapp- token."""
        return self._core.tokens.app

    @property
    def identity(self) -> Identity:
        """Return the ids of team, app and bot."""
        return self._core.identity

    @property
    def bot(self) -> User:
        """Return the bot's user."""
        return self._core.workspace.users[self._core.identity.bot_user]

    @property
    def faults(self) -> Faults:
        """Return what is to go wrong, to add to it."""
        return self._core.faults

    @property
    def connected(self) -> int:
        """Return how many sockets of the app are open."""
        return self._sockets.connected

    @property
    def refused_handshakes(self) -> int:
        """Return how many WebSocket handshakes failed: by a fault, or for want of a ticket that is still good."""
        return self._sockets.refused_handshakes

    @property
    def complaints(self) -> list[str]:
        """Return what the app sent over its sockets that Slack would ignore without a word."""
        return self._sockets.complaints

    @property
    def envelopes(self) -> list[Envelope]:
        """Return everything that was sent over sockets, in order, with its deliveries and acknowledgement."""
        return list(self._sockets.envelopes.values())

    def calls(self, method: str | None = None) -> list[ApiCall]:
        """Return the Web API calls so far, those that were refused too."""
        return [call for call in self._core.calls if method in {None, call.method}]

    # --- who and what there is ------------------------------------------------------------------------------

    def add_user(self, name: str, *, user_id: str | None = None, real_name: str | None = None) -> User:
        """Add a person."""
        user = User(user_id or self._core.workspace.fresh_id("U"), name, real_name or name.title())
        self._core.workspace.users[user.id] = user
        self._core.changes.announce()
        return user

    def add_channel(
        self,
        name: str,
        members: Iterable[UserRef] = (),
        *,
        with_bot: bool = True,
        private: bool = False,
        channel_id: str | None = None,
    ) -> Channel:
        """Add a channel with these people in it, and the bot unless told otherwise."""
        workspace = self._core.workspace
        inside = {self.user(member).id for member in members}
        if with_bot:
            inside.add(self.bot.id)
        channel = Channel(
            channel_id or workspace.fresh_id("C"),
            name.removeprefix("#"),
            inside,
            is_private=private,
            created=int(self._core.now),
        )
        workspace.channels[channel.id] = channel
        self._core.changes.announce()
        return channel

    def add_group(self, handle: str, members: Iterable[UserRef] = (), *, group_id: str | None = None) -> UserGroup:
        """Add a user group."""
        workspace = self._core.workspace
        group = UserGroup(group_id or workspace.fresh_id("S"), handle, handle.title())
        workspace.groups[group.id] = group
        self.set_group(group, members)
        return group

    def set_group(self, group: GroupRef, members: Iterable[UserRef]) -> None:
        """Change who is in a user group."""
        self.group(group).users = [self.user(member).id for member in members]
        self._core.changes.announce()

    def join(self, channel: ChannelRef, *users: UserRef) -> None:
        """Let people, or the bot, join a channel."""
        self.channel(channel).members.update(self.user(user).id for user in users)
        self._core.changes.announce()

    def leave(self, channel: ChannelRef, *users: UserRef) -> None:
        """Let people, or the bot, leave a channel."""
        self.channel(channel).members.difference_update(self.user(user).id for user in users)
        self._core.changes.announce()

    def user(self, user: UserRef) -> User:
        """Return a user by object, id or name."""
        if isinstance(user, User):
            return user
        users = self._core.workspace.users
        named = next((each for each in users.values() if each.name == user.removeprefix("@")), None)
        return _known(users.get(user) or named, f"user {user!r}")

    def channel(self, channel: ChannelRef) -> Channel:
        """Return a channel by object, id or name."""
        if isinstance(channel, Channel):
            return channel
        workspace = self._core.workspace
        found = workspace.channels.get(channel) or workspace.channel_named(channel)
        return _known(found, f"channel {channel!r}")

    def group(self, group: GroupRef) -> UserGroup:
        """Return a user group by object, id or handle."""
        if isinstance(group, UserGroup):
            return group
        groups = self._core.workspace.groups
        named = next((each for each in groups.values() if each.handle == group.removeprefix("@")), None)
        return _known(groups.get(group) or named, f"user group {group!r}")

    # --- what people do -------------------------------------------------------------------------------------

    async def command(self, user: UserRef, channel: ChannelRef, command: str, text: str = "") -> CommandResult:
        """Type a slash command, and return when it is acknowledged or Slack has shown an error instead."""
        return await self._people.command(self.user(user), self.channel(channel), command, text)

    async def say(self, user: UserRef, channel: ChannelRef, text: str, *, thread_ts: str | None = None) -> Message:
        """Write a message."""
        return await self._people.say(self.user(user), self.channel(channel), text, thread_ts)

    async def click(  # noqa: PLR0913  what a click consists of
        self,
        user: UserRef,
        message: Message,
        button: str,
        *,
        value: str | None = None,
        revision: int | None = None,
        answer: Literal["confirm", "deny"] = "confirm",
        values: Mapping[str, Given] = _NOTHING,
    ) -> ClickResult:
        """Press a button, named by its action_id or its text, and by its value if there are several such.

        The button must be in the message as it is now. With `revision` (an index into `message.revisions`) it is
        pressed as it was then, by someone whose Slack has not caught up. `answer` is what they choose in the
        confirm dialog; what the dialog says is in the result.
        """
        said = message.now if revision is None else message.revisions[revision]
        if message.deleted and revision is None:
            raise CannotDoError("the message was deleted")
        found = _find(said.buttons, button, value)
        return await self._people.act_on_message(self.user(user), message, found, said, values=values, answer=answer)

    async def choose(
        self,
        user: UserRef,
        message: Message,
        menu: str,
        option: Given,
        *,
        answer: Literal["confirm", "deny"] = "confirm",
    ) -> ClickResult:
        """Choose an option, by its label or its value, from a menu named by its action_id or placeholder."""
        found = _find(message.buttons, menu, None)
        return await self._people.act_on_message(
            self.user(user), message, found, message.now, given=option, answer=answer
        )

    async def click_in_view(self, user: UserRef, button: str, *, option: Given | None = None) -> ClickResult:
        """Press a button, or choose from a menu, in the modal (or else the home tab) that the person sees."""
        person = self.user(user)
        view = self.modal(person) or _known(self.home(person), f"view before {person.name}")
        return await self._people.act_on_view(person, view, _find(view.buttons, button, None), given=option)

    async def submit_view(self, user: UserRef, values: Mapping[str, Given] = _NOTHING) -> SubmitResult:
        """Fill the modal that the person sees (inputs by action_id or block_id) and submit it."""
        person = self.user(user)
        view = _known(self.modal(person), f"modal before {person.name}")
        return await self._people.submit(person, view, values)

    async def close_view(self, user: UserRef) -> None:
        """Close the modal that the person sees."""
        person = self.user(user)
        await self._people.close_view(person, _known(self.modal(person), f"modal before {person.name}"))

    async def event(self, event: Json) -> Envelope:
        """Let Slack send an event of the Events API, such as `{"type": "app_home_opened", "user": ...}`."""
        return await self._people.event(event)

    async def disconnect(self, reason: Reason) -> None:
        """Tell every socket of the app to go."""
        await self._sockets.disconnect(reason)

    def cut_sockets(self) -> None:
        """Break every connection of the app without a word."""
        self._sockets.cut()

    # --- what people see ------------------------------------------------------------------------------------

    def messages(self, channel: ChannelRef, *, thread_ts: str | None = None) -> list[Message]:
        """Return the messages of a channel in order, replies in threads too, or those of one thread."""
        shown = [message for message in self.channel(channel).messages if not message.deleted]
        if thread_ts is None:
            return shown
        return [message for message in shown if message.thread_ts == thread_ts and message.ts != thread_ts]

    def ephemerals(self, user: UserRef) -> list[Message]:
        """Return what only this person sees, in order."""
        kept = self._core.workspace.ephemerals.get(self.user(user).id, [])
        return [message for message in kept if not message.deleted]

    def modal(self, user: UserRef) -> View | None:
        """Return the modal that a person sees: the one on top."""
        stack = self._core.workspace.modals.get(self.user(user).id)
        return stack[-1] if stack else None

    def home(self, user: UserRef) -> View | None:
        """Return the home tab that a person sees."""
        return self._core.workspace.homes.get(self.user(user).id)

    async def wait_for_message(
        self,
        channel: ChannelRef,
        wanted: Wanted,
        timeout: float = _PATIENCE,  # noqa: ASYNC109  told to the caller
    ) -> Message:
        """Return the first message of a channel that is as wanted, now or as soon as one is."""
        return await self._wait(lambda: self.messages(channel), wanted, timeout)

    async def wait_for_ephemeral(
        self,
        user: UserRef,
        wanted: Wanted,
        timeout: float = _PATIENCE,  # noqa: ASYNC109  told to the caller
    ) -> Message:
        """Return the first message visible to this person only that is as wanted, now or as soon as one is."""
        return await self._wait(lambda: self.ephemerals(user), wanted, timeout)

    async def wait_for_modal(
        self,
        user: UserRef,
        wanted: Callable[[View], bool] = lambda _: True,
        timeout: float = _PATIENCE,  # noqa: ASYNC109  told to the caller
    ) -> View:
        """Return the modal that the person sees, now or as soon as it is as wanted."""

        def look() -> View | None:
            view = self.modal(user)
            return view if view is not None and wanted(view) else None

        return await self._core.changes.until(
            look, within=timeout, otherwise=lambda: f"the modal is {self.modal(user)!r}"
        )

    async def wait_until(
        self,
        true: Callable[[], bool],
        timeout: float = _PATIENCE,  # noqa: ASYNC109  told to the caller
    ) -> None:
        """Return as soon as something is true: it is looked at again after every change in the workspace."""
        await self._core.changes.until(
            lambda: true() or None, within=timeout, otherwise=lambda: "it did not become true"
        )

    async def _wait(self, shown: Callable[[], list[Message]], wanted: Wanted, within: float) -> Message:
        def look() -> Message | None:
            return next((message for message in shown() if _is(message, wanted)), None)

        def otherwise() -> str:
            there = "\n".join(f"  - {message.shown}" for message in shown()) or "  nothing"
            return f"no message {wanted if isinstance(wanted, str) else 'as wanted'!r}; there was:\n{there}"

        return await self._core.changes.until(look, within=within, otherwise=otherwise)


def _is(message: Message, wanted: Wanted) -> bool:
    if isinstance(wanted, str):
        return wanted in message.plain or wanted in message.shown
    return wanted(message)


def _known(found: T | None, what: str) -> T:
    if found is None:
        raise CannotDoError(f"there is no {what}")
    return found


def _find(buttons: list[Button], wanted: str, value: str | None) -> Button:
    """Return the one button that is meant, or say which ones there are."""
    named = [each for each in buttons if wanted in {each.action_id, each.text}]
    if value is not None:
        named = [each for each in named if each.value == value]
    if len(named) != 1:
        there = [(each.action_id, each.text, each.value) for each in buttons]
        raise CannotDoError(f"{len(named)} buttons are {wanted!r} {value or ''}; there are {there}")
    return named[0]


def _application(core: Core, sockets: SocketMode, page: Page, port: int) -> web.Application:
    api = WebApi(core, (*chat.METHODS, *directory.METHODS, *views.METHODS, *files.METHODS, *sockets.methods))

    async def respond(request: web.Request) -> web.StreamResponse:
        return await handle_response(core, request)

    async def upload(request: web.Request) -> web.StreamResponse:
        return await files.receive(core, request)

    async def download(request: web.Request) -> web.StreamResponse:
        return files.serve(core, request)

    app = web.Application(middlewares=[same_origin(port)], client_max_size=_LARGEST_BODY)
    app.add_routes(
        [
            web.route("*", "/api/{method}", api.handle),
            web.get("/link/", sockets.handle),
            web.post("/{kind:commands|actions}/{path:.+}", respond),
            web.post("/upload/{file}", upload),
            web.get("/files/{file}/{name}", download),
            web.get("/", page.html),
            web.get("/archives/{channel}", page.html),
            web.get("/archives/{channel}/{message}", page.html),
            web.get("/page/live", page.live),
            web.post("/page/{action}", page.act),
        ]
    )
    return app
