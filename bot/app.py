"""The one place where everything is put together."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from pydantic import SecretStr

from bot.clock import Clock, wall
from bot.config import Settings
from bot.fallback import AppriseWay, Fallback, UnknownWayError, ways
from bot.leadership import Leadership
from bot.monitoring.clock_follower import ClockFollower
from bot.monitoring.monitor import HostChecker, Monitor, MonitorSettings
from bot.monitoring.scheduler import Scheduler
from bot.reload import Reload
from bot.remediation.approval_service import ApprovalService
from bot.remediation.automation import Automation
from bot.remediation.clicks import AppIdentity, Clicks
from bot.remediation.runner import Executor, Runner
from bot.slack import views
from bot.slack.client import SlackClient
from bot.slack.listeners import Listeners
from bot.slack.outbox import Outbox, SendError, WrongTokenError, backoff
from bot.slack.socket import Socket
from bot.slack.store_notice import StoreNotice
from bot.store import Store, StoreError
from bot.tasks import Tasks, ended, unless
from checks.check import Checker
from checks.execution.apply import apply, resume

# Seconds that each part has when the bot is stopped: 9 together, whatever hangs. What has not ended is left behind.
LISTENING_ENDS = 2.0
ACTING_ENDS = 4.5
OUTBOX_EMPTIED = 1.5
CLOSED = 1.0

NOTICED_EVERY = 1.0  # seconds, whatever is looked after beside the outbox
CLOCK_READ_EVERY = 0.25  # seconds

FIX_GRACE = 3.5
"""Seconds of these that a running fix has. The next process takes up what it leaves: bot/remediation/runner.py."""

log = structlog.get_logger()


class StartError(Exception):
    """The bot cannot start. Says what to do."""


async def run(settings: Settings, stop: asyncio.Event, reload: Reload | None = None) -> None:
    """Be the bot until ``stop`` is set: the one that acts, or one that stands by.

    Raises StartError, StoreError, WrongTokenError.
    """
    reload = reload or Reload(settings, lambda: settings)
    tokens(settings)
    fallback_ways(settings)
    reloading = Tasks()
    async with _store(settings.store) as store, _living(store):
        reloading.start(reload.watch(store), "reload")
        leadership = Leadership(store.leaders)
        try:
            while await leadership.gained(stop):
                async with leadership.kept(stop) as over:
                    clock = Clock()
                    while not over.is_set():
                        await _act(reload, store, over, clock)
        finally:
            await reloading.close(grace=0)
    log.info("stopped")


async def _act(reload: Reload, store: Store, over: asyncio.Event, clock: Clock) -> None:
    """Act until ``over`` is set, or there is a new configuration to begin anew with."""
    settings = reload.settings
    bot_token, app_token = tokens(settings)
    async with _slack(bot_token, settings.slack_api_url) as slack, _checker(settings, clock) as checker:
        executor = Executor(partial(apply, checker), partial(resume, checker))
        await Bot(settings, store, slack, checker, executor, clock).act(app_token, over, reload)


@dataclass(frozen=True)
class Acting:
    """What acts while this bot does: it watches, tells, and carries out what was approved."""

    monitor: Monitor
    runner: Runner


class Bot:
    """A bot whose settings do not change. What of it acts is made anew each time that it begins to."""

    def __init__(  # noqa: PLR0913, PLR0917  # what it lives in
        self,
        settings: Settings,
        store: Store,
        slack: SlackClient,
        checker: HostChecker,
        executor: Executor,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._slack = slack
        self._checker = checker
        self._executor = executor
        self._clock = clock
        self._policies = settings.approvals.policies()

    async def act(self, app_token: str, over: asyncio.Event, reload: Reload | None = None) -> None:
        """Watch, show, and answer until ``over`` is set, or ``reload`` has something new and no fix runs."""
        until, waiting = asyncio.Event(), Tasks()
        async with self.acting() as acting:
            waiting.start(self._ends(over, reload, acting, until), "end")
            try:
                await self._listen(acting, app_token, until)
            finally:
                await waiting.close(grace=0)

    async def _ends(self, over: asyncio.Event, reload: Reload | None, acting: Acting, until: asyncio.Event) -> None:
        """Set ``until`` when it is time to begin no more."""
        if reload is None:
            await over.wait()
        else:
            reload.acts = True
            await reload.used(self._store)
            await unless(over, reload.when_due(self._store, acting.runner))
            reload.acts = not over.is_set()
        until.set()

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[Acting]:
        """Act until the block is left; then end what runs, in the order in which it depends.

        Nothing outside of this block watches, posts, or changes a host.
        """
        outbox = Outbox(self._store, self._slack, views.alert, self._clock, channel=self._settings.slack.alert_channel)
        monitor = Monitor(
            self._settings.host_list(),
            self._checker,
            self._store,
            MonitorSettings.of(self._settings),
            clock=self._clock,
        )
        runner = Runner(self._store, self._executor, policies=self._policies, clock=self._clock)
        automation = Automation(self._store, runner, self._policies, clock=self._clock)
        scheduler = Scheduler(
            monitor,
            runner,
            reach_every=self._settings.checks.reach_every,
            look_every=self._settings.checks.look_every,
        )
        notice = StoreNotice(self._store, self._slack, self._settings.slack.alert_channel)
        fallback = Fallback(self._store, fallback_ways(self._settings), self._settings.fallback.after, self._clock)
        emptied, sending = asyncio.Event(), Tasks()
        automation.start()
        await runner.recover()
        await monitor.start()
        scheduler.start()
        sending.start(outbox.run(emptied), "outbox")
        sending.start(_noticing(notice, emptied), "notice")
        sending.start(_every(NOTICED_EVERY, fallback.show, emptied), "fallback")
        following = ClockFollower(self._clock, self._store, monitor)
        sending.start(_every(CLOCK_READ_EVERY, following.follow, emptied), "clock")
        try:
            yield Acting(monitor, runner)
        finally:
            await ended(_ends(scheduler, automation, runner, monitor), ACTING_ENDS, "what acts")
            emptied.set()
            outbox.wake()
            await ended(sending.close(OUTBOX_EMPTIED), OUTBOX_EMPTIED, "the last messages")

    async def _listen(self, acting: Acting, app_token: str, stop: asyncio.Event) -> None:
        """Take commands and clicks until ``stop`` is set. Watching goes on while Slack is out of reach."""
        team = await self._introduced(app_token, stop)
        if stop.is_set():
            return
        approvals = ApprovalService(self._store, acting.runner, self._slack, policies=self._policies, clock=self._clock)
        clicks = Clicks(
            self._store,
            approvals,
            lambda: AppIdentity(team, socket.app_id),
            clock=self._clock,
            alone=lambda: socket.is_alone(),  # noqa: PLW0108  # there is none yet
        )
        listeners = Listeners(acting.monitor, clicks, self._store, self._slack, clock=self._clock)
        socket = Socket(listeners.app(self._slack.without_token()), app_token, self._tell_of_others)
        log.info("started", hosts=len(acting.monitor.hosts), team=team)
        asking, listening = Tasks(), asyncio.create_task(socket.run(stop), name="socket")
        asking.start(self._ask_for_groups(), "groups")
        asking.start(self._ask_for_channel(), "channel")
        try:
            await unless(stop, asyncio.shield(listening))
        finally:
            await ended(_stopped(listening, asking, listeners), LISTENING_ENDS, "listening")

    async def _tell_of_others(self, others: int) -> None:
        """Commands and clicks reach this bot or another one, as it falls out: who reads alerts has to know."""
        log.error("slack: OTHER PROCESSES TAKE COMMANDS AND CLICKS OF THIS APP", others=others)
        channel = self._settings.slack.alert_channel
        try:
            await self._slack.post(channel, views.others_connected(others), str(uuid.uuid4()))
        except SendError as error:
            log.warning("slack: that others are connected could not be told", why=str(error))

    async def _ask_for_groups(self) -> None:
        """Have it in the log at start, not at the first click, if Slack does not tell who is in an approvers' group."""
        for group in self._policies.groups:
            await self._slack.members(group)

    async def _ask_for_channel(self) -> None:
        """Have it in the log at start, not at the first alert, if the bot is not in the channel."""
        channel = self._settings.slack.alert_channel
        try:
            todo = await self._slack.why_not_in(channel)
        except SendError as error:
            log.warning("slack: whether the bot is in the alert channel could not be asked", channel=channel, why=error)
            return
        if todo:
            log.error("slack: NOBODY SEES ALERTS, the bot cannot post in the alert channel", channel=channel, todo=todo)

    async def _introduced(self, app_token: str, stop: asyncio.Event) -> str:
        """The workspace, once Slack has answered. Raises WrongTokenError for a token that it does not know.

        Whatever else Slack says may pass, and watching goes on meanwhile.
        """
        attempts, said = 0, ""
        while not stop.is_set():
            try:
                return await unless(stop, self._greeted(app_token)) or ""
            except WrongTokenError:
                raise
            except Exception as error:  # a proxy may answer anything  # noqa: BLE001
                if str(error) != said:
                    said = str(error)
                    log.warning("slack: it does not let us in, trying on; watching goes on", why=said)
            await unless(stop, asyncio.sleep(backoff(attempts).total_seconds()))
            attempts += 1
        return ""

    async def _greeted(self, app_token: str) -> str:
        await self._slack.greet(app_token)
        return await self._slack.team()


async def _noticing(notice: StoreNotice, stop: asyncio.Event) -> None:
    await _every(NOTICED_EVERY, notice.show, stop)
    await notice.end()


async def _every(seconds: float, look: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await look()
        except StoreError as error:
            log.debug("what is beside the outbox waits for the store", why=str(error))
        except Exception:  # it must go on
            log.exception("what is beside the outbox failed, and is done again")
        await unless(stop, asyncio.sleep(seconds))


async def _ends(scheduler: Scheduler, automation: Automation, runner: Runner, monitor: Monitor) -> None:
    """End all at once: each begins nothing any more from the first moment on."""
    async with asyncio.TaskGroup() as ending:
        for each in (scheduler.stop(), automation.close(), runner.close(FIX_GRACE), monitor.close()):
            ending.create_task(each)


async def _stopped(listening: asyncio.Task[None], asking: Tasks, listeners: Listeners) -> None:
    async with asyncio.TaskGroup() as ending:
        ending.create_task(asking.close(grace=0))
        ending.create_task(listeners.close())
        await listening


def tokens(settings: Settings) -> tuple[str, str]:
    """The bot's and the app's. Raises StartError."""
    return (
        _secret(settings.slack_bot_token, "SLACK_BOT_TOKEN", "xoxb-..."),
        _secret(settings.slack_app_token, "SLACK_APP_TOKEN", "xapp-..."),
    )


def fallback_ways(settings: Settings) -> tuple[AppriseWay, ...]:
    """The ways past Slack. Raises StartError."""
    try:
        return ways(settings.fallback_urls.get_secret_value() if settings.fallback_urls else "")
    except UnknownWayError as error:
        raise StartError(str(error)) from error


def _secret(value: SecretStr | None, name: str, looks: str) -> str:
    if value is None or not value.get_secret_value():
        raise StartError(f"{name} is not set. Set it, or {name}_FILE, to the token of the Slack app ({looks}).")
    return value.get_secret_value()


@asynccontextmanager
async def _store(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url)
    try:
        yield store
    finally:
        await ended(store.close(), CLOSED, "the store")


@asynccontextmanager
async def _living(store: Store) -> AsyncIterator[None]:
    """Let terminals find this process while it lives."""
    await store.lives.begin(wall())
    try:
        yield
    finally:
        await ended(store.lives.end(), CLOSED, "the note of this life")


@asynccontextmanager
async def _slack(token: str, api_url: str) -> AsyncIterator[SlackClient]:
    slack = await SlackClient.open(token, api_url)
    try:
        yield slack
    finally:
        await ended(slack.close(), CLOSED, "the slack")


@asynccontextmanager
async def _checker(settings: Settings, clock: Clock) -> AsyncIterator[Checker]:
    checker = Checker(settings.host_list(), clock=clock)
    budget = checker.budget
    log.info("descriptors", limit=budget.limit, least=budget.least, looks_at_once=budget.looks)
    if not budget.suffices:
        log.warning("too few file descriptors for so many hosts", set_in_the_unit=f"LimitNOFILE={2 * budget.least}")
    try:
        yield checker
    finally:
        await ended(checker.close(), CLOSED, "the checker")
