"""One way in which a host is broken, or only looks so, and what a right diagnosis of it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from checks.model import Service, Stretch
from tests.lab import outside
from tests.lab.host import LabHost
from tests.lab.network import IPV6_PREFIX, OFFICE_ADDRESS, OFFICE_PREFIX, OUTSIDE_ADDRESS, PUBLIC_PREFIX

_PATIENCE, _PAUSE = 10.0, 0.1
"""Seconds that a host may take to show outside what a scenario says: a right answer may be a late one."""

Act = Callable[[LabHost], object]

UNDETERMINED = "undetermined"
REGISTRY = Service("registry", "http://{address}:5000/v2/", container="registry")
"""The service of the baseline. ``{address}`` is the host's own, ``{office}`` its second one, see `office_address`.

``{ipv6}`` is that of `ipv6_address`, ``{public}`` that of `public_address`, ``{lost}`` that of `lost_address`.
"""

ON_TLS = replace(REGISTRY, url="https://{address}:5000/v2/")
IN_OFFICE = replace(REGISTRY, url="http://{office}:5000/v2/")
BEHIND_NAT = replace(REGISTRY, url="http://{public}:5000/v2/")
AT_LOST_ADDRESS = replace(REGISTRY, url="http://{lost}:5000/v2/")
BY_IPV6 = replace(REGISTRY, url="http://[{ipv6}]:5000/v2/")


class Kind(StrEnum):
    FAULT = "fault"  # one thing is wrong
    PAIR = "pair"  # two things are wrong at once, each of which breaks the service by itself
    HEALTHY = "healthy"  # nothing is wrong with the service, however odd the host looks


@dataclass(frozen=True)
class Source:
    """Where people told in public of a fault, and what they told, in our words."""

    url: str
    says: str


@dataclass(frozen=True)
class Scenario:
    """``causes``: what a right diagnosis names, the root first; of a pair either may be the root.

    ``outside``: how the request of the lab's own witness may end. ``not_on``: generations that cannot be brought to
    it, and why. ``segment``: where a packet is to be seen to die; None where that is not looked at.
    """

    name: str
    break_: Act
    causes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ("200",)
    kind: Kind = Kind.HEALTHY
    service: Service = REGISTRY
    risks: tuple[str, ...] = ()
    cold: bool = False  # the look's login is made after the break, not before
    core: bool = False  # one of the few that CI runs, which together touch every family
    not_on: Mapping[str, str] = field(default_factory=dict)
    segment: Stretch | None = None
    source: Source | None = None

    def applies_to(self, host: LabHost) -> bool:
        return host.generation not in self.not_on

    def service_of(self, host: LabHost) -> Service:
        """The service under test, on this very host."""
        url = self.service.url.format(
            address=host.address,
            office=office_address(host),
            ipv6=ipv6_address(host),
            public=public_address(host),
            lost=lost_address(host),
        )
        return replace(self.service, url=url)

    def seen(self, host: LabHost) -> str:
        """How a client's request ends now."""
        return outside.reach_url(self.service_of(host).url)


def broken(host: LabHost, scenario: Scenario) -> str:
    """Break a host, await what that shows outside, and say it: also what is not as the scenario says."""
    scenario.break_(host)
    until = time.monotonic() + _PATIENCE
    while (seen := scenario.seen(host)) not in scenario.outside and time.monotonic() < until:
        time.sleep(_PAUSE)
    return seen


def fault(name: str, break_: Act, *causes: str, outside: str = "timed out", **more: object) -> Scenario:
    """``outside`` may name several outcomes, with a bar between them."""
    return Scenario(name, break_, causes, tuple(outside.split("|")), Kind.FAULT, **more)  # type: ignore[arg-type]  # checked where the field is declared


def pair(name: str, break_: Act, *causes: str, outside: str = "timed out", **more: object) -> Scenario:
    return Scenario(name, break_, causes, tuple(outside.split("|")), Kind.PAIR, **more)  # type: ignore[arg-type]  # as above


def healthy(name: str, break_: Act, **more: object) -> Scenario:
    return Scenario(name, break_, **more)  # type: ignore[arg-type]  # as above


def office_address(host: LabHost) -> str:
    """A second address that a scenario may give to its host, in a network whose hosts the watcher is one of too.

    What breaks the way back to the watcher in that network leaves SSH alone, which goes by the first one.
    """
    return f"{OFFICE_PREFIX}.{host.address.rpartition('.')[2]}"


def ipv6_address(host: LabHost) -> str:
    """An address of IPv6 that a scenario may give to its host; the watcher has one in that network then."""
    return f"{IPV6_PREFIX}::{host.address.rpartition('.')[2]}"


def public_address(host: LabHost) -> str:
    """An address by which a scenario may have its host reached behind NAT."""
    return f"{PUBLIC_PREFIX}.{_last_of(host)}"


def lost_address(host: LabHost) -> str:
    """One on the hosts' own link that no host has."""
    return f"{host.address.rpartition('.')[0]}.{100 + int(_last_of(host))}"


def _last_of(host: LabHost) -> str:
    return host.address.rpartition(".")[2]


def typed(script: str) -> Act:
    """What somebody types as root on the host, to the first line that fails.

    ``$ADDRESS`` is the host's, ``$CLIENT`` the watcher's; ``$OFFICE`` and ``$OFFICE_CLIENT`` are the second ones.
    """

    def act(host: LabHost) -> None:
        names = {
            "ADDRESS": host.address,
            "CLIENT": OUTSIDE_ADDRESS,
            "OFFICE": office_address(host),
            "OFFICE_CLIENT": OFFICE_ADDRESS,
        }
        host.sh("\n".join(["set -e", *(f"{name}={value}" for name, value in names.items()), script]))

    return act


def one_after_the_other(*acts: Act) -> Act:
    def act(host: LabHost) -> None:
        for each in acts:
            each(host)

    return act


def write(host: LabHost, path: str, text: str, mode: str = "0644") -> None:
    """A file of the host's, with its folder."""
    host.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)
