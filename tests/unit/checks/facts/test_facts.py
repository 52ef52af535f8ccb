"""Parsers on recorded output: right on what real hosts print, and never wrong on what nobody prints."""

import functools
from typing import TypeVar

import pytest

from checks.facts import ALL_FACTS
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import CONTAINERS, ENGINE
from checks.facts.firewalld import FIREWALLD
from checks.facts.netfilter import NETFILTER
from checks.facts.nftables import NFTABLES
from checks.facts.path import PATH
from checks.facts.sockets import SOCKETS
from checks.facts.system import SYSTEM
from checks.facts.units import UNITS, known
from checks.model import Output, ReachOutcome, Vantage
from checks.source import Facts, Probe, Source, Unavailable
from tests import recordings

T = TypeVar("T")
PLATFORMS = recordings.platforms()


@functools.cache
def recorded(platform: str, state: str) -> Facts:
    return recordings.load(recordings.FOLDER / platform / f"{state}.json")


def value(facts: Facts, source: Source[T]) -> T:
    found = facts.get(source)
    assert not isinstance(found, Unavailable), found.reason
    return found


@pytest.mark.parametrize("platform", recordings.having("firewalld-running-healthy"))
def test_every_fact_of_a_healthy_host_is_had(platform: str) -> None:
    facts = recorded(platform, "firewalld-running-healthy")
    assert facts.unavailable(ALL_FACTS) == ()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_firewalld_s_zones_are_read(platform: str) -> None:
    deaf = value(recorded(platform, "firewalld-started-after-deaf-dockerd"), FIREWALLD)
    assert (deaf.backend, len(deaf.zones)) == ("iptables", len(deaf.permanent))
    firewalld = value(recorded(platform, "host-network-port-open-forwarding-off"), FIREWALLD)
    assert (firewalld.running, firewalld.default_zone, firewalld.backend) == (True, "public", "nftables")
    zone = firewalld.zone_of("host0")
    assert zone is not None
    assert (zone.name, zone.ports, zone.target) == ("public", ("5000/tcp",), "default")
    assert {"ssh", "dhcpv6-client"} <= set(zone.services)
    assert firewalld.zones["docker"].target == "ACCEPT"
    assert firewalld.permanent["public"].lists(5000)
    closed = value(recorded(platform, "host-network-port-closed"), FIREWALLD)
    assert not closed.zones["public"].lists(5000)
    assert firewalld.service_ports["docker-registry"] == ("5000/tcp",)


@pytest.mark.parametrize("platform", recordings.having("healthy"))
def test_docker_s_rules_are_read_with_their_counters(platform: str) -> None:
    netfilter = value(recorded(platform, "healthy"), NETFILTER)
    [rule] = netfilter.dnat(5000)
    assert rule.option("--to-destination") == "172.17.0.2:5000"
    chain = netfilter.chain("filter", "FORWARD")
    assert chain is not None
    assert chain.policy in {"ACCEPT", "DROP"}
    counted = [
        rule.packets for chains in netfilter.tables.values() for chain in chains.values() for rule in chain.rules
    ]
    assert max(counted) > 0
    assert netfilter.jumps("nat", "PREROUTING", "DOCKER")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_native_chains_are_read(platform: str) -> None:
    hooks = {chain.hook for chain in value(recorded(platform, "healthy"), NFTABLES)}
    assert {"prerouting", "forward"} <= hooks


@pytest.mark.parametrize("platform", recordings.having("firewalld-started-after-deaf-dockerd"))
def test_units_are_read_with_their_times(platform: str) -> None:
    units = known(value(recorded(platform, "firewalld-started-after-deaf-dockerd"), UNITS))
    docker, firewalld = units["docker.service"], units["firewalld.service"]
    assert docker.is_active
    assert docker.main_pid > 0
    assert docker.active_since is not None
    assert firewalld.active_since is not None
    assert docker.active_since <= firewalld.active_since
    assert not units["ufw.service"].installed


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_engine_and_its_containers_are_read(platform: str) -> None:
    facts = recorded(platform, "container-stopped")
    assert platform.endswith(f"docker{value(facts, ENGINE).version.split('+')[0]}")
    [container] = value(facts, CONTAINERS)
    assert (container.name, container.status, container.restart_policy) == ("registry", "exited", "always")
    binding = container.binds(5000)
    assert binding is not None
    assert binding.container_port == 5000


@pytest.mark.parametrize("platform", recordings.having("ip-forward-off"))
def test_the_ladder_and_the_kernel_s_routes_are_read(platform: str) -> None:
    way = value(recorded(platform, "healthy"), PATH).ways[5000]
    assert {rung.vantage: rung.ended for rung in way.rungs} == dict.fromkeys(
        (Vantage.LOOPBACK, Vantage.HOST, Vantage.CONTAINER), ReachOutcome.ANSWERED
    )
    assert way.inbound is not None
    assert way.inbound.device == "docker0"
    assert way.outbound is not None
    assert way.outbound.device == "host0"
    off = value(recorded(platform, "ip-forward-off"), PATH).ways[5000]
    assert off.inbound is not None
    assert (off.inbound.device, off.inbound.answer) == (None, "RTNETLINK answers: No route to host")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_stopped_container_is_refused_from_inside_too(platform: str) -> None:
    way = value(recorded(platform, "container-stopped"), PATH).ways[5000]
    assert {rung.ended for rung in way.rungs} == {ReachOutcome.REFUSED}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_addresses_sockets_and_the_system_are_read(platform: str) -> None:
    facts = recorded(platform, "healthy")
    addresses = value(facts, ADDRESSES)
    assert addresses.interface_of(recordings.address(recordings.FOLDER / platform / "healthy.json")) == "host0"
    assert 5000 in {listening.port for listening in value(facts, SOCKETS)}
    assert value(facts, SYSTEM).distribution.replace(" ", "") == platform.partition("-")[0]


RECORDED_SINCE = ("debian12-docker20.10.24", "debian13-docker26.1.5")
"""What the demo shows has every fact."""


@pytest.mark.parametrize("platform", recordings.having("healthy"))
def test_every_probe_has_a_recording(platform: str) -> None:
    """Also one whose program a platform lacks: then it is recorded how that is said, and what is made of it."""
    facts = recorded(platform, "healthy")
    every = [probe for source in ALL_FACTS for probe in source.probes]
    of_ipv6 = {probe.name for probe in every if isinstance(probe, Probe) and probe.of_ipv6}
    probes = {probe.name for probe in every} - of_ipv6  # nobody reaches its service by that
    younger = set() if platform in RECORDED_SINCE else recordings.YOUNGER.keys()
    assert {*facts.outputs, *facts.missing} - of_ipv6 == probes - younger


@pytest.mark.parametrize(("probe", "state"), recordings.YOUNGER.items())
def test_a_probe_that_is_younger_is_recorded_where_it_matters(probe: str, state: str) -> None:
    assert all(probe in recorded(platform, state).outputs for platform in recordings.having(state))


def test_a_clock_that_is_no_time_makes_the_fact_unavailable_and_crashes_nothing() -> None:
    told = Output("kernel=6.1.0\nclock=99999999999999999999.5\nmodules=6.1.0 \nID=debian\nVERSION_ID=12\n")
    value = Facts("host1", recordings.RECORDED_AT, {"system": told}).get(SYSTEM)
    assert isinstance(value, Unavailable)
    assert "OverflowError" in value.reason
