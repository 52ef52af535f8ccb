"""Faults that people reported in public: what was told wrongly of them, or offered in vain, before they were tried."""

import pytest

from checks.facts.inner_network import InnerRoute
from checks.facts.path import Listener
from checks.model import Confidence, FixId
from tests.unit.checks.container_looks import causes, root, told
from tests.unit.checks.facts.test_container import way
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, commands, plan_of, recorded, refusal_of, reported

BOTH = (BOOKWORM, TRIXIE)
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t5\t0000FFFF\t0\t0\t0
*\t00000A0A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


# --- a button that would be told the same again ---


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["runtime-gone", "containerd-stopped"])
def test_a_start_that_failed_for_what_still_holds_is_not_offered_again(platform: str, state: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("container-start-failed",)
    assert "Docker would say it again" in refusal_of(seen, "start-container").why
    assert not reported(seen).proposed


def test_without_docker_s_proxy_no_start_helps() -> None:
    assert not reported(recorded(BOOKWORM, "docker-proxy-not-installed")).proposed


@pytest.mark.parametrize("platform", BOTH)
def test_a_start_that_failed_for_want_of_an_address_is_offered_once_the_address_is_there(platform: str) -> None:
    again = recorded(platform, "address-there-again-and-not-started")
    assert commands(plan_of(again, "start-container")) == ["docker start registry"]
    assert causes(recorded(platform, "address-not-there-when-it-started")) == ("published-address-gone",)


@pytest.mark.parametrize("platform", BOTH)
def test_dockerd_that_said_why_it_does_not_start_is_quoted_and_not_started_again(platform: str) -> None:
    seen = recorded(platform, "default-runtime-missing")
    assert causes(seen) == ("dockerd-down",)
    assert "default runtime 'nvidia' does not exist" in told(seen)
    assert "dockerd would say it again" in refusal_of(seen, "start-docker").why


# --- told wrongly ---


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["rich-rule-rejects", "rich-rule-drops"])
def test_a_rich_rule_is_no_closed_port_and_an_open_port_is_no_remedy(platform: str, state: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("firewalld-rich-rule",)
    assert root(seen).confidence is Confidence.PROVEN
    assert 'source address="10.77.0.0/24" port port="5000"' in told(seen)
    assert "--remove-rich-rule=" in told(seen)
    assert not reported(seen).proposed


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("asks-for-a-client-s-certificate", "wants a certificate of the client"),
        ("tls-by-name-only", "no site of the name"),
        ("only-an-old-tls", "no version of TLS in common"),
    ],
)
def test_a_handshake_that_is_refused_is_told_by_its_alert_and_is_no_matter_of_the_scheme(
    platform: str, state: str, why: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("tls-refused",)
    assert why in told(seen)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "where"),
    [("kubernetes-has-the-port", "10.42.0.9:80"), ("redirected-to-a-proxy-that-is-gone", ":3128")],
)
def test_a_rule_that_sends_the_port_elsewhere_before_docker_s_is_named(platform: str, state: str, where: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("docker-nat-rule-bypassed",)
    assert root(seen).confidence is Confidence.PROVEN
    assert where in told(seen)
    assert not reported(seen).proposed


@pytest.mark.parametrize("platform", BOTH)
def test_a_swarm_s_service_without_a_task_is_not_told_to_be_run_again_by_docker_run(platform: str) -> None:
    seen = recorded(platform, "service-of-a-swarm-that-fits-on-no-node")
    assert root(seen).confidence is Confidence.LIKELY
    assert "docker service ps --no-trunc registry" in told(seen)
    assert "docker run" not in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_docker_that_keeps_its_containers_elsewhere_is_named_before_anybody_makes_one_anew(platform: str) -> None:
    seen = recorded(platform, "containers-kept-elsewhere")
    assert "it keeps its containers in /srv/docker, not in /var/lib/docker" in told(seen)
    assert "docker run" not in told(seen)


# --- not told ---


@pytest.mark.parametrize("platform", BOTH)
def test_a_dockerd_that_waits_for_a_question_is_asked_none_and_is_down(platform: str) -> None:
    seen = recorded(platform, "dockerd-waits-for-its-socket")
    assert causes(seen) == ("dockerd-down",)
    assert "docker.socket starts it at anybody's first question" in told(seen)
    assert "sudo systemctl enable docker.service" in told(seen)
    assert [plan.fix for plan in reported(seen).proposed] == [FixId.START_DOCKER]


@pytest.mark.parametrize("platform", BOTH)
def test_a_container_that_answers_its_bridge_alone_is_told_as_that_where_its_own_firewall_is_not_seen(
    platform: str,
) -> None:
    seen = recorded(platform, "kill-switch-in-the-container-s-network")
    assert causes(seen) == ("undetermined",)
    assert "its own routes or firewall" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_program_for_ipv6_alone_does_not_hear_docker_s_clients(platform: str) -> None:
    seen = recorded(platform, "listens-for-ipv6-alone")
    assert causes(seen) == ("container-not-listening",)
    assert "listens on [::]:5000, for IPv6 alone" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_program_that_accepts_nobody_is_told_by_who_waits(platform: str) -> None:
    seen = recorded(platform, "accepts-nobody")
    assert causes(seen) == ("container-unhealthy",)
    assert "connections wait at 0.0.0.0:5000 for the program to accept them" in told(seen)


def test_routes_and_waiting_connections_of_a_container_are_read_in_the_kernel_s_words() -> None:
    found = way(f"@ 5000 listening\n00000000:1388=00000002\n@ 5000 network\n{ROUTES}")
    assert found.listening is not None
    assert found.listening[0].waiting == 2
    assert isinstance(found.listening[0], Listener)
    assert found.inside is not None
    assert [one.says for one in found.inside.routes] == [
        "default via 172.17.0.1 dev eth0",
        "172.17.0.0/16 dev eth0",
        "unreachable 10.10.0.0/16",
    ]
    assert found.inside.routes[1] == InnerRoute(found.inside.routes[1].network, None, "eth0", 5)
