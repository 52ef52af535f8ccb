"""The container's own network: where its answers go, whose network it is in, and who else has its hardware address."""

from dataclasses import replace
from typing import Any

import pytest

from checks.facts.engine import CONTAINERS
from checks.model import Confidence, ReachOutcome
from tests.looks import changed
from tests.unit.checks.container_looks import causes, healthy, inspected, printing, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, commands, plan_of, recorded, refusal_of, reported

BOTH = (BOOKWORM, TRIXIE)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "where"),
    [
        ("vpn-in-the-container-takes-its-answers", "sends it elsewhere than to the host: 0.0.0.0/1 dev lo"),
        ("container-s-default-route-by-nobody", "elsewhere than to the host: default via 172.17.0.250 dev eth0"),
        ("container-also-on-a-macvlan", "sends it elsewhere than to the host: 10.77.1.0/24 dev eth1"),
        ("container-on-two-bridges-and-a-strict-filter", "strict reverse path filter"),
    ],
)
def test_answers_that_do_not_go_back_through_the_host_are_seen_in_the_container_s_own_routes(
    platform: str, state: str, where: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("container-return-route-missing",)
    assert root(seen).confidence is Confidence.PROVEN
    assert where in told(seen)
    assert not reported(seen).proposed


def test_without_a_route_at_all_the_container_knows_no_way_to_clients() -> None:
    seen = recorded(BOOKWORM, "container-s-default-route-by-nobody")
    assert seen.facts is not None
    lines = seen.facts.outputs["path"].stdout.split("\n")
    bare = "\n".join(line for line in lines if not line.startswith("eth0\t00000000\t"))
    assert "knows no way to it" in told(printing(seen, "path", bare))


@pytest.mark.parametrize("platform", BOTH)
def test_a_route_by_docker_s_own_gateway_rules_it_out_with_that_route(platform: str) -> None:
    seen = recorded(platform, "docker-user-stops-the-answers")
    [ruled_out] = [one for one in reported(seen).diagnosis.ruled_out if one.cause == "container-return-route-missing"]
    assert ruled_out.why.endswith("by the host, 172.17.0.1: default via 172.17.0.1 dev eth0")


def test_who_may_make_routing_rules_of_its_own_is_not_judged_by_its_main_table() -> None:
    """A VPN client such as gluetun leaves the main table alone, and sends what it marks by another one."""
    seen = recorded(BOOKWORM, "docker-user-stops-the-answers")

    def may_route(one: dict[str, Any]) -> None:
        one["HostConfig"]["CapAdd"] = ["NET_ADMIN"]

    may = reported(inspected(seen, may_route)).diagnosis.not_told
    [untold] = [one for one in may if one.cause == "container-return-route-missing"]
    assert "may have routing rules of its own" in untold.why


@pytest.mark.parametrize("platform", BOTH)
def test_a_container_that_was_left_in_the_old_network_of_another_is_restarted_not_that_other_one(platform: str) -> None:
    seen = recorded(platform, "network-shared-with-a-container-that-was-restarted")
    assert causes(seen) == ("shared-network-lost",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "container registry is in the network of vpn, which publishes the port" in told(seen)
    assert commands(plan_of(seen, "restart-container")) == ["docker restart registry"]


def test_whose_network_is_gone_altogether_has_to_be_made_anew() -> None:
    seen = recorded(BOOKWORM, "network-shared-with-a-container-that-was-restarted")

    def of_another(one: dict[str, Any]) -> None:
        one["HostConfig"]["NetworkMode"] = "container:" + "f" * 64

    gone = inspected(seen, of_another)
    assert causes(gone) == ("shared-network-lost",)
    assert "docker compose up -d --force-recreate registry" in told(gone)
    assert "has to be made anew" in refusal_of(gone, "restart-container").why


@pytest.mark.parametrize("platform", BOTH)
def test_two_containers_with_one_hardware_address_are_both_named(platform: str) -> None:
    seen = recorded(platform, "two-containers-with-one-hardware-address")
    assert causes(seen) == ("hardware-address-twice",)
    assert "containers registry and twin are on one bridge, both with 02:42:ac:11:00:aa" in told(seen)
    assert not reported(seen).proposed


def test_one_hardware_address_on_two_bridges_is_nobody_s_fault() -> None:
    seen = recorded(BOOKWORM, "two-containers-with-one-hardware-address")

    def apart(one: dict[str, Any]) -> None:
        one["NetworkSettings"]["Networks"]["bridge"]["NetworkID"] = "another"

    assert "hardware-address-twice" not in causes(inspected(seen, apart))


@pytest.mark.parametrize("platform", BOTH)
def test_a_container_whose_interface_is_switched_off_is_told_by_the_other_end_of_its_cable(platform: str) -> None:
    """Its routes went with it, and the host does not find it: neither is another fault."""
    seen = recorded(platform, "container-s-interface-is-off")
    assert causes(seen) == ("container-interface-down",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "has no carrier: its other end, in the container, is switched off" in told(seen)
    assert commands(plan_of(seen, "restart-container")) == ["docker restart registry"]


@pytest.mark.parametrize("platform", BOTH)
def test_where_the_container_s_own_links_are_not_known_and_another_is_plugged_in_none_is_blamed(platform: str) -> None:
    seen = changed(recorded(platform, "container-s-interface-is-off"), "path", "Iface\t", "Nothing\t")
    assert seen.facts is not None
    lines = seen.facts.outputs["addresses"].stdout.splitlines()
    line = next(one for one in lines if "NO-CARRIER" in one and "veth" in one)
    other = line.replace("NO-CARRIER,", "").replace("veth", "vetha")
    assert "container-interface-down" not in causes(changed(seen, "addresses", line, f"{line}\n{other}"))


def test_a_task_of_a_swarm_is_known_by_its_service_s_name() -> None:
    seen = recorded(TRIXIE, "routing-mesh-without-ipvs")
    container = seen.container
    assert container is not None
    assert container.name.startswith("registry.1.")
    assert not seen.stands_in
    assert causes(seen) == ("undetermined",)


def test_a_healthy_container_has_one_of_each() -> None:
    assert {one.networks[0].hardware for one in healthy(BOOKWORM).need(CONTAINERS)} != {""}
    silent = replace(healthy(BOOKWORM), outside=replace(healthy(BOOKWORM).outside, ended=ReachOutcome.TIMED_OUT))
    assert "hardware-address-twice" not in causes(silent)
