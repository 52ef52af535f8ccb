"""The JSON that Slack sends, in the shapes of its reference pages. Pure: everything is an argument."""

from collections.abc import Mapping
from typing import Any

from bot.demo.local_slack.content import Button, Json
from bot.demo.local_slack.state import Channel, Identity, Message, Revision, User, View


def team(identity: Identity) -> Json:
    """Return the team of an interaction."""
    return {"id": identity.team_id, "domain": identity.team_domain}


def user_of_interaction(identity: Identity, user: User) -> Json:
    """Return the user of an interaction."""
    return {"id": user.id, "username": user.name, "name": user.name, "team_id": identity.team_id}


def channel_name(channel: Channel) -> str:
    """Return the name that payloads give: Slack hides those of private channels and direct messages."""
    if channel.is_im:
        return "directmessage"
    return "privategroup" if channel.is_private else channel.name


def user_object(identity: Identity, user: User) -> Json:
    """Return a user as users.info gives it."""
    return {
        "id": user.id,
        "team_id": identity.team_id,
        "name": user.name,
        "deleted": user.deleted,
        "real_name": user.real_name,
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "profile": {
            "real_name": user.real_name,
            "display_name": user.name,
            "team": identity.team_id,
        },
        "is_admin": False,
        "is_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 0,
    }


def channel_object(identity: Identity, channel: Channel) -> Json:
    """Return a channel as conversations.info gives it."""
    common: Json = {"id": channel.id, "created": channel.created, "is_archived": channel.is_archived}
    if channel.is_im:
        person = next(iter(channel.members - {identity.bot_user}), identity.bot_user)
        return {**common, "is_im": True, "is_org_shared": False, "user": person, "is_user_deleted": False}
    return {
        **common,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_general": False,
        "is_shared": False,
        "is_ext_shared": False,
        "is_org_shared": False,
        "is_member": identity.bot_user in channel.members,
        "creator": identity.bot_user,
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "num_members": len(channel.members),
    }


def message_object(identity: Identity, message: Message, revision: Revision | None = None) -> Json:
    """Return a message as the Web API and interactions give it, as it was at that revision."""
    said = revision or message.now
    body: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": said.text}
    if message.bot_id is not None:
        body |= {"bot_id": message.bot_id, "app_id": identity.app_id, "team": identity.team_id}
    if said.blocks:
        body["blocks"] = said.blocks
    if said.attachments:
        body["attachments"] = said.attachments
    if said.metadata:
        body["metadata"] = said.metadata
    if message.files:
        body["files"] = message.files
    if message.thread_ts is not None:
        body["thread_ts"] = message.thread_ts
    if said is not message.revisions[0]:
        body["edited"] = {"user": message.bot_id or message.user, "ts": said.at}
    return body


def view_object(identity: Identity, view: View, state: Json | None = None) -> Json:
    """Return a view as views.open and interactions give it."""
    body = view.body
    return {
        "id": view.id,
        "team_id": identity.team_id,
        "type": body["type"],
        "blocks": body["blocks"],
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "state": {"values": state or {}},
        "hash": view.hash,
        "title": body.get("title", {"type": "plain_text", "text": "View Title", "emoji": True}),
        "clear_on_close": body.get("clear_on_close", False),
        "notify_on_close": body.get("notify_on_close", False),
        "close": body.get("close"),
        "submit": body.get("submit"),
        "submit_disabled": body.get("submit_disabled", False),
        "previous_view_id": view.previous,
        "root_view_id": view.root,
        "app_id": identity.app_id,
        "external_id": body.get("external_id", ""),
        "app_installed_team_id": identity.team_id,
        "bot_id": identity.bot_id,
    }


def slash_command(identity: Identity, user: User, channel: Channel, **more: str) -> Json:
    """Return a slash command. `more` is the command, its text, the response_url and the trigger_id."""
    return {
        "token": identity.verification,
        "team_id": identity.team_id,
        "team_domain": identity.team_domain,
        "channel_id": channel.id,
        "channel_name": channel_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "api_app_id": identity.app_id,
        "is_enterprise_install": "false",
        **more,
    }


def _interaction(identity: Identity, user: User, kind: str) -> Json:
    return {
        "type": kind,
        "user": user_of_interaction(identity, user),
        "api_app_id": identity.app_id,
        "token": identity.verification,
        "team": team(identity),
        "enterprise": None,
        "is_enterprise_install": False,
    }


def action(button: Button, chosen: Json | None, at: str) -> Json:
    """Return what was done: the element without what only concerns its looks, and what was chosen in it."""
    element = button.element
    done: Json = {"action_id": button.action_id, "block_id": button.block_id}
    for key in ("text", "value", "style", "url", "confirm", "placeholder"):
        if key in element:
            done[key] = element[key]
    if chosen is not None:
        done |= chosen
    return {**done, "type": element["type"], "action_ts": at}


def actions_on_message(  # noqa: PLR0913  a payload has as many parts as it has
    identity: Identity,
    user: User,
    channel: Channel,
    message: Message,
    *,
    revision: Revision,
    button: Button,
    done: Json,
    state: Json,
    response_url: str,
    trigger_id: str,
) -> Json:
    """Return block_actions for a message. One that only its clicker sees is named, but not sent along."""
    container: Json = {
        "type": "message" if button.attachment_id is None else "message_attachment",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": message.ephemeral_to is not None,
    }
    if button.attachment_id is not None:
        container |= {"attachment_id": button.attachment_id, "is_app_unfurl": False}
    if message.thread_ts is not None:
        container["thread_ts"] = message.thread_ts
    payload = {
        **_interaction(identity, user, "block_actions"),
        "container": container,
        "trigger_id": trigger_id,
        "channel": {"id": channel.id, "name": channel_name(channel)},
        "state": {"values": state},
        "response_url": response_url,
        "actions": [done],
    }
    if message.ephemeral_to is None:
        payload["message"] = message_object(identity, message, revision)
    return payload


def actions_on_view(  # noqa: PLR0913  a payload has as many parts as it has
    identity: Identity, user: User, view: View, *, done: Json, state: Json, trigger_id: str
) -> Json:
    """Return block_actions for a view: it has no channel, no message and no response_url."""
    return {
        **_interaction(identity, user, "block_actions"),
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": trigger_id,
        "view": view_object(identity, view, state),
        "state": {"values": state},
        "actions": [done],
    }


def view_submission(identity: Identity, user: User, view: View, state: Json, trigger_id: str) -> Json:
    """Return what is sent when a person submits a modal."""
    return {
        **_interaction(identity, user, "view_submission"),
        "trigger_id": trigger_id,
        "view": view_object(identity, view, state),
        "response_urls": [],
    }


def view_closed(identity: Identity, user: User, view: View) -> Json:
    """Return what is sent when a person closes a modal that asked to be told."""
    return {
        **_interaction(identity, user, "view_closed"),
        "view": view_object(identity, view),
        "is_cleared": False,
    }


def event_callback(identity: Identity, event: Mapping[str, Any], event_id: str, at: int) -> Json:
    """Return an event of the Events API in its wrapper."""
    return {
        "token": identity.verification,
        "team_id": identity.team_id,
        "api_app_id": identity.app_id,
        "event": dict(event),
        "type": "event_callback",
        "event_id": event_id,
        "event_time": at,
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": identity.team_id,
                "user_id": identity.bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }
