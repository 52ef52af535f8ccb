"""The bot without Slack: says in a line of JSON each what it looked at, and what became of incidents."""

import asyncio
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.approvals.policy import Policies
from bot.incidents.model import Incident, Thresholds
from bot.monitoring.monitor import Monitor, MonitorSettings
from bot.monitoring.scheduler import Scheduler
from bot.remediation.runner import Executor, Runner
from bot.store import Store, StoreError
from checks.check import Checker
from checks.model import Host, Login, Report, Risk, Service

POLICIES = Policies((), dict.fromkeys(Risk, 1), timedelta(minutes=30))
REACH_EVERY = timedelta(seconds=3)
"""Two readings of the usual five seconds would be all of the ten that a test gives it."""


class Watched(Checker):
    """Says which hosts were looked at."""

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:
        reports = await super().check(host, service)
        say(looked_at=host.name, inside=reports[0].trouble is None)
        return reports


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def now() -> datetime:
    return datetime.now(UTC)


def hosts_of(folder: Path) -> list[Host]:
    told = json.loads((folder / "hosts.json").read_text())
    return [
        Host(
            f"{kind}{number}",
            address,
            (Service("registry", url, container="registry"),),
            Login(told["user"], port, folder / "id", folder / "known_hosts"),
        )
        for kind in ("well", "mute")
        for number, (address, port, url) in enumerate(told[kind])
    ]


async def main(folder: Path) -> None:
    hosts = hosts_of(folder)
    store = await Store.open(f"sqlite:///{folder}/store.db")
    checker = Watched(hosts, clock=now)
    monitor = Monitor(hosts, checker, store, MonitorSettings(Thresholds(2, 2), POLICIES, "#alerts"), clock=now)
    runner = Runner(store, Executor(_never, _never), policies=POLICIES, clock=now)
    scheduler = Scheduler(monitor, runner, reach_every=REACH_EVERY, look_every=timedelta(minutes=5))
    await monitor.start()
    scheduler.start()
    told: set[tuple[str, str]] = set()
    while True:
        live: tuple[Incident, ...] = ()
        with suppress(StoreError):  # it is locked for longer than one waits for it: the next question tells
            live = await store.incidents.live()
        for incident in live:
            root = incident.report.diagnosis.root if incident.report else None
            if (news := (incident.host, root.cause if root else "")) not in told:
                told.add(news)
                say(incident=incident.host, cause=news[1])
        await asyncio.sleep(0.5)


async def _never(*_: Any) -> Any:
    raise AssertionError("nobody approved anything")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
