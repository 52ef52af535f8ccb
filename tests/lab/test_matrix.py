"""The core of the fault matrix: what is really broken is found, what is not broken is not blamed."""

import pytest

from tests.lab import matrix
from tests.lab.faults import SCENARIOS
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab
CORE = [scenario for scenario in SCENARIOS if scenario.core]


@pytest.mark.timeout(900)
async def test_every_core_scenario_is_diagnosed_right_on_every_host(lab: Lab) -> None:
    """One test for all rows: the hosts work side by side, and a failure lists every row that is not right."""
    rows = await matrix.run(lab, lab.hosts, CORE, print)  # printed: shown where it fails
    wrong = [str(row) for row in rows if not row.verdict.is_right]
    assert not wrong, "\n".join(("", *wrong, matrix.totals(rows)))
