"""What is told past Slack, by a clock that is set meanwhile."""

from datetime import timedelta

import pytest

from bot.fallback import TRIED_AGAIN_AFTER, Fallback
from bot.store import Store
from tests.unit.bot.samples import T0, Clock, incident

AFTER = timedelta(minutes=5)


class Mail:
    """A way that takes nothing until it is there."""

    name = "mail"

    def __init__(self) -> None:
        self.is_there = False
        self.tried = 0

    async def tell(self, title: str, body: str) -> bool:  # noqa: ARG002  # the protocol's
        self.tried += 1
        return self.is_there


@pytest.fixture
def mail() -> Mail:
    return Mail()


@pytest.fixture
async def fallback(store: Store, mail: Mail, clock: Clock) -> Fallback:
    assert await store.incidents.add(incident(), "#alerts", T0)
    return Fallback(store, [mail], AFTER, clock)


async def test_a_way_that_failed_is_tried_again_though_the_clock_is_put_back(
    fallback: Fallback, mail: Mail, clock: Clock
) -> None:
    clock.passes(AFTER.total_seconds() * 3)
    await fallback.show()
    await fallback.show()
    assert mail.tried == 1
    clock.passes(-AFTER.total_seconds())
    mail.is_there = True
    await fallback.show()
    clock.passes(TRIED_AGAIN_AFTER.total_seconds())
    await fallback.show()
    assert mail.tried == 2
