"""A dockerd that does not hear firewalld: a risk only where that firewalld wipes Docker's rules."""

import pytest

from checks.causes.cause import examine
from checks.causes.docker_risks import DOCKER_DEAF_TO_FIREWALLD
from checks.look import Look
from checks.model import Finding, Verdict
from tests import recordings
from tests.looks import changed, without

BOOKWORM, TRIXIE = "debian12-docker20.10.24", "debian13-docker26.1.5"
SPARED = (TRIXIE, "firewalld-spares-a-deaf-dockerd")
QUESTIONS = [f"firewalld-direct-{kind}" for kind in ("chains", "rules", "passthroughs")]


def recorded(platform: str, state: str) -> Look:
    return recordings.replay(recordings.FOLDER / platform / f"{state}.json")


def deaf(look: Look) -> Finding:
    return examine(DOCKER_DEAF_TO_FIREWALLD, look)


def test_a_firewalld_that_leaves_docker_s_rules_alone_need_not_be_heard() -> None:
    found = deaf(recorded(*SPARED))
    assert found.verdict is Verdict.PASS
    assert found.why == "firewalld 2.3.1 with its nftables backend and no direct rule leaves Docker's rules alone"


def test_with_one_direct_rule_it_wipes_them() -> None:
    found = deaf(recorded(TRIXIE, "firewalld-given-a-direct-rule"))
    assert found.verdict is Verdict.RISK
    assert "direct rules of firewalld 2.3.1: 1" in found.evidence[1].says


@pytest.mark.parametrize(
    ("platform", "state"),
    [
        (BOOKWORM, "firewalld-with-nftables-started-after-deaf-dockerd"),
        (BOOKWORM, "firewalld-started-after-deaf-dockerd"),
        (TRIXIE, "firewalld-started-after-deaf-dockerd"),
    ],
)
def test_an_older_one_or_one_with_the_iptables_backend_wipes_them(platform: str, state: str) -> None:
    assert deaf(recorded(platform, state)).verdict is Verdict.RISK


@pytest.mark.parametrize("question", QUESTIONS)
def test_where_it_could_not_be_asked_for_its_direct_rules_it_is_not_told(question: str) -> None:
    found = deaf(without(recorded(*SPARED), question, "sudo-refused"))
    assert found.verdict is Verdict.SKIP
    assert found.missing is not None
    assert found.missing.fact == "firewalld's direct rules"


def test_of_an_unknown_version_it_is_not_told() -> None:
    found = deaf(changed(recorded(*SPARED), "firewalld-version", 'VERSION = "2.3.1"\n', ""))
    assert found.verdict is Verdict.SKIP
    assert "which version of firewalld runs is not known" in found.why
