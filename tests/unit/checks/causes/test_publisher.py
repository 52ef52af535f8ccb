"""Who publishes the port is who is diagnosed, whatever name the configuration has."""

from dataclasses import replace

import pytest

from checks.check import report
from checks.facts.engine import CONTAINERS, Binding, Container, Network, publisher
from checks.look import Look
from checks.model import Confidence, Diagnosis, Finding
from tests import recordings
from tests.unit.checks.container_looks import causes, healthy, printing, risks, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, commands, plan_of, recorded, reported

BOTH = (BOOKWORM, TRIXIE)
PUBLISHES = "container reg-registry-1 publishes 5000"


def stands_in(seen: Look) -> str:
    return report(seen, recordings.RECORDED_AT, 1.0).stands_in


def why_not(seen: Look, cause: str) -> str:
    diagnosis: Diagnosis = reported(seen).diagnosis
    [finding] = [one for one in (*diagnosis.ruled_out, *diagnosis.not_told) if one.cause == cause]
    return finding.why


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "whom"),
    [
        ("forwarding-off-behind-a-front", "container front publishes 5000 and stands before registry"),
        ("forwarding-off-and-renamed", f"Docker knows no container registry; {PUBLISHES}"),
        ("forwarding-off-renamed-and-firewalld", f"Docker knows no container registry; {PUBLISHES}"),
        (
            "forwarding-off-and-green",
            "container registry-green publishes 5000 in the place of registry, which is exited",
        ),
    ],
)
def test_forwarding_that_is_off_is_proven_by_whoever_has_the_port_and_it_is_said_who_that_is(
    platform: str, state: str, whom: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("ip-forward-off",)
    assert root(seen).confidence is Confidence.PROVEN
    assert stands_in(seen) == whom
    assert {plan.fix for plan in reported(seen).plans} == {"enable-ip-forward"}


@pytest.mark.parametrize("platform", BOTH)
def test_a_name_that_is_gone_is_a_risk_while_all_is_well_and_no_cause_of_an_outage(platform: str) -> None:
    assert risks(recorded(platform, "renamed")) >= {"configured-container-missing"}
    off = recorded(platform, "forwarding-off-and-renamed")
    assert "configured-container-missing" not in {risk.cause for risk in reported(off).diagnosis.risks}
    assert why_not(off, "container-missing") == f"Docker knows no container registry; {PUBLISHES}"


@pytest.mark.parametrize("platform", BOTH)
def test_the_risk_says_how_to_bring_name_and_configuration_together(platform: str) -> None:
    diagnosis = reported(recorded(platform, "renamed")).diagnosis
    risk: Finding = next(one for one in diagnosis.risks if one.cause == "configured-container-missing")
    assert "docker rename reg-registry-1 registry" in risk.evidence[1].says


@pytest.mark.parametrize("platform", BOTH)
def test_the_one_that_published_it_last_is_stopped_which_is_likely_and_may_be_started(platform: str) -> None:
    front = recorded(platform, "front-stopped")
    assert causes(front) == ("container-stopped",)
    assert root(front).confidence is Confidence.LIKELY
    assert stands_in(front) == "container front, which is exited, publishes 5000 and stands before registry"
    assert commands(plan_of(front, "start-container")) == ["docker start front"]
    renamed = recorded(platform, "renamed-and-stopped")
    assert causes(renamed) == ("container-stopped",)
    assert commands(plan_of(renamed, "start-container")) == ["docker start reg-registry-1"]


@pytest.mark.parametrize("platform", BOTH)
def test_one_that_was_made_under_another_name_and_never_started_is_the_answer(platform: str) -> None:
    seen = recorded(platform, "created-under-another-name-and-never-started")
    assert causes(seen) == ("container-start-failed",)
    assert root(seen).confidence is Confidence.LIKELY
    assert "container reg-registry-1 was created, and never started" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", ["nat-rule-missing-and-renamed", "forwarding-off-renamed-and-firewalld"])
def test_an_unlisted_port_of_firewalld_is_not_blamed_for_a_container_of_another_name(platform: str, state: str) -> None:
    seen = recorded(platform, state)
    assert "5000/tcp need not be open" in why_not(seen, "firewalld-port-closed")


def test_a_closed_port_on_which_nobody_listens_is_not_what_is_wrong() -> None:
    seen = recorded(BOOKWORM, "host-network-port-closed")
    assert seen.facts is not None
    nobody = "\n".join(line for line in seen.facts.outputs["sockets"].stdout.splitlines() if ":5000" not in line)
    deaf = printing(seen, "sockets", nobody)
    assert (
        why_not(deaf, "firewalld-port-closed") == "nothing on the host listens on 5000: an open port would lead nowhere"
    )


# --- who it is ---


def made(name: str, *, asked: int = 0, has: int = 0, network: str = "bridge", ended: str = "") -> Container:
    [known] = healthy(BOOKWORM).need(CONTAINERS)
    asks, published = ((Binding("0.0.0.0", port, 5000),) if port else () for port in (asked, has))
    return replace(
        known,
        id=f"id of {name}",
        name=name,
        status="running" if has or not asked else "exited",
        bindings=asks,
        published=published,
        networks=(Network(network, "", "172.18.0.2", ""),),
        started_at="",
        finished_at=ended,
    )


def who(*containers: Container, named: str | None = "registry", answers: bool = True) -> str | None:
    found = publisher(containers, 5000, named, answers=answers)
    return found.name if found else None


def test_of_two_that_have_the_port_on_different_addresses_it_is_the_configured_one() -> None:
    assert who(made("other", asked=5000, has=5000), made("registry", asked=5000, has=5000)) == "registry"


def test_one_that_cannot_have_its_port_is_the_one_to_look_at_unless_who_has_it_serves() -> None:
    both = made("registry", asked=5000), made("thief", asked=5000, has=5000)
    assert who(*both, answers=False) == "registry"
    assert who(*both, answers=True) == "thief"


def test_one_that_publishes_nothing_is_the_one_to_look_at_where_no_other_belongs_to_it() -> None:
    leftover = made("leftover", asked=5000)
    assert who(made("registry"), leftover) == "registry"
    assert who(made("registry", network="back"), replace(leftover, networks=made("x", network="back").networks)) == (
        "leftover"
    )


def test_of_several_that_had_the_port_it_is_the_last_one() -> None:
    old, new = (made(name, asked=5000, ended=f"2026-03-0{day}T00:00:00Z") for name, day in (("old", 1), ("new", 2)))
    assert who(new, old) == who(old, new) == who(old, new, named=None) == "new"
    assert who(made("elsewhere", asked=80)) is None
