"""What people do in Slack and what they are then shown: commands, clicks, forms, and errors of apps that are silent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bot.demo.local_slack import payloads
from bot.demo.local_slack.content import Button, Confirm, Json
from bot.demo.local_slack.core import Core
from bot.demo.local_slack.errors import CannotDoError, SlackError
from bot.demo.local_slack.inputs import Given, chosen, left_empty, state_of
from bot.demo.local_slack.responses import show_response
from bot.demo.local_slack.socket_mode import Envelope, SocketMode
from bot.demo.local_slack.state import Channel, Message, Revision, User, View
from bot.demo.local_slack.tickets import ResponseUrl
from bot.demo.local_slack.views import change_view, show_modal

SLACKBOT = "USLACKBOT"
_NOTHING: Mapping[str, Given] = {}


@dataclass(frozen=True)
class CommandResult:
    """What came of a slash command, within the 3 s in which the app must acknowledge it."""

    acked: bool
    ms: float | None = None
    payload: Json | None = None
    """What the acknowledgement said, if it said anything."""
    error: str | None = None
    """`operation_timeout`, `dispatch_failed` (no socket was open) or `invalid_command_response`."""
    shown: Message | None = None
    """What the person was shown at once: the acknowledgement's words, or Slack's error."""
    trigger_id: str = ""
    response_url: str = ""
    envelope: Envelope | None = None


@dataclass(frozen=True)
class ClickResult:
    """What came of pressing a button or choosing from a menu."""

    button: Button
    sent: bool
    """False if the person chose to deny in the confirm dialog: then the app never learns of the click."""
    acked: bool = False
    ms: float | None = None
    error: str | None = None
    """`operation_timeout` or `dispatch_failed`: Slack marks the button with a warning sign."""
    trigger_id: str = ""
    response_url: str = ""
    envelope: Envelope | None = None

    @property
    def confirm(self) -> Confirm | None:
        """Return the dialog that the person was shown first, if there was one."""
        return self.button.confirm


@dataclass(frozen=True)
class SubmitResult:
    """What came of submitting a modal."""

    acked: bool
    ms: float | None = None
    error: str | None = None
    response_action: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    """By block_id, what the person is told to correct: by the app, or by Slack before the app is asked."""
    view: View | None = None
    """The modal that the person has before them now; None if there is none."""
    envelope: Envelope | None = None


class People:
    """What people can do. It refuses, with CannotDoError, what real Slack gives nobody a way to do."""

    def __init__(self, core: Core, sockets: SocketMode, commands: frozenset[str]) -> None:
        """Take the commands that the app has registered."""
        self._core = core
        self._sockets = sockets
        self.commands = commands

    # --- commands and messages ------------------------------------------------------------------------------

    async def command(self, user: User, channel: Channel, command: str, text: str) -> CommandResult:
        """Type a slash command. It works in every channel that the person is in, with or without the bot."""
        self._must_be_member(user, channel)
        if command not in self.commands:
            self._tell(user, channel, f"{command} is not a valid command.")
            raise CannotDoError(f"{command} is no command of the app")
        trigger_id = self._core.triggers.issue(user.id, self._core.now)
        response_url = self._core.response_urls.issue("commands", user.id, channel.id, None, self._core.now)
        payload = payloads.slash_command(
            self._core.identity,
            user,
            channel,
            command=command,
            text=text,
            response_url=response_url,
            trigger_id=trigger_id,
        )
        envelope = await self._sockets.deliver("slash_commands", payload, accepts_response=True, redeliver=False)
        result = CommandResult(
            acked=envelope.acked, trigger_id=trigger_id, response_url=response_url, envelope=envelope
        )
        if envelope.ack is None:
            error = _why_silent(envelope)
            shown = self._tell(user, channel, f"{command} failed because the app did not respond. ({error})")
            return replace(result, error=error, shown=shown)
        result = replace(result, ms=envelope.ack.ms, payload=envelope.ack.payload)
        if envelope.ack.payload is None:
            return result
        return self._show_ack(result, user, channel, f"{command} {text}".strip(), envelope.ack.payload)

    def _show_ack(
        self, result: CommandResult, user: User, channel: Channel, typed: str, payload: Json
    ) -> CommandResult:
        """Show the words of an acknowledgement; if everyone sees them, they see what was typed as well."""
        now = ResponseUrl("commands", user.id, channel.id, None, expires=0)
        try:
            revision = self._core.revision(payload)
            if payload.get("response_type") == "in_channel":
                self._core.post(channel.id, replace(revision, text=typed, blocks=[], attachments=[]), user=user.id)
            return replace(result, shown=show_response(self._core, payload, now))
        except SlackError:
            error = "invalid_command_response"
            command = typed.partition(" ")[0]
            shown = self._tell(user, channel, f"{command} failed with the error {error!r}")
            return replace(result, error=error, shown=shown)

    async def say(self, user: User, channel: Channel, text: str, thread_ts: str | None = None) -> Message:
        """Write a message. The app learns of it only if it is mentioned and may read mentions."""
        self._must_be_member(user, channel)
        message = self._core.post(channel.id, self._core.revision({"text": text}), user=user.id, thread_ts=thread_ts)
        identity = self._core.identity
        mentioned = f"<@{identity.bot_user}" in text and identity.bot_user in channel.members
        if mentioned and "app_mentions:read" in self._core.bot_scopes:
            event = {
                **payloads.message_object(identity, message),
                "type": "app_mention",
                "team": identity.team_id,
                "channel": channel.id,
                "event_ts": message.ts,
            }
            await self.event(event)
        return message

    async def event(self, event: Json) -> Envelope:
        """Let Slack send an event of the Events API."""
        event_id = self._core.workspace.fresh_id("Ev")
        payload = payloads.event_callback(self._core.identity, event, event_id, int(self._core.now))
        return await self._sockets.deliver("events_api", payload, accepts_response=False, redeliver=True)

    # --- buttons and menus ----------------------------------------------------------------------------------

    async def act_on_message(  # noqa: PLR0913  what a click consists of
        self,
        user: User,
        message: Message,
        button: Button,
        revision: Revision,
        *,
        given: Given | None = None,
        values: Mapping[str, Given] = _NOTHING,
        answer: Literal["confirm", "deny"] = "confirm",
    ) -> ClickResult:
        """Press a button, or choose from a menu, in the message as it was at that revision."""
        channel = self._core.workspace.channels[message.channel]
        if message.ephemeral_to is None:
            self._must_be_member(user, channel)
        elif message.ephemeral_to != user.id:
            raise CannotDoError(f"{user.name} does not see a message that is visible to somebody else only")
        if button.confirm is not None and answer == "deny":
            return ClickResult(button, sent=False)
        picked = None if given is None else chosen(button.element, given)
        if given is not None and button.element["type"] != "overflow":
            values = {**values, button.action_id: given}
        blocks = [*revision.blocks]
        for attachment in revision.attachments:
            blocks.extend(attachment.get("blocks", ()))
        trigger_id = self._core.triggers.issue(user.id, self._core.now)
        response_url = self._core.response_urls.issue("actions", user.id, channel.id, message, self._core.now)
        payload = payloads.actions_on_message(
            self._core.identity,
            user,
            channel,
            message,
            revision=revision,
            button=button,
            done=payloads.action(button, picked, self._core.workspace.fresh_ts()),
            state=state_of(blocks, values),
            response_url=response_url,
            trigger_id=trigger_id,
        )
        return await self._send_click(button, payload, trigger_id, response_url)

    async def act_on_view(self, user: User, view: View, button: Button, *, given: Given | None = None) -> ClickResult:
        """Press a button, or choose from a menu, in a modal or home tab."""
        picked = None if given is None else chosen(button.element, given)
        values = {} if given is None or button.element["type"] == "overflow" else {button.action_id: given}
        trigger_id = self._core.triggers.issue(user.id, self._core.now, view.id)
        payload = payloads.actions_on_view(
            self._core.identity,
            user,
            view,
            done=payloads.action(button, picked, self._core.workspace.fresh_ts()),
            state=state_of(view.body["blocks"], values),
            trigger_id=trigger_id,
        )
        return await self._send_click(button, payload, trigger_id, "")

    async def _send_click(self, button: Button, payload: Json, trigger_id: str, response_url: str) -> ClickResult:
        envelope = await self._sockets.deliver("interactive", payload, accepts_response=False, redeliver=True)
        return ClickResult(
            button,
            sent=True,
            acked=envelope.acked,
            ms=envelope.ack.ms if envelope.ack else None,
            error=None if envelope.acked else _why_silent(envelope),
            trigger_id=trigger_id,
            response_url=response_url,
            envelope=envelope,
        )

    # --- modals ---------------------------------------------------------------------------------------------

    async def submit(self, user: User, view: View, values: Mapping[str, Given] = _NOTHING) -> SubmitResult:
        """Submit a modal. Slack itself refuses required inputs that are empty, and does not ask the app then.

        A submission that is not acknowledged is not sent again: the modal stays, and the person may retry.
        """
        state = state_of(view.body["blocks"], values)
        if problems := left_empty(view.body["blocks"], state):
            return SubmitResult(acked=False, errors=problems, view=view)
        trigger_id = self._core.triggers.issue(user.id, self._core.now, view.id)
        payload = payloads.view_submission(self._core.identity, user, view, state, trigger_id)
        envelope = await self._sockets.deliver("interactive", payload, accepts_response=True, redeliver=False)
        if envelope.ack is None:
            return SubmitResult(acked=False, error=_why_silent(envelope), view=view, envelope=envelope)
        answer = envelope.ack.payload or {}
        action = answer.get("response_action")
        result = SubmitResult(
            acked=True,
            ms=envelope.ack.ms,
            response_action=action,
            errors=answer.get("errors") or {},
            envelope=envelope,
        )
        try:
            self._after_submit(user, view, action, answer)
        except SlackError as error:
            result = replace(result, error=error.error)
        stack = self._core.workspace.modals.get(user.id)
        return replace(result, view=stack[-1] if stack else None)

    def _after_submit(self, user: User, view: View, action: str | None, answer: Json) -> None:
        stack = self._core.workspace.modals.get(user.id, [])
        if action == "errors":
            inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
            if not inputs.issuperset(answer.get("errors") or {"": ""}):
                raise SlackError("invalid_errors_in_response_action")
        elif action == "update":
            change_view(self._core, view, answer.get("view"))
        elif action == "push":
            show_modal(self._core, user.id, answer.get("view"), on_top=True)
        elif action == "clear":
            stack.clear()
        elif action is None and view in stack:
            stack.remove(view)
        self._core.changes.announce()

    async def close_view(self, user: User, view: View) -> None:
        """Close a modal. The app learns of it if the modal asked for that."""
        self._core.workspace.modals[user.id].remove(view)
        self._core.changes.announce()
        if view.body.get("notify_on_close"):
            payload = payloads.view_closed(self._core.identity, user, view)
            await self._sockets.deliver("interactive", payload, accepts_response=False, redeliver=True)

    # --- what Slack itself does -----------------------------------------------------------------------------

    def _must_be_member(self, user: User, channel: Channel) -> None:
        if user.id not in channel.members:
            raise CannotDoError(f"{user.name} is not in #{channel.name}")

    def _tell(self, user: User, channel: Channel, text: str) -> Message:
        """Show a person something in Slackbot's name."""
        revision = self._core.revision({"text": text})
        return self._core.post(channel.id, revision, user=SLACKBOT, ephemeral_to=user.id)


def _why_silent(envelope: Envelope) -> str:
    return "operation_timeout" if envelope.deliveries else "dispatch_failed"
