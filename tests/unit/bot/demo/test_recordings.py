"""The recordings that are packaged with the demo are those that the tests rest on."""

from pathlib import Path

import pytest

from bot.demo.hosts.recording import FOLDER, load
from checks.facts import ALL_FACTS
from tests.recordings import FOLDER as RECORDED

PACKAGED = sorted(path.relative_to(FOLDER) for path in FOLDER.glob("*/*.json"))


def test_there_are_some() -> None:
    assert len(PACKAGED) == 5


@pytest.mark.parametrize("path", PACKAGED, ids=str)
def test_a_packaged_recording_is_a_copy_of_the_one_from_the_lab(path: Path) -> None:
    same = (FOLDER / path).read_bytes() == (RECORDED / path).read_bytes()
    assert same, f"recorded anew? cp tests/recorded/{path} bot/demo/recordings/{path}"


@pytest.mark.parametrize("path", PACKAGED, ids=str)
def test_every_state_of_a_demo_host_answers_whatever_is_asked(path: Path) -> None:
    recording = load(path.parent.name, path.stem)
    assert {probe.name for source in ALL_FACTS for probe in source.probes} <= recording.outputs.keys()
