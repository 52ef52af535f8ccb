"""The state of a container: one cause alone is to blame, and it says what a person can check."""

import re
from typing import Any

import pytest

from checks.look import Look
from checks.model import Confidence, Phase, ReachOutcome
from tests.looks import ANSWERED
from tests.unit.checks.container_looks import (
    BOOKWORM,
    GOOD,
    HUNG_UP,
    NOBODY,
    PLATFORMS,
    PROXY,
    PYTHON,
    SILENT,
    TRIXIE,
    answered,
    causes,
    healthy,
    holding,
    inspected,
    ladder,
    missing,
    printing,
    risks,
    root,
    seen_as,
    serving,
    state,
    told,
    untold,
)
from tests.unit.checks.fixes.plans import recorded, reported

TAKEN = "Error starting userland proxy: listen tcp4 0.0.0.0:5000: bind: address already in use"
NO_CHAIN = "iptables: No chain/target/match by that name."
OF_THE_CONTAINER = {
    "container-missing",
    "container-stopped",
    "container-restarting",
    "container-out-of-memory",
    "container-paused",
    "container-start-failed",
    "container-unhealthy",
    "container-not-listening",
    "container-listens-on-loopback",
    "port-conflict",
}


def down(platform: str, **values: object) -> Look:
    """A container that does not run: nobody listens, and no rung of the ladder is answered."""
    seen = ladder(healthy(platform), own=NOBODY, loopback=NOBODY, container=None, listening=None)
    return state(holding(seen, ""), **{"Status": "exited", "ExitCode": 2, **values})


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("values", "cause", "says"),
    [
        ({}, "container-stopped", "exit status 2"),
        ({"ExitCode": 137}, "container-stopped", "exit status 137"),  # killed, but not for want of memory
        ({"ExitCode": 137, "OOMKilled": True}, "container-out-of-memory", "no memory limit of its own"),
        ({"Status": "restarting", "ExitCode": 1}, "container-restarting", "exit status 1"),
        ({"Status": "restarting", "ExitCode": 137, "OOMKilled": True}, "container-out-of-memory", "OOMKilled"),
        ({"Status": "created", "ExitCode": 0}, "container-start-failed", "never started"),
        (
            {"Status": "created", "ExitCode": 127, "Error": "exec: no such file"},
            "container-start-failed",
            "exec: no such",
        ),
        ({"Error": TAKEN}, "container-start-failed", "address already in use"),  # nobody holds it any more
    ],
)
def test_a_container_that_is_down_has_one_cause(platform: str, values: dict[str, Any], cause: str, says: str) -> None:
    seen = down(platform, **values)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN
    assert says in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_a_crashing_container_said_last_is_shown(platform: str) -> None:
    seen = inspected(down(platform, Status="restarting", ExitCode=1), lambda one: one.update(RestartCount=6))
    assert seen.container is not None
    seen = printing(seen, "engine-logs", f'{{"{seen.container.id}": ["panic: unreadable configuration"]}}')
    assert "restarted 6 times" in told(seen)
    assert "panic: unreadable configuration" in told(seen)


def test_the_memory_limit_that_was_hit_is_named() -> None:
    seen = inspected(
        down(BOOKWORM, ExitCode=137, OOMKilled=True), lambda one: one["HostConfig"].update(Memory=64 * 2**20)
    )
    assert "its memory limit is 64 MB" in told(seen)


def test_a_child_killed_for_want_of_memory_makes_it_likely_not_proven() -> None:
    assert root(down(BOOKWORM, ExitCode=1, OOMKilled=True)).confidence is Confidence.LIKELY


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_caught_between_two_crashes_is_likely_crashing(platform: str) -> None:
    seen = ladder(healthy(platform), own=NOBODY, container=NOBODY, loopback=HUNG_UP, listening="")
    assert seen.facts is not None
    clock = next(line for line in seen.facts.outputs["system"].stdout.splitlines() if line.startswith("clock="))
    started = "2026-11-24T10:00:00Z"
    at = printing(seen, "system", seen.facts.outputs["system"].stdout.replace(clock, "clock=1795514402.0"))
    looping = state(inspected(at, lambda one: one.update(RestartCount=9)), StartedAt=started)
    assert causes(looping) == ("container-restarting",)
    assert root(looping).confidence is Confidence.LIKELY
    steady = state(inspected(at, lambda one: one.update(RestartCount=9)), StartedAt="2026-11-01T10:00:00Z")
    assert causes(steady) == ("container-not-listening",)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_paused_container_accepts_and_never_answers(platform: str) -> None:
    seen = state(ladder(healthy(platform), own=SILENT, loopback=SILENT, container=SILENT), Status="paused")
    seen = seen_as(seen, ReachOutcome.TIMED_OUT)
    assert causes(seen) == ("container-paused",)
    assert root(seen).fixes == ("unpause-container",)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_port_that_a_process_holds_is_named_with_it(platform: str) -> None:
    seen = holding(down(platform, Status="created", Error=TAKEN), PYTHON)
    assert causes(seen) == ("port-conflict",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "python3 (pid 6818)" in told(seen)


def test_a_port_taken_while_the_container_was_down_is_likely_what_keeps_it_down() -> None:
    seen = holding(down(BOOKWORM), PYTHON)
    assert (root(seen).cause, root(seen).confidence) == ("port-conflict", Confidence.LIKELY)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_connection_that_has_the_port_is_named_with_its_process_and_no_start_is_offered(platform: str) -> None:
    seen = recorded(platform, "port-taken-by-a-connection")
    assert causes(seen) == ("port-conflict",)
    assert root(seen).confidence is Confidence.PROVEN
    assert re.search(r"python3 \(pid \d+\), by its connection from [\d.]+:5000 to [\d.]+:22 \(ESTAB\)", told(seen))
    assert reported(seen).proposed == ()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_connection_that_took_a_stopped_container_s_port_is_likely_what_a_start_would_meet(
    platform: str,
) -> None:
    seen = recorded(platform, "port-taken-by-a-connection-while-it-is-down")
    assert (root(seen).cause, root(seen).confidence) == ("port-conflict", Confidence.LIKELY)
    assert reported(seen).proposed == ()


def test_a_socket_that_is_only_bound_is_named_where_ss_shows_it() -> None:
    seen = recorded(TRIXIE, "port-bound-by-a-process-that-does-not-listen")
    assert causes(seen) == ("port-conflict",)
    assert "which has bound it and does not listen" in told(seen)


def test_where_ss_does_not_show_bound_sockets_a_port_that_was_refused_is_not_called_free() -> None:
    refused = down(BOOKWORM, Error=TAKEN)
    for shows, not_told in (("", True), ("bound\n", False)):
        seen = printing(refused, "taken-ports", f"{shows}end\n")
        assert causes(seen) == ("container-start-failed",)
        assert ("port-conflict" in untold(seen)) is not_told


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_root_the_connection_is_named_without_its_process(platform: str) -> None:
    seen = missing(recorded(platform, "port-taken-by-a-connection"), "port-takers")
    assert causes(seen) == ("port-conflict",)
    assert "a process that only root may know, by its connection from" in told(seen)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "ESTAB 0 0 10.77.0.31:5001 10.77.0.1:22\n",  # another port
        "TIME-WAIT 0 0 10.77.0.31:5000 10.77.0.1:22\n",  # nobody's any more
    ],
)
def test_a_connection_that_is_not_in_the_way_is_not_blamed(elsewhere: str) -> None:
    seen = printing(down(BOOKWORM, Error=TAKEN), "taken-ports", f"{elsewhere}bound\nend\n")
    assert causes(seen) == ("container-start-failed",)


def test_an_orphan_of_docker_proxy_is_told_as_such() -> None:
    assert "left behind" in told(holding(down(BOOKWORM, Error=TAKEN), PROXY))


def test_without_the_right_to_see_processes_the_port_is_still_known_to_be_taken() -> None:
    seen = missing(holding(down(BOOKWORM, Error=TAKEN), "LISTEN 0 5 127.0.0.1:5000 0.0.0.0:*\n"), "listeners")
    assert "a process that only root may know" in told(seen)


def test_a_listener_on_another_port_or_address_is_in_nobody_s_way() -> None:
    assert causes(holding(down(BOOKWORM), PYTHON.replace(":5000", ":5001"))) == ("container-stopped",)
    bound = inspected(down(BOOKWORM), lambda one: one["HostConfig"].update(PortBindings=BOUND_TO_OTHER))
    assert "port-conflict" not in causes(holding(bound, PYTHON.replace("0.0.0.0:5000", "127.0.0.1:5000")))


BOUND_TO_OTHER = {"5000/tcp": [{"HostIp": "192.0.2.4", "HostPort": "5000"}]}


def test_a_port_cannot_be_told_free_without_the_sockets() -> None:
    assert "port-conflict" in untold(missing(down(BOOKWORM), "sockets", "listeners"))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_program_that_accepts_and_does_not_answer_is_unhealthy(platform: str) -> None:
    seen = ladder(healthy(platform), own=SILENT, loopback=SILENT, container=SILENT)
    seen = state(seen_as(seen, ReachOutcome.TIMED_OUT), Health={"Status": "unhealthy", "FailingStreak": 3, "Log": []})
    assert causes(seen) == ("container-unhealthy",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "HEALTHCHECK says unhealthy (3 failures in a row)" in told(seen)


def test_a_program_that_answers_at_its_own_address_is_not_unhealthy() -> None:
    seen = seen_as(healthy(BOOKWORM), ReachOutcome.TIMED_OUT)
    assert not OF_THE_CONTAINER & set(causes(seen))


def test_an_error_of_a_web_server_is_its_program_s_and_no_registry_s() -> None:
    failing = answered(500)
    seen = ladder(healthy(BOOKWORM), own=failing, loopback=failing, container=failing)
    seen = seen_as(seen, ReachOutcome.BAD_STATUS, 500)
    web = serving(seen, seen.service.url, kind=type(seen.service.kind).HTTP)
    assert causes(web) == ("container-unhealthy",)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_program_on_the_container_s_loopback_is_told_from_one_on_another_port(platform: str) -> None:
    seen = ladder(healthy(platform), own=NOBODY, loopback=HUNG_UP, container=NOBODY, listening="0100007F:1388")
    assert causes(seen) == ("container-listens-on-loopback",)
    assert "127.0.0.1:5000" in told(seen)
    elsewhere = ladder(healthy(platform), own=NOBODY, loopback=HUNG_UP, container=NOBODY, listening="00000000:1389")
    assert causes(elsewhere) == ("container-not-listening",)
    assert root(elsewhere).confidence is Confidence.PROVEN
    assert "-p 5000:5001" in told(elsewhere)


def test_one_listener_for_everybody_makes_the_one_on_loopback_harmless() -> None:
    seen = ladder(healthy(BOOKWORM), listening="0100007F:1388\n00000000:1388")
    assert not OF_THE_CONTAINER & set(causes(seen))


def test_what_listens_in_a_container_is_said_to_be_unknown_where_it_is() -> None:
    seen = ladder(healthy(BOOKWORM), own=NOBODY, container=NOBODY, listening=None)
    assert {"container-not-listening", "container-listens-on-loopback"} <= untold(seen)


@pytest.mark.parametrize("probe", ["engine-containers", "path"])
def test_without_the_container_or_the_ladder_nobody_is_called_unhealthy(probe: str) -> None:
    seen = missing(seen_as(healthy(BOOKWORM), ReachOutcome.TIMED_OUT), probe)
    assert "container-unhealthy" in untold(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("values", [{"Status": "paused"}, {"Status": "exited"}, {"Status": "created", "Error": TAKEN}])
def test_where_something_else_answers_in_its_place_no_container_is_blamed(
    platform: str, values: dict[str, Any]
) -> None:
    seen = state(healthy(platform, ANSWERED), **values)
    assert causes(seen) == ()


def test_a_tcp_service_is_judged_by_the_connection_alone() -> None:
    seen = seen_as(
        ladder(healthy(BOOKWORM), container=NOBODY, listening="00000000:1388"),
        ReachOutcome.REFUSED,
        phase=Phase.CONNECT,
    )
    kind = type(seen.service.kind).TCP
    accepted = ladder(serving(seen, "tcp://192.0.2.7:5000", kind), container=(0, "", "tcp"))
    assert not OF_THE_CONTAINER & set(causes(accepted))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_without_a_policy_is_a_risk_while_it_runs(platform: str) -> None:
    def policy(name: str) -> Look:
        return inspected(
            healthy(platform, ANSWERED), lambda one: one["HostConfig"].update(RestartPolicy={"Name": name})
        )

    assert "restart-policy-missing" in risks(policy("no"))
    assert "restart-policy-missing" not in risks(policy("unless-stopped"))
    assert "restart-policy-missing" not in risks(state(policy("no"), Status="exited"))


def test_good_rungs_are_of_no_use_against_a_reading_that_is_good() -> None:
    assert causes(ladder(healthy(BOOKWORM, ANSWERED), own=GOOD, container=SILENT)) == ()
