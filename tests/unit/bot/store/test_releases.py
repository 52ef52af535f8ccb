"""What a release left in its store means the same to this one. Each host of it is a story, and named after it."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, create_engine, insert, select, text

from bot.incidents.audit import flaw
from bot.incidents.model import (
    ALL_HOSTS,
    CameBack,
    Incident,
    IncidentKind,
    IncidentState,
    LastEnded,
    RanOften,
    Stopped,
    Why,
    downtime,
)
from bot.slack.views import alert
from bot.store import Store, migrations
from bot.wording.automation import no_longer_by_itself
from checks.model import FixId, Outcome
from tests.postgresql import DATABASES, Server, opened_once
from tests.unit.bot.life import Bot
from tests.unit.bot.samples import APPROVER, Clock, FakeChecker, FakeExecutor, click

RELEASES = Path(__file__).parent / "releases"
NOW = datetime(2026, 3, 1, 14, 9, tzinfo=UTC)  # just after the last thing that happened
SECOND = "U0SECOND"


@pytest.fixture(params=["0.1.0-0003"], scope="module")
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release left."""
    path = tmp_path_factory.mktemp("release") / "dockerhealth.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((RELEASES / f"{request.param}.sql").read_text(encoding="utf-8"))
    return path


@pytest.fixture(scope="module")
def template(release: Path, postgresql: Server) -> str:
    """A database with what the release left, as this one opened it."""
    name = postgresql.new_database()
    carry_over(release, postgresql.url(name))
    asyncio.run(opened_once(postgresql.url(name)))
    return name


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, release: Path, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path / "dockerhealth.db"
        shutil.copy(release, path)
        yield f"sqlite:///{path}"
        return
    server: Server = request.getfixturevalue("postgresql")
    name = server.new_database(request.getfixturevalue("template"))
    yield server.url(name)
    server.drop(name)


def carry_over(path: Path, url: str) -> None:
    """Let a PostgreSQL database be as the release would have left it: its tables, and what is in the file."""
    old, new = create_engine(f"sqlite:///{path}"), create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with old.connect() as there, new.begin() as here:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = here
        command.upgrade(config, there.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
        tables = MetaData()
        tables.reflect(here)
        for table in tables.sorted_tables:
            rows = there.execute(select(table)).mappings().all() if table.name != "alembic_version" else ()
            if rows:
                here.execute(insert(table), [dict(row) for row in rows])
            if table.name in {"transitions", "reports"}:
                here.execute(text(f"SELECT setval('{table.name}_id_seq', (SELECT max(id) FROM {table.name}))"))  # noqa: S608
    old.dispose()
    new.dispose()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """The store of a release, opened by this one."""
    store = await Store.open(url)
    yield store
    await store.close()


@pytest.fixture
async def bot(store: Store, executor: FakeExecutor) -> AsyncIterator[Bot]:
    clock = Clock()
    clock.now = NOW
    bot = Bot(store, clock, FakeChecker(clock), executor)
    bot.groups.told["S0ONCALL"] = frozenset({SECOND})
    yield bot
    await bot.close()


async def newest(store: Store, host: str, service: str = "registry") -> Incident:
    incident = await store.incidents.newest(host, service)
    assert incident is not None
    return incident


async def shown(store: Store, host: str) -> str:
    return alert(await newest(store, host), NOW).text


# --- incidents ---


async def test_what_is_being_prevented_is_a_prevention(store: Store) -> None:
    incident = await newest(store, "preventing")
    assert (incident.kind, incident.state) == (IncidentKind.PREVENTION, IncidentState.OPEN)
    assert incident.risk == "the container would stay down:\nno restart policy"
    assert await shown(store, "preventing") == (
        "preventing/registry is well, a fault is being prevented: the container would stay down: no restart policy."
    )
    assert (await shown(store, "prevented")).startswith("prevented/registry is well, a fault was prevented: forwarding")


async def test_what_was_prevented_and_failed_all_the_same_is_an_outage(store: Store) -> None:
    incident = await newest(store, "failing")
    assert [change.kind for change in incident.transitions if change.opens] == [
        IncidentKind.PREVENTION,
        IncidentKind.OUTAGE,
    ]
    assert (incident.kind, incident.state) == (IncidentKind.OUTAGE, IncidentState.OPEN)
    assert (await shown(store, "failing")).startswith("failing/registry does not answer: IP forwarding is off.")


async def test_the_notice_that_no_host_is_reached_is_one(store: Store) -> None:
    incident = await newest(store, ALL_HOSTS, "")
    assert (incident.kind, incident.name) == (IncidentKind.WATCHER_OFFLINE, "all hosts")
    assert (await shown(store, "helpless")).startswith("helpless/registry does not answer")


async def test_down_time_is_counted_as_far_as_it_was_kept(store: Store) -> None:
    incident = await newest(store, "flapping")
    assert [change.since for change in incident.transitions] == [incident.opened_at, None, None, None]
    down = [incident.transitions[1].at - incident.opened_at, incident.transitions[3].at - incident.transitions[2].at]
    assert downtime(incident, NOW) == sum(down, timedelta())
    assert sum(down, timedelta()) < timedelta(seconds=10)
    assert downtime(await newest(store, "prevented"), NOW) == timedelta(0)


@pytest.mark.parametrize(
    ("host", "why", "recurs"),
    [
        ("stopped", CameBack(timedelta(minutes=4, seconds=14)), "Second time in 7 days. `enable-ip-forward` mended it"),
        ("tired", RanOften(1), "Second time in 7 days. `enable-ip-forward` mended it"),
        ("helpless", LastEnded(Outcome.NOT_FIXED), ""),
    ],
)
async def test_why_automatic_fixing_has_stopped_is_known_apart_from_what_is_known_of_the_fault(
    store: Store, host: str, why: Why, recurs: str
) -> None:
    incident = await newest(store, host)
    assert incident.stopped == Stopped("ip-forward-off", why)
    assert incident.recurs.startswith(recurs)
    assert not incident.recurs.endswith(" ")
    assert "stopped" not in incident.recurs.removesuffix(host)
    entries = await store.audit.all(host)
    [logged] = [each.entry.says for each in entries if each.entry.event == "automatic-fixing-stopped"]
    assert no_longer_by_itself(incident.stopped, host) == logged


# --- what was offered, approved and run ---


async def test_every_undo_names_the_fix_and_the_run_that_it_takes_back(store: Store) -> None:
    for host in ("undone", "stopped", "helpless", "failing", "prevented", "undoing"):
        incident = (await newest(store, host)) if host != "stopped" else (await store.runs.done(host))[0][0]
        [ran, undo] = [each for each in incident.offers if each.approval or each.plan.undoes]
        assert ran.applied is not None
        assert (undo.plan.fix, undo.plan.undoes) == (FixId.ENABLE_IP_FORWARD, ran.id)
        assert undo.plan.title == f"Undo: {ran.plan.title}"
        assert undo.plan.restores == tuple(each for each in ran.applied.differences if each.announced)
    assert [bool(run.undoes) for run in (await store.runs.history("undone")).runs] == [False, True]


async def test_what_was_shown_is_known_by_the_same_digest_as_in_the_log(store: Store) -> None:
    log = await store.audit.all()
    planned = {each.entry.run: each.entry.data["digest"] for each in log if each.entry.event == "planned"}
    incidents = [await newest(store, host) for host in ("failing", "prevented", "agreed", "undoing")]
    offers = [offer for incident in incidents for offer in incident.offers if offer.id in planned]
    assert len(offers) > 4
    assert all(offer.fingerprint == planned[offer.id] for offer in offers)


async def test_the_log_is_sound_and_goes_on(store: Store, bot: Bot) -> None:
    before = await store.audit.all()
    await bot.clicks.approve(click(target=await pending(store, "failing")))
    await bot.settled()
    after = await store.audit.all()
    assert (after[: len(before)], flaw(after)) == (before, "")
    assert len(after) > len(before)


async def pending(store: Store, host: str, *, undo: bool = False) -> str:
    offers = (await newest(store, host)).offers
    [offer] = [each for each in offers if not each.approval and not each.withdrawn and bool(each.plan.undoes) is undo]
    return offer.id


@pytest.mark.parametrize(("host", "undo"), [("failing", False), ("prevented", True), ("helpless", True)])
async def test_a_button_that_was_there_works(
    store: Store, bot: Bot, executor: FakeExecutor, host: str, *, undo: bool
) -> None:
    target = await pending(store, host, undo=undo)
    await bot.clicks.approve(click(target=target))
    await bot.settled()
    [ran] = executor.ran
    assert (ran.fix, bool(ran.undoes)) == (FixId.ENABLE_IP_FORWARD, undo)
    [done] = [each for each in (await newest(store, host)).offers if each.id == target]
    assert done.approval is not None
    assert (done.approval.who, done.approval.fingerprint) == (APPROVER, done.fingerprint)


async def test_who_agreed_before_is_the_first_of_two(store: Store, bot: Bot, executor: FakeExecutor) -> None:
    target = await pending(store, "agreed")
    await bot.clicks.approve(click(target=target, click_id="the same once more"))
    assert executor.ran == []
    await bot.clicks.approve(click(SECOND, target, click_id="the other"))
    await bot.settled()
    assert len(executor.ran) == 1


async def test_what_was_left_running_is_ended(store: Store, bot: Bot, executor: FakeExecutor) -> None:
    await bot.runner.recover()
    await bot.runner.settled()
    orders = {order.plan.host: order for order in executor.resumed}
    assert set(orders) == {"running", "undoing"}
    assert (orders["running"].plan.undoes, orders["running"].by) == ("", APPROVER)
    [fix, undo] = (await newest(store, "undoing")).offers[:2]
    assert (orders["undoing"].run, orders["undoing"].plan.undoes) == (undo.id, fix.id)
    for host in orders:
        assert (await newest(store, host)).state is not IncidentState.FIXING


async def test_what_is_over_leaves_only_the_way_back_on_offer(store: Store, bot: Bot) -> None:
    await bot.clicks.approve(click(target=await pending(store, "failing")))
    await bot.settled()
    incident = await newest(store, "failing")
    assert incident.state is IncidentState.RESOLVED
    left = [each for each in incident.offers if not each.approval and not each.withdrawn]
    assert left
    assert all(each.plan.undoes for each in left)


async def test_how_services_were_when_they_were_well_is_remembered(store: Store) -> None:
    [(host, service, baseline)] = await store.baselines.all()
    assert (host, service) == ("undone", "registry")
    assert {name: value.text for name, value in baseline.values.items()} == {"sysctl net.ipv4.ip_forward": "1"}
    assert {report.host for report in await store.incidents.last_reports()} > {"undone", "preventing", ALL_HOSTS}
