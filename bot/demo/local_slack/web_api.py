"""The Web API's front: reads a call as slack_sdk sends it, checks token, scope and rate, and answers as Slack."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web

from bot.demo.local_slack.content import Json
from bot.demo.local_slack.core import APP_SCOPES, ApiCall, Core
from bot.demo.local_slack.encodings import CONSUMES, Encoding
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.faults import CallFault

_JSON_ARGUMENTS = frozenset({"blocks", "attachments", "metadata", "view", "files"})
_PAGE = 200


class Call:
    """The arguments of one call, whatever form they came in."""

    def __init__(self, core: Core, method: str, args: Mapping[str, Any]) -> None:
        """Take the arguments as they were decoded."""
        self.core = core
        self.method = method
        self.args = args

    def get(self, name: str) -> Any:
        """Return an argument, or None."""
        value = self.args.get(name)
        return None if value == "" else value

    def text(self, name: str) -> str:
        """Return an argument that must be there.

        Slack says that it is missing also where it stood in a body that the method does not take (Octember/earshot#10).
        """
        value = self.get(name)
        if value is None:
            raise SlackError.of_problems("invalid_arguments", [f"missing required field: {name}"])
        return str(value)

    def flag(self, name: str) -> bool:
        """Return an argument that is true or false, as JSON or as a form writes it."""
        return self.args.get(name) in {True, "1", "true", "True"}

    def needs(self, *scopes: str) -> None:
        """Refuse with `missing_scope` unless the token has one of these."""
        provided = self.core.bot_scopes
        if not provided.intersection(scopes):
            raise SlackError("missing_scope", needed=",".join(scopes), provided=",".join(sorted(provided)))

    def page(self, key: str, items: list[Any]) -> Json:
        """Return one page of a list with Slack's cursor; the cursor is where the next page starts."""
        try:
            start = int(str(self.get("cursor") or 0))
            size = int(str(self.get("limit") or _PAGE))
        except ValueError:
            raise SlackError("invalid_cursor") from None
        following = str(start + size) if start + size < len(items) else ""
        return {key: items[start : start + size], "response_metadata": {"next_cursor": following}}


@dataclass(frozen=True)
class Method:
    """One Web API method: what it does, whose token it takes, and which of these scopes."""

    name: str
    answer: Callable[[Call], Json]
    scopes: tuple[str, ...] = ()
    caller: Literal["bot", "app"] = "bot"


class WebApi:
    """All methods behind `/api/`."""

    def __init__(self, core: Core, methods: Iterable[Method]) -> None:
        """Take the methods as an explicit list."""
        self._core = core
        self._methods = {method.name: method for method in methods}
        self._consumes = {name: CONSUMES[name] for name in self._methods}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request."""
        name = request.match_info["method"]
        fault = self._core.faults.for_call(name)
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        args: Json = {}
        try:
            args = await _arguments(request, self._consumes.get(name, frozenset(Encoding)))
            if fault is not None and fault.answers:
                return self._suffer(request, name, args, fault)
            body = self._answer(request, name, args)
        except SlackError as error:
            body = error.body
        if fault is not None and fault.lose_answer:
            self._note(name, args, 0, "answer lost")
            return _cut(request)
        return self._reply(name, args, body)

    def _answer(self, request: web.Request, name: str, args: Json) -> Json:
        method = self._methods.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip() or args.pop("token", "")
        self._check_token(method, token)
        call = Call(self._core, name, args)
        if method.caller == "bot" and method.scopes:
            call.needs(*method.scopes)
        if self._core.limits is not None:
            wait = self._core.limits.wait(name, str(args.get("channel", "")), self._core.now)
            if wait is not None:
                raise SlackError("ratelimited", retry_after=wait)
        return {"ok": True, **method.answer(call)}

    def _check_token(self, method: Method, token: str) -> None:
        """Refuse a token that is missing, wrong, or of the other kind, each with Slack's own error."""
        tokens = self._core.tokens
        if not token:
            raise SlackError("not_authed")
        if token not in {tokens.bot, tokens.app}:
            raise SlackError("invalid_auth")
        if token != (tokens.bot if method.caller == "bot" else tokens.app):
            raise SlackError("not_allowed_token_type")

    def _reply(self, name: str, args: Json, body: Json) -> web.Response:
        error = body.get("error")
        method = self._methods.get(name)
        granted = APP_SCOPES if method and method.caller == "app" else self._core.bot_scopes
        headers = {"X-OAuth-Scopes": ",".join(sorted(granted))}
        if method and method.scopes:
            headers["X-Accepted-OAuth-Scopes"] = ",".join(method.scopes)
        status = HTTPStatus.OK
        if error == "ratelimited":
            status = HTTPStatus.TOO_MANY_REQUESTS
            headers["Retry-After"] = str(body.pop("retry_after", 1))
        self._note(name, args, status, error)
        return web.json_response(body, status=status, headers=headers)

    def _suffer(self, request: web.Request, name: str, args: Json, fault: CallFault) -> web.StreamResponse:
        if fault.cut:
            self._note(name, args, 0, "connection cut")
            return _cut(request)
        if fault.error is not None:
            more = {} if fault.retry_after is None else {"retry_after": fault.retry_after}
            return self._reply(name, args, SlackError(fault.error, **more).body)
        if fault.body is not None:
            self._note(name, args, fault.status, "answered by another")
            return web.Response(text=fault.body, content_type=fault.content_type)
        self._note(name, args, fault.status, "server error")
        return web.Response(status=fault.status, text="<html>Server Error</html>", content_type="text/html")

    def _note(self, name: str, args: Json, status: int, error: str | None) -> None:
        self._core.calls.append(ApiCall(name, args, self._core.now, status, error))
        self._core.changes.announce()


def _cut(request: web.Request) -> web.StreamResponse:
    """Close the connection under the caller's feet."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=HTTPStatus.BAD_GATEWAY)


async def _arguments(request: web.Request, consumes: frozenset[Encoding]) -> Json:
    """Return the arguments of a call from its query and its body, as far as the method takes a body of that kind."""
    args: Json = dict(request.query)
    if request.content_type == Encoding.JSON:
        if Encoding.JSON not in consumes:
            return args
        try:
            body = await request.json()
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        body.pop("token", None)  # Slack takes a token in a form, not in JSON
        args.update(body)
    elif request.can_read_body:
        args.update({key: value for key, value in (await request.post()).items() if isinstance(value, str)})
    for name in _JSON_ARGUMENTS.intersection(args):
        if isinstance(args[name], str) and args[name]:
            args[name] = _decoded(name, args[name])
    return args


def _decoded(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        errors = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}
        raise SlackError(errors.get(name, "invalid_arguments")) from None
