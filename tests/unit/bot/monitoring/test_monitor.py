"""The conductor, with a scripted host, on a real store: from readings to incidents."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.approvals.offers import usable
from bot.incidents.model import Incident, IncidentState, Transition
from bot.monitoring.monitor import EXPLAINED_FOR, KNOWN_FOR, UNEXPLAINED_FOR
from bot.monitoring.tracker import DIAGNOSIS_GRACE
from bot.slack.listeners import glance
from bot.slack.views import alert, overview
from bot.store import Store
from checks.model import Aspect, Baseline, Change, Report, Value
from checks.timeline import differences
from tests.unit.bot.life import Bot
from tests.unit.bot.samples import (
    HOST,
    SERVICE,
    STRANGER,
    T0,
    Clock,
    FakeExecutor,
    broken,
    failed,
    healthy,
    not_looked_at,
    plan,
)

# --- from readings to incidents ---


async def test_a_single_failed_reading_leaves_no_trace_but_a_look(bot: Bot, store: Store) -> None:
    await bot.reads("ok fail ok")
    assert await store.incidents.newest(HOST.name, SERVICE.name) is None
    assert bot.checker.looks == 1


async def test_two_failed_readings_open_an_incident_with_diagnosis_and_offers(bot: Bot, store: Store) -> None:
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.reads("ok fail fail")
    incident = await bot.incident()
    assert incident.state is IncidentState.OPEN
    assert incident.report == bot.checker.report(T0 + timedelta(seconds=2))
    assert [offer.plan for offer in incident.offers] == [plan()]
    assert bot.checker.looks == 1  # the one that began on the first failed reading
    [row] = await store.messages.due(bot.clock())
    assert (row.channel, row.ts) == ("#alerts", "")


async def test_a_slow_look_does_not_hold_the_alert_back_for_long(bot: Bot, store: Store) -> None:
    slow = asyncio.Event()

    async def look(*_: object) -> tuple[object, ...]:
        await slow.wait()
        return (healthy(),)

    bot.monitor._shared_checks._check = look  # type: ignore[assignment]  # noqa: SLF001  # a look that takes its time
    bot.checker.reading = failed
    for _ in range(2):
        bot.clock.passes(1)
        await bot.monitor.read(HOST, SERVICE)
    assert await store.messages.due(bot.clock()) == ()
    assert await store.messages.next_due() == bot.clock() + DIAGNOSIS_GRACE
    slow.set()
    await bot.settled()


async def test_a_look_that_came_by_while_all_was_well_is_not_the_diagnosis(bot: Bot) -> None:
    await bot.reads("fail")
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.reads("fail")
    incident = await bot.incident()
    assert incident.report
    assert incident.report.diagnosis.root
    assert bot.checker.looks == 2


async def test_recovery_resolves_and_withdraws(bot: Bot) -> None:
    await bot.breaks()
    await bot.reads("ok")
    assert (await bot.incident()).state is IncidentState.OPEN
    await bot.reads("ok")
    incident = await bot.incident()
    assert incident.state is IncidentState.RESOLVED
    assert incident.offers[0].withdrawn


async def test_a_service_that_flaps_is_told_to_have_been_down_for_as_long_as_it_was(bot: Bot) -> None:
    await bot.reads("fail fail fail ok ok")
    bot.clock.passes(100)
    await bot.reads("ok fail fail fail")
    [standing] = await bot.monitor.overview()
    assert "down for 5 s" in str(overview([glance(standing, bot.clock())], bot.clock()).payload())
    await bot.reads("ok ok")
    assert len((await bot.incident()).transitions) == 4
    assert "It was down for 6 s." in alert(await bot.incident(), bot.clock()).text


async def test_a_deep_look_renews_a_diagnosis_and_its_offers(bot: Bot) -> None:
    first = await bot.breaks()
    bot.clock.passes(300)
    bot.checker.report = lambda at: broken(plan(basis="2"), at=at)
    await bot.monitor.look(HOST)
    old, new = (await bot.incident()).offers
    assert (old.id, old.withdrawn) == (first, True)
    assert new.plan == plan(basis="2")


async def test_a_deep_look_opens_no_incident(bot: Bot, store: Store) -> None:
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.monitor.look(HOST)
    assert await store.incidents.newest(HOST.name, SERVICE.name) is None
    [standing] = await bot.monitor.overview()
    assert standing.report == broken(plan(), at=T0)
    assert standing.reading is None


async def test_an_outage_that_a_look_did_not_explain_is_looked_at_again(bot: Bot) -> None:
    bot.checker.report = not_looked_at
    await bot.reads("fail fail")
    looks = bot.checker.looks
    await bot.reads("fail")
    assert bot.checker.looks == looks
    bot.clock.passes(UNEXPLAINED_FOR.total_seconds())
    bot.checker.report = lambda at: broken(plan(), at=at)
    await bot.reads("fail")
    assert len((await bot.incident()).offers) == 1
    bot.clock.passes(UNEXPLAINED_FOR.total_seconds())
    await bot.reads("fail")
    assert bot.checker.looks == looks + 1


async def test_an_outage_that_goes_on_is_loaded_now_and_then_and_not_for_each_reading(
    bot: Bot, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.breaks()
    loaded: list[str] = []
    newest = store.incidents.newest

    async def counted(host: str, service: str) -> Incident | None:
        loaded.append(service)
        return await newest(host, service)

    monkeypatch.setattr(store.incidents, "newest", counted)
    await bot.reads("fail " * 14)
    assert len(loaded) == 1


async def test_an_outage_that_another_process_called_over_is_open_again_while_it_goes_on(
    bot: Bot, store: Store
) -> None:
    await bot.breaks()
    over = Transition(IncidentState.OPEN, IncidentState.RESOLVED, "a fix from a terminal", bot.clock())
    assert await store.incidents.move((await bot.incident()).id, over)
    await bot.reads("fail " * int(KNOWN_FOR.total_seconds() + 1))
    assert (await bot.incident()).state is IncidentState.OPEN


async def test_a_look_that_caught_the_host_halfway_is_corrected_by_the_next(bot: Bot) -> None:
    first = await bot.breaks()
    bot.checker.report = lambda at: broken(plan(basis="2"), at=at)
    bot.clock.passes(EXPLAINED_FOR.total_seconds())
    await bot.reads("fail")
    offers = {offer.id: offer for offer in (await bot.incident()).offers}
    assert offers.pop(first).withdrawn
    assert [offer.plan for offer in offers.values()] == [plan(basis="2")]


async def test_a_check_of_a_broken_service_opens_the_incident_so_that_its_buttons_work(bot: Bot) -> None:
    bot.checker.report = lambda at: broken(plan(), at=at)
    [checked] = await bot.monitor.check(HOST, who=STRANGER)
    incident = await bot.incident()
    assert checked.incident == incident
    assert (incident.transitions[0].who, incident.state) == (STRANGER, IncidentState.OPEN)
    assert usable(incident.offers[0], bot.clock())
    [again] = await bot.monitor.check(HOST, SERVICE, who=STRANGER)
    assert again.incident == await bot.incident()
    assert (await bot.incident()).id == incident.id


async def test_a_check_of_a_host_that_cannot_be_looked_at_opens_nothing(bot: Bot) -> None:
    bot.checker.report = not_looked_at
    [checked] = await bot.monitor.check(HOST)
    assert checked.incident is None


async def test_the_overview_knows_readings_incidents_and_reports(bot: Bot) -> None:
    await bot.breaks()
    [standing] = await bot.monitor.overview()
    assert (standing.host, standing.service) == (HOST.name, SERVICE.name)
    assert standing.reading == failed(bot.clock())
    assert standing.incident == await bot.incident()


async def test_looks_that_are_asked_for_at_the_same_moment_are_one(bot: Bot) -> None:
    await asyncio.gather(*[bot.monitor.check(HOST) for _ in range(10)])
    assert bot.checker.looks == 1


async def test_an_incident_survives_a_restart_and_resolves_after_it(
    bot: Bot, store: Store, clock: Clock, executor: FakeExecutor
) -> None:
    await bot.breaks()
    await bot.close()
    second = Bot(store, clock, bot.checker, executor)
    await second.monitor.start()
    await second.settled()
    assert len((await second.incident()).offers) == 1
    await second.reads("ok ok")
    assert (await second.incident()).state is IncidentState.RESOLVED
    await second.close()


# --- what changed before ---


def forwarding(value: str, at: datetime) -> Baseline:
    return Baseline(at, {"net.ipv4.ip_forward": Value(Aspect.HOST_FORWARDING, value)})


def switched_off(at: datetime) -> Report:
    """What a look finds that knows nothing of those before it: it compares the host with the last good one."""
    now = forwarding("0", at)
    return replace(broken(plan(), at=at), baseline=now, timeline=tuple(differences(forwarding("1", T0), now)))


def switched_on_and_still_broken(at: datetime) -> Report:
    return replace(broken(plan(), at=at), baseline=forwarding("1", at))


async def told(bot: Bot) -> list[tuple[float, float]]:
    """Between which seconds the store's report says that something changed."""
    report = (await bot.incident()).report
    assert report
    return [interval(change) for change in report.timeline]


def interval(change: Change) -> tuple[float, float]:
    assert change.since
    return (change.since - T0).total_seconds(), (change.at - T0).total_seconds()


async def test_a_change_has_one_interval_whoever_looks_and_also_after_a_restart(
    bot: Bot, store: Store, clock: Clock, executor: FakeExecutor
) -> None:
    bot.checker.report = switched_off
    await bot.reads("fail fail")
    assert await told(bot) == [(0, 1)]
    bot.clock.passes(300)
    await bot.monitor.look(HOST)
    assert await told(bot) == [(0, 1)]
    await bot.close()

    second = Bot(store, clock, bot.checker, executor)
    await second.monitor.start()
    clock.passes(30)
    await second.settled()
    assert await told(second) == [(0, 1)]
    clock.passes(30)
    [checked] = await second.monitor.check(HOST, who=STRANGER)
    assert [interval(change) for change in checked.report.timeline] == await told(second) == [(0, 1)]

    second.checker.report = switched_on_and_still_broken
    clock.passes(30)
    await second.monitor.look(HOST)
    assert await told(second) == []
    second.checker.report = switched_off
    clock.passes(30)
    await second.monitor.look(HOST)
    assert await told(second) == [(392, 422)]
    await second.close()


async def test_a_host_that_cannot_be_looked_at_for_a_while_makes_no_other_interval_of_a_change(bot: Bot) -> None:
    bot.checker.report = switched_off
    await bot.reads("fail fail")
    for report in (not_looked_at, switched_off):
        bot.checker.report = report
        bot.clock.passes(60)
        await bot.monitor.look(HOST)
        assert await told(bot) == [(0, 1)]
