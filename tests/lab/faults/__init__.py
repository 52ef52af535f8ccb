"""Ways to really break a host, as people and programs do it, one file a family. `LabHost.restore` undoes all of them.

What each shows to the vantages was seen on real hosts and stands in ../README.md.
"""

from tests.lab.faults import (
    containers,
    docker_rules,
    firewalld,
    foreign_firewalls,
    forwarding,
    hosts,
    ipv6,
    links,
    nat_in_front,
    pairs,
    publication,
    publishers,
    registries,
    reported,
    routes,
    watched,
)
from tests.lab.faults.containers import container_removed, container_stopped, dockerd_stopped
from tests.lab.faults.docker_rules import chains_flushed_but_served_by_proxy
from tests.lab.faults.firewalld import (
    firewalld_running_port_not_listed_but_dnat_healthy,
    firewalld_started_after_deaf_dockerd,
    registry_on_host_network_with_firewalld_closed,
    registry_on_host_network_with_port_open,
    start_firewalld,
)
from tests.lab.faults.forwarding import forwarding_switched_off, hardening_file_says_zero
from tests.lab.faults.hosts import host_network_down, sshd_stopped
from tests.lab.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *hosts.SCENARIOS,
    *forwarding.SCENARIOS,
    *docker_rules.SCENARIOS,
    *firewalld.SCENARIOS,
    *foreign_firewalls.SCENARIOS,
    *publication.SCENARIOS,
    *publishers.SCENARIOS,
    *containers.SCENARIOS,
    *registries.SCENARIOS,
    *routes.SCENARIOS,
    *watched.SCENARIOS,
    *links.SCENARIOS,
    *nat_in_front.SCENARIOS,
    *reported.SCENARIOS,
    *ipv6.SCENARIOS,
    *pairs.SCENARIOS,
)

__all__ = [
    "SCENARIOS",
    "chains_flushed_but_served_by_proxy",
    "container_removed",
    "container_stopped",
    "dockerd_stopped",
    "firewalld_running_port_not_listed_but_dnat_healthy",
    "firewalld_started_after_deaf_dockerd",
    "forwarding_switched_off",
    "hardening_file_says_zero",
    "host_network_down",
    "registry_on_host_network_with_firewalld_closed",
    "registry_on_host_network_with_port_open",
    "sshd_stopped",
    "start_firewalld",
]
