"""What was recorded on really broken hosts is diagnosed as what it is, on every platform."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from checks.causes import ALL_CAUSES, ALL_RISKS
from checks.check import report
from checks.diagnose import diagnose
from checks.model import Confidence, ReachOutcome, Trouble, Verdict
from tests import recordings
from tests.lab.faults import SCENARIOS
from tests.looks import ANSWERED, REFUSED, TIMED_OUT, blind, changed, look, reading, without

RECORDED = sorted(recordings.FOLDER.glob("*/*.json"))
WHOLLY = {"bookworm": "debian12-docker20.10.24", "trixie": "debian13-docker26.1.5"}
"""The generations of which every scenario is recorded."""

TOLD_FROM_OUTSIDE = {
    "name-does-not-resolve",
    "name-resolves-elsewhere",
    "mtu-black-hole",
    "scheme-mismatch",
    "tls-refused",
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-of-another-name",
    "certificate-untrusted",
    "proxy-in-front-fails",
    "registry-error",
    "not-a-registry",
    "ipv6-forwarding-off",
    "published-for-ipv4-alone",
}
"""What a connection of IPv4 that was never made rules out by itself, without a look inside."""


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", RECORDED, ids=named)
def test_a_recorded_host_is_diagnosed_as_what_it_is(path: Path) -> None:
    expected = recordings.expected(path)
    assert expected is not None
    causes, risks = expected
    diagnosis = diagnose(recordings.replay(path))
    found = tuple(finding.cause for finding in diagnosis.causes)
    assert set(found) == set(causes)
    assert set(risks) <= {finding.cause for finding in diagnosis.risks}
    for finding in diagnosis.causes:
        assert finding.evidence, f"{finding.cause} shows nothing for it"


@pytest.mark.parametrize("generation", WHOLLY)
def test_every_scenario_has_its_recording(generation: str) -> None:
    applying = {scenario.name for scenario in SCENARIOS if generation not in scenario.not_on}
    assert {path.stem for path in RECORDED if path.parent.name == WHOLLY[generation]} == applying


@pytest.mark.parametrize(
    ("state", "platform"),
    [
        (state, platform)
        for state in ("firewalld-running-healthy", "host-network-port-open-forwarding-off")
        for platform in recordings.having(state)
    ],
)
def test_an_odd_looking_but_healthy_host_is_blamed_for_nothing(platform: str, state: str) -> None:
    """Even were it to stop answering: an unlisted port behind DNAT and forwarding off behind nothing are no causes."""
    diagnosis = diagnose(look(platform, state, TIMED_OUT))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]
    ruled_out = {finding.cause: finding.why for finding in diagnosis.ruled_out}
    assert "DNAT" in ruled_out["firewalld-port-closed"] or "open:" in ruled_out["firewalld-port-closed"]


@pytest.mark.parametrize("platform", recordings.having("healthy"))
def test_a_healthy_host_that_does_not_answer_is_undetermined_and_says_what_it_saw(platform: str) -> None:
    diagnosis = diagnose(look(platform, "healthy", TIMED_OUT))
    assert diagnosis.root is not None
    assert diagnosis.root.cause == "undetermined"
    assert diagnosis.root.confidence is Confidence.LIKELY
    says = [evidence.says for evidence in diagnosis.root.evidence]
    assert "outside: timed out at connect" in says
    assert any(line.startswith("container: answered") for line in says)


@pytest.mark.parametrize("platform", recordings.having("ip-forward-off"))
def test_what_the_kernel_says_of_the_route_is_part_of_the_proof(platform: str) -> None:
    diagnosis = diagnose(look(platform, "ip-forward-off", TIMED_OUT))
    assert diagnosis.root is not None
    assert any("No route to host" in evidence.says for evidence in diagnosis.root.evidence)


def test_a_route_that_contradicts_makes_the_cause_likely_not_proven() -> None:
    seen = changed(
        look("debian12-docker20.10.24", "ip-forward-off", TIMED_OUT),
        "path",
        "iif host0\nRTNETLINK answers: No route to host",
        "iif host0\n172.17.0.2 from 10.78.0.1 dev docker0 \n    cache iif host0",
    )
    diagnosis = diagnose(seen)
    assert diagnosis.root is not None
    assert (diagnosis.root.cause, diagnosis.root.confidence) == ("ip-forward-off", Confidence.LIKELY)


@pytest.mark.parametrize("platform", recordings.having("firewalld-started-after-deaf-dockerd"))
@pytest.mark.parametrize(
    ("probe", "untold"),
    [
        ("forwarding", "ip-forward-off"),
        ("iptables", "docker-chains-missing"),
        ("units", "dockerd-down"),
        ("engine-containers", "container-stopped"),
        ("firewalld-zones", "firewalld-port-closed"),
        ("sysctl-files", "ip-forward-not-persisted"),
        ("bus", "docker-deaf-to-firewalld"),
    ],
)
def test_a_missing_fact_is_said_and_never_taken_for_a_healthy_one(platform: str, probe: str, untold: str) -> None:
    seen = without(look(platform, "firewalld-started-after-deaf-dockerd", REFUSED), probe, "sudo-refused: of no use")
    diagnosis = diagnose(seen)
    [finding] = [finding for finding in diagnosis.not_told if finding.cause == untold]
    assert finding.verdict is Verdict.SKIP
    assert "sudo-refused: of no use" in finding.why
    assert untold not in {finding.cause for finding in (*diagnosis.ruled_out, *diagnosis.causes)}


def test_a_dockerd_that_writes_no_rules_by_its_settings_is_not_blamed_for_missing_ones() -> None:
    seen = changed(
        look("debian12-docker20.10.24", "firewalld-started-after-deaf-dockerd", REFUSED),
        "daemon",
        "/usr/sbin/dockerd",
        "/usr/sbin/dockerd --iptables=false",
    )
    assert "docker-chains-missing" not in {finding.cause for finding in diagnose(seen).causes}


def test_a_container_that_is_gone_and_was_never_named_is_no_reason_to_blame_the_firewall() -> None:
    seen = look("debian12-docker20.10.24", "firewalld-running-healthy", REFUSED, container=None)
    gone = changed(seen, "engine-containers", '"5000"', '"5999"')
    silent = changed(gone, "path", "=> 200", "=> 000")
    assert [finding.cause for finding in diagnose(silent).causes] == ["undetermined"]


def test_silence_of_service_and_sshd_is_a_host_that_is_not_there() -> None:
    diagnosis = diagnose(blind(TIMED_OUT, Trouble("ssh-timed-out", "host1: no SSH login within 5 s")))
    assert diagnosis.root is not None
    assert diagnosis.root.cause == "host-unreachable"


@pytest.mark.parametrize(
    "trouble", ["ssh-refused", "ssh-login-refused", "ssh-host-key-changed", "ssh-host-key-unknown"]
)
def test_not_being_able_to_look_is_never_the_cause(trouble: str) -> None:
    diagnosis = diagnose(blind(TIMED_OUT, Trouble(trouble, "host1: no look inside")))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]
    assert {finding.cause for finding in diagnosis.ruled_out} == TOLD_FROM_OUTSIDE
    told = {finding.cause for finding in (*diagnosis.ruled_out, *diagnosis.not_told)}
    assert told >= {cause.id for cause in (*ALL_CAUSES, *ALL_RISKS)} - {"certificate-expiring", "address-not-answering"}


def test_a_refused_port_on_a_host_whose_sshd_is_silent_is_not_an_unreachable_host() -> None:
    diagnosis = diagnose(blind(REFUSED, Trouble("ssh-timed-out", "host1: no SSH login within 5 s")))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]


def test_a_service_that_answers_has_no_causes_whatever_cannot_be_told() -> None:
    assert diagnose(blind(ANSWERED, Trouble("ssh-refused", "host1: nobody listens for SSH"))).causes == ()


def test_a_port_that_only_some_other_reading_broke_is_likely_at_most() -> None:
    bad_status = replace(reading(ReachOutcome.BAD_STATUS), status=500)
    diagnosis = diagnose(look("debian12-docker20.10.24", "host-network-port-closed", bad_status))
    assert diagnosis.root is not None
    assert diagnosis.root.confidence is Confidence.LIKELY


@pytest.mark.parametrize("platform", recordings.having("docker-user-drops"))
def test_a_rule_that_ends_the_packet_but_did_not_count_it_is_likely_at_most(platform: str) -> None:
    """The counters contradict: something before it must have eaten what was sent."""
    seen = recordings.replay(recordings.FOLDER / platform / "docker-user-drops.json")
    assert diagnose(seen).causes[0].confidence is Confidence.PROVEN
    assert seen.facts is not None
    assert seen.recount is not None
    flat = replace(seen, recount=replace(seen.recount, facts=seen.facts))
    [finding] = [finding for finding in diagnose(flat).causes if finding.cause == "docker-user-drop"]
    assert finding.confidence is Confidence.LIKELY


@pytest.mark.parametrize("platform", recordings.having("nft-forward-policy-drop"))
def test_rules_that_could_not_be_read_are_never_taken_for_clear(platform: str) -> None:
    seen = recordings.replay(recordings.FOLDER / platform / "nft-forward-policy-drop.json")
    diagnosis = diagnose(without(seen, "nftables", "sudo-refused: a password is required"))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]
    untold = {finding.cause for finding in diagnosis.not_told}
    assert {"foreign-firewall-drop", "docker-user-drop", "blocked-before-host"} <= untold


@pytest.mark.parametrize("platform", recordings.having("dropped-before-the-host"))
def test_packets_that_never_arrive_are_told_only_by_counters_that_were_read_twice(platform: str) -> None:
    seen = recordings.replay(recordings.FOLDER / platform / "dropped-before-the-host.json")
    assert [finding.cause for finding in diagnose(seen).causes] == ["blocked-before-host"]
    assert [finding.cause for finding in diagnose(replace(seen, recount=None)).causes] == ["undetermined"]


def test_ten_services_of_a_host_that_cannot_be_looked_at_take_little_memory() -> None:
    """A bot that watches 2,000 services holds some 800 of their reports at a time."""
    host = blind(ANSWERED, Trouble("ssh-refused", "host1: nobody listens for SSH"))
    looks = [replace(host, service=replace(host.service, name=f"s{number}")) for number in range(10)]
    for each in looks:
        report(each, ANSWERED.at, 1.0)  # makes what is made once for all reports
    tracemalloc.start()
    try:
        reports = [report(each, ANSWERED.at, 1.0) for each in looks]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(len(each.diagnosis.not_told) > 50 for each in reports)
    assert taken / len(reports) < 22_000  # bytes
