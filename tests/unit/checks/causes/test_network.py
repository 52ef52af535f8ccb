"""The way back to clients, and the size of packets: what rules them out would have been otherwise."""

import pytest

from checks.causes.application import CONTAINER_UNHEALTHY
from checks.causes.cause import Cause, examine
from checks.causes.network import MTU_BLACK_HOLE, RETURN_ROUTE_MISSING, SUBNET_OVERLAP
from checks.look import Look
from checks.model import Confidence, Phase, ReachOutcome, Reading, Verdict
from tests import recordings
from tests.looks import ANSWERED, TIMED_OUT, changed, look, reading
from tests.unit.checks.container_looks import seen_as

DOCKER0_AT_68 = "docker0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 68"
PLATFORMS = ["debian12-docker20.10.24", "debian13-docker26.1.5"]


def recorded(platform: str, state: str) -> Look:
    return recordings.replay(recordings.FOLDER / platform / f"{state}.json")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_s_answer_is_routed_by_its_own_address_not_as_the_host_s(platform: str) -> None:
    found = examine(RETURN_ROUTE_MISSING, recorded(platform, "no-route-back-for-containers"))
    assert (found.verdict, found.confidence) == (Verdict.FAIL, Confidence.PROVEN)
    says = [one.says for one in found.evidence]
    assert says[0].endswith("from 172.17.0.2 iif docker0` answers: RTNETLINK answers: No route to host")
    assert says[1] == "decided by rule 77: from 172.16.0.0/12 lookup 77, where table 77 says: unreachable default"
    assert says[2].startswith("while `ip route get 10.77.0.1 from 10.77.0.")
    assert found.advice[0].startswith("ip rule show")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_dead_gateway_that_only_containers_answers_go_by_is_found(platform: str) -> None:
    found = examine(RETURN_ROUTE_MISSING, recorded(platform, "route-back-for-containers-by-a-dead-gateway"))
    assert found.verdict is Verdict.FAIL
    assert "gateway 10.77.0.250 does not answer on its link" in found.evidence[-1].says


@pytest.mark.parametrize("platform", PLATFORMS)
def test_where_the_host_itself_has_no_way_back_a_route_is_advised(platform: str) -> None:
    found = examine(RETURN_ROUTE_MISSING, recorded(platform, "no-route-back"))
    assert found.verdict is Verdict.FAIL
    assert found.advice[0].startswith("sudo ip route replace")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("cause", [RETURN_ROUTE_MISSING, SUBNET_OVERLAP], ids=lambda cause: cause.id)
def test_the_way_of_unmarked_answers_rules_nothing_out_where_rules_mark_them(platform: str, cause: Cause) -> None:
    marked = recorded(platform, "marked-answers-have-no-route")
    found = examine(cause, changed(marked, "path", " mark 0x7", " mark 0x8"))
    assert found.verdict is Verdict.SKIP
    assert "rules mark the packets" in found.why


@pytest.mark.parametrize("state", ["ip-forward-off", "docker0-forwarding-off"])
def test_what_the_kernel_says_while_forwarding_is_off_tells_nothing_of_routes(state: str) -> None:
    found = examine(RETURN_ROUTE_MISSING, look(PLATFORMS[0], state, TIMED_OUT))
    assert found.verdict is Verdict.SKIP
    assert "while forwarding is off" in found.why


def test_a_container_whose_own_way_was_not_asked_is_not_judged_by_the_host_s() -> None:
    seen = changed(
        look(PLATFORMS[0], "healthy", TIMED_OUT), "path", "from 172.17.0.2 iif docker0", "from 172.17.0.2 iif x"
    )
    found = examine(RETURN_ROUTE_MISSING, seen)
    assert found.verdict is Verdict.SKIP
    assert "could not be asked" in found.why


@pytest.mark.parametrize("outside", [ANSWERED, reading(ReachOutcome.ANSWERED, 503)], ids=["200", "503"])
def test_a_small_answer_does_not_rule_out_that_large_packets_are_lost(outside: Reading) -> None:
    found = examine(MTU_BLACK_HOLE, look(PLATFORMS[0], "healthy", outside))
    assert found.verdict is Verdict.SKIP
    assert "a small answer" in found.why


def test_a_connection_that_is_not_made_does() -> None:
    assert examine(MTU_BLACK_HOLE, look(PLATFORMS[0], "healthy", TIMED_OUT)).verdict is Verdict.PASS


def test_without_an_attempt_with_small_packets_it_is_not_told() -> None:
    silent = seen_as(look(PLATFORMS[0], "healthy", TIMED_OUT), ReachOutcome.TIMED_OUT, phase=Phase.HTTP)
    assert examine(MTU_BLACK_HOLE, silent).verdict is Verdict.SKIP


@pytest.mark.parametrize("platform", PLATFORMS)
def test_where_a_link_carries_less_than_a_request_a_container_that_is_silent_is_not_said_to_hang(platform: str) -> None:
    silent = recorded(platform, "container-hangs")
    assert examine(CONTAINER_UNHEALTHY, silent).verdict is Verdict.FAIL
    narrow = changed(silent, "addresses", "docker0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500", DOCKER0_AT_68)
    unhealthy, lost = examine(CONTAINER_UNHEALTHY, narrow), examine(MTU_BLACK_HOLE, narrow)
    assert unhealthy.verdict is Verdict.SKIP
    assert "by the MTU of docker0 no request may come to it whole" in unhealthy.why
    assert (lost.verdict, lost.confidence) == (Verdict.FAIL, Confidence.LIKELY)
    assert lost.advice[0].startswith("ip link show docker0 ")
