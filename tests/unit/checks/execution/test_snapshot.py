"""What a fix may change on a host, and what is another value afterwards."""

import functools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.execution.snapshot import differences, snapshot
from checks.facts import ALL_FACTS
from checks.model import Difference, Family, Output, Snapshot, Values
from checks.source import Facts
from tests import recordings

BOOKWORM = "debian12-docker20.10.24"
PLATFORMS = recordings.platforms()
RECORDED = sorted(path for path in recordings.FOLDER.glob("*/*.json") if recordings.outputs(path))
PROBES = sorted({probe.name for source in ALL_FACTS for probe in source.probes})


@functools.cache
def taken(platform: str, state: str) -> Snapshot:
    return snapshot(recordings.load(recordings.FOLDER / platform / f"{state}.json"))


def changed(platform: str, state: str, *announced: str) -> dict[str, Difference]:
    """What a fault changed about the healthy host, but for what any two recordings differ in: times and ids."""
    found = differences(taken(platform, "healthy"), taken(platform, state), announced)
    lasting = (one for one in found if not one.name.endswith((" started", " written")))
    return {one.name: one for one in lasting if str(one.before).split(", id")[0] != str(one.after).split(", id")[0]}


def without(facts: Facts, probes: set[str]) -> Facts:
    outputs = {name: output for name, output in facts.outputs.items() if name not in probes}
    return Facts(facts.host, facts.at, outputs, facts.missing)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_same_facts_differ_in_nothing(path: Path) -> None:
    found = snapshot(recordings.load(path))
    assert differences(found, snapshot(recordings.load(path)), ()) == ()
    named = [name for values in found.families.values() for name in (*values.states, *values.moments)]
    assert named
    assert not any("veth" in name for name in named)


@settings(deadline=None)  # whole recordings are read
@given(
    st.sampled_from(recordings.having("firewalld-running-healthy")),
    st.sets(st.sampled_from(PROBES)),
    st.sets(st.sampled_from(PROBES)),
)
def test_what_could_not_be_had_is_never_taken_for_gone(platform: str, lost: set[str], lost_later: set[str]) -> None:
    facts = recordings.load(recordings.FOLDER / platform / "firewalld-running-healthy.json")
    assert differences(snapshot(without(facts, lost)), snapshot(without(facts, lost_later)), ()) == ()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_forwarding_that_was_switched_off_is_named_with_every_interface_and_nothing_else(platform: str) -> None:
    found = changed(platform, "ip-forward-off", "sysctl net.ipv4.ip_forward")
    one = found["sysctl net.ipv4.ip_forward"]
    assert (one.before, one.after, one.announced) == ("1", "0", True)
    assert not found["sysctl net.ipv4.conf.docker0.forwarding"].announced
    assert all(name.startswith("sysctl net.ipv4.") for name in found)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_new_file_is_named_with_the_lines_that_matter(platform: str) -> None:
    one = changed(platform, "ip-forward-off-hardened")["file /etc/sysctl.d/99-hardening.conf"]
    assert (one.before, one.after) == (None, "net.ipv4.ip_forward = 0")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_wiped_chains_are_gone_and_firewalld_runs(platform: str) -> None:
    found = changed(platform, "firewalld-started-after-deaf-dockerd", "rules nat *")
    assert found["rules nat DOCKER"].announced
    assert (found["rules nat DOCKER"].after, found["rules filter DOCKER"].after) == (None, None)
    assert (found["unit firewalld.service"].after or "").startswith("active")
    assert found["zone public"].before is None
    assert "zone public kept" not in found  # which a firewalld that did not run could not tell


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_stopped_container_is_named_by_its_state_and_not_by_its_address(platform: str) -> None:
    found = changed(platform, "container-stopped")
    one = found["container registry"]
    assert (str(one.before).split(",")[0], str(one.after).split(",")[0]) == ("running", "exited")


def test_a_rule_of_somebody_in_docker_user_is_quoted() -> None:
    [one] = changed(BOOKWORM, "docker-user-drops").values()
    assert one.name == "rules filter DOCKER-USER"
    assert (one.before, one.after) == ("-j RETURN", "-p tcp -m tcp --dport 5000 -j DROP; -j RETURN")


def test_a_native_table_is_named_by_its_chain() -> None:
    one = changed(BOOKWORM, "nft-forward-policy-drop")
    assert [name for name in one if name.startswith("nft ")] == list(one)


def test_a_restart_that_nobody_announced_is_told_by_its_moment_and_a_start_by_its_state() -> None:
    running, again, stopped = (
        Snapshot({Family.CONTAINER: Values({"container web": state}, {"container web": started})})
        for state, started in (("running", "10:00"), ("running", "10:05"), ("exited", "09:00"))
    )
    assert differences(running, again, ("container other*",)) == (
        Difference(Family.CONTAINER, "container web started", "10:00", "10:05", announced=False),
    )
    assert differences(running, again, ("container web*",)) == ()
    assert [one.name for one in differences(stopped, running, ())] == ["container web"]


def test_the_last_container_that_is_gone_is_gone() -> None:
    before = Snapshot({Family.CONTAINER: Values({"container web": "running"})})
    assert differences(before, Snapshot({Family.CONTAINER: Values({})}), ()) == (
        Difference(Family.CONTAINER, "container web", "running", None, announced=False),
    )
    assert differences(before, Snapshot({}), ()) == ()


def test_a_very_long_chain_is_told_by_its_sum() -> None:
    facts = recordings.load(recordings.FOLDER / BOOKWORM / "healthy.json")
    rules = "".join(f"[0:0] -A DOCKER-USER -s 10.0.{n // 250}.{n % 250}/32 -j DROP\n" for n in range(1000))
    first, jump, rest = facts.outputs["iptables"].stdout.partition("[0:0] -A FORWARD")
    many = Output(rules.join((first, jump + rest)))
    long = snapshot(Facts(facts.host, facts.at, {**facts.outputs, "iptables": many}, facts.missing))
    value = long.states["rules filter DOCKER-USER"]
    assert "SHA-256" in value
    assert len(value) < 400
