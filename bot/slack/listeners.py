"""What people do in Slack, handed on. Each listener acknowledges at once and leaves the work to a task of its own."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Protocol

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.approvals.decision import Click, Place, Refusal
from bot.incidents.model import IncidentKind, IncidentState, downtime
from bot.monitoring.monitor import CheckResult, Monitor, ServiceOverview
from bot.remediation.clicks import Clicks
from bot.slack import views
from bot.slack.message import Message
from bot.slack.outbox import SendError
from bot.slack.replies import Answer, reply
from bot.store import Store, UnwritableError
from bot.tasks import Tasks
from bot.wording.reports import title
from checks.model import Host, Service, Status

COMMAND = "/dockerhealth"
SOON = 2.0  # seconds after which one who waits is told that the look is under way

Body = dict[str, Any]
Ack = Callable[..., Awaitable[Any]]

log = structlog.get_logger()


class Answerer(Protocol):
    """Shows a message to one person. Raises SendError."""

    async def answer(self, response_url: str, channel: str, user: str, message: Message) -> None: ...


@dataclass(frozen=True)
class Asker:
    """Who is to be answered, and where."""

    user: str
    channel: str
    response_url: str

    @classmethod
    def of(cls, body: Body) -> "Asker":
        """From a command's or an action's body, which name things differently."""
        user = body.get("user_id") or (body.get("user") or {}).get("id", "")
        channel = body.get("channel_id") or (body.get("channel") or {}).get("id", "")
        return cls(user, channel, body.get("response_url", ""))


class Listeners:
    def __init__(
        self, monitor: Monitor, clicks: Clicks, store: Store, answerer: Answerer, *, clock: Callable[[], datetime]
    ) -> None:
        self._monitor = monitor
        self._clicks = clicks
        self._store = store
        self._answerer = answerer
        self._clock = clock
        self._tasks = Tasks()

    def app(self, client: AsyncWebClient) -> AsyncApp:
        """The Bolt app with every listener in place."""
        app = AsyncApp(client=client, authorize=_authorize, raise_error_for_unhandled_request=True)
        app.command(COMMAND)(self.on_command)
        app.action(re.compile("^approve:"))(self.on_approve)
        app.action("acknowledge")(self.on_acknowledge)
        app.error(self.on_error)
        return app

    async def close(self) -> None:
        """Let answers that are under way be given."""
        await self._tasks.close(grace=3)

    # --- what Bolt calls ---

    async def on_command(self, ack: Ack, body: Body) -> None:
        await ack()
        self._start(body, self._command(body), "command")

    async def on_approve(self, ack: Ack, body: Body) -> None:
        await ack()
        self._start(body, self._clicked(body, self._clicks.approve), "approve")

    async def on_acknowledge(self, ack: Ack, body: Body) -> None:
        await ack()
        self._start(body, self._clicked(body, self._clicks.acknowledge), "acknowledge")

    async def on_error(self, error: Exception, body: Body) -> BoltResponse:
        """Whatever no listener takes, or what breaks one: acknowledged and answered, or Slack shows an error."""
        if isinstance(error, BoltUnhandledRequestError):
            log.warning("slack: nothing listens to this", type=body.get("type"), command=body.get("command"))
            words = f"I do not know this command or button. `{COMMAND} help` says what I can do."
        else:
            log.error("slack: a listener failed", exc_info=error)
            words = _broken(error)
        if body.get("response_url"):
            self._tasks.start(self._tell(Asker.of(body), Message(words)), "answer")
        return BoltResponse(status=200, body="")

    # --- the work ---

    def _start(self, body: Body, work: Awaitable[None], name: str) -> None:
        self._tasks.start(self._guarded(body, work), name)

    async def _guarded(self, body: Body, work: Awaitable[None]) -> None:
        """Whatever goes wrong, the one who asked is told, and the log has it."""
        try:
            await work
        except SendError:
            log.exception("slack: an answer could not be given", user=Asker.of(body).user)
        except UnwritableError as error:
            log.warning("slack: nothing was run", why=str(error))
            await self._tell(Asker.of(body), Message(_broken(error)))
        except Exception as error:
            log.exception("slack: answering failed because of an error in dockerhealth")
            await self._tell(Asker.of(body), Message(_broken(error)))

    async def _tell(self, asker: Asker, message: Message) -> None:
        try:
            await self._answerer.answer(asker.response_url, asker.channel, asker.user, message)
        except SendError:
            log.exception("slack: an answer could not be given", user=asker.user)

    async def _command(self, body: Body) -> None:
        asker = Asker.of(body)
        if not await self._store.seen.first(f"command:{body['trigger_id']}", self._clock()):
            return
        words = body.get("text", "").split()
        log.info("command", user=asker.user, text=words)
        await self._say(asker, await self._answered(asker, words))

    async def _answered(self, asker: Asker, words: list[str]) -> Message:
        if not words:
            standings, now = await self._monitor.overview(), self._clock()
            return views.overview([glance(each, now) for each in standings], now, self._monitor.own_trouble)
        host = _named(words[0], self._monitor.hosts.values())
        if host is None:
            wants_help = words == ["help"]
            return (
                views.help_text() if wants_help else views.unknown_host(words[0], _near(words[0], self._monitor.hosts))
            )
        if len(words) == 1:
            return await self._checked(asker, host, None)
        service = _named(words[1], host.services)
        if service is None or len(words) > 2:  # noqa: PLR2004  # HOST SERVICE
            names = [service.name for service in host.services]
            return views.unknown_service(host.name, " ".join(words[1:]), _near(words[1], names) or names)
        return await self._checked(asker, host, service)

    async def _checked(self, asker: Asker, host: Host, service: Service | None) -> Message:
        check = asyncio.create_task(self._monitor.check(host, service, who=asker.user))
        try:
            async with asyncio.timeout(SOON):
                found = await asyncio.shield(check)
        except TimeoutError:
            await self._say(asker, views.looking(host.name))
            found = await check
        offers = {checked.report.service: _offers(checked) for checked in found}
        return views.answer([checked.report for checked in found], offers, self._clock())

    async def _clicked(self, body: Body, decide: Callable[[Click], Awaitable[Answer]]) -> None:
        answer = await decide(click(body))
        if isinstance(answer, Refusal) and answer.outdated and answer.incident is not None:
            self._monitor.look_again(answer.incident.host)
        message = reply(answer)
        if message is not None:
            await self._say(Asker.of(body), message)

    async def _say(self, asker: Asker, message: Message) -> None:
        await self._answerer.answer(asker.response_url, asker.channel, asker.user, message)


def click(body: Body) -> Click:
    """The click in a block_actions payload."""
    [action] = body["actions"]
    container = body.get("container") or {}
    place = Place(
        team=(body.get("team") or {}).get("id", ""),
        app=body.get("api_app_id", ""),
        channel=container.get("channel_id", ""),
        ts="" if container.get("is_ephemeral") else container.get("message_ts", "none"),
    )
    identity = f"click:{body['user']['id']}:{body.get('trigger_id', '')}:{action.get('action_ts', '')}"
    return Click(id=identity, user=body["user"]["id"], target=action.get("value", ""), place=place)


def glance(standing: ServiceOverview, now: datetime) -> views.Glance:
    """One line of the overview."""
    reading, incident = standing.reading, standing.incident
    blind = standing.blind.says if standing.blind else ""
    if incident is not None and incident.kind is not IncidentKind.PREVENTION:
        says = title(incident.report) if incident.report and incident.report.diagnosis.root else ""
        down = downtime(incident, now)
        return views.Glance(standing.host, standing.service, ok=False, says=says, down=down, blind=blind)
    if reading is not None:
        return views.Glance(standing.host, standing.service, ok=reading.ok, says=reading.says, blind=blind)
    return views.Glance(standing.host, standing.service, ok=None, blind=blind)


def _offers(checked: CheckResult) -> tuple[Any, ...]:
    """The buttons that an answer may have: none while a fix runs, none on what is well."""
    incident = checked.incident
    if incident is None or incident.state is IncidentState.FIXING or checked.report.status is Status.HEALTHY:
        return ()
    return incident.offers


def _named(name: str, things: Iterable[Any]) -> Any:
    """The host or service of that name, however it is capitalised."""
    return next((thing for thing in things if thing.name.casefold() == name.casefold()), None)


def _near(name: str, names: Iterable[str]) -> list[str]:
    return get_close_matches(name, list(names), n=5, cutoff=0.4)


def _broken(error: Exception) -> str:
    if isinstance(error, UnwritableError):
        return "I cannot write my store just now, so nothing was run. Try again soon; my log says why it is so."
    return (
        f"I could not answer because of an error of my own ({type(error).__name__}). The log has the details. "
        f"Try again, or use `dockerhealth check HOST` in a terminal."
    )


async def _authorize() -> AuthorizeResult:
    """Nothing is asked of Slack before a request is acknowledged; no listener uses Bolt's own client."""
    return AuthorizeResult(enterprise_id=None, team_id=None, bot_token="none")  # noqa: S106  # no token
