"""The bot between a strict Slack and a host that breaks, over real Socket Mode and a real Web API."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from bot.app import Bot
from bot.clock import Clock
from bot.config import Settings
from bot.demo.local_slack import Channel, LocalSlack, Message, User
from bot.remediation.runner import Executor
from bot.slack.client import SlackClient
from bot.slack.views.blocks import Colour
from bot.store import Store
from checks.execution.order import Event, Happened, OnEvent, Order
from checks.model import Applied, Baseline, Host, Plan, Reading, Report, Service, Snapshot
from tests.unit.bot.samples import broken, failed, fixed, good, healthy, not_looked_at, plan

CHANNEL = "#docker-health"
PATIENCE = 30.0  # seconds, on a machine that is busy
FIX = "approve:enable-ip-forward"
RED, AMBER, GREEN = Colour.RED, Colour.AMBER, Colour.GREEN


class Site:
    """A host whose one service breaks, and is mended by the fix that a test allows to end."""

    def __init__(self) -> None:
        self.well = True
        self.out_of_reach = False  # over SSH
        self.plan = plan()
        self.clock = Clock()
        self.ran: list[Plan] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.reached = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the protocol's
        self.reached.set()
        await self.may_answer.wait()
        return good(self.clock()) if self.well else failed(self.clock())

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:  # noqa: ARG002
        if self.out_of_reach:
            return (not_looked_at(self.clock()),)
        return (healthy(self.clock()) if self.well else broken(self.plan, at=self.clock()),)

    @property
    def executor(self) -> Executor:
        return Executor(self.mend, self.look_afterwards)

    async def look_afterwards(self, order: Order, before: Snapshot | None, tell: OnEvent) -> Applied:  # noqa: ARG002
        """What a dead process left running is found to have helped."""
        self.well = True
        return fixed(self.clock())

    def remember(self, host: str, service: str, good: Baseline) -> None:
        """Nothing here compares looks."""

    def clock_set(self, by: timedelta) -> None:
        """Nothing here compares looks."""

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Nothing here plans."""

    async def mend(self, order: Order, tell: OnEvent) -> Applied:
        self.ran.append(order.plan)
        await tell(Event(Happened.STEP_STARTED, "step 1 of 1: switch it on"))
        await self.may_end.wait()
        self.well = True
        return fixed(self.clock())


class World:
    """A Slack, a site, and the bot in between."""

    def __init__(self, slack: LocalSlack, site: Site, url: str) -> None:
        self.slack, self.site, self.url = slack, site, url
        self.alice = slack.add_user("alice")
        self.bob = slack.add_user("bob")
        self.carol = slack.add_user("carol")
        self.oncall = slack.add_group("oncall", [self.bob])
        self.channel = slack.add_channel(CHANNEL, [self.alice, self.bob, self.carol])
        self.expire_after = timedelta(minutes=30)
        self.look_every = timedelta(minutes=5)
        self.alert_channel = CHANNEL
        self.host_name = "host1"
        self.fallback_after = timedelta(minutes=5)
        self.fallback_urls = ""
        self.clock_set_by = timedelta(0)

    def settings(self) -> Settings:
        host = {"address": "10.0.0.11", "services": {"registry": {"url": "http://10.0.0.11:5000/v2/"}}}
        settings = Settings(
            hosts={self.host_name: host},  # type: ignore[dict-item]  # as in the file
            approvals={"approvers": [self.alice.id, self.oncall.id]},  # type: ignore[arg-type]
            slack={"alert_channel": self.alert_channel},  # type: ignore[arg-type]
        )
        checks = settings.checks.model_copy(
            update={"reach_every": timedelta(seconds=0.1), "look_every": self.look_every}
        )
        approvals = settings.approvals.model_copy(update={"expire_after": self.expire_after})
        fallback = settings.fallback.model_copy(update={"after": self.fallback_after})
        urls = SecretStr(self.fallback_urls) if self.fallback_urls else None
        changed = {"checks": checks, "approvals": approvals, "fallback": fallback, "fallback_urls": urls}
        return settings.model_copy(update=changed)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[None]:
        """One life of the bot."""
        stop = asyncio.Event()
        store = await Store.open(self.url)
        client = await SlackClient.open(self.slack.bot_token, self.slack.api_url)
        self.site.clock = Clock(lambda: now() + self.clock_set_by)
        bot = Bot(self.settings(), store, client, self.site, self.site.executor, self.site.clock)
        running = asyncio.create_task(bot.act(self.slack.app_token, stop))
        try:
            await self.until(lambda: self.slack.connected > 0)
            yield
        finally:
            stop.set()
            await running
            await client.close()
            await store.close()

    @property
    def file(self) -> str:
        """The store's."""
        return self.url.removeprefix("sqlite:///")

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Keep the store locked against everybody who writes."""
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=0)) as another:
            async with asyncio.timeout(PATIENCE):
                while not _begun(another):  # noqa: ASYNC110  # it is the bot's turn at times
                    await asyncio.sleep(0.01)
            yield
            another.execute("ROLLBACK")

    async def alert(self) -> Message:
        """Break the service, and wait for the alert with its button."""
        self.site.well = False
        return await self.shows(self.channel, lambda message: has(message, FIX))

    async def becomes(self, message: Message, colour: str, words: str = "") -> None:
        await self.until(lambda: message.colour == colour and words in message.shown)

    async def until(self, true: Callable[[], bool]) -> None:
        await self.slack.wait_until(true, timeout=PATIENCE)

    async def tells(self, user: User, words: str) -> Message:
        return await self.slack.wait_for_ephemeral(user, words, timeout=PATIENCE)

    async def shows(self, channel: Channel, wanted: Callable[[Message], bool] | str) -> Message:
        return await self.slack.wait_for_message(channel, wanted, timeout=PATIENCE)

    def told(self, user: User) -> list[str]:
        return [message.text for message in self.slack.ephemerals(user)]


def _begun(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def now() -> datetime:
    return datetime.now(UTC)


def has(message: Message, action: str) -> bool:
    return any(button.action_id == action for button in message.buttons)
