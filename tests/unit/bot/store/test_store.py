"""The store, on a real SQLite file and on a real PostgreSQL server."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from bot.incidents.audit import Entry, flaw
from bot.incidents.model import (
    Approval,
    CameBack,
    Incident,
    IncidentKind,
    IncidentState,
    Offer,
    Stopped,
    Transition,
    acknowledge,
    begin_run,
    end_run,
    moved,
    opened,
    opening,
)
from bot.store import LeaseLostError, Store, StoreError, migrations
from bot.store.database import ConflictError, Transaction
from bot.store.mapping import report_from, report_json
from bot.store.runs import DECISION_HOLDS, Claim, RunEnd
from bot.store.tables import metadata
from checks.commands import typed
from checks.model import Applied, Phase, Plan, Reading, Report, StepResult
from tests.postgresql import DATABASES, url_of
from tests.unit.bot.samples import BEFORE, HOST, SERVICE, T0, broken, fixed, healthy, incident, offer, plan

SEEN = text("SELECT count(*) FROM seen")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LEASE = T0 + MINUTE


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from url_of(request, tmp_path)


@pytest.fixture
async def other(url: str, store: Store) -> AsyncIterator[Store]:  # noqa: ARG001  # opened before
    """Another process on the same store."""
    opened = await Store.open(url)
    yield opened
    await opened.close()


async def stored(store: Store, *offers: Offer, incident_id: str = "inc-1") -> None:
    assert await store.incidents.add(incident(incident_id=incident_id), "#alerts", T0)
    await store.incidents.save_report(incident_id, broken(*[each.plan for each in offers]), offers, T0)


async def claim(
    store: Store, who: str = "U1", now: datetime = T0, offer_id: str = "offer-1", late: timedelta = timedelta()
) -> bool:
    known = await store.incidents.with_offer(offer_id)
    assert known
    chosen = next(each for each in known.offers if each.id == offer_id)
    return await claim_as(store, known, chosen, Approval(who, now, chosen.plan.fingerprint), late)


async def claim_as(
    store: Store, known: Incident, chosen: Offer, approval: Approval, late: timedelta = timedelta()
) -> bool:
    """``late``: how long the decision has waited for its turn to write."""
    transition = begin_run(replace(known, state=IncidentState.OPEN), chosen.plan, approval.who, approval.at)
    assert transition
    claimed = Claim(known, chosen, approval, transition)
    return await store.runs.claim(claimed, entry("approved"), LEASE - T0, lambda: approval.at + late)


def entry(event: str, run: str = "offer-1") -> Entry:
    return Entry(T0, "U1", HOST.name, SERVICE.name, event, f"it says {event}", run)


async def running(store: Store, offer_id: str = "offer-1") -> tuple[Incident, Offer]:
    known = await store.incidents.with_offer(offer_id)
    assert known
    return known, next(each for each in known.offers if each.id == offer_id)


async def finish(store: Store, applied: Applied, undo: Offer | None = None) -> None:
    known, its_offer = await running(store)
    await store.runs.finish(RunEnd(known, its_offer, applied, end_run(known, applied, LEASE), undo), entry("ended"))


async def test_an_incident_comes_back_as_it_was_stored(store: Store) -> None:
    await stored(store, offer())
    expected = replace(incident(offer()), report=broken(plan()))
    assert await store.incidents.get("inc-1") == expected
    assert await store.incidents.newest(HOST.name, SERVICE.name) == expected
    assert await store.incidents.with_offer("offer-1") == expected
    assert await store.incidents.live() == (expected,)
    assert await store.incidents.get("inc-2") is None


async def test_what_an_incident_is_about_comes_back_with_what_changed_that(store: Store) -> None:
    asked = Transition(
        None, IncidentState.OPEN, "a risk is to be mended", T0, "terminal:alice", IncidentKind.PREVENTION
    )
    preventing = opened("inc-1", HOST.name, SERVICE.name, asked, "it is not kept")
    assert await store.incidents.add(preventing, "#alerts", T0)
    fails = opening(preventing, "2 readings in a row", T0 + SECOND, since=T0 - SECOND)
    assert fails is not None
    assert await store.incidents.move("inc-1", fails)
    stopped = Stopped("ip-forward-off", CameBack(timedelta(seconds=254)))
    await store.incidents.note("inc-1", "Second time in 7 days.", stopped, T0, None)
    known = replace(moved(preventing, fails), recurs="Second time in 7 days.", stopped=stopped)
    assert (known.kind, known.risk) == (IncidentKind.OUTAGE, "it is not kept")
    assert await store.incidents.get("inc-1") == known


async def test_a_restart_forgets_nothing(url: str) -> None:
    first = await Store.open(url)
    await stored(first, offer())
    before = await first.incidents.get("inc-1")
    await first.close()
    second = await Store.open(url)
    assert await second.incidents.get("inc-1") == before
    await second.close()


async def test_a_service_has_one_live_incident_at_most(store: Store, other: Store) -> None:
    added = await asyncio.gather(
        store.incidents.add(incident(incident_id="inc-1"), "#alerts", T0),
        other.incidents.add(incident(incident_id="inc-2"), "#alerts", T0),
    )
    assert sorted(added) == [False, True]
    assert len(await store.incidents.live()) == 1


async def test_a_transition_counts_only_from_the_state_that_it_starts_from(store: Store) -> None:
    await stored(store)
    taken = acknowledge(incident(), "U1", T0)
    assert taken
    assert await store.incidents.move("inc-1", taken)
    assert not await store.incidents.move("inc-1", taken)
    known = await store.incidents.get("inc-1")
    assert known
    assert known.transitions == (*incident().transitions, taken)


async def test_of_many_claims_in_two_processes_one_wins(store: Store, other: Store) -> None:
    await stored(store, offer())
    won = await asyncio.gather(*[claim(each, f"U{n}") for n in range(5) for each in (store, other)])
    assert sum(won) == 1
    known = await store.incidents.get("inc-1")
    assert known
    assert known.state is IncidentState.FIXING
    assert known.offers[0].approval is not None
    assert known.transitions[-1].who == known.offers[0].approval.who


async def test_two_offers_of_one_incident_are_not_both_claimed(store: Store, other: Store) -> None:
    await stored(store, offer(), offer("offer-2", plan("restart-docker")))
    assert sorted(await asyncio.gather(claim(store), claim(other, offer_id="offer-2"))) == [False, True]
    known = await store.incidents.get("inc-1")
    assert known
    assert len([each for each in known.offers if each.approval]) == 1


async def test_an_expired_withdrawn_or_changed_offer_is_not_claimed(store: Store) -> None:
    await stored(store, offer(), replace(offer("offer-2", plan("restart-docker")), withdrawn=True))
    assert not await claim(store, now=offer().expires_at)
    assert not await claim(store, offer_id="offer-2")
    assert not await claim_as(store, incident(), offer(), Approval("U1", T0, "0" * 64))
    assert await claim(store, now=offer().expires_at - timedelta(seconds=1))


async def test_an_approval_is_claimed_soon_after_it_was_decided_or_not_at_all(store: Store) -> None:
    await stored(store, offer())
    second = timedelta(seconds=1)
    assert not await claim(store, late=DECISION_HOLDS + second)
    assert not await claim(store, now=offer().expires_at - second, late=second)
    assert await claim(store, late=DECISION_HOLDS)
    assert await store.runs.abandoned(LEASE + DECISION_HOLDS - second) == ()  # the lease begins with the claim


async def agree(store: Store, who: str, offer_id: str = "offer-1", now: datetime = T0, fingerprint: str = "") -> bool:
    known = await store.incidents.with_offer(offer_id)
    assert known
    [seen] = [each for each in known.offers if each.id == offer_id]
    return await store.incidents.agree(seen, Approval(who, now, fingerprint or seen.plan.fingerprint), entry("agreed"))


async def test_who_agrees_is_stored_with_the_offer_and_makes_the_message_due(store: Store) -> None:
    await stored(store, offer())
    [row] = await store.messages.due(LEASE)
    await store.messages.sent(row, "C1", "1.0", "hash", T0)
    assert await store.messages.due(LEASE) == ()
    assert await agree(store, "U1")
    assert await agree(store, "U2", now=LEASE - MINUTE / 2)
    known = await store.incidents.get("inc-1")
    assert known
    assert [(each.who, each.fingerprint) for each in known.offers[0].agreed] == [
        ("U1", plan().fingerprint),
        ("U2", plan().fingerprint),
    ]
    assert len(await store.messages.due(LEASE)) == 1
    assert [each.entry.event for each in await store.audit.all(run="offer-1")] == ["planned", "agreed", "agreed"]


async def test_who_agrees_again_takes_the_place_of_their_first_agreement(store: Store) -> None:
    await stored(store, offer())
    assert await agree(store, "U1")
    assert await agree(store, "U1", now=T0 + MINUTE)
    known = await store.incidents.get("inc-1")
    assert known
    assert known.offers[0].agreed == (Approval("U1", T0 + MINUTE, plan().fingerprint),)


async def test_of_two_who_agree_at_once_the_second_is_asked_to_decide_again(store: Store, other: Store) -> None:
    await stored(store, offer())
    seen = offer()
    first, second = [Approval(who, T0, plan().fingerprint) for who in ("U1", "U2")]
    both = await asyncio.gather(
        store.incidents.agree(seen, first, entry("agreed")), other.incidents.agree(seen, second, entry("agreed"))
    )
    assert sorted(both) == [False, True]


async def test_nobody_agrees_to_what_is_claimed_expired_withdrawn_or_another_plan(store: Store) -> None:
    await stored(store, offer(), replace(offer("offer-2", plan("restart-docker")), withdrawn=True))
    assert not await agree(store, "U1", now=offer().expires_at)
    assert not await agree(store, "U1", offer_id="offer-2")
    assert not await agree(store, "U1", fingerprint="0" * 64)
    assert await claim(store)
    assert not await agree(store, "U1")


async def test_a_resolved_incident_is_not_claimed_and_its_offers_are_withdrawn(store: Store) -> None:
    await stored(store, offer())
    assert await store.incidents.move("inc-1", Transition(IncidentState.OPEN, IncidentState.RESOLVED, "well", T0))
    assert not await claim(store)
    known = await store.incidents.get("inc-1")
    assert known
    assert known.offers[0].withdrawn
    assert known.resolved_at == T0


async def test_a_look_does_not_touch_an_offer_that_was_claimed_meanwhile(store: Store) -> None:
    await stored(store, offer())
    assert await claim(store)
    await store.incidents.save_report("inc-1", broken(), [replace(offer(), withdrawn=True)], T0)
    known = await store.incidents.get("inc-1")
    assert known
    assert not known.offers[0].withdrawn


async def test_the_end_of_a_fix_is_stored_with_its_transition_and_withdraws_the_rest(store: Store) -> None:
    await stored(store, offer(), offer("offer-2", plan("restart-docker")))
    assert await claim(store)
    await store.runs.record(*await running(store), entry("step-started"), LEASE)
    await finish(store, fixed())
    known = await store.incidents.get("inc-1")
    assert known
    assert (known.state, known.resolved_at) == (IncidentState.RESOLVED, LEASE)
    assert await store.runs.running(HOST.name) is None
    assert (known.offers[0].applied, known.offers[0].progress) == (fixed(), "")
    assert [each.withdrawn for each in known.offers] == [False, True]


async def test_what_takes_a_run_back_outlives_looks_and_the_end_of_the_incident(store: Store) -> None:
    await stored(store, offer())
    assert await claim(store)
    back = offer("offer-9", replace(plan(), undoes="offer-1"))
    await finish(store, fixed(), back)
    await store.incidents.save_report("inc-1", healthy(), (), T0)
    known, put_up = await running(store, "offer-9")
    assert known.state is IncidentState.RESOLVED
    assert not put_up.withdrawn
    assert put_up.plan.undoes == "offer-1"


async def test_one_fix_a_host_whichever_process_and_service(store: Store, other: Store) -> None:
    await stored(store, offer())
    beside = replace(incident(incident_id="inc-2"), service="web")
    assert await store.incidents.add(beside, "#alerts", T0)
    web = offer("offer-2", replace(plan(), service="web"))
    await store.incidents.save_report("inc-2", broken(web.plan), [web], T0)
    assert await claim(store)
    assert not await claim(other, offer_id="offer-2")
    running_one = await other.runs.running(HOST.name)
    assert running_one
    assert running_one[1].id == "offer-1"
    await finish(store, fixed())
    assert await claim(other, offer_id="offer-2")


async def test_what_a_dead_runner_left_is_found_when_its_lease_has_run_out(store: Store, other: Store) -> None:
    await stored(store, offer(), offer("offer-2", plan("restart-docker")))
    assert await claim(store)
    assert await other.runs.abandoned(LEASE - MINUTE) == ()
    [(lost, its_offer)] = await other.runs.abandoned(LEASE)
    assert (lost.id, its_offer.id) == ("inc-1", "offer-1")
    assert await store.runs.renew(its_offer, LEASE + MINUTE)
    assert await other.runs.abandoned(LEASE) == ()


async def test_a_runner_that_was_taken_over_can_neither_go_on_nor_end_it(store: Store, other: Store) -> None:
    await stored(store, offer())
    assert await claim(store)
    [(known, its_offer)] = await other.runs.abandoned(LEASE)
    assert await other.runs.take_over(its_offer, LEASE + MINUTE, LEASE)
    assert not await store.runs.take_over(its_offer, LEASE + MINUTE, LEASE)
    assert not await store.runs.renew(its_offer, LEASE + MINUTE)
    with pytest.raises(LeaseLostError):
        await store.runs.record(known, its_offer, entry("step-started"), LEASE + MINUTE)
    with pytest.raises(LeaseLostError):
        await finish(store, fixed())
    assert [each.entry.event for each in await store.audit.all()][-1] == "approved"
    await finish(other, fixed())


async def test_the_host_before_the_first_step_is_kept(store: Store) -> None:
    await stored(store, offer())
    assert await claim(store)
    await store.runs.record(*await running(store), entry("unchanged"), LEASE, before=BEFORE)
    _, its_offer = await running(store)
    assert its_offer.before == BEFORE
    assert its_offer.progress == "it says unchanged"


async def test_every_change_of_a_run_is_in_the_log_which_nobody_can_change(store: Store) -> None:
    await stored(store, offer())
    assert await claim(store)
    await store.runs.record(*await running(store), entry("step-started"), LEASE)
    await finish(store, fixed())
    log = await store.audit.all()
    assert [each.entry.event for each in log] == ["planned", "approved", "step-started", "ended"]
    assert log[0].entry.data["fingerprint"] == plan().fingerprint
    assert flaw(log) == ""
    for change in ("UPDATE audit SET says = 'nothing'", "DELETE FROM audit WHERE number = 4"):
        with pytest.raises(ConflictError, match="only ever added to"):
            await store.database.change(partial(Transaction.execute, statement=text(change)))


async def test_reports_that_say_the_same_are_kept_once(store: Store) -> None:
    await stored(store)
    for minutes in (1, 2):
        await store.incidents.save_report("inc-1", broken(at=T0 + minutes * MINUTE), (), T0)
    await store.incidents.save_report("inc-1", healthy(T0 + 3 * MINUTE), (), T0)
    known = await store.incidents.get("inc-1")
    assert known
    assert known.report == healthy(T0 + 3 * MINUTE)
    count = text("SELECT count(*) FROM reports")
    assert await store.database.query(lambda connection: connection.execute(count).scalar()) == 2


async def test_the_newest_report_of_each_service_is_known(store: Store) -> None:
    await store.incidents.save_look(healthy())
    await store.incidents.save_look(healthy(T0 + MINUTE))
    assert await store.incidents.last_reports() == (healthy(T0 + MINUTE),)
    await stored(store)
    await store.incidents.save_report("inc-1", broken(at=T0 + 2 * MINUTE), (), T0)
    assert await store.incidents.last_reports() == (broken(at=T0 + 2 * MINUTE),)


async def test_every_change_makes_the_message_due(store: Store) -> None:
    await store.incidents.add(incident(), "#alerts", T0 + MINUTE)
    assert await store.messages.due(T0) == ()
    assert await store.messages.next_due() == T0 + MINUTE
    await store.incidents.save_report("inc-1", broken(plan()), [offer()], T0)

    async def tell() -> None:
        await store.runs.record(*await running(store), entry("step-started"), LEASE)

    for change in (lambda: claim(store), tell):
        [row] = await store.messages.due(T0)
        await store.messages.sent(row, "C1", "1.0", "hash", T0)
        assert await store.messages.due(T0) == ()
        await change()
        assert len(await store.messages.due(T0)) == 1


async def test_a_change_while_the_message_was_under_way_is_not_lost(store: Store) -> None:
    await stored(store)
    [row] = await store.messages.due(T0)
    await store.incidents.save_report("inc-1", healthy(), (), T0)
    await store.messages.sent(row, "C1", "1.0", "hash", T0)
    [again] = await store.messages.due(T0)
    assert (again.ts, again.channel, again.due_at) == ("1.0", "C1", T0)


async def test_a_change_does_not_shorten_the_wait_after_a_failure(store: Store) -> None:
    await stored(store)
    [row] = await store.messages.due(T0)
    await store.messages.postpone(row, T0 + MINUTE, "ratelimited", surely_not_sent=True)
    await store.incidents.save_report("inc-1", healthy(), (), T0)
    assert await store.messages.due(T0) == ()
    assert len(await store.messages.due(T0 + MINUTE)) == 1


async def test_a_delivery_is_new_once_in_the_life_of_a_process(store: Store, other: Store) -> None:
    assert await store.seen.first("click-1", T0)
    assert not await store.seen.first("click-1", T0 + 6 * MINUTE)
    assert await store.seen.first("click-2", T0)
    assert await other.seen.first("click-1", T0 + 6 * MINUTE)  # who took it on first may have died before answering
    assert await store.seen.first("click-2", T0 + 60 * MINUTE)


@pytest.mark.usefixtures("store")
def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        assert list(compare_metadata(MigrationContext.configure(connection), metadata)) == []
    engine.dispose()


def test_the_newest_migration_is_the_last_one_of_the_folder() -> None:
    folder = Path(migrations.__file__).parent
    assert migrations.head() == ScriptDirectory(folder).get_current_head()


async def test_two_stores_that_are_up_to_date_can_be_opened_at_once(tmp_path: Path) -> None:
    async def opened(name: str) -> None:
        await (await Store.open(f"sqlite:///{tmp_path}/{name}.db")).close()

    for name in ("one", "two"):
        await opened(name)
    await asyncio.gather(*[opened(name) for name in ("one", "two") * 5])


async def test_one_process_writes_at_a_time_and_sees_what_the_one_before_has_written(
    store: Store, other: Store
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def acts(connection: Transaction) -> None:
        connection.execute(text("INSERT INTO seen VALUES ('click-1', 'x', '2026-01-01 00:00:00')"))
        begun.set()
        may_end.wait(10)

    acting = asyncio.create_task(store.database.change(acts))
    await asyncio.to_thread(begun.wait, 10)
    outbidding = asyncio.create_task(other.leaders.outbid(None, "another"))
    counted = asyncio.create_task(other.database.change(lambda connection: connection.execute(SEEN).scalar()))
    await asyncio.wait([outbidding], timeout=0.2)
    assert not outbidding.done()  # it would act while what the first one has checked is not yet written
    may_end.set()
    await acting
    assert await outbidding
    assert await counted == 1


async def test_all_that_is_read_at_once_is_of_one_moment(store: Store, other: Store) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def reads(connection: Transaction) -> list[int]:
        before: int = connection.execute(SEEN).scalar_one()
        begun.set()
        may_go_on.wait(10)
        return [before, connection.execute(SEEN).scalar_one()]

    reading = asyncio.create_task(store.database.query(reads))
    await asyncio.to_thread(begun.wait, 10)
    assert await other.seen.first("click-1", T0)
    may_go_on.set()
    assert await reading == [0, 0]


async def test_entries_of_two_processes_are_one_chain(store: Store, other: Store) -> None:
    await asyncio.gather(*[each.audit.record(entry("noted", str(n))) for n in range(10) for each in (store, other)])
    log = await store.audit.all()
    assert (len(log), flaw(log)) == (20, "")


async def test_what_waits_and_what_lasts_moves_along_with_a_clock_that_is_set(store: Store) -> None:
    an_hour = timedelta(hours=1)
    await stored(store, offer(), offer("offer-2", plan("restart-docker")))
    assert await claim(store)
    [due] = await store.messages.due(T0)
    await store.clock_set(-an_hour, T0)
    known = await store.incidents.get("inc-1")
    assert known
    assert known.opened_at == incident().opened_at - an_hour
    assert [each.expires_at for each in known.offers] == [offer().expires_at, offer().expires_at - an_hour]
    assert due.due_at is not None
    assert await store.messages.next_due() == due.due_at - an_hour
    assert await store.runs.abandoned(LEASE - an_hour - SECOND) == ()
    assert len(await store.runs.abandoned(LEASE - an_hour)) == 1


async def test_words_of_a_host_are_kept_whatever_is_in_them(store: Store) -> None:
    odd = "no such file: \0\x1b[31m\N{REPLACEMENT CHARACTER}\N{CROSS MARK}"
    kept = odd.replace("\0", "\N{REPLACEMENT CHARACTER}")
    await stored(store, offer())
    assert await claim(store)
    ended = replace(entry("ended"), says=odd, data={"output": odd})
    known, its_offer = await running(store)
    await store.runs.record(known, its_offer, ended, LEASE)
    last = (await store.audit.all())[-1].entry
    assert (last.says, last.data) == (kept, {"output": odd})
    assert flaw(await store.audit.all()) == ""
    assert (await running(store))[1].progress == kept


async def test_a_message_is_claimed_by_one_of_two_bots(store: Store, other: Store) -> None:
    await stored(store)
    [row] = await store.messages.due(T0)
    claims = [each.messages.claim(row, T0, LEASE) for _ in range(5) for each in (store, other)]
    claimed = [each for each in await asyncio.gather(*claims) if each is not None]
    assert len(claimed) == 1


async def test_whoever_is_cut_off_within_a_transaction_leaves_nothing_behind(store: Store) -> None:
    await stored(store)
    for moment in range(200):
        change = asyncio.create_task(store.incidents.save_report("inc-1", broken(), (), T0))
        await asyncio.sleep(moment / 100_000)
        for _ in range(2):  # once more while what was begun is being ended
            change.cancel()
            await asyncio.sleep(0)
        with suppress(asyncio.CancelledError):
            await change
        async with asyncio.timeout(1):  # a transaction that nobody ends would hold the others off for ten seconds
            assert await store.seen.first(str(moment), T0)


async def test_sqlite_runs_with_a_write_ahead_log(tmp_path: Path) -> None:
    await (await Store.open(f"sqlite:///{tmp_path}/store.db")).close()
    with sqlite3.connect(tmp_path / "store.db") as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


async def test_a_store_that_keeps_nothing_or_takes_what_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StoreError, match="remembers nothing"):
        await Store.open("sqlite:///:memory:")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"not installed.*psycopg.*`pip install 'dockerhealth\[postgresql\]'`"):
        await Store.open("postgresql+asyncpg://me:hidden@db/dockerhealth")


async def test_a_store_that_an_earlier_release_was_told_of_by_its_driver_is_the_same(store: Store, url: str) -> None:
    await stored(store)
    other = await Store.open(url.replace("sqlite:", "sqlite+aiosqlite:"))
    assert await other.incidents.get("inc-1")
    await other.close()


async def test_a_store_in_no_folder_says_what_to_do() -> None:
    with pytest.raises(StoreError, match="its folder does not exist"):
        await Store.open("sqlite:////nonexistent/folder/store.db")


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        await Store.open(f"sqlite:///{tmp_path}/notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "not a database " * 100


# --- JSON ---

zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
st.register_type_strategy(datetime, st.datetimes(timezones=zones))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
timings = st.dictionaries(st.from_type(Phase), st.from_type(float))
st.register_type_strategy(Reading, st.builds(Reading, phases_ms=timings))
plans = st.builds(Plan, basis=st.dictionaries(st.text(), st.text()))
st.register_type_strategy(Plan, plans)


@given(st.builds(Report))
def test_a_report_survives_json_unchanged(report: Report) -> None:
    again = report_from(report_json(report))
    assert again == report
    assert [plan.fingerprint for plan in again.plans] == [plan.fingerprint for plan in report.plans]


async def test_a_plan_keeps_its_digest_in_the_store(store: Store) -> None:
    step = replace(plan().steps[0], timeout=120)
    of = replace(plan(), steps=(step,))
    await stored(store, offer(of=of))
    known = await store.incidents.get("inc-1")
    assert known
    assert known.offers[0].plan.fingerprint == of.fingerprint


async def test_how_long_a_step_took_the_last_time_is_known_to_every_process(store: Store, other: Store) -> None:
    assert await other.runs.experience(HOST.name) == {}
    await stored(store, offer())
    assert await claim(store)
    step = plan().steps[0]
    told_otherwise, failing = replace(step, does="do the same"), replace(step, argv=("false",))
    results = (StepResult(step, 0, "", 3.5), StepResult(told_otherwise, 0, "", 12.5), StepResult(failing, 1, "", 3.0))
    done = replace(fixed(), results=results)
    await finish(store, done)
    assert await other.runs.experience(HOST.name) == {typed(step): 12.5}
