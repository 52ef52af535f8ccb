"""A bridge of Docker's in another zone than docker: dockerd says so, and does not start."""

import pytest

from checks.model import Confidence
from tests.looks import changed
from tests.unit.checks.container_looks import PLATFORMS, causes, root, told
from tests.unit.checks.fixes.plans import recorded


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_dockerd_that_systemd_starts_once_more_is_known_to_have_failed(platform: str) -> None:
    """The result of its last start is gone by then."""
    seen = changed(recorded(platform, "docker0-bound-to-public"), "units", "Result=exit-code", "Result=success")
    seen = changed(seen, "units", "SubState=auto-restart", "SubState=start")
    assert causes(seen) == ("firewalld-zone-conflict", "dockerd-down")
    assert root(seen).confidence is Confidence.PROVEN
    assert "docker.service is activating (start), its last run ended with: a failure, by the journal" in told(seen)
