"""Whether a host routes for everybody: told by what becomes of a stranger's packet, not by who set which policy."""

import pytest

from checks.causes.cause import examine
from checks.causes.forwarding import FORWARD_POLICY_OPEN, INTERFACE_FORWARDING_OFF, IP_FORWARD_OFF
from checks.look import Look
from checks.model import Confidence, Finding, Verdict
from tests import recordings
from tests.looks import changed, without
from tests.unit.checks.fixes.plans import plan_of

PLATFORMS = ["debian12-docker20.10.24", "debian13-docker26.1.5"]


def recorded(platform: str, state: str) -> Look:
    return recordings.replay(recordings.FOLDER / platform / f"{state}.json")


def policy_open(look: Look) -> Finding:
    return examine(FORWARD_POLICY_OPEN, look)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_policy_that_another_program_left_open_is_a_risk_though_no_file_keeps_forwarding_on(platform: str) -> None:
    found = policy_open(recorded(platform, "forward-policy-left-open"))
    assert found.verdict is Verdict.RISK
    assert found.evidence[-1].says == "dockerd sets the policy to DROP only when it finds forwarding off at its start"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_with_a_file_that_keeps_forwarding_on_that_is_why(platform: str) -> None:
    found = policy_open(recorded(platform, "forwarding-kept-on-and-policy-open"))
    assert found.verdict is Verdict.RISK
    assert "/etc/sysctl.d/50-forward.conf:1 says net.ipv4.ip_forward = 1" in found.evidence[-1].says


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("healthy", "table filter, chain FORWARD: policy DROP"),
        ("forward-policy-open-and-closed-by-a-rule", "table filter, chain FORWARD: -A FORWARD -j DROP"),
        ("firewalld-running-healthy", "-j REJECT --reject-with icmp-port-unreachable"),
        ("nft-table-that-drops-but-not-this", "nft table inet corp, chain only: policy drop"),
    ],
)
def test_the_rule_that_ends_a_stranger_s_packet_rules_it_out(platform: str, state: str, why: str) -> None:
    found = policy_open(recorded(platform, state))
    assert found.verdict is Verdict.PASS
    assert why in found.why


def test_a_drop_between_the_ports_of_a_bridge_closes_nothing() -> None:
    open_ = changed(
        recorded(PLATFORMS[0], "nft-bridge-keeps-containers-apart"), "iptables", ":FORWARD DROP", ":FORWARD ACCEPT"
    )
    assert policy_open(open_).verdict is Verdict.RISK


def test_a_rule_that_may_end_it_leaves_it_untold() -> None:
    perhaps = "-A FORWARD -m quota --quota 5 -j DROP"
    seen = changed(
        recorded(PLATFORMS[0], "forward-policy-open-and-closed-by-a-rule"), "iptables", "-A FORWARD -j DROP", perhaps
    )
    found = policy_open(seen)
    assert found.verdict is Verdict.SKIP
    assert perhaps in found.why


def test_without_the_rules_it_is_not_told() -> None:
    assert policy_open(without(recorded(PLATFORMS[0], "healthy"), "iptables", "sudo-refused")).verdict is Verdict.SKIP


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("default", ["0", "1"])
def test_what_networkmanager_copies_to_an_interface_is_told_where_it_is_off(platform: str, default: str) -> None:
    """Seen with NetworkManager 1.58: a profile that says nothing gets conf.default.forwarding at each reapply."""
    seen = recorded(platform, "host0-forwarding-off")
    managed = changed(
        changed(seen, "forwarding", "conf/default/forwarding:1", f"conf/default/forwarding:{default}"),
        "units",
        "Id=NetworkManager.service\nLoadState=not-found\nActiveState=inactive",
        "Id=NetworkManager.service\nLoadState=loaded\nActiveState=active",
    )
    for one in (seen, managed):
        found = examine(INTERFACE_FORWARDING_OFF, one)
        assert found.verdict is Verdict.FAIL
        said = "\n".join(evidence.says for evidence in found.evidence)
        assert ("which NetworkManager copies to an interface" in said) is (one is managed and default == "0")
    plan = plan_of(managed, "enable-interface-forwarding")
    assert any("nmcli device reapply" in note for note in plan.notes) is (default == "0")
    assert any("ipv4.forwarding yes" in note for note in plan.notes)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_forwarding_that_is_off_is_proven_also_where_dockerd_hangs(platform: str) -> None:
    """What is translated to no address of the host's has to be forwarded, whatever container has it."""
    silent = recorded(platform, "ip-forward-off")
    for probe in ("engine-info", "engine-containers", "engine-logs"):
        silent = without(silent, probe, "the Docker Engine did not answer")
    found = examine(IP_FORWARD_OFF, silent)
    assert (found.verdict, found.confidence) == (Verdict.FAIL, Confidence.PROVEN)
    assert found.evidence[1].says == "the rules send it on to 172.17.0.2:5000, which is none of the host's addresses"
    assert plan_of(silent, "enable-ip-forward").steps
