"""Every fix, one file a family. To add one: its file, one line here, its tests."""

from checks.fixes import container, docker, firewalld, forwarding
from checks.fixes.fix import Fix

ALL_FIXES: tuple[Fix, ...] = (
    forwarding.FIX,
    docker.RESTART,
    docker.START,
    firewalld.FIX,
    container.FIX,
    container.RESTART,
    container.UNPAUSE,
)
FIX_IDS = tuple(fix.id for fix in ALL_FIXES)
