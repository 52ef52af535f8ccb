"""What a soak injects follows from its seed, and leaves room to tell what is told."""

import itertools

import pytest

from tests.soak.schedule import BLIND, LONG, OUTAGES, OWN, SHORT, SLACK, Fault, Injected, Pace, schedule

HOSTS = [f"host{number}" for number in range(150)]
RUNS = [(2700, LONG), (100, SHORT)]
PASSING = {*SLACK, *OWN}


def injected(seconds: float, pace: Pace, seed: int = 1) -> tuple[Injected, ...]:
    return schedule(seconds, seed, HOSTS, pace)


@pytest.mark.parametrize(("seconds", "pace"), RUNS)
def test_the_same_seed_injects_the_same_and_another_one_something_else(seconds: float, pace: Pace) -> None:
    assert injected(seconds, pace) == injected(seconds, pace)
    assert injected(seconds, pace) != injected(seconds, pace, seed=2)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("seconds", "pace"), RUNS)
def test_a_host_has_one_fault_at_a_time_and_all_are_over_before_the_end(seconds: float, pace: Pace, seed: int) -> None:
    made = injected(seconds, pace, seed)
    for host in HOSTS:
        mine = [each for each in made if each.where == host]
        assert all(earlier.until + pace.apart <= later.at for earlier, later in itertools.pairwise(mine))
    assert all(each.until <= seconds - pace.settle for each in made if each.fault is not Fault.KILLED)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("seconds", "pace"), RUNS)
def test_one_trouble_of_slack_or_of_our_own_at_a_time(seconds: float, pace: Pace, seed: int) -> None:
    passing = [each for each in injected(seconds, pace, seed) if each.fault in PASSING]
    assert all(earlier.until < later.at for earlier, later in itertools.pairwise(passing))


@pytest.mark.parametrize("seed", range(20))
def test_at_most_two_hosts_are_blind_at_a_time(seed: int) -> None:
    blind = [each for each in injected(2700, LONG, seed) if each.fault in BLIND]
    for each in blind:
        assert sum(other.at <= each.at < other.until for other in blind) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_long_run_has_every_fault_many_outages_and_some_approvals(seed: int) -> None:
    made = injected(2700, LONG, seed)
    assert {each.fault for each in made} == set(Fault)
    assert sum(each.fault in OUTAGES for each in made) > 30
    assert sum(each.click for each in made) > 2
