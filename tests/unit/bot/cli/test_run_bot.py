"""What the bot runs on."""

import gc
import sys
from collections.abc import Iterator

import pytest

from bot.cli.run_bot import runner

OF_A_STORM = 400_000
"""Objects of the reports on 1,000 services that fail together."""


@pytest.fixture
def whole_collections() -> Iterator[list[str]]:
    """One of it for each time that all objects are looked through for garbage from now on."""
    found: list[str] = []

    def told(phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            found.append(phase)

    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.callbacks.append(told)
    yield found
    gc.callbacks.remove(told)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def test_the_reports_of_a_storm_stop_nothing_for_a_look_through_all_objects(whole_collections: list[str]) -> None:
    with runner():
        reports = [[number] for number in range(OF_A_STORM)]
    assert len(reports) == OF_A_STORM
    assert whole_collections == []
