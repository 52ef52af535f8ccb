"""Whose turn it is."""

from itertools import pairwise

from bot.monitoring.turns import Turns

SLOT = 0.05


def asked(turns: Turns[str], begin: float, end: float) -> list[tuple[str, float]]:
    """Who is asked, and when, by somebody who comes by once a slot."""
    slots = round((end - begin) / SLOT)
    times = [begin + SLOT * (number + 1) for number in range(slots)]
    return [(item, now) for now in times for item, _ in turns.due(now, SLOT)]


def test_each_has_its_turn_once_an_interval_and_all_are_spread_over_it() -> None:
    turns = Turns("abcde", 5.0, begin=100.0)
    told = asked(turns, 100.0, 115.0)
    assert [item for item, _ in told] == list("abcde") * 3
    assert all(0.9 < later - earlier < 1.1 for (_, earlier), (_, later) in pairwise(told))


def test_what_is_asked_late_does_not_move_its_next_turn() -> None:
    turns = Turns("a", 5.0, begin=0.0)
    assert turns.due(3.9, SLOT) == [("a", 2.5)]
    assert turns.due(7.4, SLOT) == []
    assert turns.due(7.5, SLOT) == [("a", 7.5)]


def test_what_was_missed_is_done_once() -> None:
    turns = Turns("a", 5.0, begin=0.0)
    assert turns.due(3600.0, SLOT) == [("a", 2.5)]
    assert turns.due(3602.0, SLOT) == []
    assert turns.due(3602.5, SLOT) == [("a", 3602.5)]


def test_after_a_pause_not_all_are_asked_at_once() -> None:
    many = [f"service{number}" for number in range(2000)]
    turns = Turns(many, 5.0, begin=0.0)
    told = asked(turns, 60.0, 66.0)
    per_slot = [sum(1 for _, at in told if at == slot) for slot in {at for _, at in told}]
    assert max(per_slot) <= 2 * 2000 * SLOT / 5.0 + 1
    assert {item for item, at in told if at <= 65.1} == set(many)


def test_the_first_turns_may_come_sooner_and_the_others_are_spread_all_the_same() -> None:
    turns = Turns("abcd", 300.0, begin=0.0, spread=10.0)
    told = asked(turns, 0.0, 1000.0)
    assert [item for item, at in told if at < 10.0] == list("abcd")
    later = [at for _, at in told if at > 10.0]
    assert len(later) >= 10
    assert all(60.0 < second - first < 90.0 for first, second in pairwise(later))
    for item in "abcd":
        gaps = [second - first for first, second in pairwise(at for each, at in told if each == item)]
        assert all(150.0 <= gap <= 450.0 for gap in gaps)


def test_where_there_is_nobody_no_turn_comes() -> None:
    assert Turns((), 5.0, begin=0.0).next == float("inf")
    assert Turns((), 5.0, begin=0.0).due(100.0, SLOT) == []
