"""A good look that the fault may have overtaken is not what a bad one is compared with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from checks.collect.survey import Survey, settled
from checks.look import Before
from checks.model import Aspect, Baseline, Value

T0 = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = Baseline(T0, {"net.ipv4.ip_forward": Value(Aspect.HOST_FORWARDING, "1")})
OVERTAKEN = Baseline(T0 + timedelta(minutes=5), {"net.ipv4.ip_forward": Value(Aspect.HOST_FORWARDING, "0")})
BOTH = Before(good=OVERTAKEN, earlier=GOOD)
SOON = OVERTAKEN.at + timedelta(seconds=3)
LATER = OVERTAKEN.at + timedelta(minutes=1)


def test_a_good_look_just_before_the_failure_gives_way_to_the_one_before_it() -> None:
    assert settled(replace(BOTH, failed_at=SOON), LATER).good == GOOD


def test_without_a_failure_on_record_the_look_under_way_is_the_failure() -> None:
    assert settled(BOTH, SOON).good == GOOD


def test_a_good_look_well_before_the_failure_stays_the_one_compared_with() -> None:
    assert settled(replace(BOTH, failed_at=LATER), LATER).good == OVERTAKEN


async def test_what_is_known_from_before_moves_along_with_a_clock_that_is_set() -> None:
    survey = Survey([], lambda: LATER, concurrency=1)
    survey.remember("host1", "registry", GOOD)
    survey.remember("host1", "registry", OVERTAKEN)
    by = timedelta(hours=-1)
    survey.clock_set(by)
    [known] = survey._before.values()  # noqa: SLF001  # what a look is handed
    assert known == Before(good=replace(OVERTAKEN, at=OVERTAKEN.at + by), earlier=replace(GOOD, at=GOOD.at + by))
    await survey.close()


def test_the_only_good_look_is_kept_however_close_the_failure_came() -> None:
    assert settled(Before(good=OVERTAKEN, failed_at=SOON), LATER).good == OVERTAKEN
