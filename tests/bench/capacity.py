"""What watching costs: whole processes that each read every service of a site every few seconds, one after the other.

    python -m tests.bench.capacity [--peer prometheus] [--against ../other] [--services 2000] [--rounds 1]
    python -m tests.bench.capacity --storm [--against ../other]

The services are answered by one process on addresses of 127/8, ten on a host, whose SSH port is closed. The rows of a
round are taken in turns in one run. Readings, and how late each was, are counted by who was read; CPU is user and
system time of all threads of the contestant's processes; memory is what they hold at the end. The store of a bot is
there and up to date, as at each start but the first. The peer is Prometheus with blackbox_exporter, as Debian packages
them: `apt-get install prometheus prometheus-blackbox-exporter`.

A storm is that half of the services fail at once: it tells when the first alert stands in Slack, what the alerts name,
how late the event loop was at most, and how many words are false. Nothing listens where they were and no host can be
looked into, so that every cause that is named is one, and so is each alert of a service of the other half.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bot.demo.local_slack import LocalSlack
from checks.model import UNDETERMINED

from .answering import Answers, answering
from .bots import environment, environment_of_bot, make_store, megabytes, process, python
from .processes import program

_HERE = Path(__file__).parents[2]
PER_HOST = 10
WARM_UP = 60.0
"""Seconds from the start that are not counted: the first looks are begun in them."""

CLOSED_PORT = 1  # where SSH would be
BOT = """\
import asyncio, json, os, signal, sys, time
from pathlib import Path
from bot import logs
from bot.app import run
from bot.config import load
try:
    from bot.cli.run_bot import runner
except ImportError:
    runner = asyncio.Runner

async def lags(into):
    while True:
        asleep = time.monotonic()
        await asyncio.sleep(0.05)
        into.append(time.monotonic() - asleep - 0.05)

async def main():
    stop, late = asyncio.Event(), []
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, late.clear)
    def tell():
        Path(sys.argv[2]).write_text(json.dumps(late))
        late.clear()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, tell)
    watching = asyncio.create_task(lags(late))
    await run(load(Path(sys.argv[1]), os.environ), stop)
    watching.cancel()

logs.configure(20)
with runner() as it:
    it.run(main())
"""
"""The bot with something beside it that notices how late its event loop is."""


@dataclass
class Sample:
    """One row of one round."""

    readings_a_second: float
    late_p99: float  # seconds
    cpu_ms: float  # a reading
    megabytes: float
    failures: int = 0
    lag: float = 0.0
    unread: int = 0  # services that were not read at all


@dataclass(frozen=True)
class Contestant:
    """Processes that read the site, in a folder of their own."""

    pids: Sequence[int]
    log: Path | None = None
    lags: Path | None = None
    slack: LocalSlack | None = None


@dataclass
class Site:
    """Which services there are, and who answers for them."""

    services: int
    every: float
    folder: Path
    answers: Answers = field(repr=False)

    @property
    def urls(self) -> list[str]:
        return [
            f"http://{self.address(number)}:{self.answers.port(number)}/s{number}" for number in range(self.services)
        ]

    @staticmethod
    def address(number: int) -> str:
        host = number // PER_HOST
        return f"127.20.{host // 250}.{host % 250 + 1}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.capacity", description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=2000)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between the readings of a service")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds that are measured")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=Path, action="append", default=[], help="another checkout, with its .venv")
    parser.add_argument("--peer", choices=("prometheus",), help="what else reads the same services")
    parser.add_argument("--programs", type=Path, help="where the peer's programs are, if they are not installed")
    parser.add_argument("--storm", action="store_true", help="instead: half of the services fail at once")
    args = parser.parse_args()
    asyncio.run(_run(args))
    return 0


async def _run(args: argparse.Namespace) -> None:
    checkouts = {"dockerhealth": _HERE} | {f"dockerhealth of {path}": path.resolve() for path in args.against}
    rows: dict[str, list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="dh-capacity-") as name:
        for number in range(args.rounds):
            for place, (row, checkout) in enumerate(checkouts.items()):
                with answering() as answers:
                    site = _site(args, Path(name) / f"{number}-{place}-bot", answers)
                    async with _bot(site, checkout) as bot:
                        if args.storm:
                            _say(f"{row}: {await _storm(site, bot)}")
                        else:
                            rows.setdefault(row, []).append(await _measured(site, bot, args.seconds))
            if args.peer and not args.storm:
                with answering() as answers:
                    site = _site(args, Path(name) / f"{number}-peer", answers)
                    async with _prometheus(site, args.programs) as peer:
                        rows.setdefault("prometheus and blackbox_exporter", []).append(
                            await _measured(site, peer, args.seconds)
                        )
    if rows:
        _say(_table(rows))


def _site(args: argparse.Namespace, folder: Path, answers: Answers) -> Site:
    folder.mkdir()
    return Site(args.services, args.every, folder, answers)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# --- what is measured ---


async def _measured(site: Site, contestant: Contestant, seconds: float) -> Sample:
    await asyncio.sleep(WARM_UP)
    site.answers.forget()
    _lags_from_now(contestant)
    cpu, began = _cpu(contestant.pids), time.monotonic()
    await asyncio.sleep(seconds)
    cpu, took = _cpu(contestant.pids) - cpu, time.monotonic() - began
    seen = site.answers.seen()
    late = sorted(max(0.0, gap - site.every) for times in seen.values() for gap in _gaps(times))
    readings = sum(len(times) for times in seen.values())
    log = contestant.log.read_text() if contestant.log else ""
    return Sample(
        readings_a_second=readings / took,
        late_p99=late[int(len(late) * 0.99)] if late else float("inf"),
        cpu_ms=cpu / max(readings, 1) * 1000,
        megabytes=sum(map(megabytes, contestant.pids)),
        failures=log.count("[error"),
        lag=await _worst_lag(contestant),
        unread=site.services - len(seen),
    )


def _gaps(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def _cpu(pids: Sequence[int]) -> float:
    """Seconds of CPU of processes so far, with all of their threads."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _lags_from_now(contestant: Contestant) -> None:
    if contestant.lags is not None:
        os.kill(contestant.pids[0], signal.SIGUSR1)


async def _worst_lag(contestant: Contestant) -> float:
    if contestant.lags is None:
        return 0.0
    contestant.lags.unlink(missing_ok=True)
    os.kill(contestant.pids[0], signal.SIGUSR2)
    async with asyncio.timeout(30):
        while not contestant.lags.exists() or not contestant.lags.read_text():  # noqa: ASYNC110  # another process does
            await asyncio.sleep(0.1)
    late: list[float] = json.loads(contestant.lags.read_text())
    return max(late)


async def _storm(site: Site, bot: Contestant) -> str:
    assert bot.slack is not None  # a bot has one
    await asyncio.sleep(WARM_UP)
    _lags_from_now(bot)
    site.answers.fail()
    began = time.monotonic()
    channel = bot.slack.channel("#docker-health")
    await bot.slack.wait_until(lambda: bool(bot.slack.messages(channel)), timeout=120)  # type: ignore[union-attr]
    first = time.monotonic() - began
    await asyncio.sleep(60)
    messages = bot.slack.messages(channel)
    lag = await _worst_lag(bot)
    missed, false = await asyncio.to_thread(_judged, site)
    told = Counter(re.sub(r"[\w-]*\d[\w.:/-]*", "N", each.text)[:110] for each in messages)
    return (
        f"{site.services // 2} of {site.services} services fail at once: the first alert after {first:.1f} s, "
        f"{len(messages)} messages after 60 s, the loop {lag:.2f} s late at most; "
        f"{missed} not told in the store, {len(false)} told falsely{': ' + ', '.join(false[:5]) if false else ''}\n"
        + "\n".join(f"{count:6} {text}" for text, count in told.most_common(12))
    )


_HONEST = {None, "", UNDETERMINED}
"""Causes of a service of which no host can be looked into."""


def _judged(site: Site) -> tuple[int, list[str]]:
    """How many services that failed have no incident, and what is said that is not so."""
    newest = "SELECT cause FROM reports WHERE incident_id = incidents.id ORDER BY id DESC LIMIT 1"
    query = f"SELECT service, ({newest}) FROM incidents WHERE service != ''"  # noqa: S608  # fixed text
    with closing(sqlite3.connect(site.folder / "store.db")) as store:
        told = dict(store.execute(query).fetchall())
    failed = {f"s{number}" for number in range(site.services) if site.answers.fails(number)}
    false = [f"{service} {cause}" for service, cause in told.items() if service not in failed or cause not in _HONEST]
    return len(failed - told.keys()), false


# --- who is measured ---


@asynccontextmanager
async def _bot(site: Site, checkout: Path) -> AsyncIterator[Contestant]:
    config, log, lags = site.folder / "dockerhealth.yaml", site.folder / "log", site.folder / "lags"
    hosts: dict[str, Any] = {}
    for number, url in enumerate(site.urls):
        address = Site.address(number)
        host = hosts.setdefault(
            f"host{number // PER_HOST}", {"address": address, "ssh": {"port": CLOSED_PORT}, "services": {}}
        )
        host["services"][f"s{number}"] = {"url": url}
    document: dict[str, Any] = {
        "hosts": hosts,
        "store": f"sqlite:///{site.folder}/store.db",
        "checks": {"reach_every": f"{site.every:g}s"},
    }
    config.write_text(yaml.safe_dump(document))
    await make_store(document["store"], checkout)
    async with LocalSlack.start() as slack:
        slack.add_channel("#docker-health", [slack.add_user("alice")])
        argv = (python(checkout), "-c", BOT, str(config), str(lags))
        async with process(argv, environment_of_bot(site.folder, slack, checkout), log) as pid:
            yield Contestant([pid], log, lags, slack)


@asynccontextmanager
async def _prometheus(site: Site, programs: Path | None) -> AsyncIterator[Contestant]:
    config, modules = site.folder / "prometheus.yml", site.folder / "blackbox.yml"
    modules.write_text(
        yaml.safe_dump(
            {"modules": {"up": {"prober": "http", "timeout": "3s", "http": {"preferred_ip_protocol": "ip4"}}}}
        )
    )
    relabel = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": "127.0.0.1:19115"},
    ]
    job = {
        "job_name": "up",
        "metrics_path": "/probe",
        "params": {"module": ["up"]},
        "static_configs": [{"targets": site.urls}],
        "relabel_configs": relabel,
    }
    every = f"{round(site.every * 1000)}ms"
    timing = {"scrape_interval": every, "scrape_timeout": every}
    config.write_text(yaml.safe_dump({"global": timing, "scrape_configs": [job]}))

    def found(name: str) -> str:
        return str(programs / name) if programs else program(name)

    async with AsyncExitStack() as stack:
        pids = []
        for argv in (
            (found("prometheus-blackbox-exporter"), f"--config.file={modules}", "--web.listen-address=127.0.0.1:19115"),
            (
                found("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={site.folder}/tsdb",
                "--web.listen-address=127.0.0.1:19090",
            ),
        ):
            log = site.folder / f"{Path(argv[0]).name}.log"
            pids.append(await stack.enter_async_context(process(argv, environment(site.folder), log)))
        yield Contestant(pids)


def _table(rows: Mapping[str, Sequence[Sample]]) -> str:
    head = (
        f"{'':40}{'readings/s':>11}{'late p99 s':>11}{'CPU ms':>8}{'MB':>7}{'errors':>8}{'lag s':>7}{'unread':>8}"
        f"{'ratio':>7}"
    )
    peer = [sample.cpu_ms for sample in rows.get("prometheus and blackbox_exporter", ())]
    lines = [head]
    for row, samples in rows.items():
        values = [median(getattr(sample, name) for sample in samples) for name in vars(samples[0])]
        rate, late, cpu, megabytes, failures, lag, unread = values
        ratio = f"{cpu / median(peer):7.2f}" if peer else ""
        lines.append(
            f"{row[-40:]:40}{rate:11.1f}{late:11.3f}{cpu:8.2f}{megabytes:7.0f}{failures:8.0f}{lag:7.2f}{unread:8.0f}{ratio}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
