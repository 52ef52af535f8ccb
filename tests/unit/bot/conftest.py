"""What the tests of the bot's heart share: a real store, a clock that they move, and one life of the bot."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store import Store
from tests.unit.bot.cli.cli_world import config, found
from tests.unit.bot.life import Bot
from tests.unit.bot.samples import Clock, FakeChecker, FakeExecutor

__all__ = ["config", "found"]  # fixtures of the tests of the commands


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The store's. What is to hold on PostgreSQL as well has a fixture of that name that gives both."""
    return f"sqlite:///{tmp_path}/store.db"


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
