"""What the tests of the bot's heart share: a real store, a clock that they move, and one life of the bot."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.store import Store
from tests.postgresql import url_of
from tests.unit.bot.cli.cli_world import config, found
from tests.unit.bot.life import Bot
from tests.unit.bot.samples import Clock, FakeChecker, FakeExecutor

__all__ = ["config", "found"]  # fixtures of the tests of the commands


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The store's. With ON_BOTH a test runs on both databases."""
    yield from url_of(request, tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await Store.open(url)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
async def bot(store: Store, clock: Clock, executor: FakeExecutor) -> AsyncIterator[Bot]:
    bot = Bot(store, clock, FakeChecker(clock), executor)
    await bot.monitor.start()
    yield bot
    await bot.close()
