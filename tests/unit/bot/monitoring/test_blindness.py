"""A host that answers and cannot be looked at is told once, shown as what it is, and over when a look sees again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.incidents.blindness import APART, TOGETHER, BlindHost, after_look, blind_report, notices
from bot.incidents.model import IncidentKind, IncidentState
from bot.monitoring.monitor import Monitor
from bot.slack.listeners import glance
from bot.slack.views import alert, overview
from bot.store import Store
from checks.model import Blindness, Hidden, Report, Status
from tests.unit.bot.life import SETTINGS
from tests.unit.bot.monitoring.test_watcher_offline import Rack
from tests.unit.bot.samples import T0, Clock, broken, good, healthy

REFUSED = Blindness(Hidden.HOST, "a: SSH is refused at 10.0.0.11: sshd is not running")
NO_ENGINE = Blindness(Hidden.ENGINE, "the Docker Engine: /var/run/docker.sock: Connection refused")
NO_SUDO = Blindness(Hidden.ROOT, "sudo-refused: a password is required")


def unseen(*hidden: Blindness, host: str = "a", at: datetime = T0) -> Report:
    """A look at a service that answers, on a host that cannot be looked at."""
    status = Status.UNKNOWN if REFUSED in hidden else Status.HEALTHY
    return replace(healthy(at), host=host, status=status, readings=(good(at),), blind=hidden)


def blind(host: str, looks: int = 3, since: datetime = T0) -> BlindHost:
    return BlindHost(host, looks, since, (REFUSED,))


# --- what a look says of it ---


def test_looks_in_a_row_are_counted_whatever_each_did_not_see() -> None:
    first = after_look(None, [unseen(REFUSED)])
    second = after_look(first, [unseen(NO_ENGINE, NO_SUDO, at=T0 + timedelta(minutes=5))])
    assert second == BlindHost("a", 2, T0, (NO_ENGINE, NO_SUDO))
    assert after_look(second, [healthy()]) is None


def test_a_look_while_nothing_answers_changes_nothing() -> None:
    down = replace(broken(), blind=(REFUSED,))
    assert after_look(None, [down]) is None
    assert after_look(blind("a", 2), [down]) == blind("a", 2)


# --- which notices there are ---


def test_one_that_is_blind_for_two_looks_is_not_told() -> None:
    assert notices([blind("a", 2)], ()) == {}
    assert notices([blind("a")], ()) == {("a", ""): (blind("a"),)}


def test_many_at_once_are_one_notice_beside_those_that_were_told_already() -> None:
    hosts = [blind(f"host{number}") for number in range(APART + 7)]
    assert notices(hosts, ()) == {TOGETHER: tuple(hosts)}
    told = notices(hosts, {("host0", ""), ("host1", "")})
    assert set(told) == {("host0", ""), ("host1", ""), TOGETHER}
    assert told[TOGETHER] == tuple(hosts[2:])


def test_the_notice_of_many_stays_theirs_while_one_is_left() -> None:
    assert notices([blind("a")], {TOGETHER}) == {TOGETHER: (blind("a"),)}


@pytest.mark.parametrize("hidden", [REFUSED, NO_ENGINE, NO_SUDO], ids=lambda each: each.of)
def test_a_notice_says_what_is_hidden_why_and_what_to_do(hidden: Blindness) -> None:
    report = blind_report(("a", ""), (BlindHost("a", 3, T0, (hidden,)),), T0)
    [finding] = report.diagnosis.causes
    assert hidden.says in [each.says for each in finding.evidence]
    assert finding.advice[0].startswith("dockerhealth doctor a ")


# --- a rack of hosts, on a real store ---


class BlindRack(Rack):
    """A rack whose services answer, and some hosts of which cannot be looked at."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store, clock)
        self.hidden: dict[str, tuple[Blindness, ...]] = {}
        self.found = lambda host, at: unseen(*self.hidden.get(host, ()), host=host, at=at)

    async def looked_at(self, rounds: int) -> None:
        for _ in range(rounds):
            for host in self.hosts.values():
                self.clock.passes(1)
                await self.monitor.look(host)
            await self.settled()

    async def shown(self, host: str) -> str:
        incident = await self.store.incidents.newest(host, "")
        assert incident
        return str(alert(incident, self.clock()).payload())

    async def glances(self) -> str:
        standings, now = await self.monitor.overview(), self.clock()
        return str(overview([glance(each, now) for each in standings], now).payload())


@pytest.fixture
async def rack(store: Store, clock: Clock) -> AsyncIterator[BlindRack]:
    rack = BlindRack(store, clock)
    await rack.monitor.start()
    yield rack
    await rack.monitor.close()


@pytest.mark.parametrize("hidden", [REFUSED, NO_ENGINE, NO_SUDO], ids=lambda each: each.of)
async def test_a_host_that_three_looks_did_not_see_is_one_notice(rack: BlindRack, hidden: Blindness) -> None:
    rack.hidden["a"] = (hidden,)
    await rack.looked_at(2)
    assert await rack.live() == []
    await rack.looked_at(5)
    assert await rack.live() == ["a"]
    assert len(await rack.store.messages.due(rack.clock())) == 1
    shown = await rack.shown("a")
    assert hidden.says in shown
    assert "dockerhealth doctor a" in shown
    assert "🟠" in shown


async def test_the_overview_is_never_plain_green_over_what_is_not_seen(rack: BlindRack) -> None:
    await rack.reads()
    await rack.looked_at(1)
    assert "🟢 3 of 3 services answer" in await rack.glances()
    rack.hidden["a"] = (NO_SUDO,)
    await rack.looked_at(1)
    glances = await rack.glances()
    assert "🟠 3 of 3 services answer on 3 hosts, not all is seen of 1 host" in glances
    assert "🟠 *a* registry" in glances
    assert "🟢 *b* registry" in glances
    assert NO_SUDO.says in glances


async def test_it_is_over_when_a_look_sees_again(rack: BlindRack) -> None:
    rack.hidden["a"] = (REFUSED,)
    await rack.looked_at(4)
    rack.hidden = {}
    await rack.looked_at(1)
    assert await rack.live() == []
    notice = await rack.store.incidents.newest("a", "")
    assert notice
    assert (notice.kind, notice.state) == (IncidentKind.HOST_BLIND, IncidentState.RESOLVED)
    assert "all is seen again after" in await rack.shown("a")
    assert "🟠" not in await rack.glances()


async def test_the_count_and_the_notice_survive_restarts(store: Store, clock: Clock) -> None:
    for looks, live in ((2, []), (1, ["a"]), (2, ["a"])):
        life = BlindRack(store, clock)
        life.hidden["a"] = (REFUSED,)
        await life.monitor.start()
        assert ("🟠" in await life.glances()) is (looks != 2 or bool(live))  # what was known before
        await life.looked_at(looks)
        assert await life.live() == live
        await life.monitor.close()


async def test_a_host_that_is_down_has_its_alert_and_no_notice_beside_it(rack: BlindRack) -> None:
    rack.found = lambda host, at: replace(broken(at=at), host=host, blind=(REFUSED,))
    rack.down = {"a"}
    await rack.reads(3)
    await rack.looked_at(4)
    assert await rack.live() == ["a/registry"]


async def test_a_host_that_left_the_configuration_takes_its_notice_with_it(store: Store, clock: Clock) -> None:
    rack = BlindRack(store, clock)
    rack.hidden["a"] = (REFUSED,)
    await rack.looked_at(3)
    await rack.monitor.close()
    later = BlindRack(store, clock)
    monitor = Monitor([later.hosts["b"]], later, store, SETTINGS, clock=clock)
    await monitor.start()
    assert await later.live() == []
    await monitor.close()
