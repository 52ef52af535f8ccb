"""Plans: exact steps, undo and blast radius, from facts alone."""

from dataclasses import replace

import pytest

from checks.causes.cause import Look
from checks.check import report
from checks.model import NoChange, Plan, Report, Risk
from tests import recordings
from tests.looks import ANSWERED, REFUSED, TIMED_OUT, changed, look, without

BOOKWORM = "debian12-docker20.10.24"
OURS = "/etc/sysctl.d/99-zz-dockerhealth.conf"


def reported(seen: Look) -> Report:
    return report(seen, recordings.RECORDED_AT, 1.0)


def plan_of(seen: Look, fix: str) -> Plan:
    [plan] = [plan for plan in reported(seen).plans if plan.fix == fix]
    return plan


def refusal_of(seen: Look, fix: str) -> NoChange:
    [refused] = [refused for refused in reported(seen).refused if refused.fix == fix]
    return refused


def commands(plan: Plan) -> list[str]:
    return [step.command for step in plan.steps]


@pytest.mark.parametrize("platform", recordings.platforms())
def test_forwarding_is_switched_on_by_a_file_of_its_own_and_nothing_restarts(platform: str) -> None:
    plan = plan_of(look(platform, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    assert commands(plan) == [
        f"sudo install -m 0644 /usr/local/share/dockerhealth/ip-forward.conf {OURS}",
        f"sudo sysctl -p {OURS}",
    ]
    assert [step.command for step in plan.undo] == ["sudo sysctl -w net.ipv4.ip_forward=0", f"sudo rm -f {OURS}"]
    assert plan.risk is Risk.LOW
    assert "Nothing restarts" in plan.blast_radius
    assert "docker0, host0" in plan.blast_radius


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_hardening_file_that_sorts_earlier_is_outvoted_and_the_plan_says_so(platform: str) -> None:
    plan = plan_of(look(platform, "ip-forward-off-hardened", TIMED_OUT), "enable-ip-forward")
    assert len(plan.steps) == 2
    assert any("/etc/sysctl.d/99-hardening.conf:2" in note and "wins" in note for note in plan.notes)
    assert plan.basis["decided at boot by"] == "/etc/sysctl.d/99-hardening.conf:2 says net.ipv4.ip_forward = 0"


def moved(path: str) -> Look:
    """The hardened host, had its administrator put the line into another file."""
    seen = look(BOOKWORM, "ip-forward-off-hardened", TIMED_OUT)
    return changed(seen, "sysctl-files", "/etc/sysctl.d/99-hardening.conf", path)


@pytest.mark.parametrize("path", ["/etc/sysctl.d/99-zzz-late.conf", "/etc/sysctl.d/zz-top.conf", "/etc/sysctl.conf"])
def test_a_file_that_would_win_has_its_line_commented_out_first_and_undo_brings_it_back(path: str) -> None:
    plan = plan_of(moved(path), "enable-ip-forward")
    assert commands(plan)[0] == f"sudo /usr/local/sbin/dockerhealth-root sysctl-line off {path} 2"
    assert f"sudo /usr/local/sbin/dockerhealth-root sysctl-line on {path} 2" in [step.command for step in plan.undo]
    assert plan.risk is Risk.MEDIUM
    assert any("commented out" in note for note in plan.notes)


def test_a_file_of_the_distribution_that_would_win_is_left_to_its_owner() -> None:
    refusal = refusal_of(moved("/usr/lib/sysctl.d/zz-vendor.conf"), "enable-ip-forward")
    assert "/usr/lib/sysctl.d/zz-vendor.conf:2" in refusal.why


@pytest.mark.parametrize("platform", recordings.platforms())
def test_restart_docker_names_the_containers_that_stop(platform: str) -> None:
    plan = plan_of(look(platform, "firewalld-started-after-deaf-dockerd", REFUSED), "restart-docker")
    assert commands(plan) == [
        "sudo systemctl reset-failed docker.service",
        "sudo systemctl restart docker.service",
    ]
    assert plan.undo == ()
    assert "registry" in plan.blast_radius
    assert plan.risk is Risk.MEDIUM


def with_policy(policy: str) -> Look:
    seen = look(BOOKWORM, "firewalld-started-after-deaf-dockerd", REFUSED)
    return changed(seen, "engine-containers", '"Name": "always"', f'"Name": "{policy}"')


@pytest.mark.parametrize("policy", ["no", "on-failure"])
def test_a_container_that_no_policy_brings_back_is_started_again_and_said_so_before(policy: str) -> None:
    plan = plan_of(with_policy(policy), "restart-docker")
    assert commands(plan)[-1] == "docker start registry"
    assert "No restart policy brings back registry" in plan.blast_radius


def test_a_container_run_with_rm_is_not_thrown_away_to_mend_it() -> None:
    seen = changed(with_policy("no"), "engine-containers", '"AutoRemove": false', '"AutoRemove": true')
    assert "--rm" in refusal_of(seen, "restart-docker").why


def test_with_live_restore_nothing_stops() -> None:
    seen = look(BOOKWORM, "firewalld-started-after-deaf-dockerd", REFUSED)
    plan = plan_of(
        changed(seen, "engine-info", '"LiveRestoreEnabled": false', '"LiveRestoreEnabled": true'), "restart-docker"
    )
    assert "containers keep running" in plan.blast_radius
    assert plan.risk is Risk.LOW


def test_dockerd_is_not_restarted_on_a_kernel_whose_modules_are_gone() -> None:
    seen = look(BOOKWORM, "firewalld-started-after-deaf-dockerd", REFUSED)
    assert seen.facts is not None
    printed = seen.facts.outputs["system"].stdout
    line = next(line for line in printed.splitlines() if line.startswith("modules="))
    gone = changed(seen, "system", line, "modules=6.1.0-18-amd64 ")
    assert "reboot" in refusal_of(gone, "restart-docker").why


@pytest.mark.parametrize("platform", recordings.platforms())
def test_opening_the_port_for_missing_chains_says_what_stays_broken(platform: str) -> None:
    plan = plan_of(look(platform, "firewalld-started-after-deaf-dockerd", REFUSED), "open-firewalld-port")
    assert "stop-gap" in plan.notes[0]


@pytest.mark.parametrize("platform", recordings.platforms())
def test_the_port_is_opened_now_and_for_the_next_start_in_the_zone_that_rules(platform: str) -> None:
    plan = plan_of(look(platform, "host-network-port-closed", REFUSED), "open-firewalld-port")
    gate = "sudo firewall-cmd --zone=public"
    assert commands(plan) == [f"{gate} --add-port=5000/tcp", f"{gate} --add-port=5000/tcp --permanent"]
    assert [step.command for step in plan.undo] == [
        f"{gate} --remove-port=5000/tcp --permanent",
        f"{gate} --remove-port=5000/tcp",
    ]
    assert plan.notes == ()


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_stopped_container_is_started_and_what_its_policy_means_is_said(platform: str) -> None:
    seen = look(platform, "container-stopped", REFUSED)
    plan = plan_of(seen, "start-container")
    assert commands(plan) == ["docker start registry"]
    assert "in spite of its restart policy" in plan.notes[0]
    without_policy = changed(seen, "engine-containers", '"Name": "always"', '"Name": "no"')
    assert "--restart=unless-stopped registry" in plan_of(without_policy, "start-container").notes[1]


def test_a_container_is_not_started_into_missing_chains() -> None:
    seen = look(BOOKWORM, "container-stopped", REFUSED)
    assert seen.facts is not None
    wiped = changed(seen, "iptables", seen.facts.outputs["iptables"].stdout, "")
    assert "restart-docker goes first" in refusal_of(wiped, "start-container").why


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_dockerd_that_is_down_is_started(platform: str) -> None:
    plan = plan_of(look(platform, "dockerd-down", REFUSED), "start-docker")
    assert commands(plan)[-1] == "sudo systemctl start docker.service"


def test_a_fix_whose_facts_are_missing_is_refused_with_the_reason() -> None:
    seen = without(look(BOOKWORM, "ip-forward-off", TIMED_OUT), "sysctl-files", "sysctl-files: no answer")
    assert "no answer" in refusal_of(seen, "enable-ip-forward").why


@pytest.mark.parametrize("platform", recordings.platforms())
def test_the_same_facts_make_the_same_digest_and_other_facts_another(platform: str) -> None:
    plan = plan_of(look(platform, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    again = plan_of(look(platform, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    hardened = plan_of(look(platform, "ip-forward-off-hardened", TIMED_OUT), "enable-ip-forward")
    assert plan.digest == again.digest
    assert plan.digest != hardened.digest
    assert plan.digest != replace(plan, steps=plan.steps[:1]).digest


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_risk_of_a_healthy_service_has_its_plan_too(platform: str) -> None:
    assert [plan.fix for plan in reported(look(platform, "healthy", ANSWERED)).plans] == ["enable-ip-forward"]
