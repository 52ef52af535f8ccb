"""Uploading a file the way that Slack has left: ask for a URL, put the bytes there, complete the upload."""

from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from bot.demo.local_slack.chat import visible_channel
from bot.demo.local_slack.content import Json
from bot.demo.local_slack.core import Core
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.web_api import Call, Method


def _get_upload_url(call: Call) -> Json:
    """Announce a file by its name and its exact length in bytes."""
    name = call.text("filename")
    try:
        length = int(call.text("length"))
    except ValueError:
        raise SlackError.of_problems("invalid_arguments", ["must be an integer: length"]) from None
    file_id = call.core.workspace.fresh_id("F")
    info: Json = {"id": file_id, "name": name, "title": name, "size": length, "completed": False}
    call.core.workspace.files[file_id] = (info, b"")
    return {"upload_url": f"{call.core.base}/upload/{file_id}", "file_id": file_id}


def _complete_upload(call: Call) -> Json:
    """Share uploaded files, as one message, in a channel that the bot is in."""
    wanted = call.get("files")
    if not isinstance(wanted, list) or not wanted:
        raise SlackError.of_problems("invalid_arguments", ["missing required field: files"])
    infos = []
    for each in wanted:
        info, content = call.core.workspace.files.get(str(each.get("id")), ({}, b""))
        if not info or len(content) != info["size"]:
            raise SlackError("file_not_found")
        link = f"{call.core.base}/files/{info['id']}/{quote(info['name'], safe='')}"
        info |= {"title": each.get("title") or info["name"], "url_private": link, "completed": True}
        infos.append(info)
    if call.get("channel_id"):
        channel = visible_channel(call, call.text("channel_id"))
        if call.core.identity.bot_user not in channel.members:
            raise SlackError("not_in_channel")
        revision = call.core.revision({"text": call.get("initial_comment") or ""})
        call.core.post(channel.id, revision, thread_ts=call.get("thread_ts"), files=infos)
    return {"files": [{"id": info["id"], "title": info["title"]} for info in infos]}


async def receive(core: Core, request: web.Request) -> web.Response:
    """Take the bytes of an announced file, as a plain body or as a form."""
    file_id = request.match_info["file"]
    if file_id not in core.workspace.files:
        return web.Response(status=HTTPStatus.NOT_FOUND, text="file_not_found")
    info, _ = core.workspace.files[file_id]
    if request.content_type == "multipart/form-data":
        parts = [part for part in (await request.post()).values() if isinstance(part, web.FileField)]
        content = parts[0].file.read() if parts else b""
    else:
        content = await request.read()
    core.workspace.files[file_id] = (info, content)
    return web.Response(text=f"OK - {len(content)}")


def serve(core: Core, request: web.Request) -> web.Response:
    """Give a shared file back as a download, never as something that a browser would run."""
    info, content = core.workspace.files.get(request.match_info["file"], ({}, b""))
    if not info.get("completed"):
        raise web.HTTPNotFound
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=content, content_type="text/plain", headers=headers)


METHODS = (
    Method("files.getUploadURLExternal", _get_upload_url, ("files:write",)),
    Method("files.completeUploadExternal", _complete_upload, ("files:write",)),
)
