"""The world in which the lives of test_interleavings.py come and go: real but for Slack, hosts, time and chance."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import structlog
from structlog.typing import EventDict

from bot.approvals.approvers import Members, Unreachable
from bot.approvals.decision import Refusal
from bot.incidents.model import Thresholds
from bot.monitoring.monitor import Monitor, MonitorSettings
from bot.remediation.approval_service import ApprovalService
from bot.remediation.automation import Automation
from bot.remediation.clicks import AppIdentity, Clicks
from bot.remediation.runner import Executor, Runner
from bot.store import Audit, Baselines, BlindHosts, Incidents, Leaders, Lives, Messages, Runs, Seen, Store
from checks.model import Baseline, Host, Reading, Report, Service
from tests.unit.bot.remediation.lives import Killed, Life, LifesDatabase, Time, Turns, engine_on
from tests.unit.bot.remediation.model_host import LEASE, TWO_SERVICES, ModelHost, Says
from tests.unit.bot.remediation.run_oracle import Oracle, Word
from tests.unit.bot.samples import HOME


class Slack:
    """Who is in a user group, as one life of the bot is told."""

    def __init__(self, life: Life, turns: Turns, oracle: Oracle) -> None:
        self._life, self._turns, self._oracle = life, turns, oracle

    async def members(self, _group: str) -> Members:
        async with self._turns.turn(self._life):
            members = self._oracle.group
        self._life.touches()
        return Unreachable() if members is None else members


class Looker:
    """The host, as one life sees it."""

    def __init__(self, life: Life, host: ModelHost) -> None:
        self._life, self._host = life, host

    async def reach(self, host: Host, service: Service) -> Reading:
        raise NotImplementedError

    async def check(self, _host: Host, _service: Service | None = None) -> tuple[Report, ...]:
        return await self._host.check(self._life)

    def remember(self, host: str, service: str, good: Baseline) -> None:
        """Nothing is told of what was."""

    def clock_set(self, by: timedelta) -> None:
        """Nothing here compares looks."""

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Nothing here plans."""


class Bot:
    """One life of the bot, put together as in bot/app.py."""

    def __init__(self, world: "World", says: Says) -> None:
        self.life = life = Life()
        policies = says.policies
        database = LifesDatabase(world.engine, life, world.turns, partial(world.oracle.written, says))
        name = f"life {next(world.names)}"
        self.store = store = Store(
            database,
            Incidents(database),
            Runs(database, name),
            Audit(database),
            Messages(database, name),
            Seen(database, name),
            BlindHosts(database),
            Baselines(database),
            Leaders(database, name),
            Lives(database, name),
        )
        clock = world.loop.clock
        self.monitor = Monitor(
            [TWO_SERVICES],
            Looker(life, world.host),
            store,
            MonitorSettings(Thresholds(2, 2), policies, "#alerts"),
            clock=clock,
        )
        executor = Executor(partial(world.host.apply, life), partial(world.host.resume, life))
        self.runner = Runner(store, executor, policies=policies, clock=clock, lease=LEASE)
        slack = Slack(life, world.turns, world.oracle)
        approvals = ApprovalService(store, self.runner, slack, policies=policies, clock=clock)
        self.clicks = Clicks(store, approvals, lambda: AppIdentity(HOME.team, HOME.app), clock=clock)
        self._answered = world.answered
        self._automation = Automation(store, self.runner, policies, clock=clock)

    async def start(self) -> None:
        self._automation.start()
        await self.runner.recover()
        await self.monitor.start()

    async def approve(self, word: Word) -> None:
        with suppress(Killed):
            word.answer = await self.clicks.approve(word.click)
            self._answered(word.answer)


class World:
    """What outlives the bot: the store, the host, time, people. It begins anew for each example."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self.loop = Time()
        self.loop.set_exception_handler(self._failed)
        self.engine = engine_on(self._path)
        self.seen: Counter[str] = Counter()
        self._blank = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(path)) as migrated:
            migrated.backup(self._blank)
        self.begins(0)

    def begins(self, seed: int) -> None:
        self.loop.starts_anew()
        self.turns = Turns(Random(seed))  # noqa: S311  # chance, and no secret
        self.host = ModelHost(self.turns, self.loop, self.seen)
        self.oracle = Oracle(self._path, self.host, self.loop, self.seen)
        self._blank.backup(self.oracle.store)
        self.names = count(1)

    def hears(self, _logger: object, _method: str, event: EventDict) -> NoReturn:
        """What the bot logs. A task of its own that fails is a fault of it, or of the test."""
        self.seen[f"log: {event['event']}"] += 1
        if event["event"] == "a task failed" and not isinstance(event.get("exc_info"), Killed):
            self.oracle.wrong.append(f"{event['task']} failed: {event['exc_info']!r}")
        raise structlog.DropEvent

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Killed):
            self.oracle.wrong.append(f"{context['message']}: {context.get('exception')!r}")

    def answered(self, answer: object) -> None:
        self.seen[f"refused: {answer.reason}" if isinstance(answer, Refusal) else type(answer).__name__] += 1

    # --- what a test does ---

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something at the same time as all else that is begun until things settle."""
        self.loop.create_task(work).add_done_callback(self._done)

    def settles(self, seconds: float = 0.001) -> None:
        """Time passes, which it does when nobody has anything left to do before. Then the outbox posts."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        with self.oracle.store as connection:
            connection.execute("UPDATE messages SET channel = ?, ts = incident_id WHERE ts = ''", (HOME.channel,))

    def _done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Killed):
            self.oracle.wrong.append(f"{task.get_name()} failed: {error!r}")

    def ends(self) -> None:
        self.loop.run_until_complete(self._end())
        self.oracle.store.close()

    async def _end(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def close(self) -> None:
        self.engine.dispose()
        self._blank.close()
        self.loop.close()
