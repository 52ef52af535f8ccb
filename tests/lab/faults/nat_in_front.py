"""Clients go to an address that no interface of the host has: one that is translated before it, or one that it lost."""

from tests.lab import network
from tests.lab.faults.forwarding import forwarding_switched_off
from tests.lab.host import LabHost
from tests.lab.scenario import (
    AT_LOST_ADDRESS,
    BEHIND_NAT,
    fault,
    healthy,
    one_after_the_other,
    public_address,
    typed,
)


def translated(host: LabHost) -> None:
    """As on a cloud's hosts: 1:1 NAT on the way."""
    network.translate(host.name, public_address(host), host.address, 5000)


def translated_to_nobody(host: LabHost) -> None:
    """The router sends it to an address that the host had before."""
    network.translate(host.name, public_address(host), "10.77.0.250", 5000)


SCENARIOS = (
    healthy("behind-nat", translated, service=BEHIND_NAT),
    fault(
        "behind-nat-and-ip-forward-off",
        one_after_the_other(translated, forwarding_switched_off),
        "ip-forward-off",
        service=BEHIND_NAT,
    ),
    fault(
        "behind-nat-and-docker-user-drops",
        one_after_the_other(translated, typed("iptables -I DOCKER-USER -p tcp --dport 5000 -j DROP")),
        "docker-user-drop",
        service=BEHIND_NAT,
    ),
    fault(
        "behind-nat-and-container-s-answers-have-no-route",
        one_after_the_other(translated, typed("ip rule add from 172.17.0.2 blackhole pref 100")),
        "return-route-missing",
        service=BEHIND_NAT,
    ),
    fault(
        "behind-nat-that-leads-to-nobody",
        translated_to_nobody,
        "blocked-before-host",
        outside="timed out|no route",
        service=BEHIND_NAT,
    ),
    fault(
        "service-s-address-is-lost",
        lambda _: None,
        "service-address-gone",
        outside="timed out|no route",
        service=AT_LOST_ADDRESS,
    ),
)
