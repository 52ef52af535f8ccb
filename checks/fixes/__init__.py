"""Every fix, one file a family. To add one: its file, one line here, its tests."""

from checks.fixes import container, docker, docker_user, firewalld, forwarding, kernel
from checks.fixes.fix import Fix

ALL_FIXES: tuple[Fix, ...] = (
    forwarding.FIX,
    forwarding.INTERFACE,
    kernel.FILTER,
    kernel.CONNTRACK,
    docker.RESTART,
    docker.START,
    docker_user.FIX,
    firewalld.FIX,
    firewalld.BRIDGE,
    firewalld.STOP,
    container.FIX,
    container.RESTART,
    container.UNPAUSE,
)
