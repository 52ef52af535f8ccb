"""Recordings written from documented formats: they say so, are up to date, and are diagnosed as what they are."""

from pathlib import Path

import pytest

from checks.diagnose import diagnose
from checks.model import Confidence
from tests import recordings
from tests.written.__main__ import platforms, written

RECORDINGS = [path for platform in platforms() for path, _ in written(platform)]


@pytest.mark.parametrize("platform", platforms(), ids=lambda platform: platform.name)
def test_what_is_recorded_is_what_is_written(platform: Path) -> None:
    for path, text in written(platform):
        assert path.read_text() == text, "run: python -m tests.written"


def test_no_other_recording_claims_to_be_written_and_none_of_these_to_be_recorded() -> None:
    every = {path.parent.name for path in recordings.FOLDER.glob("*/*.json")}
    assert {name for name in every if recordings.is_written(name)} == {platform.name for platform in platforms()}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_written_host_is_diagnosed_as_what_it_is(path: Path) -> None:
    diagnosis = diagnose(recordings.replay(path))
    causes, risks = recordings.expected(path) or ((), ())
    assert tuple(finding.cause for finding in diagnosis.causes) == causes
    assert tuple(finding.cause for finding in diagnosis.risks) == risks
    if diagnosis.root:
        assert diagnosis.root.confidence is Confidence.PROVEN
