"""What was recorded on really broken hosts is diagnosed as what it is, on every platform."""

from dataclasses import dataclass, replace

import pytest

from checks.causes import ALL_CAUSES, ALL_RISKS
from checks.diagnose import diagnose
from checks.model import Confidence, Ended, Reading, Trouble, Verdict
from tests import recordings
from tests.looks import ANSWERED, REFUSED, TIMED_OUT, blind, changed, look, reading, recorded_states, without


@dataclass(frozen=True)
class Scene:
    state: str
    outside: Reading
    causes: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


NOT_LASTING = ("ip-forward-not-persisted",)
DEAF = (*NOT_LASTING, "docker-deaf-to-firewalld")
SCENES = [
    Scene("healthy", ANSWERED, risks=NOT_LASTING),
    Scene("ip-forward-off", TIMED_OUT, ("ip-forward-off",)),
    Scene("ip-forward-off-hardened", TIMED_OUT, ("ip-forward-off",)),
    Scene("firewalld-started-after-deaf-dockerd", REFUSED, ("docker-chains-missing",), DEAF),
    Scene(
        "chains-missing-and-ip-forward-off",
        REFUSED,
        ("docker-chains-missing", "ip-forward-off"),
        ("docker-deaf-to-firewalld",),
    ),
    Scene("firewalld-running-healthy", ANSWERED, risks=NOT_LASTING),
    Scene("docker-nat-rule-missing", REFUSED, ("docker-nat-rule-missing",), NOT_LASTING),
    Scene("host-network-port-closed", REFUSED, ("firewalld-port-closed",)),
    Scene("host-network-port-open-forwarding-off", ANSWERED),
    Scene("container-stopped", REFUSED, ("container-stopped",), NOT_LASTING),
    Scene("container-missing", REFUSED, ("container-missing",)),
    Scene("dockerd-down", REFUSED, ("dockerd-down",)),
    Scene("chains-missing-but-served", ANSWERED, risks=(*NOT_LASTING, "chains-missing-but-served")),
]


@pytest.mark.parametrize("platform", recordings.platforms())
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.state)
def test_a_recorded_host_is_diagnosed_as_what_it_is(platform: str, scene: Scene) -> None:
    diagnosis = diagnose(look(platform, scene.state, scene.outside))
    assert tuple(finding.cause for finding in diagnosis.causes) == scene.causes
    assert tuple(finding.cause for finding in diagnosis.risks) == scene.risks
    if diagnosis.root:
        assert diagnosis.root.confidence is Confidence.PROVEN
        assert diagnosis.root.evidence


@pytest.mark.parametrize("platform", recordings.platforms())
def test_every_recording_has_its_scene(platform: str) -> None:
    assert {path.stem for path in recorded_states(platform)} == {scene.state for scene in SCENES}


@pytest.mark.parametrize("platform", recordings.platforms())
@pytest.mark.parametrize("state", ["firewalld-running-healthy", "host-network-port-open-forwarding-off"])
def test_an_odd_looking_but_healthy_host_is_blamed_for_nothing(platform: str, state: str) -> None:
    """Even were it to stop answering: an unlisted port behind DNAT and forwarding off behind nothing are no causes."""
    diagnosis = diagnose(look(platform, state, TIMED_OUT))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]
    ruled_out = {finding.cause: finding.why for finding in diagnosis.ruled_out}
    assert "DNAT" in ruled_out["firewalld-port-closed"] or "open:" in ruled_out["firewalld-port-closed"]


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_healthy_host_that_does_not_answer_is_undetermined_and_says_what_it_saw(platform: str) -> None:
    diagnosis = diagnose(look(platform, "healthy", TIMED_OUT))
    assert diagnosis.root is not None
    assert diagnosis.root.cause == "undetermined"
    assert diagnosis.root.confidence is Confidence.LIKELY
    says = [evidence.says for evidence in diagnosis.root.evidence]
    assert "outside: timed out at connect" in says
    assert any(line.startswith("container: answered") for line in says)


@pytest.mark.parametrize("platform", recordings.platforms())
def test_what_the_kernel_says_of_the_route_is_part_of_the_proof(platform: str) -> None:
    diagnosis = diagnose(look(platform, "ip-forward-off", TIMED_OUT))
    assert diagnosis.root is not None
    assert any("No route to host" in evidence.says for evidence in diagnosis.root.evidence)


def test_a_route_that_contradicts_makes_the_cause_likely_not_proven() -> None:
    seen = changed(
        look("debian12-docker20.10.24", "ip-forward-off", TIMED_OUT),
        "path",
        "RTNETLINK answers: No route to host",
        "172.17.0.2 from 10.78.0.1 dev docker0 \n    cache iif host0",
    )
    diagnosis = diagnose(seen)
    assert diagnosis.root is not None
    assert (diagnosis.root.cause, diagnosis.root.confidence) == ("ip-forward-off", Confidence.LIKELY)


@pytest.mark.parametrize("platform", recordings.platforms())
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
    assert len(diagnosis.not_told) == len(ALL_CAUSES) + len(ALL_RISKS)


def test_a_refused_port_on_a_host_whose_sshd_is_silent_is_not_an_unreachable_host() -> None:
    diagnosis = diagnose(blind(REFUSED, Trouble("ssh-timed-out", "host1: no SSH login within 5 s")))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]


def test_a_service_that_answers_has_no_causes_whatever_cannot_be_told() -> None:
    assert diagnose(blind(ANSWERED, Trouble("ssh-refused", "host1: nobody listens for SSH"))).causes == ()


def test_a_port_that_only_some_other_reading_broke_is_likely_at_most() -> None:
    bad_status = replace(reading(Ended.BAD_STATUS), status=500)
    diagnosis = diagnose(look("debian12-docker20.10.24", "host-network-port-closed", bad_status))
    assert diagnosis.root is not None
    assert diagnosis.root.confidence is Confidence.LIKELY
