"""The file descriptors that this process may have, shared out: what is watched comes first, looks get the rest."""

import contextlib
import resource
from collections.abc import Collection
from dataclasses import dataclass

from checks.collect.engine import AT_ONCE
from checks.model import Host

_OWN = 96
"""Of the process itself: the store's connections with their journals, Slack, name servers, the log."""

_A_HOST = 1
"""Its SSH connection, which stays; a host by way of others has one for each of them too."""

_A_SERVICE = 1
"""A reading under way."""

_A_LOOK, _A_LOOK_S_SERVICE = 10, 8
"""A socket that leads to the Engine, with both its ends, and attempts at other hosts; the attempts at a service."""


@dataclass(frozen=True)
class Budget:
    """How many descriptors there are, how many it takes with one look at a time, and how many looks there may be."""

    limit: int
    least: int
    looks: int

    @property
    def suffices(self) -> bool:
        return self.limit >= self.least


def shared_out(limit: int, hosts: Collection[Host], most_looks: int) -> Budget:
    """Share ``limit`` descriptors out. There is always room for one look, or nothing would ever be found out. Pure."""
    services = [len(host.services) for host in hosts]
    jumps = sum(host.login.proxy_jump.count(",") + 1 for host in hosts if host.login.proxy_jump is not None)
    always = _OWN + _A_HOST * (len(hosts) + jumps) + _A_SERVICE * sum(services)
    a_look = _A_LOOK + _A_LOOK_S_SERVICE * max(services, default=0)
    looks = (limit - always) // a_look
    return Budget(limit, always + a_look, max(1, min(looks, most_looks, AT_ONCE)))


def limit() -> int:
    """How many this process may have: as many as it may ask for, which is more than what it begins with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # where a sandbox forbids it, LimitNOFILE stands
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft
