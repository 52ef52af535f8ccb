"""The last good look at each service outlives worse ones and restarts of the bot; a command reads it and makes none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.cli.baselines import baselines
from bot.monitoring.monitor import Monitor
from bot.store import Store
from checks.model import Aspect, Baseline, Value
from tests.postgresql import DATABASES, url_of
from tests.unit.bot.life import SETTINGS
from tests.unit.bot.samples import HOST, SERVICE, T0, Clock, FakeChecker, broken, healthy

ON, OFF = Value(Aspect.HOST_FORWARDING, "1"), Value(Aspect.HOST_FORWARDING, "0")
GOOD = Baseline(T0, {"net.ipv4.ip_forward": ON})
LATER = Baseline(
    T0 + timedelta(minutes=5), {"net.ipv4.ip_forward": ON, "firewalld.service": Value(Aspect.UNIT, "active, enabled")}
)
BAD = Baseline(T0 + timedelta(minutes=9), {"net.ipv4.ip_forward": OFF})


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from url_of(request, tmp_path)


async def test_the_newest_good_look_stays_when_worse_ones_come_after(url: str) -> None:
    store = await Store.open(url)
    for report in (
        replace(healthy(), baseline=GOOD),
        replace(healthy(), baseline=LATER),
        replace(broken(), baseline=BAD),
        healthy(),
    ):
        await store.baselines.keep(report)
    assert await store.baselines.all() == ((HOST.name, SERVICE.name, LATER),)
    await store.close()


async def test_a_bot_that_starts_hands_them_to_what_looks_and_keeps_new_ones(url: str) -> None:
    store, clock = await Store.open(url), Clock()
    await store.baselines.keep(replace(healthy(), baseline=GOOD))
    checker = FakeChecker(clock)
    checker.report = lambda at: replace(healthy(at), baseline=LATER)
    monitor = Monitor([HOST], checker, store, SETTINGS, clock=clock)
    await monitor.start()
    assert checker.remembered == {(HOST.name, SERVICE.name): GOOD}
    await monitor.look(HOST)
    assert await store.baselines.all() == ((HOST.name, SERVICE.name, LATER),)
    await monitor.close()
    await store.close()


async def test_they_move_along_with_a_clock_that_is_set(url: str) -> None:
    store = await Store.open(url)
    await store.baselines.keep(replace(healthy(), baseline=GOOD))
    await store.baselines.keep(replace(healthy(), service="web", baseline=LATER))
    an_hour = timedelta(hours=1)
    await store.clock_set(-an_hour, T0)
    assert {service: good.at for _, service, good in await store.baselines.all()} == {
        SERVICE.name: GOOD.at - an_hour,
        "web": LATER.at,  # of the future: another clock dated it
    }
    await store.close()


# --- a command, which reads them of a file alone ---


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


async def test_a_command_reads_them_also_while_the_bot_has_its_store_open(file: str) -> None:
    store = await Store.open(file)
    await store.baselines.keep(replace(healthy(), baseline=GOOD))
    assert baselines(file) == ((HOST.name, SERVICE.name, GOOD),)
    await store.close()
    assert baselines(file) == ((HOST.name, SERVICE.name, GOOD),)


def test_a_command_makes_no_store(file: str, tmp_path: Path) -> None:
    assert baselines(file) == ()
    assert baselines("sqlite://") == ()
    assert baselines("postgresql+asyncpg://db/dockerhealth") == ()
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_read_is_no_reason_to_fail(file: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database, but longer than its header would be" * 10)
    assert baselines(file) == ()
    path.unlink()
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE incidents (id TEXT)")
    assert baselines(file) == ()
    with closing(sqlite3.connect(path)) as odd:
        odd.execute("CREATE TABLE baselines (host TEXT, service TEXT, body TEXT)")
        odd.execute("INSERT INTO baselines VALUES ('host1', 'registry', 'no JSON')")
        odd.commit()
    assert baselines(file) == ()
