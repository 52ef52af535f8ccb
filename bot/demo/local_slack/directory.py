"""The methods that tell who and what there is: `auth.*`, `conversations.*`, `users.*`, `usergroups.*`."""

from bot.demo.local_slack.chat import visible_channel
from bot.demo.local_slack.content import Json
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.payloads import channel_object, user_object
from bot.demo.local_slack.state import Channel, UserGroup
from bot.demo.local_slack.web_api import Call, Method

_SCOPE_OF_TYPE = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "im": "im:read",
    "mpim": "mpim:read",
}


def _type_of(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"


def _readable_channel(call: Call) -> Channel:
    """Return a channel, if the token has the scope for channels of that kind."""
    channel = visible_channel(call, call.text("channel"))
    call.needs(_SCOPE_OF_TYPE[_type_of(channel)])
    return channel


def _auth_test(call: Call) -> Json:
    identity = call.core.identity
    return {
        "url": f"{call.core.base}/",
        "team": identity.team_name,
        "user": identity.bot_name,
        "team_id": identity.team_id,
        "user_id": identity.bot_user,
        "bot_id": identity.bot_id,
        "is_enterprise_install": False,
    }


def _conversations_list(call: Call) -> Json:
    """List channels of the types asked for; each type needs its own scope."""
    return call.page("channels", _of_types(call))


def _users_conversations(call: Call) -> Json:
    """List those that the bot is in. It tells no numbers of members (docs.slack.dev, users.conversations)."""
    bot = call.core.identity.bot_user
    mine = [each for each in _of_types(call) if bot in call.core.workspace.channels[each["id"]].members]
    return call.page("channels", [{k: v for k, v in each.items() if k != "num_members"} for each in mine])


def _of_types(call: Call) -> list[Json]:
    types = str(call.get("types") or "public_channel").split(",")
    for each in types:
        if each.strip() not in _SCOPE_OF_TYPE:
            raise SlackError("invalid_types")
        call.needs(_SCOPE_OF_TYPE[each.strip()])
    identity = call.core.identity
    wanted = {each.strip() for each in types}
    return [
        channel_object(identity, channel)
        for channel in call.core.workspace.channels.values()
        if _type_of(channel) in wanted
        and (not (channel.is_private or channel.is_im) or identity.bot_user in channel.members)
        and not (call.flag("exclude_archived") and channel.is_archived)
    ]


def _conversations_info(call: Call) -> Json:
    channel = _readable_channel(call)
    body = channel_object(call.core.identity, channel)
    if not call.flag("include_num_members"):
        body.pop("num_members", None)
    return {"channel": body}


def _conversations_members(call: Call) -> Json:
    return call.page("members", sorted(_readable_channel(call).members))


def _conversations_open(call: Call) -> Json:
    users = [each.strip() for each in call.text("users").split(",") if each.strip()]
    if any(each not in call.core.workspace.users for each in users):
        raise SlackError("user_not_found")
    if len(users) != 1:
        raise SlackError("not_enough_users" if not users else "too_many_users")
    channel = call.core.workspace.open_im(users[0])
    call.core.changes.announce()
    if call.flag("return_im"):
        return {"channel": channel_object(call.core.identity, channel)}
    return {"channel": {"id": channel.id}}


def _users_info(call: Call) -> Json:
    user = call.core.workspace.users.get(str(call.get("user")))
    if user is None:  # also where none was named: this method is older than Slack's check of arguments
        raise SlackError("user_not_found")
    return {"user": user_object(call.core.identity, user)}


def _users_list(call: Call) -> Json:
    members = [user_object(call.core.identity, user) for user in call.core.workspace.users.values()]
    return call.page("members", members)


def _group_object(call: Call, group: UserGroup) -> Json:
    body: Json = {
        "id": group.id,
        "team_id": call.core.identity.team_id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "description": "",
        "handle": group.handle,
        "is_external": False,
        "date_create": 0,
        "date_update": 0,
        "date_delete": int(group.disabled),
        "auto_type": None,
        "prefs": {"channels": [], "groups": []},
        "user_count": len(group.users),
    }
    if call.flag("include_users"):
        body["users"] = list(group.users)
    return body


def _usergroups_list(call: Call) -> Json:
    groups = call.core.workspace.groups.values()
    shown = [group for group in groups if call.flag("include_disabled") or not group.disabled]
    return {"usergroups": [_group_object(call, group) for group in shown]}


def _usergroups_users_list(call: Call) -> Json:
    group = call.core.workspace.groups.get(call.text("usergroup"))
    if group is None or (group.disabled and not call.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


METHODS = (
    Method("auth.test", _auth_test),
    Method("conversations.list", _conversations_list),
    Method("conversations.info", _conversations_info),
    Method("conversations.members", _conversations_members),
    Method("conversations.open", _conversations_open, ("im:write",)),
    Method("users.conversations", _users_conversations),
    Method("users.info", _users_info, ("users:read",)),
    Method("users.list", _users_list, ("users:read",)),
    Method("usergroups.list", _usergroups_list, ("usergroups:read",)),
    Method("usergroups.users.list", _usergroups_users_list, ("usergroups:read",)),
)
