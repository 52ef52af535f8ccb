"""What the parts of the local Slack share: its state, its clock, and the few things all of them do to messages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.demo.local_slack.block_kit import (
    MOST_ATTACHMENTS,
    MOST_BLOCKS_IN_MESSAGE,
    MOST_CHARACTERS_IN_MESSAGE,
    NEWER_BLOCKS,
    attachment_problems,
    block_problems,
    characters_in,
)
from bot.demo.local_slack.changes import Changes
from bot.demo.local_slack.content import Json, as_stored, attachments_as_stored
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.faults import Faults
from bot.demo.local_slack.limits import RateLimits
from bot.demo.local_slack.state import Identity, Message, Revision, Workspace
from bot.demo.local_slack.tickets import ResponseUrls, Triggers

BOT_SCOPES = frozenset(
    {"commands", "chat:write", "files:write", "channels:read", "groups:read", "usergroups:read", "users:read"}
)
APP_SCOPES = frozenset({"connections:write"})
LONGEST_TEXT = 40_000


@dataclass(frozen=True)
class Tokens:
    """The tokens of the installed app, new with every start so that no page elsewhere can know them."""

    bot: str
    app: str


@dataclass(frozen=True)
class ApiCall:
    """One Web API call as it came in, and how it was answered."""

    method: str
    args: Json
    at: float
    status: int
    error: str | None


@dataclass
class Core:
    """Everything there is to a running local Slack but its sockets."""

    workspace: Workspace
    base: str
    tokens: Tokens
    bot_scopes: frozenset[str]
    newer_blocks: frozenset[str]
    triggers: Triggers
    response_urls: ResponseUrls
    limits: RateLimits | None
    faults: Faults = field(default_factory=Faults)
    changes: Changes = field(default_factory=Changes)
    calls: list[ApiCall] = field(default_factory=list)

    @property
    def identity(self) -> Identity:
        """Return who the workspace and the app are."""
        return self.workspace.identity

    @property
    def now(self) -> float:
        """Return the time."""
        return self.workspace.clock()

    @property
    def fresh_id(self) -> Callable[[], str]:
        """Return what makes ids for blocks and elements."""
        return self.workspace.fresh_id

    @property
    def missing_blocks(self) -> frozenset[str]:
        """Return the kinds of blocks that this workspace does not take."""
        return (NEWER_BLOCKS - self.newer_blocks) | self.faults.missing_blocks

    def revision(self, body: Json) -> Revision:
        """Check what an app wants a message to say and return it as it will be stored.

        Blocks that break a rule give `invalid_blocks`, those inside of an attachment `invalid_attachments`;
        both name every problem. All blocks together have a bound of their own: `msg_blocks_too_long`.
        """
        blocks, attachments = body.get("blocks") or [], body.get("attachments") or []
        if problems := block_problems(blocks, missing=self.missing_blocks):
            raise SlackError.of_problems("invalid_blocks", problems)
        if isinstance(attachments, list) and len(attachments) > MOST_ATTACHMENTS:
            raise SlackError("too_many_attachments")
        if problems := attachment_problems(attachments, missing=self.missing_blocks):
            raise SlackError.of_problems("invalid_attachments", problems)
        if len(blocks) + sum(len(each.get("blocks", ())) for each in attachments) > MOST_BLOCKS_IN_MESSAGE:
            problem = f"no more than {MOST_BLOCKS_IN_MESSAGE} items allowed [json-pointer:/attachments]"
            raise SlackError.of_problems("invalid_attachments", [problem])
        if characters_in([blocks, attachments]) > MOST_CHARACTERS_IN_MESSAGE:
            raise SlackError("msg_blocks_too_long")
        return Revision(
            at=self.workspace.fresh_ts(),
            text=str(body.get("text") or "")[:LONGEST_TEXT],
            blocks=as_stored(blocks, self.fresh_id),
            attachments=attachments_as_stored(attachments, self.fresh_id),
            metadata=_metadata(body.get("metadata")),
        )

    def post(self, channel: str, revision: Revision, **more: Any) -> Message:
        """Put a new message of the bot, or of whoever `user` names, where it belongs."""
        more.setdefault("user", self.identity.bot_user)
        if more["user"] == self.identity.bot_user:
            more.setdefault("bot_id", self.identity.bot_id)
        message = Message(channel=channel, ts=revision.at, revisions=[revision], **more)
        self.workspace.keep(message)
        self.changes.announce(message)
        return message

    def revise(self, message: Message, revision: Revision) -> None:
        """Let a message say something else from now on."""
        message.revisions.append(revision)
        self.changes.announce(message)

    def delete(self, message: Message) -> None:
        """Take a message away."""
        message.deleted = True
        self.changes.announce(message)


def _metadata(metadata: Any) -> Json | None:
    """Accept an `event_type` and an `event_payload`, as chat.postMessage documents them."""
    if metadata is None:
        return None
    if (
        not isinstance(metadata, dict)
        or not isinstance(metadata.get("event_type"), str)
        or not isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackError("invalid_metadata_format")
    return metadata
