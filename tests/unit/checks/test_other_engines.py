"""Engines that keep their rules elsewhere than in iptables: what rests on Docker's iptables rules is not told there.

The looks are put together by hand from what was seen on real hosts: see engine_looks.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.baseline import baseline
from checks.diagnose import diagnose
from checks.facts.engine import CONTAINERS, ENGINE, EngineInfo, FirewallBackend
from checks.look import Look
from checks.model import Confidence, ReachOutcome
from checks.timeline import differences
from tests import recordings
from tests.looks import TIMED_OUT, changed, look
from tests.unit.checks.container_looks import causes, ladder, missing, printing, risks, root, seen_as, told, untold
from tests.unit.checks.engine_looks import (
    DOCKER_TABLES,
    counting,
    flushed,
    on_nftables,
    on_podman,
    said_to_be_docker,
    said_to_be_podman,
    switched_to_nftables,
)
from tests.unit.checks.fixes.plans import plan_of, recorded, refusal_of, reported

SID, BOOKWORM = "debian-docker28.5.2", "debian12-docker20.10.24"
STATES = sorted((recordings.FOLDER / BOOKWORM).glob("*.json"))
NFTABLES = "Docker's rules: they are in nftables on host1 (its firewall backend), which dockerhealth does not read yet"
PODMAN = "Docker's rules: the engine of host1 is Podman Engine 5.4.2, whose rules dockerhealth does not know yet"
ON_DOCKER_S_RULES = {
    "docker-chains-missing",
    "docker-nat-rule-missing",
    "docker-nat-rule-bypassed",
    "docker-forward-rule-missing",
    "dnat-target-stale",
    "docker-iptables-disabled",
    "docker-user-drop",
    "docker-proxy-gone",
    "iptables-backends-split",
    "firewalld-forward-reject",
}
RISKS_OF_DOCKER_S_RULES = {
    "chains-missing-but-served",
    "docker-deaf-to-firewalld",
    "docker-isolation-lost",
    "forward-policy-open",
}
FIXES_OF_DOCKER_S_RULES = {"restart-docker", "allow-in-docker-user", "stop-firewalld"}
Engine = Callable[[Look], Look]
ENGINES: list[Engine] = [on_nftables, on_podman]


def engine_of(seen: Look) -> EngineInfo:
    return seen.need(ENGINE)


def plans(seen: Look) -> set[str]:
    return {plan.fix for plan in reported(seen).plans}


def why_untold(seen: Look) -> dict[str, str]:
    return {finding.cause: finding.why for finding in diagnose(seen).not_told}


def test_an_engine_is_who_its_components_say_and_docker_where_it_lists_none() -> None:
    healthy = recorded(SID, "healthy")
    assert engine_of(healthy).says == "Docker 28.5.2+dfsg4"  # recorded before they were asked for
    assert engine_of(on_nftables(healthy)).says == "Docker 29.7.2"
    assert engine_of(on_podman(healthy)).says == "Podman Engine 5.4.2"
    assert not engine_of(on_podman(healthy)).is_docker


@pytest.mark.parametrize(
    ("driver", "backend"),
    [
        ("iptables", FirewallBackend.IPTABLES),
        ("iptables+firewalld", FirewallBackend.IPTABLES),
        ("nftables", FirewallBackend.NFTABLES),
        ("nftables+firewalld", FirewallBackend.NFTABLES),
        ("something-of-tomorrow", FirewallBackend.UNKNOWN),
    ],
)
def test_the_firewall_backend_is_the_one_that_docker_names(driver: str, backend: FirewallBackend) -> None:
    assert engine_of(said_to_be_docker(recorded(SID, "healthy"), driver)).firewall_backend is backend


def test_an_engine_that_names_no_backend_is_a_docker_with_iptables_or_not_known() -> None:
    assert engine_of(recorded(BOOKWORM, "healthy")).firewall_backend is FirewallBackend.IPTABLES
    assert engine_of(on_podman(recorded(SID, "healthy"))).firewall_backend is FirewallBackend.UNKNOWN


def test_an_inspect_of_docker_29_has_all_that_is_read_of_it() -> None:
    """Of NetworkSettings it keeps four keys: the address of old stands under Networks alone."""
    seen = recorded(SID, "healthy")
    assert on_nftables(seen).need(CONTAINERS) == seen.need(CONTAINERS)


@pytest.mark.parametrize("driver", ["nftables", "nftables+firewalld"])
def test_forwarding_off_on_docker_29_with_nftables_is_that_and_no_restart_of_dockerd_is_offered(driver: str) -> None:
    """Without forwarding such a dockerd refuses to start: a restart would take every container down."""
    seen = on_nftables(recorded(SID, "ip-forward-off"), driver)
    assert causes(seen) == ("ip-forward-off",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "RTNETLINK answers: No route to host" in told(seen)
    assert "dockerd did when it started" not in told(seen)
    assert plans(seen) == {"enable-ip-forward"}
    assert NFTABLES.partition(": ")[2] in plan_of(seen, "enable-ip-forward").blast_radius


def test_forwarding_off_under_podman_is_that_and_no_restart_of_dockerd_is_offered() -> None:
    """Whoever has no command docker cannot ask for the container's address: its table says where packets are sent."""
    seen = on_podman(recorded(SID, "ip-forward-off"))
    assert causes(seen) == ("ip-forward-off",)
    assert root(seen).confidence is Confidence.PROVEN
    assert plans(seen) == {"enable-ip-forward"}


@pytest.mark.parametrize("engine", ENGINES)
def test_forwarding_off_is_likely_only_where_no_rule_is_seen_to_lead_to_the_container(engine: Engine) -> None:
    for seen in (
        flushed(engine(recorded(SID, "ip-forward-off"))),
        missing(engine(recorded(SID, "ip-forward-off")), "nftables"),
    ):
        assert causes(seen) == ("ip-forward-off",)
        assert root(seen).confidence is Confidence.LIKELY


def test_one_interface_s_switch_is_told_on_docker_29_with_nftables_too() -> None:
    seen = on_nftables(recorded(SID, "host0-forwarding-off"))
    assert causes(seen) == ("interface-forwarding-off",)
    assert root(seen).confidence is Confidence.PROVEN


@pytest.mark.parametrize("engine", [*ENGINES, switched_to_nftables])
@pytest.mark.parametrize("beginning", ["healthy", "chains-missing-but-served"])
def test_such_a_host_that_is_well_has_no_risk_of_docker_s_rules(engine: Engine, beginning: str) -> None:
    seen = engine(recorded(SID, beginning))
    assert causes(seen) == ()
    assert risks(seen) == {"ip-forward-not-persisted"}  # which is true of any of them: no file says 1
    assert plans(seen) == {"enable-ip-forward"}


@pytest.mark.parametrize("path", STATES, ids=lambda path: path.stem)
def test_whatever_is_wrong_with_docker_s_rules_in_iptables_is_not_told_of_another_engine(path: Path) -> None:
    seen = recordings.replay(path)
    if seen.facts is None or "engine-info" not in seen.facts.outputs:
        return  # nobody said who it is
    for engine in (said_to_be_docker, said_to_be_podman):
        found = reported(engine(seen))
        assert not {finding.cause for finding in found.diagnosis.causes} & ON_DOCKER_S_RULES
        assert not {finding.cause for finding in found.diagnosis.risks} & RISKS_OF_DOCKER_S_RULES
        assert not {plan.fix for plan in found.plans} & FIXES_OF_DOCKER_S_RULES


@pytest.mark.parametrize(("engine", "why"), [(on_nftables, NFTABLES), (on_podman, PODMAN)])
def test_what_is_not_told_says_why(engine: Engine, why: str) -> None:
    passed = {"docker-proxy-gone", "firewalld-forward-reject"}  # somebody listens, and no firewalld runs
    untold_for = why_untold(engine(look(SID, "healthy", TIMED_OUT)))
    assert {untold_for[cause] for cause in ON_DOCKER_S_RULES - passed} == {why}


@pytest.mark.parametrize(("engine", "why"), [(said_to_be_docker, NFTABLES), (said_to_be_podman, PODMAN)])
def test_a_port_that_firewalld_closes_is_not_told_once_the_engine_s_own_rules_may_be_gone(
    engine: Engine, why: str
) -> None:
    """`nft flush ruleset` takes them and leaves firewalld's, which its owner flag saves: no route, on either engine.

    Opening the port would hide it, and on Podman not even that.
    """
    seen = recorded(BOOKWORM, "firewalld-with-nftables-started-after-deaf-dockerd")
    assert seen.outside.ended is ReachOutcome.NO_ROUTE
    seen = flushed(engine(seen))
    assert causes(seen) == ("undetermined",)
    assert why_untold(seen)["firewalld-port-closed"] == why
    assert "inet firewalld, chain filter_INPUT: reject" in told(seen)  # the rule that they meet is shown all the same
    assert not plans(seen) & {"open-firewalld-port", "stop-firewalld", "restart-docker"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_port_of_the_host_s_own_network_rests_on_no_engine_and_is_told_as_ever(engine: Engine) -> None:
    seen = engine(recorded(SID, "host-network-port-closed"))
    assert causes(seen) == ("firewalld-port-closed",)
    assert root(seen).confidence is Confidence.PROVEN
    assert plans(seen) == {"open-firewalld-port"}
    assert refusal_of(seen, "stop-firewalld").why.startswith("it cannot be planned without Docker's rules: ")


def test_a_drop_in_the_engine_s_own_table_is_no_other_firewall_s() -> None:
    """Without the rule that accepts the port the last one of Docker's chain for the bridge drops it."""
    to_it, port = '"right": "172.17.0.2"}}', '{"payload": {"protocol": "tcp", "field": "dport"}}, "right": '
    accepted = f'{to_it}, {{"match": {{"op": "==", "left": {port}'
    seen = changed(on_nftables(look(SID, "healthy", TIMED_OUT)), "nftables", f"{accepted}5000", f"{accepted}5001")
    assert causes(seen) == ("undetermined",)
    assert "UNPUBLISHED PORT DROP" in told(seen)


def test_what_a_switch_from_iptables_leaves_is_told_by_its_rule() -> None:
    """A dockerd that is switched at run time leaves policy DROP in FORWARD, which eats all that is forwarded."""
    seen = switched_to_nftables(look(SID, "healthy", TIMED_OUT))
    assert causes(seen) == ("foreign-firewall-drop",)
    assert "policy DROP" in told(seen)


def test_a_silent_conmon_whose_rules_are_gone_is_not_taken_for_an_ill_program() -> None:
    """`nft flush ruleset` on Podman 5.4.2 without firewalld: connected, then silence."""
    silent = (
        28,
        "* Connected to 10.77.0.14 (10.77.0.14) port 5000\n* Operation timed out after 2000 milliseconds\n",
        "000",
    )
    seen = ladder(on_podman(recorded(SID, "healthy")), own=silent, loopback=silent, container=None, listening=None)
    seen = seen_as(flushed(seen), ReachOutcome.TIMED_OUT)
    assert causes(seen) == ("undetermined",)
    assert why_untold(seen)["container-unhealthy"] == PODMAN


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_that_is_stopped_is_told_and_not_started_into_rules_that_are_not_known(engine: Engine) -> None:
    seen = engine(recorded(SID, "container-stopped"))
    assert causes(seen) == ("container-stopped",)
    assert "Docker's rules: " in refusal_of(seen, "start-container").why


def test_podman_s_bridge_is_not_said_to_be_gone_by_a_name_that_docker_would_give_it() -> None:
    seen = changed(
        on_podman(look(SID, "docker0-down", TIMED_OUT)), "addresses", "inet 10.89.0.1/16", "inet 10.99.0.1/16"
    )
    assert causes(seen) == ("undetermined",)
    assert "the gateway of network podman" in why_untold(seen)["bridge-down"]


def test_a_zone_conflict_keeps_nobody_out_whose_engine_answers() -> None:
    seen = recorded(BOOKWORM, "docker0-bound-to-public")
    healthy = recorded(BOOKWORM, "healthy")
    assert healthy.facts is not None
    assert "firewalld-zone-conflict" in causes(seen)
    seen = printing(seen, "engine-info", healthy.facts.outputs["engine-info"].stdout)
    assert "firewalld-zone-conflict" not in causes(said_to_be_podman(seen))


def test_an_engine_that_cannot_be_asked_is_taken_for_one_with_iptables() -> None:
    seen = missing(recorded(SID, "firewalld-started-after-deaf-dockerd"), "engine-info")
    assert causes(seen) == ("docker-chains-missing",)
    assert seen.rules_elsewhere == ""


def test_the_tables_that_a_silent_dockerd_left_say_where_its_rules_are() -> None:
    seen = missing(on_nftables(recorded(SID, "ip-forward-off")), "engine-info")
    assert seen.rules_elsewhere == NFTABLES.partition(": ")[2]
    assert "docker-chains-missing" in untold(seen)


def test_a_switch_of_backends_is_not_told_as_chains_that_went_missing() -> None:
    before, after = baseline(recorded(SID, "healthy")), baseline(on_nftables(recorded(SID, "healthy")))
    assert before is not None
    assert after is not None
    changed_values = " ".join(change.what for change in differences(before, after))
    assert "Docker changed from 28.5.2+dfsg4" in changed_values
    assert "chain DOCKER" not in changed_values


@pytest.mark.parametrize("platform", [BOOKWORM, SID])
def test_a_dockerd_that_would_refuse_to_start_without_forwarding_is_not_started(platform: str) -> None:
    """With rules in nftables it does not switch forwarding on itself: three tries, and the start limit is hit."""
    down = counting(recorded(platform, "dockerd-down"), nftables=DOCKER_TABLES)
    assert plans(down) == {"start-docker"}
    off = changed(down, "forwarding", "/net/ipv4/ip_forward:1", "/net/ipv4/ip_forward:0")
    assert refusal_of(off, "start-docker").why == (
        "dockerd does not start on host1: with rules in nftables it leaves net.ipv4.ip_forward, which is 0, to others. "
        "First: sudo sysctl -w net.ipv4.ip_forward=1, and the same in a file of /etc/sysctl.d"
    )
    assert plans(off) == set()


def test_a_dockerd_that_switches_forwarding_on_itself_is_started() -> None:
    off = changed(recorded(BOOKWORM, "dockerd-down"), "forwarding", "ip_forward:1", "ip_forward:0")
    assert "start-docker" in plans(off)
