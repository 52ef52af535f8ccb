"""Looks at a recorded host of which known attempts were watched: what tcpdump and the kernel wrote is made up."""

from dataclasses import replace

from checks.facts.addresses import ADDRESSES
from checks.look import Look, Recount
from checks.model import Output, Reading
from checks.source import Facts, Unavailable
from tests import recordings
from tests.looks import TIMED_OUT, look

PLATFORM = "debian13-docker26.1.5"
ATTEMPTS = 3
BEGAN = 1795899411.25
LISTENING = "listening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 128 bytes\n"
NONE_LOST = "1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n"
_HEALTHY = look(PLATFORM, "healthy", TIMED_OUT)
_ADDRESSES = _HEALTHY.need(ADDRESSES)
HOST, CLIENT, CONTAINER = _HEALTHY.host.address, _HEALTHY.way.client, "172.17.0.2"
[CABLE] = (port.name for port in _ADDRESSES.ports_of("docker0"))


def attempt(number: int) -> float:
    """When the attempt of a number began."""
    return BEGAN + number * 0.0002


def asks(number: int, where: str, to: str = f"{HOST}.5000", microseconds: int = 0) -> str:
    """Its SYN at an interface: ``host0 In``."""
    options = f"Flags [S], seq {1000 + number}, win 64240, options [mss 1460], length 0"
    return _line(number, where, f"{CLIENT}.{40000 + number} > {to}: {options}", microseconds)


def answers(number: int, where: str, by: str, flags: str = "S.", microseconds: int = 50) -> str:
    options = f"Flags [{flags}], seq 77, ack {1001 + number}, win 65160, length 0"
    return _line(number, where, f"{by} > {CLIENT}.{40000 + number}: {options}", microseconds)


def said(number: int, where: str, rest: str, kind: str = "IPv4 (0x0800)") -> str:
    return _line(number, where, rest, 60, kind)


def _line(number: int, where: str, rest: str, microseconds: int, kind: str = "IPv4 (0x0800)") -> str:
    at = attempt(number) + microseconds / 1e6
    return f"{at:.6f} {where:9} ifindex 2 02:00:0a:4d:00:01 ethertype {kind}, length 80: {rest}"


def inwards(number: int) -> list[str]:
    """The whole way in."""
    container = f"{CONTAINER}.5000"
    return [
        asks(number, "host0 In"),
        asks(number, "docker0 Out", container, 20),
        asks(number, f"{CABLE} Out", container, 22),
    ]


def dropped(number: int, kind: str, microseconds: int = 30, protocol: int = 2048) -> str:
    """A drop of the kernel: ``ip_error IP_INADDRERRORS``."""
    location, reason = kind.split()
    at = attempt(number) + microseconds / 1e6
    what = f"skbaddr=00000000af414540 rx_sk=0000000000000000 protocol={protocol} location={location}+0x94/0x210"
    return f"          <idle>-0       [001] ..s1. {at:.6f}: kfree_skb: {what} reason: {reason}"


def each(*lines: "list[str]") -> list[str]:
    return sorted(line for one in lines for line in one)


def watched(
    capture: list[str], drops: list[str] | None = None, outside: Reading = TIMED_OUT, *, said: str = ""
) -> Look:
    """A look at a healthy host, had tcpdump and the kernel written these lines; no drops is no trace."""
    at, clock = BEGAN - 0.1, BEGAN - 0.102
    mark = f"              sh-1     [000] ...1. {at:.6f}: tracing_mark_write: dockerhealth {clock:.9f} tai\n"
    outputs = {"capture": Output("".join(f"{line}\n" for line in capture), said or LISTENING + NONE_LOST)}
    missing = {}
    if drops is None:
        missing["drops"] = Unavailable("no tracefs")
    else:
        outputs["drops"] = Output(mark + "".join(f"{line}\n" for line in drops))
    return replace(
        _HEALTHY, outside=outside, recount=Recount(ATTEMPTS, Facts("host1", recordings.RECORDED_AT, outputs, missing))
    )
