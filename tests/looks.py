"""Looks at recorded hosts: the recording, and the reading from outside that went with it."""

from pathlib import Path

from checks.look import Look
from checks.model import Host, Output, Phase, ReachOutcome, Reading, Service, Trouble, Vantage
from checks.source import Facts, Unavailable
from tests import recordings


def reading(ended: ReachOutcome, status: int | None = None) -> Reading:
    phase = Phase.HTTP if ended is ReachOutcome.ANSWERED else Phase.CONNECT
    return Reading(Vantage.OUTSIDE, phase, ended, 3.0, recordings.RECORDED_AT, status)


ANSWERED = reading(ReachOutcome.ANSWERED, 200)
TIMED_OUT = reading(ReachOutcome.TIMED_OUT)
REFUSED = reading(ReachOutcome.REFUSED)


def host_at(address: str, container: str | None = "registry") -> Host:
    return Host("host1", address, (Service("registry", f"http://{address}:5000/v2/", container=container),))


def look(platform: str, state: str, outside: Reading, container: str | None = "registry") -> Look:
    path = recordings.FOLDER / platform / f"{state}.json"
    host = host_at(recordings.address(path), container)
    return Look(host, host.services[0], outside, recordings.load(path))


def blind(outside: Reading, trouble: Trouble) -> Look:
    """A look at a host that could not be looked at."""
    host = host_at("192.0.2.7")
    return Look(host, host.services[0], outside, None, trouble)


def changed(seen: Look, probe: str, old: str, new: str) -> Look:
    """The same look, had that probe printed something else. The old text must be there."""
    assert seen.facts is not None
    output = seen.facts.outputs[probe]
    assert old in output.stdout, f"{probe} did not print {old!r}"
    return _with(seen, {probe: Output(output.stdout.replace(old, new), output.stderr, output.status)}, {})


def without(seen: Look, probe: str, reason: str) -> Look:
    """The same look, had that probe failed."""
    return _with(seen, {}, {probe: Unavailable(reason)})


def _with(seen: Look, outputs: dict[str, Output], missing: dict[str, Unavailable]) -> Look:
    assert seen.facts is not None
    facts = seen.facts
    kept = {name: output for name, output in (facts.outputs | outputs).items() if name not in missing}  # type: ignore[operator]
    return Look(
        seen.host, seen.service, seen.outside, Facts(facts.host, facts.at, kept, {**facts.missing, **missing}), None
    )


def recorded_states(platform: str) -> list[Path]:
    return sorted((recordings.FOLDER / platform).glob("*.json"))
