"""That the store cannot be written is told once and for all, though somebody locks it for seconds now and then."""

import pytest
import structlog

from bot.store.writability import CALM_AFTER, ONE_TRY, OVER_AFTER, TRY_EVERY, Writability

LOCKED = "database is locked"


class Store:
    """A store that is written every two seconds, as the bot that acts does, on a clock that tests move."""

    def __init__(self) -> None:
        self.writability = Writability()
        self.now = 0.0
        self.seen: list[bool] = [False]  # whether there was a trouble, each time that this changed

    def is_written(self, seconds: float, *, locked: bool) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 2.0
            if locked:
                self.writability.failed(LOCKED, self.now)
            else:
                self.writability.worked(self.now)
            in_trouble = self.writability.trouble is not None
            if in_trouble != self.seen[-1]:
                self.seen.append(in_trouble)

    @property
    def troubles(self) -> int:
        return self.seen.count(True)


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_lock_is_one_trouble_and_is_over_when_writes_have_worked_for_some_time(store: Store) -> None:
    store.is_written(40, locked=True)
    assert store.writability.why == LOCKED
    assert store.writability.lacking_for(store.now) == 38
    store.is_written(OVER_AFTER - 2, locked=False)
    assert store.writability.why == ""
    assert store.writability.lacking_for(store.now) == 0
    assert store.writability.trouble is not None
    store.is_written(2, locked=False)
    assert store.writability.trouble is None


def test_locks_with_moments_between_them_are_one_trouble(store: Store) -> None:
    for _ in range(20):
        store.is_written(12, locked=True)
        store.is_written(10, locked=False)
    store.is_written(OVER_AFTER, locked=False)
    assert store.troubles == 1


def test_locks_that_come_again_and_again_are_told_as_that_and_no_pair_follows_a_pair(store: Store) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(60):  # an hour
            store.is_written(20, locked=True)
            store.is_written(OVER_AFTER + 10, locked=False)
        assert store.troubles == 2
        store.is_written(CALM_AFTER, locked=False)
    assert store.writability.trouble is None
    assert [line["log_level"] for line in logs] == ["error", "info", "error", "info"]
    assert "AGAIN AND AGAIN" in logs[2]["event"]


def test_a_lock_long_after_the_last_one_is_a_new_trouble(store: Store) -> None:
    store.is_written(20, locked=True)
    store.is_written(OVER_AFTER + CALM_AFTER, locked=False)
    store.is_written(20, locked=True)
    assert store.writability.trouble is not None
    assert not store.writability.trouble.again


def test_a_trouble_is_over_though_nobody_has_anything_to_write_any_more(store: Store) -> None:
    store.is_written(20, locked=True)
    store.writability.settle(store.now + 2 * OVER_AFTER)
    assert store.writability.trouble is not None  # it cannot be written, for all that is known
    store.is_written(2, locked=False)
    store.writability.settle(store.now + OVER_AFTER)
    assert store.writability.trouble is None


def test_while_it_cannot_be_written_one_tries_every_second() -> None:
    writability = Writability()
    writability.failed(LOCKED, 100.0)
    assert not writability.may_try(100.0 + TRY_EVERY / 2)
    assert writability.may_try(100.0 + TRY_EVERY)
    assert not writability.may_try(100.0 + TRY_EVERY + ONE_TRY / 2)  # another one does
    assert writability.may_try(100.0 + TRY_EVERY + ONE_TRY)
