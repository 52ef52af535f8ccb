"""The short form of the soak: the same story as the long one, in 80 seconds."""

from pathlib import Path

import pytest

from tests.soak.judge import wrong
from tests.soak.run import soak
from tests.soak.schedule import SHORT
from tests.soak.table import table

SECONDS, SEED, HOSTS = 80.0, 32, 16


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_each_fault_is_told_once_none_is_invented_and_none_lost(tmp_path: Path) -> None:
    names = [f"host{number}" for number in range(HOSTS)]
    run = await soak(tmp_path, SECONDS, SEED, names, SHORT, standby=True)
    found = wrong(run)
    assert found == [], table(run, found)
