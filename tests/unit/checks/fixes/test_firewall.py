"""Plans that change a firewall: what becomes reachable, for whom, and what is left to somebody else's policy."""

import pytest

from checks.model import Lasts, Risk
from tests import recordings
from tests.looks import REFUSED, changed, look
from tests.unit.checks.container_looks import printing
from tests.unit.checks.fixes.plans import (
    BOOKWORM,
    TRIXIE,
    as_root,
    commands,
    plan_of,
    recorded,
    refusal_of,
    reported,
    undo_of,
)

BOTH = (BOOKWORM, TRIXIE)
GATE = "sudo firewall-cmd --zone=public"


@pytest.mark.parametrize("platform", recordings.platforms())
def test_the_port_is_opened_now_and_for_the_next_start_in_the_zone_that_rules(platform: str) -> None:
    plan = plan_of(look(platform, "host-network-port-closed", REFUSED), "open-firewalld-port")
    assert commands(plan) == [f"{GATE} --add-port=5000/tcp", f"{GATE} --add-port=5000/tcp --permanent"]
    assert undo_of(plan) == [f"{GATE} --remove-port=5000/tcp --permanent", f"{GATE} --remove-port=5000/tcp"]
    assert (plan.notes, plan.lasts, plan.undo_unasked) == ((), Lasts.FOR_GOOD, True)


@pytest.mark.parametrize("platform", BOTH)
def test_who_reaches_what_through_an_open_port_is_said(platform: str) -> None:
    says = plan_of(recorded(platform, "host-network-port-closed"), "open-firewalld-port").blast_radius
    assert "(registry) becomes reachable for everyone whom zone public rules: host0 (10.77.0." in says
    bound = recorded(platform, "host-network-client-in-another-zone")
    assert "zone work rules: source 10.77.0.1/32" in plan_of(bound, "open-firewalld-port").blast_radius


@pytest.mark.parametrize("platform", recordings.platforms())
def test_opening_the_port_for_missing_chains_says_what_stays_broken(platform: str) -> None:
    plan = plan_of(look(platform, "firewalld-started-after-deaf-dockerd", REFUSED), "open-firewalld-port")
    assert "stop-gap" in plan.notes[0]
    assert plan.lasts is Lasts.STOP_GAP


def test_a_port_on_which_nobody_listens_is_not_opened() -> None:
    seen = look(BOOKWORM, "firewalld-started-after-deaf-dockerd", REFUSED)
    assert seen.facts is not None
    deaf = "\n".join(line for line in seen.facts.outputs["sockets"].stdout.splitlines() if ":5000" not in line)
    assert (
        "nothing on the host listens on port 5000"
        in refusal_of(printing(seen, "sockets", deaf), "open-firewalld-port").why
    )


@pytest.mark.parametrize("platform", BOTH)
def test_firewalld_is_stopped_only_with_docker_s_chains_put_back_after_it(platform: str) -> None:
    plan = plan_of(recorded(platform, "host-network-port-closed"), "stop-firewalld")
    assert commands(plan) == [
        "sudo systemctl stop firewalld.service",
        "sudo systemctl reset-failed docker.service",
        "sudo systemctl restart docker.service",
    ]
    assert undo_of(plan) == [
        "sudo systemctl start firewalld.service",
        "sudo systemctl reset-failed docker.service",
        "sudo systemctl restart docker.service",
    ]
    assert (plan.risk, plan.undo_unasked) == (Risk.HIGH, False)
    assert "22/tcp" in plan.blast_radius
    assert "Every container stops: registry." in plan.blast_radius
    assert [one.fix for one in reported(recorded(platform, "host-network-port-closed")).plans][:2] == [
        "open-firewalld-port",
        "stop-firewalld",
    ]


def test_an_enabled_firewalld_is_disabled_and_containers_without_a_policy_come_back_both_ways() -> None:
    seen = recorded(BOOKWORM, "host-network-port-closed")
    seen = changed(seen, "engine-containers", '"Name": "always"', '"Name": "no"')
    assert seen.facts is not None
    blocks = seen.facts.outputs["units"].stdout.split("\n\n")
    enabled = [one.replace("=disabled", "=enabled") if "Id=firewalld.service" in one else one for one in blocks]
    plan = plan_of(printing(seen, "units", "\n\n".join(enabled)), "stop-firewalld")
    verbs = [(step.argv[1], step.argv[2]) for step in (*plan.steps, *plan.undo)]
    restart = [("reset-failed", "docker.service"), ("restart", "docker.service"), ("start", "registry")]
    there = [("stop", "firewalld.service"), ("disable", "firewalld.service"), *restart]
    back = [("enable", "firewalld.service"), ("start", "firewalld.service"), *restart]
    assert verbs == [*there, *back]


def test_firewalld_is_not_stopped_where_dockerd_could_not_put_its_chains_back() -> None:
    seen = recorded(BOOKWORM, "host-network-port-closed")
    removed = changed(seen, "engine-containers", '"AutoRemove": false', '"AutoRemove": true')
    assert "--rm" in refusal_of(removed, "stop-firewalld").why


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("zone", ["public", "trusted"])
def test_docker_s_bridge_is_taken_out_of_the_other_zone_now_and_for_good(platform: str, zone: str) -> None:
    plan = plan_of(recorded(platform, f"docker0-bound-to-{zone}"), "clear-zone-conflict")
    gate = f"sudo firewall-cmd --zone={zone}"
    assert commands(plan) == [
        f"{gate} --remove-interface=docker0",
        f"{gate} --remove-interface=docker0 --permanent",
        "sudo systemctl reset-failed docker.service",
        "sudo systemctl start docker.service",
    ]
    assert undo_of(plan) == [
        "sudo systemctl stop docker.service docker.socket",
        f"{gate} --change-interface=docker0 --permanent",
        f"{gate} --change-interface=docker0",
    ]
    assert {f"zone {zone}", f"zone {zone} kept"} <= set(plan.changes)


@pytest.mark.parametrize("platform", BOTH)
def test_an_exception_in_docker_user_is_for_the_clients_network_and_says_what_it_passes_over(
    platform: str,
) -> None:
    plan = plan_of(recorded(platform, "docker-user-drops"), "allow-in-docker-user")
    assert as_root(plan) == ["docker-user insert 5000 10.77.0.0/24"]
    match = (
        "-p tcp -m conntrack --ctorigsrc 10.77.0.0/24 --ctorigdstport 5000 -m comment --comment dockerhealth -j RETURN"
    )
    assert commands(plan) == [f"sudo iptables -I DOCKER-USER 1 {match}"]
    assert undo_of(plan) == [f"sudo iptables -D DOCKER-USER {match}"]
    assert "-A DOCKER-USER -p tcp -m tcp --dport 5000 -j DROP" in plan.blast_radius
    assert (plan.risk, plan.lasts) == (Risk.HIGH, Lasts.UNTIL_REBOOT)
    assert "Somebody's policy" in plan.notes[0]


def test_a_client_of_a_network_that_the_host_is_not_in_is_admitted_alone() -> None:
    seen = recorded(BOOKWORM, "docker-user-drops")
    assert seen.facts is not None
    text = seen.facts.outputs["path"].stdout.replace("10.77.0.1", "192.0.2.9")
    plan = plan_of(printing(seen, "path", text), "allow-in-docker-user")
    assert as_root(plan) == ["docker-user insert 5000 192.0.2.9/32"]
