"""The time of day goes on evenly, whatever becomes of the machine's clock, until that is followed."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from bot.clock import MEASURED, MOST_OFF, Clock
from tests.unit.bot.samples import T0

SECOND = timedelta(seconds=1)
AN_HOUR = timedelta(hours=1)


class Machine:
    """Its two clocks. ``stands_still`` are the seconds that it takes to read one after the other, the next times."""

    def __init__(self) -> None:
        self.up = timedelta(days=3)
        self.set_by = timedelta(0)
        self.stands_still: list[timedelta] = []

    def wall(self) -> datetime:
        return T0 + self.up + self.set_by

    def since_boot(self) -> timedelta:
        if self.stands_still:
            self.up += self.stands_still.pop(0)
        return self.up


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> Clock:
    return Clock(machine.wall, machine.since_boot)


def test_it_tells_what_the_machine_tells(machine: Machine, clock: Clock) -> None:
    machine.up += AN_HOUR
    assert clock() == machine.wall()
    assert not clock.set_by


@pytest.mark.parametrize("jump", [AN_HOUR, -AN_HOUR, timedelta(minutes=-5), SECOND])
def test_it_goes_on_as_before_until_a_clock_that_was_set_is_followed(
    machine: Machine, clock: Clock, jump: timedelta
) -> None:
    before = clock()
    machine.set_by += jump
    machine.up += SECOND
    assert clock() == before + SECOND
    assert clock.set_by == jump
    clock.follow(clock.set_by)
    assert clock() == machine.wall()
    assert not clock.set_by


def test_what_is_off_little_by_little_is_noticed_in_the_end(machine: Machine, clock: Clock) -> None:
    for _ in range(3):
        assert not clock.set_by
        machine.set_by += MOST_OFF / 2
    assert clock.set_by == MOST_OFF * 3 / 2


def test_a_pause_between_reading_the_one_and_the_other_is_no_jump(machine: Machine, clock: Clock) -> None:
    nothing = timedelta(0)
    machine.stands_still = [nothing, AN_HOUR] * (MEASURED - 1)
    assert not clock.set_by


def test_it_is_the_clock_of_this_machine() -> None:
    clock = Clock()
    assert abs(clock() - datetime.now(UTC)) < SECOND
    assert abs(clock.set_by) < SECOND
    assert time.clock_gettime(time.CLOCK_BOOTTIME) > 0
