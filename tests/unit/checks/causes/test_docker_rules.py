"""Docker's own rules: gone, or all there and of no use; and what stands in its chains and is not its own."""

from dataclasses import replace

import pytest

from checks.model import Confidence
from tests.looks import TIMED_OUT, changed
from tests.unit.checks.container_looks import PLATFORMS, causes, root, told
from tests.unit.checks.fixes.plans import recorded, reported

MISSING = "docker-forward-rule-missing"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("state", "gone"),
    [
        ("docker-accept-rules-flushed", "chain DOCKER of table filter does not accept packets for the container"),
        ("forward-chain-flushed", "FORWARD of table filter does not jump to any of Docker's chains"),
        ("jump-to-docker-s-chain-deleted", "no rule of FORWARD sends what is for docker0 to chain DOCKER"),
        ("accept-of-the-answers-deleted", "no rule of FORWARD accepts what comes from docker0"),
    ],
)
def test_the_rule_that_is_gone_is_named(platform: str, state: str, gone: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (MISSING,)
    assert root(seen).confidence is Confidence.PROVEN
    assert gone in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_rule_for_another_port_of_the_container_is_not_the_one_that_lets_clients_in(platform: str) -> None:
    seen = recorded(platform, "docker-s-accept-rule-is-for-another-port")
    assert causes(seen) == (MISSING,)
    assert root(seen).confidence is Confidence.PROVEN
    assert "chain DOCKER of table filter does not accept packets for the container" in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_rule_such_as_dockerd_never_writes_is_somebody_s_also_in_a_chain_of_docker_s(platform: str) -> None:
    seen = recorded(platform, "rule-of-somebody-s-in-a-chain-of-docker-s")
    assert causes(seen) == ("foreign-firewall-drop",)
    assert "DOCKER-ISOLATION-STAGE-1" in told(seen)
    assert not reported(seen).proposed


@pytest.mark.parametrize("platform", PLATFORMS)
def test_one_that_drops_what_is_for_the_container_is_somebody_s_too(platform: str) -> None:
    seen = recorded(platform, "rule-of-somebody-s-in-a-chain-of-docker-s")
    rejects = "-s 10.77.0.1/32 -p tcp -m tcp --dport 5000 -j REJECT --reject-with icmp-port-unreachable"
    assert causes(changed(seen, "iptables", rejects, "-d 172.17.0.2/32 -j DROP")) == ("foreign-firewall-drop",)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_rule_of_docker_s_is_not_gone_where_another_sends_the_packet_to_another_port(platform: str) -> None:
    healthy = replace(recorded(platform, "healthy"), outside=TIMED_OUT)
    jump = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"
    first = f"-A PREROUTING -p tcp -m tcp --dport 5000 -j DNAT --to-destination 172.17.0.2:5999\n[0:0] {jump}"
    assert MISSING not in causes(changed(healthy, "iptables", jump, first))
