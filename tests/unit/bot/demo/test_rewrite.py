"""A recording that is moved to the demo's place and time says the same, of the demo's own service."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.demo.hosts.recording import FOLDER, PORT, Recording, load
from bot.demo.hosts.rewrite import Place, rewritten
from bot.demo.hosts.states import HostState
from checks.causes import ALL_CAUSES
from checks.causes.cause import examine
from checks.facts.addresses import ADDRESSES
from checks.facts.engine import CONTAINERS
from checks.facts.netfilter import NETFILTER
from checks.facts.path import PATH
from checks.facts.sockets import SOCKETS
from checks.facts.system import SYSTEM
from checks.facts.units import UNITS, known
from checks.model import Vantage
from tests.unit.bot.demo.samples import NOW, look

RECORDINGS = sorted((path.parent.name, path.stem) for path in FOLDER.glob("*/*.json"))
SAME_PORT = Place("127.0.0.2", PORT, "127.0.0.1")
OTHER_PORT = Place("127.0.0.2", 36123, "127.0.0.1")


@pytest.fixture(params=RECORDINGS, ids="/".join)
def recorded(request: pytest.FixtureRequest) -> tuple[Recording, HostState]:
    platform, state = request.param
    return load(platform, state), HostState(state)


Recorded = tuple[Recording, HostState]


def test_every_verdict_and_its_words_are_the_same_but_for_the_place(recorded: Recorded) -> None:
    recording, state = recorded
    was = look(recording.outputs, recording.address, PORT, state.reachable)
    moved = rewritten(recording, SAME_PORT, recording.taken, recording.taken)
    now = look(moved, SAME_PORT.address, PORT, state.reachable)
    for cause in ALL_CAUSES:
        before, after = examine(cause, was), examine(cause, now)
        assert str(after) == _moved(str(before), recording), cause.id


def test_another_port_changes_no_verdict(recorded: Recorded) -> None:
    recording, state = recorded
    was = look(recording.outputs, recording.address, PORT, state.reachable)
    now = look(rewritten(recording, OTHER_PORT, NOW, NOW), OTHER_PORT.address, OTHER_PORT.port, state.reachable)
    for cause in ALL_CAUSES:
        before, after = examine(cause, was), examine(cause, now)
        assert (after.verdict, after.confidence) == (before.verdict, before.confidence), cause.id


def test_the_published_port_is_another_and_the_one_of_the_container_stays(recorded: Recorded) -> None:
    recording, state = recorded
    now = look(rewritten(recording, OTHER_PORT, NOW, NOW), OTHER_PORT.address, OTHER_PORT.port, state.reachable)
    [container] = now.need(CONTAINERS)
    assert {(one.host_port, one.container_port) for one in container.published} == {(36123, PORT)}
    assert {(one.host_port, one.container_port) for one in container.bindings} == {(36123, PORT)}
    assert {one.port for one in now.need(SOCKETS)} >= {36123}
    assert PORT not in {one.port for one in now.need(SOCKETS)}
    rules = [rule.says for rule in now.need(NETFILTER).dnat(36123)]
    assert all(rule.endswith(f"--to-destination 172.17.0.2:{PORT}") for rule in rules)
    assert not list(now.need(NETFILTER).dnat(PORT))
    assert {rung.vantage: rung.address for rung in now.need(PATH).ways[36123].rungs} == {
        Vantage.LOOPBACK: "127.0.0.1",
        Vantage.HOST: "127.0.0.2",
        Vantage.CONTAINER: "172.17.0.2",
    }


def test_neither_the_recorded_address_nor_the_client_is_left(recorded: Recorded) -> None:
    recording, state = recorded
    outputs = rewritten(recording, OTHER_PORT, NOW, NOW)
    for address in (recording.address, recording.client):
        whole = re.compile(rf"(?<![\d.]){re.escape(address)}(?![\d.])")
        assert [name for name, output in outputs.items() if whole.search(output.stdout)] == []
    now = look(outputs, OTHER_PORT.address, OTHER_PORT.port, state.reachable)
    assert now.way.client == OTHER_PORT.client
    assert now.need(ADDRESSES).interface_of(OTHER_PORT.address) == "host0"


def test_an_address_that_another_one_begins_with_stays() -> None:
    recording = load(*RECORDINGS[0])
    longer = f"{recording.address}0 1{recording.address} {recording.address}.5 {recording.address}"
    outputs = {**recording.outputs, "daemon": replace(recording.outputs["daemon"], stdout=longer)}
    moved = rewritten(replace(recording, outputs=outputs), OTHER_PORT, NOW, NOW)
    assert moved["daemon"].stdout == longer.removesuffix(recording.address) + OTHER_PORT.address


def test_what_happened_before_the_recording_was_taken_happened_as_long_before_the_state_began(
    recorded: Recorded,
) -> None:
    recording, state = recorded
    later = timedelta(minutes=5)
    was = look(recording.outputs, recording.address, PORT, state.reachable)
    now = look(rewritten(recording, SAME_PORT, NOW, NOW + later), SAME_PORT.address, PORT, state.reachable)
    for name, unit in known(was.need(UNITS)).items():
        moved = now.unit(name).active_since
        assert (unit.active_since is None) == (moved is None)
        if unit.active_since and moved:
            ago = recording.taken - unit.active_since
            assert NOW - moved == pytest.approx(ago, abs=timedelta(seconds=1))
    assert now.need(SYSTEM).clock == NOW + later
    [container] = now.need(CONTAINERS)
    assert container.started_at.startswith("2027-01-04T0")
    assert container.finished_at.startswith("0001-01-01") or container.finished_at.startswith("2027-01-0")


def _moved(text: str, recording: Recording) -> str:
    text = re.sub(rf"{re.escape(recording.address)}\b", SAME_PORT.address, text)
    return re.sub(rf"{re.escape(recording.client)}\b", SAME_PORT.client, text)
