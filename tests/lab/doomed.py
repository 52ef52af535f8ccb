"""The real bot, to which something happens at a point of a fix that a test names: it is killed, or its host goes away.

A program of its own (``python -m tests.lab.doomed``), since nothing in a process survives SIGKILL. The point is one of
the store's own changes, before or after it: there is no other place where a fix could be between two states.
"""

import asyncio
import dataclasses
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bot import app
from bot.clock import Clock
from bot.config import Settings, load
from bot.incidents.audit import Entry
from bot.incidents.model import Incident, Offer
from bot.monitoring import scheduler
from bot.remediation import runner
from bot.remediation.runner import Executor
from bot.slack.client import SlackClient
from bot.store import Runs, Store
from bot.store.runs import Claim, RunEnd
from checks.check import Checker
from checks.execution.apply import apply, resume
from tests.lab import network

AWAY_FOR = 4.0
"""Seconds that a host which goes away is away."""

LEASE = timedelta(seconds=2)


@dataclass(frozen=True)
class Point:
    """``step-started 2 before``: the second time that this is kept, just before that. ``within``: a moment after it."""

    event: str
    nth: int
    when: str  # before, after, within

    @classmethod
    def parse(cls, text: str) -> "Point":
        event, nth, when = text.split()
        return cls(event, int(nth), when)

    def __str__(self) -> str:
        return f"{self.event} {self.nth} {self.when}"


class DoomedRuns(Runs):
    """Runs of fixes, with a fate that overtakes them at the point."""

    def __init__(self, store: Store, point: Point, fate: "Fate") -> None:
        super().__init__(store.database, f"doomed-{os.getpid()}")
        self._point, self._fate = point, fate
        self._seen: Counter[str] = Counter()

    async def claim(self, claim: Claim, entry: Entry, *lease: Any) -> bool:
        await self._at(entry, "before")
        claimed = await super().claim(claim, entry, *lease)
        await self._at(entry, "after")
        return claimed

    async def record(self, incident: Incident, offer: Offer, entry: Entry, lease_until: Any, **more: Any) -> None:
        await self._at(entry, "before")
        await super().record(incident, offer, entry, lease_until, **more)
        await self._at(entry, "after")

    async def finish(self, end: RunEnd, entry: Entry) -> None:
        await self._at(entry, "before")
        await super().finish(end, entry)
        await self._at(entry, "after")

    async def _at(self, entry: Entry, when: str) -> None:
        if when == "before":
            self._seen[entry.event] += 1
        here = Point(entry.event, self._seen[entry.event], when)
        if here == self._point:
            self._fate.comes()
        elif when == "after" and dataclasses.replace(here, when="within") == self._point:
            asyncio.get_running_loop().call_later(0.03, self._fate.comes)


class Fate:
    """What happens at the point: once."""

    def __init__(self, kind: str, host: str, address: str, sign: Path) -> None:
        """``sign`` is there from when it happens until it is over."""
        self._kind, self._host, self._address, self._sign = kind, host, address, sign

    def comes(self) -> None:
        self._sign.touch()
        if self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        rules = f"ip daddr {self._address} meta l4proto tcp reject with tcp reset\n ip daddr {self._address} drop"
        network.cut_off(self._host, rules)
        asyncio.get_running_loop().call_later(AWAY_FOR, self._is_over)

    def _is_over(self) -> None:
        network.join(self._host)
        self._sign.unlink()


async def main(config: Path, fate: list[str]) -> None:
    settings = load(config, os.environ)
    runner.LEASE = LEASE
    scheduler.RECOVER_EVERY = timedelta(seconds=1)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    store = await Store.open(settings.store)
    if fate:
        kind, host, address, point = fate
        doomed = DoomedRuns(store, Point.parse(point), Fate(kind, host, address, config.with_suffix(".now")))
        store = dataclasses.replace(store, runs=doomed)
    await _live(settings, store, stop)


async def _live(settings: Settings, store: Store, stop: asyncio.Event) -> None:
    """One life of the bot, as bot/app.py puts it together."""
    bot_token, app_token = settings.slack_bot_token, settings.slack_app_token
    assert bot_token
    assert app_token
    slack = await SlackClient.open(bot_token.get_secret_value(), settings.slack_api_url)
    clock = Clock()
    checker = Checker(settings.host_list(), clock=clock)
    executor = Executor(partial(apply, checker), partial(resume, checker))
    try:
        await app.Bot(settings, store, slack, checker, executor, clock).act(app_token.get_secret_value(), stop)
    finally:
        await checker.close()
        await slack.close()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
