"""Where a client's packet dies on a host, seen by a capture of the lab's own, which shares no code with the product."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.lab import machine
from tests.lab.command import LabError
from tests.lab.host import LabHost
from tests.lab.random_faults import PORT, Death

_PATIENCE = 1.2  # seconds, in which the kernel repeats a lost SYN once
_COMMAND = (
    *("tcpdump", "-i", "any", "-nn", "-l", "-c", "400"),
    f"arp or icmp or (tcp and not port 22) or tcp port {PORT}",
)
_LINE = re.compile(r"^\S+ (?P<device>\S+)\s+(?P<way>In|Out|M|B|P)\s+(?P<what>.*)")
_TCP = re.compile(
    r"IP (?P<source>[\d.]+)\.(?P<from>\d+) > (?P<target>[\d.]+)\.(?P<to>\d+): Flags \[(?P<flags>[^\]]*)\]"
    r".*?(?:length (?P<length>\d+))"
)
_ASKS = re.compile(r"ARP, Request who-has (?P<address>[\d.]+)")
_ICMP = re.compile(r"IP (?P<source>[\d.]+) > (?P<target>[\d.]+): ICMP (?P<says>.*unreachable|time exceeded)")


@dataclass(frozen=True)
class Seen:
    """One packet of TCP at one interface. ``asks`` is whether it goes from the client to the service."""

    device: str
    out: bool
    asks: bool
    flags: str
    length: int
    source: str


def death(host: LabHost) -> tuple[Death | None, tuple[str, ...]]:
    """Watch a request from outside on every interface of the host.

    Returns:
        Where it died, None where it did not, or never came; and the lines of the capture that tell it.
    """
    if host.leader is None:
        raise LabError(f"{host.name} is not up")
    words = machine.enter(host.leader, _COMMAND, timeout=_PATIENCE + 0.6)
    with subprocess.Popen(  # noqa: S603 - a list of words, no shell, all of it written in this folder
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as capture:
        if capture.stdout is None or capture.stderr is None:
            raise LabError("no pipes to tcpdump")
        for line in capture.stderr:
            if "listening on" in line:
                break
        host.outside(timeout=_PATIENCE)
        lines = tuple(line.rstrip() for line in capture.stdout)
    return told(lines), lines


def told(lines: Sequence[str]) -> Death | None:
    """Read a capture: how far the newest unanswered packet of the client came, or its answer."""
    asked, answers = _flow(lines)
    if not asked:
        return None
    data = [one for one in asked if one.length]
    request, opens = data or asked, "" if data else "S"
    telling = [one for one in answers if one.length or "R" in one.flags or (opens and opens in one.flags)]
    way, back = _places(request), _places(telling)
    if ("nic", True) in back:
        return _what_left(asked, answers, back)
    return _how_far_back(back) or _how_far(request, way, lines)


def _how_far_back(back: set[tuple[str, bool]]) -> Death | None:
    if ("other", True) in back:
        return Death.ANSWER_ELSEWHERE
    if ("bridge", False) in back:
        return Death.ANSWER_ON_BRIDGE
    return Death.ANSWER_ON_PORT if ("port", False) in back else None


def _how_far(request: Sequence[Seen], way: set[tuple[str, bool]], lines: Sequence[str]) -> Death:
    if ("port", True) in way:
        return Death.REFUSED_BY_CONTAINER if _refused_by_icmp(lines, "port", out=False) else Death.IN_CONTAINER
    if ("bridge", True) in way:
        return Death.ON_BRIDGE
    if any(one.out and _kind(one.device) in {"nic", "other"} for one in request):
        return Death.ELSEWHERE
    if _refused_by_icmp(lines, "nic", out=True):
        return Death.REFUSED_BY_HOST
    asked_for = any(_kind(device) == "bridge" for device in _asked_for(lines))
    return Death.UNANSWERED_ARP if asked_for else Death.ON_ARRIVAL


def _what_left(asked: Sequence[Seen], answers: Sequence[Seen], back: set[tuple[str, bool]]) -> Death | None:
    left = [one for one in answers if _kind(one.device) == "nic" and one.out]
    if any("R" in one.flags for one in left) and not any(one.length for one in left):
        return Death.REFUSED_BY_CONTAINER if ("port", False) in back else Death.REFUSED_BY_HOST
    if ("port", False) not in back:
        return Death.SERVED_BY_HOST
    answered = {one.source for one in left} != {asked[0].source}
    return Death.ANSWER_GARBLED if answered else None


def _flow(lines: Sequence[str]) -> tuple[list[Seen], list[Seen]]:
    """The packets of the first connection that comes in, and those that answer it."""
    port, asked, answers = "", [], []
    for device, way, what in _read(lines):
        match = _TCP.match(what)
        if match is None:
            continue
        if not port and _kind(device) == "nic" and way == "In" and match["flags"] == "S" and match["to"] == str(PORT):
            port = match["from"]
        seen = Seen(device, way == "Out", match["from"] == port, match["flags"], int(match["length"]), match["source"])
        if match["from"] == port:
            asked.append(seen)
        elif match["to"] == port:
            answers.append(seen)
    return asked, answers


def _read(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        if match := _LINE.match(line):
            yield match["device"], match["way"], match["what"]


def _places(packets: Sequence[Seen]) -> set[tuple[str, bool]]:
    return {(_kind(one.device), one.out) for one in packets}


def _kind(device: str) -> str:
    if device == "host0":
        return "nic"
    if device.startswith("veth"):
        return "port"
    return "bridge" if device.startswith(("docker", "br-")) else "other"


def _asked_for(lines: Sequence[str]) -> list[str]:
    return [device for device, way, what in _read(lines) if way == "Out" and _ASKS.match(what)]


def _refused_by_icmp(lines: Sequence[str], kind: str, *, out: bool) -> bool:
    """Whether an error passes an interface of that kind, in that direction."""
    return any(
        _kind(device) == kind and (way == "Out") is out and _ICMP.match(what) is not None
        for device, way, what in _read(lines)
    )
