"""What systemd itself says of the unit that is deployed."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "dockerhealth.service"
MOST_EXPOSED = 12  # tenths


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine")
def test_the_unit_is_hardly_exposed() -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT)]
    judged = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # fixed words
    assert judged.returncode == 0, judged.stdout + judged.stderr
