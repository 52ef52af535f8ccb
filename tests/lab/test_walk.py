"""The walk against the kernel: what it says of a client's packet is what a client gets, and the rule counts it."""

import shlex

import pytest

from checks.evidence.packet import RULES
from checks.facts.addresses import ADDRESSES, Addresses
from checks.model import Output, ReachOutcome
from checks.source import Facts, Probe, Source, T, Unavailable
from checks.walk import Packet, Place, Ruleset, Trace, rises, walk
from tests.lab import faults
from tests.lab.command import wait_for
from tests.lab.host import LabHost
from tests.lab.walls import CLIENT, WALLS, Wall
from tests.recordings import RECORDED_AT

pytestmark = pytest.mark.lab

ATTEMPTS = 3
ONE_SYN = 0.9  # seconds: the second one is sent after 1
_SOURCES: tuple[Source[object], ...] = (RULES, ADDRESSES)


def facts(host: LabHost) -> Facts:
    """What the probes print, run as root."""
    outputs = {}
    for source in _SOURCES:
        for probe in source.probes:
            assert isinstance(probe, Probe)
            words = shlex.split(probe.command) if probe.root else ["sh", "-c", probe.command]
            done = host.run(*words, check=False)
            outputs[probe.name] = Output(done.stdout, done.stderr, done.returncode)
    return Facts(host.name, RECORDED_AT, outputs)


def need(facts: Facts, source: Source[T]) -> T:
    value = facts.get(source)
    assert not isinstance(value, Unavailable), value.reason
    return value


def rules(facts: Facts) -> Ruleset:
    return need(facts, RULES)


def packet(host: LabHost, addresses: Addresses) -> Packet:
    def route(address: str) -> str | None:
        found = addresses.route_to(address)
        return found.device if found else None

    return Packet(CLIENT, host.address, 5000, "host0", addresses.every_address, route, addresses.bridges)


def settle(host: LabHost) -> None:
    """Await the end of firewalld's start: its first rules are there a while before its last ones."""
    same = "a=$(iptables-save | grep -v '^#'); sleep 1; [ \"$a\" = \"$(iptables-save | grep -v '^#')\" ] && echo same"
    wait_for(f"{host.name}: the rules stay as they are", lambda: "same" in host.sh(same, check=False), timeout=20)


def met(host: LabHost) -> tuple[Trace, set[str], dict[Place, int]]:
    """What the walk says, what clients get, and what rose meanwhile."""
    before = facts(host)
    trace = walk(rules(before), packet(host, need(before, ADDRESSES)))
    got = {host.outside(timeout=ONE_SYN) for _ in range(ATTEMPTS)}
    return trace, got, rises(rules(before), rules(facts(host)))


def words(ended: ReachOutcome | None) -> str:
    return "200" if ended is None else ended.value.replace("-", " ")


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: wall.name)
def test_the_walk_names_the_rule_that_stops_a_client(host: LabHost, wall: Wall) -> None:
    host.sh(wall.script)
    trace, got, risen = met(host)
    assert got == {words(wall.ended)}
    if wall.ended is None:
        assert (trace.clear, trace.stops) == (True, ())
        return
    [stop] = trace.stops[:1]
    assert not trace.clear
    assert wall.stopper in stop.says
    assert stop.ended is wall.ended
    if wall.certain:
        assert (trace.stop, trace.ended) == (stop, wall.ended)
    if wall.counted:
        assert risen[stop.place] == ATTEMPTS


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_docker_s_port_is_clear_through_firewalld(host: LabHost, backend: faults.firewalld.Backend) -> None:
    faults.start_firewalld(host, backend)
    host.run("systemctl", "restart", "docker.service")
    trace, got, _ = met(host)
    assert got == {"200"}
    assert trace.clear, trace.stops


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
def test_what_firewalld_does_not_admit_ends_in_its_zone(host: LabHost, backend: faults.firewalld.Backend) -> None:
    faults.registry_on_host_network_with_firewalld_closed(host)
    if backend == "iptables":
        host.run("systemctl", "stop", "firewalld.service")
        faults.start_firewalld(host, backend)
        settle(host)
    trace, got, risen = met(host)
    assert trace.stop is not None
    assert got == {words(trace.ended)}
    assert trace.ended is (ReachOutcome.NO_ROUTE if backend == "nftables" else ReachOutcome.REFUSED)
    if backend == "iptables":
        assert risen[trace.stop.place] >= ATTEMPTS  # others are rejected there too


def test_strict_forward_ports_rejects_what_docker_translates(host: LabHost) -> None:
    """A setting of firewalld 2.3; 1.3 does not know it and lets it through."""
    host.run("sed", "-i", "s/^StrictForwardPorts=.*/StrictForwardPorts=yes/", "/etc/firewalld/firewalld.conf")
    faults.start_firewalld(host, "nftables")
    host.run("systemctl", "restart", "docker.service")
    trace, got, _ = met(host)
    assert got == {words(trace.ended)}
    if host.generation == "bookworm":
        assert trace.clear
        return
    assert trace.stop is not None
    assert "chain filter_FORWARD_dnat: reject with icmpx admin-prohibited" in trace.stop.says


def test_a_rich_rule_of_firewalld_is_named(host: LabHost) -> None:
    faults.registry_on_host_network_with_port_open(host)
    rule = f"rule family=ipv4 source address={CLIENT} port port=5000 protocol=tcp reject"
    host.run("firewall-cmd", "--quiet", f"--add-rich-rule={rule}")
    trace, got, _ = met(host)
    assert trace.stop is not None
    assert f"ip saddr {CLIENT} tcp dport 5000 reject with icmp port-unreachable" in trace.stop.says
    assert (got, trace.ended) == ({"refused"}, ReachOutcome.REFUSED)


def test_of_two_chains_of_one_priority_the_walk_does_not_say_which_is_asked_first(host: LabHost) -> None:
    """The kernel asks the one first that was made last, which no listing tells."""
    host.sh("iptables -I DOCKER-USER -i host0 -j REJECT --reject-with icmp-host-prohibited")
    host.sh("nft add table inet wall; nft add chain inet wall c '{ type filter hook forward priority 0; }'")
    host.sh("nft add rule inet wall c tcp dport 5000 counter reject with tcp reset")
    trace, got, risen = met(host)
    assert (trace.stop, trace.ended, trace.blocked) == (None, None, True)
    assert got == {"refused"}
    assert [risen[stop.place] for stop in trace.stops] == [0, ATTEMPTS]
