"""A watcher that is cut off itself gives one notice, and what is really broken its own alert once it is back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta

import pytest

from bot.incidents.model import ALL_HOSTS, Incident, IncidentState
from bot.monitoring.monitor import Monitor
from bot.monitoring.watcher_offline import HOLDS_FOR
from bot.monitoring.watcher_offline_rules import EVERYWHERE, may_be_offline, offline_report, why_not_offline
from bot.slack.views import alert
from bot.store import Store
from checks.model import (
    Baseline,
    Diagnosis,
    Evidence,
    Finding,
    Host,
    Phase,
    ReachOutcome,
    Reading,
    Report,
    Service,
    Status,
    Vantage,
    Verdict,
)
from tests.unit.bot.life import SETTINGS
from tests.unit.bot.samples import T0, Clock, broken, failed, good, healthy, plan

ALL = A, B, C = ("a", "registry"), ("b", "registry"), ("c", "registry")
LATER = T0 + timedelta(seconds=2)


def answered_badly(at: datetime = T0) -> Reading:
    return Reading(Vantage.OUTSIDE, Phase.HTTP, ReachOutcome.BAD_STATUS, 3.0, at, 500)


# --- when an incident waits for the look ---


def test_a_service_is_suspected_alone_where_another_host_was_reached_since() -> None:
    assert not may_be_offline(A, T0, ALL, {A: failed(), B: good(LATER)}, ())
    assert not may_be_offline(A, T0, ALL, {A: failed(), B: answered_badly(LATER)}, ())


def test_nothing_is_known_to_be_reached_where_the_others_fail_or_were_reached_only_before() -> None:
    assert may_be_offline(A, LATER, ALL, {A: failed(LATER), B: failed(LATER)}, ())
    assert may_be_offline(A, LATER, ALL, {A: failed(LATER), B: good(T0)}, ())


def test_a_single_host_never_waits() -> None:
    assert not may_be_offline(A, T0, [A], {A: failed()}, ())
    assert not may_be_offline(A, T0, [A, ("a", "web")], {A: failed(), ("a", "web"): failed()}, ())


def test_a_host_that_was_broken_before_is_no_sign_of_anything() -> None:
    assert not may_be_offline(A, T0, [A, B], {A: failed(), B: failed()}, {B})
    assert may_be_offline(A, T0, ALL, {A: failed(), B: failed(), C: failed()}, {B})


def test_while_the_notice_stands_everything_waits_but_what_is_plainly_reached() -> None:
    assert may_be_offline(A, T0, ALL, {A: failed(LATER), B: good(LATER)}, {EVERYWHERE})
    assert not may_be_offline(A, T0, ALL, {A: answered_badly(LATER), B: failed(LATER)}, {EVERYWHERE})


def test_a_service_that_accepts_connections_is_reached_however_it_answers() -> None:
    assert not may_be_offline(A, T0, ALL, {A: answered_badly(), B: failed()}, ())


# --- the notice ---


def offline(host: str, at: datetime = T0) -> Report:
    cause = Finding(
        "watcher-offline",
        "registry",
        Verdict.FAIL,
        "dockerhealth itself is cut off from the hosts",
        (Evidence("reading", f"from here: {host} timed out at connect"),),
    )
    readings = (failed(at), good(at, Vantage.LOOPBACK))
    return Report(host, "registry", at, Status.UNHEALTHY, readings, Diagnosis((cause,)), (plan(),))


def test_the_notice_says_nothing_of_a_single_host() -> None:
    notice = offline_report((healthy(), offline("a")))
    assert notice is not None
    assert (notice.host, notice.service, notice.plans) == (ALL_HOSTS, "", ())
    assert [reading.vantage for reading in notice.readings] == [Vantage.OUTSIDE]
    assert offline_report((healthy(), broken())) is None


def test_what_rules_it_out_is_told() -> None:
    finding = Finding("watcher-offline", "registry", Verdict.PASS, "", why="b is reached: answered 200")
    report = Report("a", "registry", T0, Status.UNHEALTHY, (), Diagnosis(ruled_out=(finding,)))
    assert why_not_offline((report,)) == "b is reached: answered 200"
    assert why_not_offline((healthy(),)) == ""


# --- the conductor, with a rack of hosts ---


class Rack:
    """Three hosts. ``down`` are those that are broken, ``seen`` whether any is reached from here."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.hosts = {name: Host(name, f"10.0.0.{n}", (_service(n),)) for n, name in enumerate("abc", 11)}
        self.seen = True
        self.down: set[str] = set()
        self.looks: list[str] = []
        self.found: Callable[[str, datetime], Report] = self._found
        self.monitor = Monitor(self.hosts.values(), self, store, SETTINGS, clock=clock)

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the protocol's
        return good(self.clock()) if self.seen and host.name not in self.down else failed(self.clock())

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:  # noqa: ARG002
        self.looks.append(host.name)
        return (self.found(host.name, self.clock()),)

    def remember(self, host: str, service: str, good: Baseline) -> None:
        """Nothing here compares looks."""

    def clock_set(self, by: timedelta) -> None:
        """Nothing here compares looks."""

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Nothing here plans."""

    def _found(self, host: str, at: datetime) -> Report:
        if not self.seen:
            return offline(host, at)
        found = broken(at=at) if host in self.down else healthy(at)
        ruled_out = Finding("watcher-offline", "registry", Verdict.PASS, "", why="b is reached")
        diagnosis = Diagnosis(found.diagnosis.causes, ruled_out=(ruled_out,))
        return Report(host, "registry", at, found.status, found.readings, diagnosis)

    async def reads(self, rounds: int = 1) -> None:
        """Readings of all hosts, a moment apart, with all that they lead to."""
        for _ in range(rounds):
            for host in self.hosts.values():
                self.clock.passes(0.7)
                await self.monitor.read(host, host.services[0])
            await self.settled()

    async def settled(self) -> None:
        mine = asyncio.current_task()
        async with asyncio.timeout(5):
            while True:
                if not [task for task in asyncio.all_tasks() if task is not mine and _is_work(task.get_name())]:
                    return
                await asyncio.sleep(0.005)

    async def live(self) -> list[str]:
        return sorted(incident.name for incident in await self.store.incidents.live())

    async def notice(self) -> Incident:
        newest = await self.store.incidents.newest(*EVERYWHERE)
        assert newest
        return newest


def _service(number: int) -> Service:
    return Service("registry", f"http://10.0.0.{number}:5000/v2/")


def _is_work(name: str) -> bool:
    return name.startswith(("look", "diagnose", "first"))


@pytest.fixture
async def rack(store: Store, clock: Clock) -> AsyncIterator[Rack]:
    rack = Rack(store, clock)
    yield rack
    await rack.monitor.close()


async def test_when_nothing_is_reached_there_is_one_incident(rack: Rack) -> None:
    await rack.reads(2)
    rack.seen = False
    await rack.reads(5)
    assert await rack.live() == [ALL_HOSTS]
    assert len(await rack.store.messages.due(rack.clock())) == 1
    shown = str(alert(await rack.notice(), rack.clock()).payload())
    assert "all hosts: dockerhealth itself is cut off from the hosts" in shown
    assert "approve:" not in shown


async def test_the_notice_is_over_once_readings_are_good_again(rack: Rack) -> None:
    rack.seen = False
    await rack.reads(3)
    rack.seen = True
    await rack.reads(2)
    assert await rack.live() == []
    notice = await rack.notice()
    assert notice.state is IncidentState.RESOLVED
    assert "reached again after" in str(alert(notice, rack.clock()).payload())


async def test_what_is_really_broken_gets_its_own_incident_once_the_watcher_is_back(rack: Rack) -> None:
    rack.seen = False
    await rack.reads(3)
    rack.down = {"b"}
    assert await rack.live() == [ALL_HOSTS]
    rack.seen = True
    await rack.reads(4)
    assert await rack.live() == ["b/registry"]


async def test_nothing_else_is_opened_before_the_notice_is_over(rack: Rack) -> None:
    rack.seen = False
    await rack.reads(3)
    rack.seen, rack.down = True, {"b", "c"}
    await rack.reads()
    assert await rack.live() == [ALL_HOSTS]
    await rack.reads(3)
    assert await rack.live() == ["b/registry", "c/registry"]
    incident = await rack.store.incidents.newest(*B)
    assert incident
    assert incident.report
    assert [finding.cause for finding in incident.report.diagnosis.causes] == ["ip-forward-off"]


async def test_one_broken_host_of_a_rack_is_alerted_at_once(rack: Rack) -> None:
    await rack.reads()
    rack.down = {"a"}
    await rack.reads(2)
    assert await rack.live() == ["a/registry"]


async def test_hosts_that_break_at_the_same_moment_while_the_watcher_is_well_are_incidents_of_their_own(
    rack: Rack,
) -> None:
    rack.down = {"a", "b", "c"}
    await rack.reads(3)
    assert await rack.live() == ["a/registry", "b/registry", "c/registry"]


async def test_a_look_that_fails_holds_no_alert_back(rack: Rack) -> None:
    def breaks(host: str, at: datetime) -> Report:
        raise RuntimeError(f"{host} at {at}")

    rack.found = breaks
    rack.seen = False
    await rack.reads(3)
    assert await rack.live() == ["a/registry", "b/registry", "c/registry"]


async def test_an_incident_from_before_keeps_what_is_known_of_it(rack: Rack) -> None:
    await rack.reads()
    rack.down = {"a"}
    await rack.reads(2)
    rack.seen = False
    await rack.reads(2)
    rack.clock.passes(HOLDS_FOR.total_seconds())
    await rack.reads(2)
    assert await rack.live() == ["a/registry", ALL_HOSTS]
    kept = await rack.store.incidents.newest(*A)
    assert kept
    assert kept.report
    assert [finding.cause for finding in kept.report.diagnosis.causes] == ["ip-forward-off"]


async def test_the_notice_ends_when_a_later_look_rules_it_out(rack: Rack) -> None:
    """A rack that was off and comes back with all its services broken is never reached, and yet it is its own fault."""
    rack.seen = False
    await rack.reads(3)
    rack.seen, rack.down = True, {"a", "b", "c"}
    await rack.reads()
    assert await rack.live() == [ALL_HOSTS]
    rack.clock.passes(HOLDS_FOR.total_seconds())
    await rack.reads(4)
    assert await rack.live() == ["a/registry", "b/registry", "c/registry"]
    assert (await rack.notice()).transitions[-1].reason.endswith("b is reached")


async def test_a_failure_that_the_end_of_the_notice_forgets_is_forgotten_also_where_it_was_being_judged(
    rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    rack.seen = False
    await rack.reads(3)
    rack.seen, rack.down = True, {"a", "b", "c"}
    rack.clock.passes(HOLDS_FOR.total_seconds())
    asked, answered, newest = asyncio.Event(), asyncio.Event(), rack.store.incidents.newest

    async def answers_of_c_late(host: str, service: str) -> Incident | None:
        incident = await newest(host, service)
        if host == "c":
            asked.set()
            await answered.wait()
        return incident

    monkeypatch.setattr(rack.store.incidents, "newest", answers_of_c_late)
    judged = asyncio.create_task(rack.monitor.read(rack.hosts["c"], rack.hosts["c"].services[0]))
    await asyncio.wait_for(asked.wait(), 5)
    await rack.monitor.read(rack.hosts["a"], rack.hosts["a"].services[0])
    await rack.settled()
    assert await rack.live() == []
    answered.set()
    await judged
    await rack.settled()
    assert await rack.live() == []


async def test_a_restart_while_nothing_is_reached_repeats_no_notice(rack: Rack, store: Store, clock: Clock) -> None:
    rack.seen = False
    await rack.reads(3)
    second = Rack(store, clock)
    second.seen = False
    await second.monitor.start()
    await second.reads(3)
    assert await second.live() == [ALL_HOSTS]
    second.seen = True
    await second.reads(2)
    assert await second.live() == []
    await second.monitor.close()


async def test_a_check_that_somebody_asks_for_meanwhile_opens_nothing(rack: Rack) -> None:
    rack.seen = False
    [checked] = await rack.monitor.check(rack.hosts["a"], who="U1")
    assert checked.incident is None
    assert await rack.live() == []


async def test_the_only_host_is_alerted_at_once_whatever_the_look_says(store: Store, clock: Clock) -> None:
    rack = Rack(store, clock)
    rack.seen = False
    only = rack.hosts["a"]
    monitor = Monitor([only], rack, store, SETTINGS, clock=clock)
    for _ in range(2):
        clock.passes(2)
        await monitor.read(only, only.services[0])
    assert await rack.live() == ["a/registry"]
    await rack.settled()
    await monitor.close()
