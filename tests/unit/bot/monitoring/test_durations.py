"""How long something lasted is told as it was, though the machine's clock is set meanwhile."""

from datetime import timedelta

import pytest

from bot.fallback import to_tell
from bot.incidents.model import REOPEN_WITHIN, IncidentState, Transition, downtime, opened
from bot.slack.listeners import glance
from bot.slack.views import alert, overview
from bot.store import Store
from checks.execution.order import OnEvent, Order
from checks.model import Applied, Baseline
from tests.unit.bot.life import Bot
from tests.unit.bot.monitoring.test_blindness import NO_SUDO, BlindRack
from tests.unit.bot.samples import HOST, SERVICE, Clock, FakeChecker, SlowExecutor, click, fixed

AN_HOUR = timedelta(hours=1).total_seconds()
JUMPS = pytest.mark.parametrize("jump", [-AN_HOUR, AN_HOUR, -40.0, 300.0])


async def down_for(bot: Bot) -> float:
    """Seconds that the newest incident, which is over, is told to have lasted."""
    newest = await bot.incident()
    assert newest.resolved_at is not None
    return downtime(newest, newest.resolved_at).total_seconds()


@JUMPS
async def test_an_outage_in_which_the_clock_is_set(bot: Bot, jump: float) -> None:
    await bot.breaks()
    bot.clock.passes(90)
    await bot.clock_is_set(jump)
    bot.clock.passes(90)
    await bot.reads("ok ok")
    assert await down_for(bot) == pytest.approx(180, abs=3)
    newest = await bot.incident()
    assert "It was down for 3 min 2 s." in alert(newest, bot.clock()).text


@JUMPS
@pytest.mark.parametrize(
    ("before", "after"),
    [("fail", "fail {} ok ok"), ("fail fail {} ok", "ok")],
    ids=["between the readings that open it", "between those that resolve it"],
)
async def test_an_outage_at_an_end_of_which_the_clock_is_set(bot: Bot, jump: float, before: str, after: str) -> None:
    async def reads(outcomes: str) -> None:
        first, pause, then = outcomes.partition("{}")
        await bot.reads(first)
        if pause:
            bot.clock.passes(180)
        await bot.reads(then)

    await reads(before)
    await bot.clock_is_set(jump)
    await reads(after)
    assert await down_for(bot) == pytest.approx(180, abs=3)


@JUMPS
async def test_an_outage_that_is_back_a_moment_later_though_the_clock_was_set_while_it_was_over(
    bot: Bot, jump: float
) -> None:
    await bot.breaks()
    bot.clock.passes(60)
    await bot.reads("ok ok")
    first = await bot.incident()
    await bot.clock_is_set(jump)
    bot.clock.passes(REOPEN_WITHIN.total_seconds() / 2)
    await bot.breaks()
    bot.clock.passes(120)
    await bot.reads("ok ok")
    assert (await bot.incident()).id == first.id
    assert await down_for(bot) == pytest.approx(180, abs=5)


class Mending(SlowExecutor):
    """Verifies at the end of its work."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    async def apply(self, order: Order, tell: OnEvent) -> Applied:
        await super().apply(order, tell)
        return fixed(self.clock())


@JUMPS
async def test_an_outage_that_is_mended_while_the_clock_is_set(store: Store, clock: Clock, jump: float) -> None:
    executor = Mending(clock)
    bot = Bot(store, clock, FakeChecker(clock), executor)
    offer = await bot.breaks()
    clock.passes(100)
    await bot.clicks.approve(click(target=offer))
    await executor.halfway.wait()
    await bot.clock_is_set(jump)
    clock.passes(80)
    executor.on.set()
    await bot.settled()
    assert (await bot.incident()).state is IncidentState.RESOLVED
    assert await down_for(bot) == pytest.approx(180, abs=3)
    await bot.close()


@JUMPS
async def test_one_that_lasts_as_the_overview_has_it(bot: Bot, jump: float) -> None:
    await bot.breaks()
    bot.clock.passes(60)
    await bot.clock_is_set(jump)
    bot.clock.passes(120)
    standings = await bot.monitor.overview()
    assert "down for 3 min 1 s" in str(overview([glance(each, bot.clock()) for each in standings], bot.clock()))


async def test_what_was_said_keeps_its_time(bot: Bot) -> None:
    await bot.breaks()
    before = await bot.incident()
    await bot.clock_is_set(-AN_HOUR)
    after = await bot.incident()
    assert [change.at for change in after.transitions] == [change.at for change in before.transitions]
    assert after.state is IncidentState.OPEN


@JUMPS
async def test_an_alert_waits_for_slack_as_long_as_ever_before_it_goes_past_it(bot: Bot, jump: float) -> None:
    after = timedelta(minutes=5)

    async def told() -> IncidentState | None:
        newest = await bot.incident()
        row = await bot.store.messages.get(newest.id)
        assert row is not None
        return to_tell(row, newest, after, bot.clock())

    await bot.reads("fail fail")
    await bot.clock_is_set(jump)
    assert await told() is None
    bot.clock.passes(after.total_seconds())
    assert await told() is IncidentState.OPEN


@JUMPS
async def test_a_host_that_cannot_be_looked_at(store: Store, clock: Clock, jump: float) -> None:
    rack = BlindRack(store, clock)
    await rack.monitor.start()
    rack.hidden["a"] = (NO_SUDO,)
    await rack.looked_at(2)
    clock.passes(180)
    by = timedelta(seconds=jump)
    await store.clock_set(by, clock())
    clock.passes(jump)
    rack.monitor.clock_set(by)
    await rack.looked_at(1)
    [told] = await store.incidents.live()
    assert downtime(told, clock()).total_seconds() == pytest.approx(180, abs=10)
    await rack.monitor.close()


async def test_the_good_look_that_the_next_ones_are_compared_with_moves_along(bot: Bot) -> None:
    bot.checker.remember(HOST.name, SERVICE.name, Baseline(bot.clock(), {}))
    await bot.clock_is_set(AN_HOUR)
    assert bot.checker.remembered[HOST.name, SERVICE.name].at == bot.clock()


async def test_what_a_process_whose_clock_was_right_left_is_not_moved_when_this_ones_is_set_right(
    store: Store, clock: Clock
) -> None:
    years = timedelta(days=20_000)
    then = clock() + years
    left = opened("inc-1", HOST.name, SERVICE.name, Transition(None, IncidentState.OPEN, "it failed", then))
    assert await store.incidents.add(left, "#alerts", then)
    await store.clock_set(years, clock())
    assert await store.incidents.get("inc-1") == left
