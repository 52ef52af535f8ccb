"""IPsec and traffic control: what they end is told by what they counted, and by nothing else."""

import pytest

from checks.model import Confidence
from tests.unit.checks.container_looks import causes, missing, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, reported

BOTH = (BOOKWORM, TRIXIE)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "cause", "says"),
    [
        ("ipsec-policy-without-a-tunnel", "ipsec-policy-drop", "XfrmOutNoStates rose by"),
        ("ipsec-policy-without-a-tunnel", "ipsec-policy-drop", "the tunnel is not up"),
        ("ipsec-policy-blocks-answers", "ipsec-policy-drop", "XfrmOutPolBlock rose by"),
        ("queue-of-bridge-loses-all", "queue-drops", "sudo tc qdisc del dev docker0 root"),
        ("queue-of-container-s-cable-loses-all", "queue-drops", "qdisc tbf 8"),
    ],
)
def test_what_rose_by_the_attempts_is_what_ended_them(platform: str, state: str, cause: str, says: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN
    assert says in told(seen)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "probe", "cause"),
    [
        ("ipsec-policy-without-a-tunnel", "ipsec", "ipsec-policy-drop"),
        ("queue-of-bridge-loses-all", "queues", "queue-drops"),
    ],
)
def test_without_its_counters_neither_is_told(platform: str, state: str, probe: str, cause: str) -> None:
    seen = missing(recorded(platform, state), probe)
    assert causes(seen) != (cause,)
    assert cause in {finding.cause for finding in reported(seen).diagnosis.not_told}
