"""What an app says in answer to an interaction: through its acknowledgement, or through a response_url."""

from http import HTTPStatus

from aiohttp import web

from bot.demo.local_slack.content import Json
from bot.demo.local_slack.core import Core
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.faults import RESPONSE_URL
from bot.demo.local_slack.state import Message
from bot.demo.local_slack.tickets import ResponseUrl


def show_response(core: Core, body: Json, url: ResponseUrl) -> Message | None:
    """Show an answer: to the person alone unless it says `in_channel`, in place of the original if it says so.

    Only an action has an original. After a slash command there is none, and `replace_original` posts one more
    message, as it does in Slack (slackapi/bolt-python#1268).
    """
    source = url.source
    if source is not None and source.deleted:
        source = None
    if _flag(body, "delete_original"):
        if source is not None:
            core.delete(source)
        return source
    revision = core.revision(body)
    if not (revision.text or revision.blocks or revision.attachments):
        raise SlackError("no_text")
    if _flag(body, "replace_original") and source is not None:
        core.revise(source, revision)
        return source
    alone = body.get("response_type", "ephemeral") != "in_channel"
    thread = body.get("thread_ts")
    return core.post(url.channel, revision, thread_ts=thread, ephemeral_to=url.user if alone else None)


def _flag(body: Json, name: str) -> bool:
    return body.get(name) in {True, "true"}


async def handle_response(core: Core, request: web.Request) -> web.StreamResponse:
    """Take one use of a response_url. Slack answers `ok`, or an error with a status that is not 200.

    A URL that is used up is told in JSON. What is wrong with a message is one bare word, as incoming webhooks say it
    (sourcegraph/sourcegraph-public-snapshot#49979, slackapi/java-slack-sdk#1017), with nothing of where it is wrong.
    """
    fault = core.faults.for_call(RESPONSE_URL)
    if fault is not None and fault.answers:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        status = fault.status if fault.status != HTTPStatus.OK else HTTPStatus.BAD_REQUEST
        return web.Response(status=status, headers=headers, text=fault.error or "server_error")
    path = request.path.removeprefix("/")
    try:
        url = core.response_urls.use(path, core.now)
        body = await request.json()
        if not isinstance(body, dict):
            raise SlackError("invalid_payload")  # noqa: TRY301  one place answers every refusal
        show_response(core, body, url)
    except ValueError:
        return web.Response(text="invalid_payload", status=HTTPStatus.BAD_REQUEST)
    except SlackError as error:
        if error.error in {"used_url", "expired_url", "no_service"}:
            return web.json_response(error.body, status=HTTPStatus.NOT_FOUND)
        return web.Response(text=error.error, status=HTTPStatus.BAD_REQUEST)
    return web.Response(text="ok")
