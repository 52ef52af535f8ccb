"""What a workspace holds: people, groups, channels, messages with every revision, open views."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bot.demo.local_slack.content import Button, Json, buttons_in, plain, shown_text

Clock = Callable[[], float]


@dataclass(frozen=True)
class Identity:
    """Who the workspace and the installed app are."""

    team_id: str = "T0LOCAL0001"
    team_domain: str = "local"
    team_name: str = "Local workspace"
    app_id: str = "A0LOCAL0001"
    bot_id: str = "B0LOCAL0001"
    bot_user: str = "U0LOCALBOT1"
    bot_name: str = "dockerhealth"
    verification: str = "local-verification"


@dataclass
class User:
    """A person, or the bot."""

    id: str
    name: str
    real_name: str
    is_bot: bool = False
    deleted: bool = False


@dataclass
class UserGroup:
    """A user group, with the members that it has now."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    disabled: bool = False


@dataclass(frozen=True)
class Revision:
    """What a message said from one moment on."""

    at: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    metadata: Json | None = None

    @property
    def colour(self) -> str | None:
        """Return the colour of the bar as `#rrggbb`; None without a coloured attachment."""
        colours = [attachment["color"] for attachment in self.attachments if "color" in attachment]
        return f"#{colours[0]}" if colours else None

    @property
    def shown(self) -> str:
        """Return everything that a person reads, mrkdwn as it was sent."""
        return shown_text(self.text, self.blocks, self.attachments)

    @property
    def plain(self) -> str:
        """Return everything that a person reads, with entities and links resolved."""
        return plain(self.shown)

    @property
    def buttons(self) -> list[Button]:
        """Return everything that a person can act on."""
        found = list(buttons_in(self.blocks))
        for attachment in self.attachments:
            found.extend(buttons_in(attachment.get("blocks", ()), attachment["id"]))
        return found


@dataclass(kw_only=True)
class Message:
    """One message: its place never changes, its content has revisions, oldest first."""

    channel: str
    ts: str
    user: str
    bot_id: str | None = None
    thread_ts: str | None = None
    ephemeral_to: str | None = None
    files: list[Json] = field(default_factory=list)
    deleted: bool = False
    client_msg_id: str | None = None
    revisions: list[Revision]

    @property
    def now(self) -> Revision:
        """Return the current revision."""
        return self.revisions[-1]

    @property
    def text(self) -> str:
        """Return the current text: what notifications show."""
        return self.now.text

    @property
    def blocks(self) -> list[Json]:
        """Return the current blocks outside of attachments."""
        return self.now.blocks

    @property
    def attachments(self) -> list[Json]:
        """Return the current attachments."""
        return self.now.attachments

    @property
    def colour(self) -> str | None:
        """Return the current colour of the bar."""
        return self.now.colour

    @property
    def colours(self) -> list[str | None]:
        """Return the colour of each revision, so that a test can say "red, then green"."""
        return [revision.colour for revision in self.revisions]

    @property
    def shown(self) -> str:
        """Return everything that a person reads now, mrkdwn as it was sent."""
        return self.now.shown

    @property
    def plain(self) -> str:
        """Return everything that a person reads now, with entities and links resolved."""
        return self.now.plain

    @property
    def buttons(self) -> list[Button]:
        """Return everything that a person can act on now."""
        return self.now.buttons


@dataclass
class Channel:
    """A channel and its messages in order."""

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    is_private: bool = False
    is_im: bool = False
    is_archived: bool = False
    created: int = 0
    messages: list[Message] = field(default_factory=list)


@dataclass
class View:
    """A modal or a home tab that a person has before them."""

    id: str
    user: str
    body: Json
    hash: str
    root: str
    previous: str | None = None

    @property
    def title(self) -> str:
        """Return the title of a modal."""
        return str(self.body.get("title", {}).get("text", ""))

    @property
    def shown(self) -> str:
        """Return everything that a person reads in it."""
        return shown_text("", self.body["blocks"], ())

    @property
    def buttons(self) -> list[Button]:
        """Return everything that a person can act on, its inputs too."""
        return list(buttons_in(self.body["blocks"]))


class Workspace:
    """All state. It keeps records and executor out ids; what is allowed is decided by those who use it."""

    def __init__(self, identity: Identity, clock: Clock = time.time) -> None:
        """Start with the bot as the only user."""
        self.identity = identity
        self.clock = clock
        self.users: dict[str, User] = {}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.ephemerals: dict[str, list[Message]] = {}
        self.modals: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.files: dict[str, tuple[Json, bytes]] = {}
        self._numbers = itertools.count(1)
        self._last_moment = 0
        self.users[identity.bot_user] = User(identity.bot_user, identity.bot_name, identity.bot_name, is_bot=True)

    def fresh_id(self, prefix: str = "") -> str:
        """Return an id that was never given before, in Slack's form for that prefix."""
        return f"{prefix}0LOCAL{next(self._numbers):04d}" if prefix else f"b{next(self._numbers):04d}"

    def fresh_ts(self) -> str:
        """Return the time as Slack writes it, later than every one before: it is also the message's id."""
        self._last_moment = max(self._last_moment + 1, int(self.clock() * 1_000_000))
        seconds, micros = divmod(self._last_moment, 1_000_000)
        return f"{seconds}.{micros:06d}"

    def channel_named(self, name: str) -> Channel | None:
        """Return the channel of that name, with or without its hash."""
        wanted = name.removeprefix("#")
        return next((each for each in self.channels.values() if each.name == wanted and not each.is_im), None)

    def open_im(self, user: str) -> Channel:
        """Return the direct messages between the bot and that user."""
        members = {user, self.identity.bot_user}
        for channel in self.channels.values():
            if channel.is_im and channel.members == members:
                return channel
        channel = Channel(self.fresh_id("D"), user, members, is_im=True, created=int(self.clock()))
        self.channels[channel.id] = channel
        return channel

    def message(self, channel: str, ts: str) -> Message | None:
        """Return a message that everyone in the channel sees, unless it was deleted."""
        known = self.channels.get(channel)
        for message in known.messages if known else ():
            if message.ts == ts and not message.deleted:
                return message
        return None

    def posted_as(self, client_msg_id: str) -> Message | None:
        """Return the message that was posted under an id of the app's own, deleted or not."""
        every = itertools.chain.from_iterable(channel.messages for channel in self.channels.values())
        return next((message for message in every if message.client_msg_id == client_msg_id), None)

    def keep(self, message: Message) -> Message:
        """Put a message where it belongs: to everyone in its channel, or before one person's eyes."""
        if message.ephemeral_to is None:
            self.channels[message.channel].messages.append(message)
        else:
            self.ephemerals.setdefault(message.ephemeral_to, []).append(message)
        return message

    def view(self, view_id: str | None, external_id: str | None = None) -> View | None:
        """Return an open view by either of its ids."""
        for view in self.views():
            if view.id == view_id or (external_id and view.body.get("external_id") == external_id):
                return view
        return None

    def views(self) -> Iterable[View]:
        """Return every view that anyone has before them."""
        return itertools.chain(itertools.chain.from_iterable(self.modals.values()), self.homes.values())
