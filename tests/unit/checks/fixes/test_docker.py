"""Plans that restart or start dockerd: what stops, what does not come back, and when it is not begun at all."""

import json
from dataclasses import replace
from typing import Any

import pytest

from checks.look import Before, Look
from checks.model import Lasts, Risk
from tests import recordings
from tests.looks import REFUSED, changed, look, without
from tests.unit.checks.container_looks import inspected, printing
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, commands, plan_of, recorded, refusal_of

DEAF = "firewalld-started-after-deaf-dockerd"


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


@pytest.mark.parametrize(
    ("state", "started"),
    [
        ("container-created-into-missing-chains", True),  # never ran: whatever its policy
        ("container-restarted-into-missing-chains", False),  # policy always: dockerd tries it again
        ("container-without-policy-restarted-into-missing-chains", True),
    ],
)
@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
def test_a_container_whose_start_failed_is_started_once_the_rules_are_back(
    platform: str, state: str, *, started: bool
) -> None:
    plan = plan_of(recorded(platform, state), "restart-docker")
    assert (commands(plan)[-1] == "docker start registry") is started
    assert ("The start of registry failed" in plan.blast_radius) is started


def test_a_container_that_was_made_and_never_meant_to_start_stays_so() -> None:
    seen = recorded(BOOKWORM, "container-created-into-missing-chains")
    made = inspected(seen, lambda one: one["State"].update(Error="", ExitCode=0))
    assert commands(plan_of(made, "restart-docker"))[-1] == "sudo systemctl restart docker.service"


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
def test_a_dockerd_that_is_down_is_started(platform: str) -> None:
    plan = plan_of(look(platform, "dockerd-down", REFUSED), "start-docker")
    assert commands(plan)[-1] == "sudo systemctl start docker.service"


def deaf(platform: str = BOOKWORM) -> Look:
    return look(platform, DEAF, REFUSED)


def test_how_long_it_took_the_last_time_on_this_host_is_said_and_nothing_is_made_up() -> None:
    assert "never timed on this host" in plan_of(deaf(), "restart-docker").blast_radius
    seconds = {"sudo systemctl restart docker.service": 4.2}
    known = replace(deaf(), before=Before(experience=seconds))
    assert "The last restart on this host took 4 s." in plan_of(known, "restart-docker").blast_radius


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
def test_what_was_looked_at_first_is_said(platform: str) -> None:
    modules, configuration, zones, removed = plan_of(deaf(platform), "restart-docker").preflight
    assert "modules of the running kernel" in modules
    assert configuration == "there is no /etc/docker/daemon.json that could be wrong"
    assert zones == "no zone of firewalld but Docker's own has a bridge of Docker"
    assert removed == "no container that would stop was run with --rm"


def test_it_lasts_until_the_rules_are_wiped_again_and_the_plan_says_what_would_change_that() -> None:
    plan = plan_of(deaf(), "restart-docker")
    assert plan.lasts is Lasts.UNTIL_CHANGED
    assert any("sudo systemctl enable firewalld.service" in note for note in plan.notes)
    enabled = changed(deaf(), "units", "Id=firewalld.service", "UnitFileState=enabled\nId=firewalld.service")
    assert enabled.facts is not None
    text = enabled.facts.outputs["units"].stdout.replace("UnitFileState=disabled\n", "")
    notes = plan_of(printing(enabled, "units", text), "restart-docker").notes
    assert not any("enable firewalld" in note for note in notes)


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
@pytest.mark.parametrize(("state", "fix"), [(DEAF, "restart-docker"), ("dockerd-down", "start-docker")])
def test_a_dockerd_that_would_not_take_its_configuration_is_not_touched(platform: str, state: str, fix: str) -> None:
    seen = look(platform, state, REFUSED)
    broken = recordings.outputs(recordings.FOLDER / platform / "dockerd-config-broken.json")["daemon-valid"]
    assert seen.facts is not None
    facts = type(seen.facts)("host1", seen.facts.at, {**seen.facts.outputs, "daemon-valid": broken}, seen.facts.missing)
    refusal = refusal_of(replace(seen, facts=facts), fix)
    assert "dockerd would not start with its configuration" in refusal.why
    assert "/etc/docker/daemon.json" in refusal.why


def test_what_could_not_be_looked_at_is_said_and_is_no_reason_to_give_up() -> None:
    unknown = without(deaf(), "daemon-valid", "daemon-valid: no answer within its deadline")
    plan = plan_of(unknown, "restart-docker")
    assert "Not looked at before: dockerd's configuration: daemon-valid: no answer within its deadline" in plan.notes
    assert len(plan.preflight) == 3


def test_a_dockerd_that_another_zone_keeps_down_is_not_started_before_the_zone_is_cleared() -> None:
    refusal = refusal_of(recorded(TRIXIE, "docker0-bound-to-trusted"), "start-docker")
    assert refusal.why == "zone trusted has docker0: dockerd would not start; clear-zone-conflict goes first"


def test_a_docker_that_knows_no_zones_is_not_kept_from_a_restart_by_one() -> None:
    bound = changed(deaf(), "firewalld-zones", "  interfaces: \n", "  interfaces: docker0\n")
    assert "clear-zone-conflict" in refusal_of(bound, "restart-docker").why
    old = changed(bound, "engine-info", '"ServerVersion": "20.10', '"ServerVersion": "19.03')
    assert "dockerd asks nothing of firewalld when it starts" in plan_of(old, "restart-docker").preflight


def test_a_task_of_a_swarm_is_left_to_the_swarm_and_the_plan_says_that_it_may_move() -> None:
    def made_by_a_swarm(one: dict[str, Any]) -> None:
        one["HostConfig"]["RestartPolicy"]["Name"] = "no"
        one["Config"]["Labels"] = {"com.docker.swarm.service.id": "x"}

    seen = inspected(deaf(), made_by_a_swarm)
    assert seen.facts is not None
    info = json.loads(seen.facts.outputs["engine-info"].stdout)
    info["Swarm"]["LocalNodeState"] = "active"
    plan = plan_of(printing(seen, "engine-info", json.dumps(info)), "restart-docker")
    assert commands(plan)[-1] == "sudo systemctl restart docker.service"
    assert any("swarm" in note for note in plan.notes)


def test_a_hung_dockerd_is_restarted_only_at_high_risk_as_nobody_knows_what_it_runs() -> None:
    plan = plan_of(recorded(BOOKWORM, "dockerd-hung-and-container-dead"), "restart-docker")
    assert plan.risk is Risk.HIGH
    assert "what it runs is not known" in plan.blast_radius
    assert "those run with --rm are LOST" in plan.blast_radius
    assert plan.basis["docker.service"].startswith("active (running), pid ")
