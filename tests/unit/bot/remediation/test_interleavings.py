"""Whatever happens, in whatever order: no plan is applied that is unapproved, expired, stale or claimed before."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bot.approvals.decision import Click
from bot.incidents.audit import flaw
from bot.store import Store
from checks.execution.order import Happened
from checks.model import Service
from tests.unit.bot.remediation.interleavings import Bot, World
from tests.unit.bot.remediation.model_host import (
    ALICE,
    BOB,
    CAROL,
    GROUP,
    LEASE,
    OUTCOMES,
    POINTS,
    ROOT,
    STRANGER,
    TWO_SERVICES,
    WELL,
    Says,
)
from tests.unit.bot.remediation.run_oracle import Kept, Oracle, Word
from tests.unit.bot.samples import HOME, failed, good

EXAMPLES = 1000
STEPS = 12
PAST_THE_LEASE = LEASE.total_seconds() + 1
EVERYONE = (ALICE, BOB, ROOT, GROUP)


@dataclass(frozen=True)
class Press:
    """Somebody presses a button, the newest but so many. Slack delivers it to one of the lives."""

    life: int
    who: str
    which: int
    where: str = "message"


rarely = st.sampled_from([False, False, False, True])
says = st.builds(
    Says,
    approvers=st.sampled_from([EVERYONE, EVERYONE, EVERYONE, (ALICE, GROUP), (BOB, ROOT), ()]),
    low=st.sampled_from([1, 1, 2]),
    more=st.sampled_from([1, 2]),
    not_requester=st.booleans(),
    forbids_high=rarely,
    quiet=rarely,
    auto=rarely,
)
services = st.sampled_from(list(TWO_SERVICES.services))
values = st.sampled_from([WELL, "broken 1", "broken 2"])
memberships = st.none() | st.frozensets(st.sampled_from([BOB, CAROL]))
durations = st.sampled_from([1, 120, 400, 601, 1201, 1801])
lives = st.integers(0, 1)
troubles = st.sampled_from(["broken 1", "broken 1", WELL])
outcomes = st.sampled_from(OUTCOMES)
points = st.just(frozenset[str]()) | st.frozensets(st.sampled_from(POINTS), min_size=1, max_size=2)
people = st.sampled_from([ALICE, BOB, ROOT, CAROL, ALICE, BOB, STRANGER])
places = st.sampled_from(["message"] * 8 + ["answer", "other message", "other team", "none"])
offers = st.integers(0, 5)
presses = st.builds(Press, lives, people, offers, places)


class Interleavings(RuleBasedStateMachine):
    """Two lives at a time on one store and one host, and all that can happen to them."""

    world: ClassVar[World]

    @property
    def oracle(self) -> Oracle:
        return self.world.oracle

    @initialize(
        seed=st.integers(0, 2**32),
        configured=st.tuples(says, says),
        values=st.tuples(troubles, troubles),
        points=points,
        outcome=outcomes,
    )
    def begins(
        self, seed: int, configured: tuple[Says, Says], values: tuple[str, str], points: frozenset[str], outcome: str
    ) -> None:
        self.world.begins(seed)
        self.world.host.waits_at = points
        self.world.host.next_outcome = outcome
        self.bots = [Bot(self.world, each) for each in configured]
        self.world.host.values = dict(zip(self.world.host.values, values, strict=True))
        self._reads(self.bots[0], dict(zip(TWO_SERVICES.services, [value == WELL for value in values], strict=True)))

    def does(self, bot: Bot, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        if bot.life.alive:
            self.world.begin(work())
            self.world.settles()

    def _reads(self, bot: Bot, well: Mapping[Service, bool]) -> None:
        """Two readings of each service, which is as many as it takes."""

        async def once() -> None:
            now = self.world.loop.clock()
            for service, is_well in well.items():
                await bot.monitor.take(TWO_SERVICES, service, (good if is_well else failed)(now))

        for _ in range(2):
            self.time_passes(1)
            self.does(bot, once)

    # --- the host and its services ---

    @rule(service=services, value=values)
    def something_changes(self, service: Service, value: str) -> None:
        self.world.host.values[service.name] = value

    @rule(silent=st.booleans())
    def the_host_is_silent(self, *, silent: bool) -> None:
        self.world.host.silent = silent

    @rule(outcome=outcomes)
    def what_runs_will_be(self, outcome: str) -> None:
        self.world.host.next_outcome = outcome

    @rule(points=points)
    def runs_will_wait(self, points: frozenset[str]) -> None:
        self.world.host.waits_at = points

    @rule()
    def runs_go_on(self) -> None:
        self.world.host.goes_on()
        self.world.settles()

    @rule(life=lives, service=services, value=st.sampled_from(["broken 1", "broken 2"]))
    def a_service_breaks(self, life: int, service: Service, value: str) -> None:
        self.world.host.values[service.name] = value
        self._reads(self.bots[life], {service: False})

    # --- looks ---

    @rule(life=lives, service=services, well=st.booleans())
    def reads(self, life: int, service: Service, *, well: bool) -> None:
        self._reads(self.bots[life], {service: well})

    @rule(life=lives)
    def looks(self, life: int) -> None:
        bot = self.bots[life]
        self.does(bot, lambda: bot.monitor.look(TWO_SERVICES))

    @rule(life=lives, who=people, service=services, value=st.none() | values)
    def somebody_asks(self, life: int, who: str, service: Service, value: str | None) -> None:
        """About what is, or has just come to be."""
        bot = self.bots[life]
        self.something_changes(service, value or self.world.host.values[service.name])
        self.does(bot, lambda: bot.monitor.check(TWO_SERVICES, None, who))

    # --- people ---

    @rule(presses=st.lists(presses, min_size=1, max_size=3))
    def people_press(self, presses: list[Press]) -> None:
        """At the same moment."""
        for press in presses:
            living = [bot for bot in (self.bots[press.life], *self.bots) if bot.life.alive]
            offer = self._offer(press.which)
            if offer and living:
                self._delivers(living[0], self._word(press, offer))
        self.world.settles()

    @rule(which=offers, who=st.permutations([ALICE, BOB, CAROL, ROOT]), many=st.integers(2, 3))
    def several_press_the_same(self, which: int, who: list[str], many: int) -> None:
        self.people_press([Press(number % 2, each, which) for number, each in enumerate(who[:many])])

    @rule(life=lives, which=st.integers(0, 5))
    def slack_delivers_again(self, life: int, which: int) -> None:
        words = self.oracle.words
        if words and self.bots[life].life.alive:
            of = words[-1 - which % len(words)]
            self._delivers(self.bots[life], Word(of.click, of.fits, self.world.loop.clock()))
            self.world.settles()

    def _offer(self, which: int) -> Kept | None:
        newest = [*reversed(self.oracle.offers.values())]
        return newest[which % len(newest)] if newest else None

    def _word(self, press: Press, offer: Kept) -> Word:
        places = {
            "message": replace(HOME, ts=offer.row["incident_id"]),
            "answer": replace(HOME, ts=""),
            "other message": replace(HOME, ts="1.1"),
            "other team": replace(HOME, team="T2", ts=""),
        }
        at_terminal = press.who == ROOT and press.where == "message"
        place = None if at_terminal else places.get(press.where)
        fits = place is None if press.who == ROOT else press.where in {"message", "answer"}
        click = Click(f"click-{len(self.oracle.words)}", press.who, offer.row["id"], place)
        return Word(click, fits, self.world.loop.clock())

    def _delivers(self, bot: Bot, word: Word) -> None:
        self.oracle.words.append(word)
        self.world.begin(bot.approve(word))

    @rule(life=lives, who=people, which=offers)
    def somebody_takes_care(self, life: int, who: str, which: int) -> None:
        bot, offer = self.bots[life], self._offer(which)
        if offer:
            incident = offer.row["incident_id"]
            click = Click(f"care-{self.world.loop.time()}", who, incident, replace(HOME, ts=incident))
            self.does(bot, lambda: bot.clicks.acknowledge(click))

    @rule(members=memberships)
    def the_group_changes(self, members: frozenset[str] | None) -> None:
        self.oracle.group = members

    # --- time, and processes ---

    @rule(seconds=durations)
    def time_passes(self, seconds: float) -> None:
        self.world.settles(seconds)

    @rule(life=lives, touches=st.integers(0, 40), killed=st.booleans())
    def something_will_befall_a_life(self, life: int, touches: int, *, killed: bool) -> None:
        """When it has touched the world that often from now on: before, in or after a transaction or a step."""
        of = self.bots[life].life
        of.awaits(of.dies if killed else of.stops, touches)

    @rule(life=lives, killed=st.booleans())
    def a_life_ends(self, life: int, *, killed: bool) -> None:
        bot = self.bots[life]
        if not killed:
            self.does(bot, lambda: bot.runner.close(grace=0))
        bot.life.dies()
        self.world.settles()

    @rule(life=lives, says=says)
    def another_life_begins(self, life: int, says: Says) -> None:
        """With another configuration. What lived in its place is dead."""
        self.bots[life].life.dies()
        bot = self.bots[life] = Bot(self.world, says)
        self.does(bot, bot.start)

    @rule(life=lives)
    def a_life_looks_for_what_was_left(self, life: int) -> None:
        bot = self.bots[life]
        self.does(bot, bot.runner.recover)

    @rule(life=lives, stands_still=st.booleans())
    def a_life_stands_still(self, life: int, *, stands_still: bool) -> None:
        self.bots[life].life.stands_still = stands_still
        self.world.turns.go_on(self.world.loop)
        self.world.settles()

    @rule(press=presses, touches=st.integers(0, 30), seconds=durations, members=memberships)
    def a_life_stands_still_after_a_press(
        self, press: Press, touches: int, seconds: int, members: frozenset[str] | None
    ) -> None:
        """Anywhere between the click and the end of the run that it starts."""
        life = self.bots[press.life].life
        life.awaits(life.stops, touches)
        self.people_press([press])
        self.the_group_changes(members)
        self.time_passes(seconds)
        self.a_life_stands_still(press.life, stands_still=False)

    @rule(press=presses, points=st.sampled_from([{point, *then} for point in POINTS for then in ((), ("resumed",))]))
    def a_life_is_taken_for_dead(self, press: Press, points: set[str]) -> None:
        """It stands still in a run; another one ends the run when the lease is over; and then it goes on."""
        self.runs_will_wait(frozenset(points))
        self.people_press([press])
        self.a_life_stands_still(press.life, stands_still=True)
        self.time_passes(PAST_THE_LEASE)
        self.a_life_looks_for_what_was_left(1 - press.life)
        self.runs_go_on()
        self.a_life_stands_still(press.life, stands_still=False)

    # --- what always holds ---

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.world.seen["STEPS"] += 1
        assert not self.oracle.verdicts

    def teardown(self) -> None:
        try:
            if not self.oracle.verdicts:
                self._comes_to_an_end()
        finally:
            for bot in self.bots:
                bot.life.dies()
            self.world.ends()

    def _comes_to_an_end(self) -> None:
        """When all lives are dead, a last one ends what they left."""
        for bot in self.bots:
            bot.life.dies()
        self.runs_will_wait(frozenset())
        self.runs_go_on()
        self.time_passes(PAST_THE_LEASE)
        last = Bot(self.world, Says())
        self.does(last, last.runner.recover)
        log = self.world.loop.run_until_complete(last.store.audit.all())
        last.life.dies()
        assert not self.oracle.verdicts
        assert not self.oracle.running
        assert not flaw(log)
        approved = [offer_id for offer_id, offer in self.oracle.offers.items() if offer.row["approved_by"]]
        assert Counter(each.entry.run for each in log if each.entry.event == "ended") == Counter(approved)
        told = {
            each.entry.run: each.entry.event for each in log if each.entry.event in {*Happened, "approved", "ended"}
        }
        assert set(told.values()) <= {"ended"}, "nothing is told of a run that has ended"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    path = tmp_path / "store.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    world = World(path)
    structlog.configure(processors=[world.hears])
    yield world
    world.close()


async def _migrated(url: str) -> None:
    await (await Store.open(url)).close()


REACHED = (
    *("begun", "begun by two people", "begun undo without a click", "begun without a click"),
    *("Agreed", "Approved", "Repeated", "refused: busy", "refused: claimed", "refused: elsewhere", "refused: expired"),
    *("refused: group-unknown", "refused: no-approvers", "refused: not-allowed", "refused: not-an-approver"),
    *("refused: same-person", "refused: withdrawn"),
    *("ended: failed", "ended: fixed", "ended: not-fixed", "ended: stale", "ended: unknown"),
    *("resumed", "resumed what had begun", "log: fix: left to another process"),
    *(f"a run waited: {point}" for point in POINTS),
)
"""What a thousand interleavings come across often enough that none of it may be missing."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_only_what_may_be_is_applied(world: World) -> None:
    class InThisWorld(Interleavings):
        pass

    InThisWorld.world = world
    run_state_machine_as_test(
        InThisWorld,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
    print(*(f"{times:6} {what}" for what, times in sorted(world.seen.items())), sep="\n")  # noqa: T201  # see it with -s
    assert not [what for what in REACHED if not world.seen[what]], "what never happened was not tried"
