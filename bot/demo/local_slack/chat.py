"""The `chat.*` methods: a bot posts, updates and deletes its messages."""

from dataclasses import replace

from bot.demo.local_slack.content import Json
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.payloads import message_object
from bot.demo.local_slack.state import Channel, Message
from bot.demo.local_slack.web_api import Call, Method


def visible_channel(call: Call, reference: str) -> Channel:
    """Return a channel that the bot can know of: a private one that it is not in does not exist for it."""
    workspace = call.core.workspace
    channel = workspace.channels.get(reference)
    hidden = channel is not None and (channel.is_private or channel.is_im)
    if channel is None or (hidden and workspace.identity.bot_user not in channel.members):
        raise SlackError("channel_not_found")
    return channel


def _channel_to_write(call: Call, *, by_name: bool = False) -> Channel:
    """Return the channel to post in: an id; for chat.postMessage a name or a person's id as well."""
    reference = call.text("channel")
    workspace = call.core.workspace
    if by_name and reference in workspace.users:
        return workspace.open_im(reference)
    if by_name and (named := workspace.channel_named(reference)) is not None:
        reference = named.id
    channel = visible_channel(call, reference)
    if workspace.identity.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _has_content(call: Call) -> bool:
    return any(call.get(name) for name in ("text", "blocks", "attachments"))


def _check_post(call: Call) -> None:
    """Refuse what only older apps could do, and a name or icon without the scope for it."""
    if call.get("as_user") is not None:
        raise SlackError("as_user_not_supported")
    if any(call.get(name) for name in ("username", "icon_emoji", "icon_url")):
        call.needs("chat:write.customize")
    if not _has_content(call):
        raise SlackError("no_text")


def _thread(call: Call, channel: Channel) -> str | None:
    """Return the parent's ts. Slack wants that of a parent; a reply's own ts starts no thread."""
    thread_ts = call.get("thread_ts")
    if thread_ts is None:
        return None
    parent = call.core.workspace.message(channel.id, str(thread_ts))
    if parent is None:
        raise SlackError("thread_not_found")
    if parent.thread_ts not in {None, parent.ts}:
        raise SlackError("cannot_reply_to_message")
    return parent.ts


def _own_message(call: Call, channel: Channel, not_own: str) -> Message:
    """Return a message of the bot's own. Ephemeral ones cannot be found by anybody."""
    message = call.core.workspace.message(channel.id, call.text("ts"))
    if message is None:
        raise SlackError("message_not_found")
    if message.bot_id != call.core.identity.bot_id:
        raise SlackError(not_own)
    return message


def _post_message(call: Call) -> Json:
    """Post, or answer with what was posted under the same `client_msg_id` before.

    The arguments that Slack documents do not name it, two errors of this method do: `duplicate_message_not_found`, "No
    duplicate message exists associated with client_msg_id", and `duplicate_channel_not_found`
    (https://docs.slack.dev/reference/methods/chat.postMessage). Apps rely on a repeated id to answer with the first
    message (found in three that keep an outbox; an older id did so too, howdyai/botkit#144); a maintainer of the SDK
    advised against relying on it (slackapi/java-slack-sdk#852). What happens to a message that was deleted, or whose
    repetition names another channel, follows from the words of the errors; no workspace was asked.
    """
    channel = _channel_to_write(call, by_name=True)
    _check_post(call)
    if (earlier := _posted_before(call)) is not None:
        if earlier.deleted:
            raise SlackError("duplicate_message_not_found")
        if earlier.channel != channel.id:
            raise SlackError("duplicate_channel_not_found")
        return {"channel": channel.id, "ts": earlier.ts, "message": message_object(call.core.identity, earlier)}
    message = call.core.post(
        channel.id,
        call.core.revision(dict(call.args)),
        thread_ts=_thread(call, channel),
        client_msg_id=call.get("client_msg_id"),
    )
    return {"channel": channel.id, "ts": message.ts, "message": message_object(call.core.identity, message)}


def _posted_before(call: Call) -> Message | None:
    given = call.get("client_msg_id")
    if given is None or call.core.faults.ignores_client_msg_ids:
        return None
    return call.core.workspace.posted_as(str(given))


def _update(call: Call) -> Json:
    """Update in place.

    With text and no blocks the blocks go away; without text the blocks stay. Attachments stay unless new ones
    or an empty list are given. A bot may update its own messages only.
    """
    channel = _channel_to_write(call)
    message = _own_message(call, channel, "cant_update_message")
    if not _has_content(call) and not any(name in call.args for name in ("blocks", "attachments")):
        raise SlackError("no_text")
    before, after = message.now, call.core.revision(dict(call.args))
    if call.args.get("text") is None:
        after = replace(after, text=before.text)
        if call.args.get("blocks") is None:
            after = replace(after, blocks=before.blocks)
    if call.args.get("attachments") is None:
        after = replace(after, attachments=before.attachments)
    if call.args.get("metadata") is None:
        after = replace(after, metadata=before.metadata)
    call.core.revise(message, after)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": after.text,
        "message": message_object(call.core.identity, message),
    }


def _delete(call: Call) -> Json:
    channel = _channel_to_write(call)
    message = _own_message(call, channel, "cant_delete_message")
    call.core.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def _post_ephemeral(call: Call) -> Json:
    """Show a message to one member of the channel. Slack does not promise that it arrives."""
    channel = _channel_to_write(call)
    user = call.text("user")
    if user not in call.core.workspace.users:
        raise SlackError("user_not_found")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    _check_post(call)
    message = call.core.post(
        channel.id, call.core.revision(dict(call.args)), thread_ts=_thread(call, channel), ephemeral_to=user
    )
    return {"message_ts": message.ts}


def _get_permalink(call: Call) -> Json:
    channel = visible_channel(call, call.text("channel"))
    message = call.core.workspace.message(channel.id, call.text("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{call.core.base}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts is not None:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


METHODS = (
    Method("chat.postMessage", _post_message, ("chat:write",)),
    Method("chat.update", _update, ("chat:write",)),
    Method("chat.delete", _delete, ("chat:write",)),
    Method("chat.postEphemeral", _post_ephemeral, ("chat:write",)),
    Method("chat.getPermalink", _get_permalink),
)
