"""The generator of random faults: what it makes is the same again, and says of each what is true of it."""

from itertools import islice

import pytest

from checks.causes import ALL_CAUSES
from tests.lab.random_faults import KINDS, Death, Fault, faults

ENOUGH = 600
"""Faults of one seed, in which every kind has come many times."""


@pytest.fixture(scope="module")
def made() -> list[Fault]:
    return list(islice(faults(1), ENOUGH))


def test_the_same_seed_makes_the_same_faults(made: list[Fault]) -> None:
    assert list(islice(faults(1), ENOUGH)) == made


def test_another_seed_makes_others(made: list[Fault]) -> None:
    assert list(islice(faults(2), 20)) != made[:20]


def test_no_fault_comes_twice(made: list[Fault]) -> None:
    assert len({fault.lines for fault in made}) == ENOUGH


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_comes_and_says_where_the_packet_dies(made: list[Fault], kind: str) -> None:
    of_kind = [fault for fault in made if fault.kind == kind]
    assert of_kind
    assert all(fault.deaths for fault in of_kind)


def test_each_death_comes(made: list[Fault]) -> None:
    assert {death for fault in made for death in fault.deaths} == set(Death)


def test_a_cause_that_is_said_to_be_true_is_one_that_the_product_has(made: list[Fault]) -> None:
    assert {cause for fault in made for cause in fault.causes} <= {cause.id for cause in ALL_CAUSES}


def test_a_rule_that_refuses_says_so_of_the_client_s_packet(made: list[Fault]) -> None:
    refusing = [fault for fault in made if fault.kind == "iptables" and "REJECT" in fault.lines]
    assert refusing
    assert all(Death.REFUSED_BY_HOST in fault.deaths for fault in refusing)


def test_a_reset_is_never_withheld_as_an_icmp_error_may_be(made: list[Fault]) -> None:
    resetting = [fault for fault in made if fault.kind == "iptables" and "tcp-reset" in fault.lines]
    assert resetting
    assert all(fault.deaths == {Death.REFUSED_BY_HOST} for fault in resetting)
