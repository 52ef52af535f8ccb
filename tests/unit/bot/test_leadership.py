"""Of several bots on one store one acts."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select

from bot import leadership
from bot.incidents.model import IncidentState
from bot.leadership import Leadership
from bot.store import Store, StoreError, leaders, tables
from bot.store.database import OutbidError, Transaction
from bot.tasks import Tasks
from checks.execution.order import OnEvent, Order
from checks.model import Applied
from tests.postgresql import ON_BOTH
from tests.unit.bot import life
from tests.unit.bot.samples import HOST, T0, Clock, FakeChecker, FakeExecutor, click, incident

SOON = 5.0  # seconds, on a machine that is busy


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "BEAT_EVERY", 0.1)
    monkeypatch.setattr(leadership, "DEAD_AFTER", 0.8)
    monkeypatch.setattr(leadership, "ASK_EVERY", 0.05)


class Bot:
    """A process that wants to act."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.leadership = Leadership(store.leaders)
        self.stop = asyncio.Event()
        self.acting = asyncio.Event()
        self.standing_by = asyncio.Event()
        self._life = asyncio.create_task(self._lives())

    async def _lives(self) -> None:
        while await self.leadership.gained(self.stop):
            async with self.leadership.kept(self.stop) as over:
                self.standing_by.clear()
                self.acting.set()
                await over.wait()
                self.acting.clear()
                self.standing_by.set()

    async def acts(self) -> None:
        async with asyncio.timeout(SOON):
            await self.acting.wait()

    async def stands_by(self) -> None:
        async with asyncio.timeout(SOON):
            await self.standing_by.wait()

    async def ends(self) -> None:
        self.stop.set()
        await self._life

    async def freezes(self) -> None:
        """It does nothing any more, and is not dead."""
        self._beats().cancel()
        await asyncio.sleep(0)

    async def writes(self) -> None:
        await self.store.incidents.add(incident(), "#alerts", T0)

    def dies(self) -> None:
        """As the kernel sees it: nothing is said, and its files are closed."""
        self._beats().cancel()
        self.store.leaders.signs.let_go()

    def _beats(self) -> asyncio.Task[None]:
        """Of all bots, the one that acts has such a task."""
        [task] = [task for task in asyncio.all_tasks() if "_beat" in repr(task.get_coro())]
        return task


@pytest.fixture
async def bots(url: str) -> AsyncIterator[list[Bot]]:
    """The first of them acts."""
    async with AsyncExitStack() as stack:
        found: list[Bot] = []
        for _ in range(3):
            found.append(await stack.enter_async_context(_bot(url)))
            await found[0].acts()
        yield found


@asynccontextmanager
async def _bot(url: str) -> AsyncIterator[Bot]:
    store = await Store.open(url)
    bot = Bot(store)
    try:
        yield bot
    finally:
        await bot.ends()
        await store.close()


async def test_one_acts_and_the_others_stand_by(bots: list[Bot]) -> None:
    await asyncio.sleep(2.0)
    assert [bot.acting.is_set() for bot in bots] == [True, False, False]


@ON_BOTH
async def test_one_that_is_stopped_hands_over_at_once(bots: list[Bot]) -> None:
    await bots[0].ends()
    await asyncio.wait([asyncio.create_task(bot.acts()) for bot in bots[1:]], return_when=asyncio.FIRST_COMPLETED)
    assert sum(bot.acting.is_set() for bot in bots) == 1


async def test_one_that_is_killed_is_known_to_be_dead_without_waiting(
    bots: list[Bot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "DEAD_AFTER", 3600.0)
    bots[0].dies()
    await asyncio.wait([asyncio.create_task(bot.acts()) for bot in bots[1:]], return_when=asyncio.FIRST_COMPLETED)
    assert sum(bot.acting.is_set() for bot in bots[1:]) == 1


async def test_what_one_that_was_frozen_had_under_way_is_a_line_in_its_log(
    bots: list[Bot], capsys: pytest.CaptureFixture[str]
) -> None:
    await bots[0].freezes()
    await asyncio.wait([asyncio.create_task(bot.acts()) for bot in bots[1:]], return_when=asyncio.FIRST_COMPLETED)
    tasks = Tasks()
    tasks.start(bots[0].writes(), "look at host1")
    await tasks.join()
    told = capsys.readouterr().out
    assert "Another dockerhealth acts on this store by now. Nothing was written." in told
    assert "Traceback" not in told


@ON_BOTH
async def test_one_that_is_frozen_is_taken_over_from_and_writes_nothing_when_it_wakes(bots: list[Bot]) -> None:
    await bots[0].freezes()
    await asyncio.wait([asyncio.create_task(bot.acts()) for bot in bots[1:]], return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(OutbidError, match="Another dockerhealth acts"):
        await bots[0].writes()
    [acting] = [bot for bot in bots[1:] if bot.acting.is_set()]
    await acting.writes()
    assert await acting.store.incidents.newest(HOST.name, HOST.services[0].name) == incident()


async def test_one_that_finds_itself_outbid_stands_by_until_it_is_its_turn_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with _bot(url) as first, _bot(url) as second:
        await first.acts()
        first.store.leaders.signs.let_go()  # somebody removed the file
        await second.acts()
        await first.stands_by()
        await second.ends()
        await first.acts()


async def test_without_a_file_a_leader_that_is_gone_is_known_by_its_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaders, "_beside", lambda _: None)
    url = f"sqlite:///{tmp_path}/store.db"
    async with _bot(url) as first:
        await first.acts()  # before there is another one: either may win
        async with _bot(url) as second:
            await asyncio.sleep(2.0)
            assert not second.acting.is_set()
            await first.freezes()
            await second.acts()


async def test_what_a_terminal_writes_is_not_refused(bots: list[Bot], url: str) -> None:
    del bots
    terminal = await Store.open(url)
    await terminal.incidents.add(incident(), "#alerts", T0)
    await terminal.close()


@ON_BOTH
async def test_a_run_of_one_that_acted_before_is_taken_over_whatever_the_clock_says(bots: list[Bot]) -> None:
    begun = asyncio.Event()

    class Hanging(FakeExecutor):
        async def apply(self, order: Order, tell: OnEvent) -> Applied:
            await super().apply(order, tell)
            begun.set()
            return await asyncio.Event().wait()  # type: ignore[return-value]  # never

    clock = Clock()
    first = life.Bot(bots[0].store, clock, FakeChecker(clock), Hanging())
    await first.clicks.approve(click(target=await first.breaks()))
    await begun.wait()
    await bots[0].freezes()
    clock.passes(-3600)
    await asyncio.wait([asyncio.create_task(bot.acts()) for bot in bots[1:]], return_when=asyncio.FIRST_COMPLETED)
    [acting] = [bot for bot in bots[1:] if bot.acting.is_set()]
    executor = FakeExecutor()
    second = life.Bot(acting.store, clock, FakeChecker(clock), executor)
    await second.runner.recover()
    await second.runner.settled()
    assert len(executor.resumed) == 1
    assert (await second.incident()).state is IncidentState.RESOLVED
    await second.close()
    with suppress(OutbidError):
        await first.close()


async def test_a_store_that_cannot_be_used_is_said_once_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/store.db")
    real = store.leaders.newest
    fails = True

    async def newest() -> object:
        if fails:
            raise StoreError("locked")
        return await real()

    monkeypatch.setattr(store.leaders, "newest", newest)
    with structlog.testing.capture_logs() as logs:
        bot = Bot(store)
        await asyncio.sleep(0.5)
        assert [line["event"] for line in logs] == ["standing by: the store cannot be used"]
        fails = False
        await bot.acts()
    await bot.ends()
    await store.close()


async def test_a_sign_of_life_does_not_wait_behind_what_looks_write(tmp_path: Path) -> None:
    """Where many hosts fail together that is much: another bot took over from one that was only busy."""
    store = await Store.open(f"sqlite:///{tmp_path}/store.db")
    leader = await store.leaders.outbid(None, "here")
    assert leader
    saw: list[int] = []  # how many signs of life there were when a look was written
    begun, may_end = threading.Event(), threading.Event()

    def look(connection: Transaction) -> None:
        begun.set()
        may_end.wait(10)
        saw.append(connection.execute(select(tables.leaders.c.beats)).scalar_one())

    async with asyncio.TaskGroup() as writing:
        for _ in range(5):
            writing.create_task(store.database.change(look))
        await asyncio.to_thread(begun.wait, 10)
        beating = writing.create_task(store.leaders.beat(leader.token))
        await asyncio.sleep(0)
        may_end.set()
        await beating
    assert saw == [0, 1, 1, 1, 1]
    await store.close()
