"""A recording moved to another place and time, so that what it says is about the demo's own service. Pure.

Rewritten are:

- the host's address and the client's, wherever they stand as a whole;
- the published port: in the sections of the path probe, where it stands beside 127.0.0.1 or the host's address, in the
  DNAT rule, in the packets that were watched, in the listening sockets and in what Docker says of its bindings. The
  container's own port stays;
- times of units (``Mon 2026-11-23 04:14:22 UTC``), of Docker (RFC 3339), of the journal (microseconds) and of
  configuration files (seconds), by as much as the state of the demo's host began later than the recording was taken;
  and the host's clock.

Everything else is as the real host printed it: other addresses of the lab, counters, process ids, the comments of
iptables-save and the Date headers that curl saw.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.demo.hosts.recording import PORT, Recording
from checks.model import Output

_UNIT_TIME = re.compile(r"\b[A-Z][a-z]{2} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\b")
_DOCKER_TIME = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?=(?:\.\d+)?Z)")
_CLOCK = re.compile(r"^clock=.*$", flags=re.MULTILINE)
_JOURNAL_TIME = re.compile(r'(_REALTIME_TIMESTAMP" *: *")(\d+)')
_FILE_TIME = re.compile(r"^\d+(?= )", flags=re.MULTILINE)
_UNIT_STARTED = re.compile(r"^((?:ActiveEnter|ExecMainStart)Timestamp=)\S.*$", flags=re.MULTILINE)
_STARTED = re.compile(r'("StartedAt": ")(?!0001-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?')
CONTAINER = "registry"
_NEVER = "0001-"  # how Docker writes that something has not happened


@dataclass(frozen=True)
class Place:
    """Where the demo's service is, and from where it is asked."""

    address: str
    port: int
    client: str


def rewritten(recording: Recording, place: Place, since: datetime, now: datetime) -> Mapping[str, Output]:
    """The outputs as a host at ``place`` would have printed them, whose state began at ``since``."""
    addresses = {recording.address: place.address, recording.client: place.client}
    later = since - recording.taken
    return {
        name: replace(
            output,
            stdout=_dated(name, _placed(_ported(name, output.stdout, recording, place), addresses), later, now),
            stderr=_placed(output.stderr, addresses),
        )
        for name, output in recording.outputs.items()
    }


def started(outputs: Mapping[str, Output], at: Callable[[str], datetime]) -> Mapping[str, Output]:
    """The outputs of a host on which units were started at those times, and the container at that of ``CONTAINER``.

    The recordings were made one after the other; what was not started in between has one time in all of them.
    """
    blocks = outputs["units"].stdout.split("\n\n")
    units = replace(outputs["units"], stdout="\n\n".join(_unit_started(block, at) for block in blocks))
    moment = f"{at(CONTAINER):%Y-%m-%dT%H:%M:%S}"
    containers = outputs["engine-containers"]
    containers = replace(containers, stdout=_STARTED.sub(rf"\g<1>{moment}", containers.stdout))
    return {**outputs, "units": units, "engine-containers": containers}


def _unit_started(block: str, at: Callable[[str], datetime]) -> str:
    name = re.search(r"^Id=(.+)$", block, flags=re.MULTILINE)
    return _UNIT_STARTED.sub(rf"\g<1>{at(name[1]):%a %Y-%m-%d %H:%M:%S} UTC", block) if name else block


def _placed(text: str, addresses: Mapping[str, str]) -> str:
    """Both addresses in one pass: what one was turned into is never taken for the other."""
    either = "|".join(re.escape(address) for address in addresses)
    return re.sub(rf"(?<![\d.])(?:{either})(?!\d|\.\d)", lambda found: addresses[found[0]], text)


def _ported(name: str, text: str, recording: Recording, place: Place) -> str:
    for pattern in _published(name, recording.address):
        text = re.sub(pattern, rf"\g<1>{place.port}", text, flags=re.MULTILINE)
    return text


def _published(name: str, address: str) -> tuple[str, ...]:
    """Where the published port stands in an output: what comes before it, as the first group."""
    own = rf"(?:127\.0\.0\.1|{re.escape(address)})"
    places = {
        "path": (rf"^(@ ){PORT}\b", rf"({own}:){PORT}\b", rf"(\({own}\) port ){PORT}\b"),
        "iptables": (rf"( --dport ){PORT}(?= -j DNAT )",),
        "capture": (rf"({own}\.){PORT}\b",),
        "sockets": (rf"((?:0\.0\.0\.0|\[::\]|\*):){PORT}\b",),
        "engine-containers": (rf'("HostPort": "){PORT}\b',),
    }
    return places.get(name, ())


def _dated(name: str, text: str, later: timedelta, now: datetime) -> str:
    if name == "system":
        return _CLOCK.sub(f"clock={now.timestamp():.9f}", text)
    if name == "journal":
        return _JOURNAL_TIME.sub(lambda found: f"{found[1]}{int(found[2]) + later // timedelta(microseconds=1)}", text)
    if name == "config-files":
        return _FILE_TIME.sub(lambda found: str(int(found[0]) + later // timedelta(seconds=1)), text)
    text = _UNIT_TIME.sub(lambda found: f"{_moved(found[1], later):%a %Y-%m-%d %H:%M:%S} UTC", text)
    return _DOCKER_TIME.sub(lambda found: _moved_unless_never(found[1], later), text)


def _moved_unless_never(text: str, later: timedelta) -> str:
    return text if text.startswith(_NEVER) else f"{_moved(text, later):%Y-%m-%dT%H:%M:%S}"


def _moved(text: str, later: timedelta) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) + later
