"""One life of the bot without Slack and SSH: a scripted host, a real store, a clock that tests move."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from bot.approvals.approvers import Members
from bot.approvals.decision import Place
from bot.approvals.policy import Policies
from bot.incidents.model import Incident, Thresholds
from bot.monitoring.monitor import Monitor, MonitorSettings
from bot.remediation.approval_service import ApprovalService
from bot.remediation.automation import Automation
from bot.remediation.clicks import AppIdentity, Clicks
from bot.remediation.runner import Runner
from bot.store import Store
from checks.model import Risk
from tests.unit.bot.samples import (
    APPROVER,
    HOME,
    HOST,
    SERVICE,
    Clock,
    FakeChecker,
    FakeExecutor,
    broken,
    failed,
    good,
    plan,
)

POLICIES = Policies((APPROVER, "S0ONCALL"), dict.fromkeys(Risk, 1), timedelta(minutes=30))
SETTINGS = MonitorSettings(Thresholds(2, 2), POLICIES, "#alerts")


class FakeDirectory:
    """User groups as Slack tells them."""

    def __init__(self) -> None:
        self.told: dict[str, Members] = {"S0ONCALL": frozenset()}

    async def members(self, group: str) -> Members:
        return self.told[group]


class Bot:
    """One life of the bot: what is not in the store dies with it."""

    def __init__(  # noqa: PLR0913, PLR0917  # what it lives in
        self,
        store: Store,
        clock: Clock,
        checker: FakeChecker,
        executor: FakeExecutor,
        policies: Policies = POLICIES,
        groups: FakeDirectory | None = None,
    ) -> None:
        self.store, self.clock, self.checker = store, clock, checker
        self.groups = groups or FakeDirectory()
        self.monitor = Monitor(
            [HOST],
            checker,
            store,
            replace(SETTINGS, policies=policies),
            clock=clock,
        )
        self.runner = Runner(
            store,
            executor.executor,
            policies=policies,
            clock=clock,
        )
        self.approvals = ApprovalService(store, self.runner, self.groups, policies=policies, clock=clock)
        self.clicks = Clicks(store, self.approvals, lambda: AppIdentity(HOME.team, HOME.app), clock=clock)
        self.automation = Automation(store, self.runner, policies, clock=clock)
        self.automation.start()

    async def home(self, _incident: Incident) -> Place:
        """Where every message stands."""
        return HOME

    async def reads(self, outcomes: str) -> None:
        """Readings a second apart, each ``ok`` or ``fail``, with all that they lead to."""
        for outcome in outcomes.split():
            self.clock.passes(1)
            self.checker.reading = {"ok": good, "fail": failed}[outcome]
            await self.monitor.read(HOST, SERVICE)
            await self.settled()

    async def clock_is_set(self, seconds: float) -> None:
        """The machine's clock is set, and followed as bot/monitoring/clock_follower.py does."""
        by = timedelta(seconds=seconds)
        await self.store.clock_set(by, self.clock())
        self.clock.passes(seconds)
        self.monitor.clock_set(by)

    async def settled(self) -> None:
        """Until nothing is going on in the background."""
        mine = asyncio.current_task()
        async with asyncio.timeout(5):
            while True:
                busy = [
                    task
                    for task in asyncio.all_tasks()
                    if task is not mine
                    and task.get_name().startswith(("look", "diagnose", "fix", "first", "recover", "consider"))
                ]
                if not busy:
                    return
                await asyncio.sleep(0.005)

    async def incident(self) -> Incident:
        newest = await self.store.incidents.newest(HOST.name, SERVICE.name)
        assert newest
        return newest

    async def posted(self) -> None:
        """The outbox posts the message at HOME."""
        row = await self.store.messages.get((await self.incident()).id)
        assert row
        await self.store.messages.sent(row, HOME.channel, HOME.ts, "hash", self.clock())

    async def breaks(self) -> str:
        """The service breaks, is diagnosed and posted. Returns the id of the offer."""
        self.checker.report = lambda at: broken(plan(), at=at)
        await self.reads("fail fail")
        await self.posted()
        return (await self.incident()).offers[-1].id

    async def close(self) -> None:
        await self.automation.close()
        await self.runner.close(grace=0)
        await self.monitor.close()
