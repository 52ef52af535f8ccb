"""All hosts out of reach at once, in a strict Slack: one message, and the alerts of what is really broken after it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import Bot
from bot.clock import Clock
from bot.config import Settings
from bot.demo.local_slack import LocalSlack, Message
from bot.remediation.runner import Executor
from bot.slack.client import SlackClient
from bot.store import Store
from checks.execution.order import OnEvent, Order
from checks.model import Applied, Baseline, Host, Reading, Report, Service, Snapshot
from tests.unit.bot.monitoring.test_watcher_offline import offline
from tests.unit.bot.samples import broken, failed, fixed, good, healthy
from tests.wire.bot_world import CHANNEL, GREEN, PATIENCE, RED

HOSTS = ("host1", "host2", "host3")


class Rack:
    """Three hosts of which any may be broken, and a way to them that may be cut."""

    def __init__(self) -> None:
        self.cut = False
        self.broken: set[str] = set()

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the protocol's
        at = datetime.now(UTC)
        return failed(at) if self.cut or host.name in self.broken else good(at)

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:  # noqa: ARG002
        at = datetime.now(UTC)
        await asyncio.sleep(0.05)  # as real ones do, it ends after the next readings
        if self.cut:
            return (offline(host.name, at),)
        found = broken(at=at) if host.name in self.broken else healthy(at)
        return (replace(found, host=host.name),)

    def remember(self, host: str, service: str, good: Baseline) -> None:
        """Nothing here compares looks."""

    def clock_set(self, by: timedelta) -> None:
        """Nothing here compares looks."""

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Nothing here plans."""

    async def mend(self, order: Order, tell: OnEvent) -> Applied:  # noqa: ARG002  # the protocol's
        return fixed()

    async def look_afterwards(self, order: Order, before: Snapshot | None, tell: OnEvent) -> Applied:  # noqa: ARG002
        return fixed()


@asynccontextmanager
async def watched(slack: LocalSlack, rack: Rack, store_url: str) -> AsyncIterator[None]:
    """The bot, watching the rack."""
    alice = slack.add_user("alice")
    slack.add_channel(CHANNEL, [alice])
    hosts = {
        name: {"address": f"10.0.0.{number}", "services": {"registry": {"url": f"http://10.0.0.{number}:5000/v2/"}}}
        for number, name in enumerate(HOSTS, 11)
    }
    settings = Settings(hosts=hosts)  # type: ignore[arg-type]  # as in the file
    checks = settings.checks.model_copy(update={"reach_every": timedelta(seconds=0.1)})
    settings = settings.model_copy(update={"checks": checks})
    stop = asyncio.Event()
    store = await Store.open(store_url)
    client = await SlackClient.open(slack.bot_token, slack.api_url)
    running = asyncio.create_task(
        Bot(settings, store, client, rack, Executor(rack.mend, rack.look_afterwards), Clock()).act(
            slack.app_token, stop
        )
    )
    try:
        await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
        yield
    finally:
        stop.set()
        await running
        await client.close()
        await store.close()


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack.start() as running:
        yield running
        assert running.complaints == []


async def becomes(slack: LocalSlack, message: Message, colour: str, words: str) -> None:
    await slack.wait_until(lambda: message.colour == colour and words in message.shown, timeout=PATIENCE)


async def test_a_cut_cable_is_one_message_which_turns_green_and_a_broken_host_has_its_own_after_it(
    slack: LocalSlack, tmp_path: Path
) -> None:
    rack = Rack()
    async with watched(slack, rack, f"sqlite:///{tmp_path}/store.db"):
        rack.cut = True
        notice = await slack.wait_for_message(CHANNEL, "cut off from the hosts", timeout=PATIENCE)
        await becomes(slack, notice, RED, "all hosts")
        await asyncio.sleep(1)  # ten more readings of each
        assert slack.messages(CHANNEL) == [notice]
        rack.broken = {"host2"}
        rack.cut = False
        await becomes(slack, notice, GREEN, "reached again after")
        alert = await slack.wait_for_message(CHANNEL, "host2/registry", timeout=PATIENCE)
        await becomes(slack, alert, RED, "IP forwarding is off")
        assert slack.messages(CHANNEL) == [notice, alert]


async def test_hosts_that_break_together_while_the_watcher_is_well_have_a_message_each(
    slack: LocalSlack, tmp_path: Path
) -> None:
    rack = Rack()
    async with watched(slack, rack, f"sqlite:///{tmp_path}/store.db"):
        rack.broken = set(HOSTS)
        for name in HOSTS:
            alert = await slack.wait_for_message(CHANNEL, f"{name}/registry", timeout=PATIENCE)
            await becomes(slack, alert, RED, "IP forwarding is off")
    assert len(slack.messages(CHANNEL)) == len(HOSTS)
