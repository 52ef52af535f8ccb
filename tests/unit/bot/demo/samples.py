"""Looks at demo hosts without a network: what the checks see of a state."""

from collections.abc import Mapping
from datetime import UTC, datetime

from bot.demo.hosts.recording import Recording
from bot.demo.hosts.rewrite import Place, rewritten
from bot.demo.hosts.states import HostState, Reachable, derived
from checks.look import Look
from checks.model import Host, Output, Phase, ReachOutcome, Reading, Service, Vantage
from checks.source import Facts

NOW = datetime(2027, 1, 4, 3, 0, 0, tzinfo=UTC)
_ENDED = {
    Reachable.ANSWERS: (Phase.HTTP, ReachOutcome.ANSWERED),
    Reachable.SILENT: (Phase.CONNECT, ReachOutcome.TIMED_OUT),
    Reachable.REFUSES: (Phase.CONNECT, ReachOutcome.REFUSED),
}


def look(outputs: Mapping[str, Output], address: str, port: int, reachable: Reachable) -> Look:
    service = Service("registry", f"http://{address}:{port}/v2/", container="registry")
    phase, ended = _ENDED[reachable]
    reading = Reading(Vantage.OUTSIDE, phase, ended, 1.0, NOW)
    return Look(Host("host1", address, (service,)), service, reading, Facts("host1", NOW, outputs))


def look_at(recording: Recording, state: HostState, place: Place) -> Look:
    outputs = derived(rewritten(recording, place, NOW, NOW), state, place.port)
    return look(outputs, place.address, place.port, state.reachable)
