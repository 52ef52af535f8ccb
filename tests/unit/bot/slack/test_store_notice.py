"""The notice of a store that cannot be written: it turns green or grey in the end, whoever is there to see to it."""

import time
from datetime import timedelta

import pytest

from bot.slack.outbox import MessageGoneError, RetryLaterError
from bot.slack.store_notice import TOLD_AFTER, StoreNotice
from bot.store import Store
from bot.store.writability import CALM_AFTER, OVER_AFTER
from bot.text import length
from tests.unit.bot.samples import FakeSlack


@pytest.fixture
def slack() -> FakeSlack:
    return FakeSlack()


@pytest.fixture
def notice(store: Store, slack: FakeSlack) -> StoreNotice:
    return StoreNotice(store, slack, "#alerts")


def fails(store: Store) -> None:
    """It could not be written for long."""
    store.database.writability.failed("locked", time.monotonic() - TOLD_AFTER)


async def test_it_stands_red_until_the_trouble_is_over(store: Store, slack: FakeSlack, notice: StoreNotice) -> None:
    fails(store)
    await notice.show()
    await notice.show()
    assert [call for call, _ in slack.calls] == ["post"]
    store.database.writability.worked(time.monotonic() + OVER_AFTER)
    await notice.show()
    assert slack.texts == ["🟢 dockerhealth can write its store again: what was held is told now."]


async def test_at_the_end_it_says_what_is_so_by_then(store: Store, slack: FakeSlack, notice: StoreNotice) -> None:
    fails(store)
    await notice.show()
    store.database.writability.worked(time.monotonic())
    await notice.end()
    assert slack.texts == ["🟢 dockerhealth can write its store again: what was held is told now."]


async def test_at_an_end_within_the_trouble_it_is_not_left_red_and_the_next_one_tells_anew(
    store: Store, slack: FakeSlack, notice: StoreNotice
) -> None:
    fails(store)
    await notice.show()
    await notice.end()
    [left] = slack.texts
    assert left.startswith("⚪ dockerhealth could not write its store when it ended")
    await StoreNotice(store, slack, "#alerts").show()
    assert slack.texts[1].startswith("🔴 dockerhealth cannot write its store.")


async def test_where_nothing_was_told_an_end_tells_nothing(store: Store, slack: FakeSlack, notice: StoreNotice) -> None:
    fails(store)
    await notice.end()
    assert slack.calls == []


async def test_a_slack_that_fails_at_the_end_holds_nothing_up(
    store: Store, slack: FakeSlack, notice: StoreNotice
) -> None:
    fails(store)
    await notice.show()
    slack.errors = [RetryLaterError("no answer")]
    await notice.end()
    assert len(slack.calls) == 2


async def test_one_that_somebody_took_away_is_not_changed_for_ever(
    store: Store, slack: FakeSlack, notice: StoreNotice
) -> None:
    fails(store)
    await notice.show()
    store.database.writability.worked(time.monotonic() + OVER_AFTER)
    slack.errors = [MessageGoneError("message_not_found")]
    await notice.show()
    await notice.end()
    assert [call for call, _ in slack.calls] == ["post", "update"]


async def test_of_one_that_comes_again_and_again_it_says_how_long_it_must_not(
    store: Store, slack: FakeSlack, notice: StoreNotice
) -> None:
    fails(store)
    store.database.writability.worked(time.monotonic() + OVER_AFTER)
    fails(store)
    await notice.show()
    assert f"This is over after {length(timedelta(seconds=CALM_AFTER))} without it." in slack.texts[0]
