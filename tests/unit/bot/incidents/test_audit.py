"""The audit log: whatever is changed, left out, put in or put in another order is found."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.audit import GENESIS, Entry, Sealed, flaw, refers_to, sealed
from tests.unit.bot.samples import T0


def entry(number: int) -> Entry:
    at = T0 + timedelta(seconds=number)
    data = {"command": f"sudo step {number}", "status": number % 3, "output": "ä\n<&>"}
    return Entry(at, "U0ALICE", "host1", "registry", "step-ended", f"step {number} ended", "run-1", data)


def log(length: int) -> list[Sealed]:
    entries: list[Sealed] = []
    for number in range(1, length + 1):
        entries.append(sealed(entry(number), number, entries[-1].hash if entries else GENESIS))
    return entries


def test_a_log_that_nobody_touched_is_sound() -> None:
    assert flaw(log(20)) == ""
    assert flaw([]) == ""


CHANGES = {
    "at": T0 + timedelta(days=1),
    "actor": "U0MALLORY",
    "host": "host2",
    "service": "web",
    "event": "step-started",
    "says": "nothing happened",
    "run": "run-2",
    "data": {"command": "sudo something else"},
}


@given(place=st.integers(0, 9), field=st.sampled_from(sorted(CHANGES)))
def test_a_changed_entry_is_found_whatever_of_it_was_changed(place: int, field: str) -> None:
    entries = log(10)
    changes = {field: CHANGES[field]}
    entries[place] = replace(entries[place], entry=replace(entries[place].entry, **changes))  # type: ignore[arg-type]
    assert flaw(entries) == f"entry {place + 1} was changed after it was written"


@given(place=st.integers(0, 8))
def test_an_entry_that_was_left_out_is_found(place: int) -> None:
    entries = log(10)
    del entries[place]
    assert "is missing" in flaw(entries)


@given(place=st.integers(0, 8))
def test_an_entry_that_was_replaced_with_its_hash_does_not_fit_the_next_one(place: int) -> None:
    entries = log(10)
    entries[place] = sealed(entry(99), place + 1, entries[place].previous)
    assert flaw(entries) == f"entry {place + 2} does not follow the one before it: one of the two was changed or put in"


def test_a_log_that_was_cut_off_or_written_anew_lacks_what_was_noted_elsewhere() -> None:
    entries = log(10)
    noted = entries[-1].reference
    assert refers_to(noted, entries)
    assert flaw(entries[:-1]) == ""
    assert not refers_to(noted, entries[:-1])
    anew = [sealed(replace(entries[0].entry, says="nothing"), 1, GENESIS)]
    assert flaw(anew) == ""
    assert not refers_to(entries[0].reference, anew)


@pytest.mark.parametrize("hours", [-11, 0, 5.5])
def test_the_hash_is_that_of_the_moment_and_not_of_its_time_zone(hours: float) -> None:
    elsewhere = replace(entry(1), at=T0.astimezone(timezone(timedelta(hours=hours))))
    assert sealed(elsewhere, 1, GENESIS).hash == sealed(replace(entry(1), at=T0), 1, GENESIS).hash
