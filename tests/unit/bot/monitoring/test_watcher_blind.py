"""Readings that fail on dockerhealth's own machine alert nobody of a service, and are told as what they are, once."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.incidents.model import WATCHER, Incident, IncidentKind, IncidentState
from bot.incidents.own_trouble import ADVICE, ITSELF, TITLES, in_words, is_blind, sees_again
from bot.monitoring.watchdog import Silence
from bot.slack.listeners import glance
from bot.slack.views import alert, overview
from bot.store import Store
from checks.model import Host, OwnTrouble, Reading, Service
from tests.unit.bot.monitoring.test_watcher_offline import Rack
from tests.unit.bot.samples import Clock, failed, good

A, B = ("a", "registry"), ("b", "registry")


# --- when it is told ---


def test_every_trouble_has_a_title_and_something_to_do() -> None:
    assert set(TITLES) == set(ADVICE) == set(OwnTrouble)


def test_it_takes_three_readings_of_a_service_in_a_row_and_is_over_at_one() -> None:
    assert not is_blind({A: 2, B: 2})
    assert is_blind({A: 3})
    assert not sees_again({A: 2})
    assert sees_again({A: 1, B: 1})
    assert sees_again({})


def test_the_most_frequent_trouble_comes_first() -> None:
    late, none = OwnTrouble.LOOP_LATE, OwnTrouble.NO_DESCRIPTORS
    assert in_words([late, none, none]).startswith(
        "3 readings of the last minute count for nothing: no file descriptor"
    )
    assert in_words([late]).startswith("1 reading of the last minute counts for nothing: ")
    assert in_words([]) == ""


# --- a rack of hosts, on a real store ---


class OwnRack(Rack):
    """A rack whose readings may fail here."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store, clock)
        self.trouble: OwnTrouble | None = None

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the protocol's
        if self.trouble is not None:
            return replace(failed(self.clock()), unsound=self.trouble)
        return good(self.clock())

    async def itself(self) -> Incident:
        newest = await self.store.incidents.newest(*ITSELF)
        assert newest
        return newest

    async def glances(self) -> str:
        standings, now = await self.monitor.overview(), self.clock()
        return str(overview([glance(each, now) for each in standings], now, self.monitor.own_trouble).payload())


@pytest.fixture
async def rack(store: Store, clock: Clock) -> AsyncIterator[OwnRack]:
    rack = OwnRack(store, clock)
    await rack.monitor.start()
    yield rack
    await rack.monitor.close()


async def test_a_moment_of_it_is_told_nobody(rack: OwnRack) -> None:
    await rack.reads()
    rack.trouble = OwnTrouble.LOOP_LATE
    await rack.reads(2)
    rack.trouble = None
    await rack.reads(2)
    assert await rack.store.incidents.newest(*ITSELF) is None


@pytest.mark.parametrize("trouble", OwnTrouble)
async def test_if_it_goes_on_there_is_one_notice_that_says_why_and_what_to_do(
    rack: OwnRack, trouble: OwnTrouble
) -> None:
    rack.trouble = trouble
    await rack.reads(5)
    assert await rack.live() == [WATCHER]
    assert len(await rack.store.messages.due(rack.clock())) == 1
    shown = str(alert(await rack.itself(), rack.clock()).payload())
    assert f"dockerhealth itself: cannot see: {TITLES[trouble]}" in shown
    assert "readings of the last minute count for nothing" in shown
    assert ADVICE[trouble][0].partition("#")[0].strip().split(";")[0] in shown


async def test_the_overview_is_not_green_meanwhile(rack: OwnRack) -> None:
    await rack.reads()
    rack.trouble = OwnTrouble.NO_DESCRIPTORS
    await rack.reads()
    glances = await rack.glances()
    assert "🟠 3 of 3 services answer on 3 hosts, by older readings: dockerhealth itself cannot see" in glances
    assert "3 readings of the last minute count for nothing: no file descriptor was left" in glances


async def test_it_is_over_when_readings_tell_of_services_again(rack: OwnRack) -> None:
    rack.trouble = OwnTrouble.NO_DESCRIPTORS
    await rack.reads(4)
    rack.trouble = None
    await rack.reads(1)
    incident = await rack.itself()
    assert (incident.kind, incident.state) == (IncidentKind.WATCHER_BLIND, IncidentState.RESOLVED)
    assert "sees again after" in str(alert(incident, rack.clock()).payload())
    assert "🟢 3 of 3 services answer on 3 hosts" in await rack.glances()


async def test_a_restart_repeats_no_notice_and_ends_it_when_all_is_read(
    rack: OwnRack, store: Store, clock: Clock
) -> None:
    rack.trouble = OwnTrouble.NO_NAME_SERVER
    await rack.reads(4)
    second = OwnRack(store, clock)
    await second.monitor.start()
    second.trouble = OwnTrouble.NO_NAME_SERVER
    await second.reads(4)
    assert await second.live() == [WATCHER]
    second.trouble = None
    await second.reads(1)
    assert await second.live() == []
    await second.monitor.close()


# --- readings that have stopped ---


def silence(seconds: float, *, stuck: bool = False) -> Silence:
    """None has ended for so long, as the watchdog has it."""
    return Silence(time.monotonic() - seconds, stuck=stuck)


async def test_readings_that_stopped_are_one_notice_that_says_since_when_why_and_what_to_do(rack: OwnRack) -> None:
    await rack.reads()
    rack.clock.passes(30)
    for _ in range(3):
        rack.monitor.fell_silent(silence(30))
        await rack.settled()
    assert await rack.live() == [WATCHER]
    incident = await rack.itself()
    assert incident.kind is IncidentKind.WATCHER_BLIND
    assert rack.clock() - incident.opened_at == pytest.approx(timedelta(seconds=30), abs=timedelta(seconds=1))
    shown = str(alert(incident, rack.clock()).payload())
    assert "dockerhealth itself: cannot see: readings have stopped" in shown
    assert incident.report is not None
    [finding] = incident.report.diagnosis.causes
    assert finding.evidence[0].says.startswith("no reading has ended since 12:00:02 UTC: ")
    assert "of 3 services nobody knows" in shown
    assert "systemctl restart dockerhealth" in shown


@pytest.mark.parametrize(("stuck", "why"), [(True, "event loop stood still"), (False, "event loop runs")])
async def test_the_overview_is_amber_while_there_are_no_readings(rack: OwnRack, why: str, *, stuck: bool) -> None:
    await rack.reads()
    rack.monitor.fell_silent(silence(30, stuck=stuck))
    glances = await rack.glances()
    assert "🟠 3 of 3 services answer on 3 hosts, by older readings: dockerhealth itself cannot see" in glances
    assert why in glances


async def test_it_is_over_when_every_service_is_read_again(rack: OwnRack) -> None:
    await rack.reads()
    rack.monitor.fell_silent(silence(30))
    await rack.settled()
    [first, *others] = rack.hosts.values()
    await rack.monitor.read(first, first.services[0])
    await rack.settled()
    assert await rack.live() == [WATCHER]
    assert "🟠" in await rack.glances()
    for host in others:
        await rack.monitor.read(host, host.services[0])
    await rack.settled()
    incident = await rack.itself()
    assert incident.state is IncidentState.RESOLVED
    assert "dockerhealth itself: sees again after 30 s" in str(alert(incident, rack.clock()).payload())
    assert "🟢 3 of 3 services answer on 3 hosts" in await rack.glances()
