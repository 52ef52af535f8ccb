"""A cause is proven only where the packet was seen to die of it."""

from dataclasses import replace

import pytest

from checks.causes import ALL_CAUSES, ALL_RISKS
from checks.diagnose import diagnose
from checks.look import Look
from checks.model import UNDETERMINED, Confidence, Finding
from checks.source import Facts
from tests import recordings
from tests.unit.checks.watched_looks import PLATFORM, asks, dropped, inwards, watched

ALL = range(3)
BY_A_RULE = [dropped(number, "nft_do_chain NETFILTER_DROP") for number in ALL]
NOT_FORWARDED = [dropped(number, "ip_error IP_INADDRERRORS") for number in ALL]
ARRIVE = [asks(number, "host0 In") for number in ALL]
REACH_CONTAINER = [line for number in ALL for line in inwards(number)]


def root(look: Look) -> Finding:
    found = diagnose(look).root
    assert found is not None
    return found


def docker_user_drops(capture: list[str], drops: list[str] | None) -> Look:
    """A host whose rules and counters say that DOCKER-USER drops, had this been watched."""
    recorded = recordings.replay(recordings.FOLDER / PLATFORM / "docker-user-drops.json")
    seen = watched(capture, drops).recount
    assert recorded.recount is not None
    assert seen is not None
    facts = recorded.recount.facts
    outputs = {**facts.outputs, **seen.facts.outputs}
    missing = {**facts.missing, **seen.facts.missing}
    return replace(recorded, recount=replace(recorded.recount, facts=Facts(facts.host, facts.at, outputs, missing)))


def test_a_packet_that_is_seen_to_die_where_the_cause_says_proves_it() -> None:
    found = root(docker_user_drops(ARRIVE, BY_A_RULE))
    assert (found.cause, found.confidence) == ("docker-user-drop", Confidence.PROVEN)
    assert found.evidence[-1].says.startswith("it was seen coming in by host0, and not leaving by docker0")


def test_a_kernel_that_gives_no_reason_contradicts_nothing() -> None:
    assert root(docker_user_drops(ARRIVE, None)).confidence is Confidence.PROVEN


@pytest.mark.parametrize(
    ("capture", "drops"), [(REACH_CONTAINER, None), (REACH_CONTAINER, BY_A_RULE), (ARRIVE, NOT_FORWARDED), ([], None)]
)
def test_one_that_dies_elsewhere_or_of_something_else_leaves_it_likely(
    capture: list[str], drops: list[str] | None
) -> None:
    found = root(docker_user_drops(capture, drops))
    assert (found.cause, found.confidence) == ("docker-user-drop", Confidence.LIKELY)
    assert found.evidence[-1].says.startswith("yet that is not where the packet was seen to die: ")


def test_where_no_cause_has_a_name_the_place_is_the_answer() -> None:
    found = root(watched(REACH_CONTAINER, BY_A_RULE))
    assert found.cause == UNDETERMINED
    assert found.title.startswith("cause not determined, but the place: it was seen leaving by veth")
    assert "and not answered by container registry" in found.evidence[0].says
    assert "NETFILTER_DROP" in found.evidence[0].says
    assert found.advice


def test_only_what_breaks_a_service_now_kills_packets() -> None:
    assert not [risk.id for risk in ALL_RISKS if risk.death is not None]
    assert [cause.id for cause in ALL_CAUSES if cause.death is not None and not cause.death.stretches] == []
