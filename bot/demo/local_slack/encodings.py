"""How each method takes its arguments. A body in any other encoding is dropped without a word, as Slack does it."""

from collections.abc import Mapping
from enum import StrEnum


class Encoding(StrEnum):
    """What a body of arguments may be written in."""

    FORM = "application/x-www-form-urlencoded"
    JSON = "application/json"


_BY_FORM = frozenset({Encoding.FORM})
_EITHER = frozenset({Encoding.FORM, Encoding.JSON})

CONSUMES: Mapping[str, frozenset[Encoding]] = {
    "apps.connections.open": _EITHER,
    "auth.test": _EITHER,
    "chat.delete": _EITHER,
    "chat.getPermalink": _BY_FORM,
    "chat.postEphemeral": _EITHER,
    "chat.postMessage": _EITHER,
    "chat.update": _EITHER,
    "conversations.info": _BY_FORM,
    "conversations.list": _BY_FORM,
    "conversations.members": _BY_FORM,
    "conversations.open": _EITHER,
    "files.completeUploadExternal": _EITHER,
    "files.getUploadURLExternal": _BY_FORM,
    "usergroups.list": _BY_FORM,
    "usergroups.users.list": _BY_FORM,
    "users.conversations": _BY_FORM,
    "users.info": _BY_FORM,
    "users.list": _BY_FORM,
    "views.open": _EITHER,
    "views.publish": _EITHER,
    "views.push": _EITHER,
    "views.update": _EITHER,
}
"""`consumes` of Slack's OpenAPI description (slackapi/slack-api-specs, web-api/slack_web_openapi_v2.json).

It is older than `apps.connections.open` and the two of `files.*`: those are as api.slack.com/methods has them, under
"Content types". The newer pages of docs.slack.dev promise JSON for almost all methods; Slack was seen not to take it
for `users.info` (kortix-ai/suna#6616) and `files.getUploadURLExternal` (Octember/earshot#10) in 2026.
"""
