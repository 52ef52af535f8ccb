"""The way of a packet, asked on the host: the reach ladder, and the kernel's own answer about routing.

The ladder reaches each service from the host by 127.0.0.1, by its LAN address and by the container's own address.
The route oracle asks the kernel what it would do with a client's packet: ``ip route get CONTAINER from CLIENT iif
NIC`` answers with a route where it would be forwarded, "No route to host" where forwarding is off on the way in, and
"Invalid argument" (older kernels: "Invalid cross-device link") where the reverse path filter would drop it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from checks.model import Ended, Phase, Vantage
from checks.source import Outputs, Probe, Source, UnparsableError

_VANTAGES = {"loopback": Vantage.LOOPBACK, "own": Vantage.HOST, "container": Vantage.CONTAINER}
_NO_COMMAND = 127
_ERRORS = (
    ("Connection refused", Ended.REFUSED),
    ("No route to host", Ended.NO_ROUTE),
    ("Network is unreachable", Ended.NETWORK_UNREACHABLE),
    ("Connection reset by peer", Ended.RESET),
    ("Empty reply from server", Ended.RESET),
    ("timed out", Ended.TIMED_OUT),
    ("Could not resolve", Ended.NAME_UNKNOWN),
    ("wrong version number", Ended.TLS_FAILED),
    ("HTTP/0.9", Ended.NOT_HTTP),
)


@dataclass(frozen=True)
class Rung:
    """One attempt of the ladder. ``registry`` tells whether the answer had the registry's header."""

    vantage: Vantage
    address: str
    phase: Phase
    ended: Ended  # ANSWERED for any HTTP answer; ``status`` says which
    ms: float
    status: int | None = None
    registry: bool = False


@dataclass(frozen=True)
class Route:
    """The kernel's answer for one direction. ``device`` is where the packet would leave, None if nowhere."""

    question: str
    answer: str
    device: str | None


@dataclass(frozen=True)
class Way:
    """All that was asked for one service port. ``client`` is the bot's address, as the host sees it."""

    rungs: tuple[Rung, ...] = ()
    client: str | None = None
    inbound: Route | None = None  # a client's packet, to the container
    outbound: Route | None = None  # the container's answer, to the client
    container_address: str | None = None


@dataclass(frozen=True)
class Path:
    """``ways`` maps a service port to its way."""

    ways: Mapping[int, Way] = field(default_factory=dict)


def parse(outputs: Outputs) -> Path:
    """Sections that begin with ``@ PORT KIND ...``; what curl and ip said follows each. The last one is ``@ end``."""
    output = outputs["path"]
    *sections, end = re.split(r"^@ ", output.stdout, flags=re.MULTILINE)[1:] or [""]
    if end.strip() != "end":
        raise UnparsableError(f"the ladder was cut off: {output.stderr.strip()[:200]}")
    ways: dict[int, Way] = {}
    for section in sections:
        head, _, text = section.partition("\n")
        port, kind, *rest = head.split()
        ways[int(port)] = _add(ways.get(int(port), Way()), kind, rest, text)
    return Path(ways)


def _add(way: Way, kind: str, rest: list[str], text: str) -> Way:
    match kind, rest:
        case "client", [client]:
            return replace(way, client=client)
        case "container", [address]:
            return replace(way, container_address=address)
        case "rung", [name, address, status]:
            return replace(way, rungs=(*way.rungs, _rung(_VANTAGES[name], address, int(status), text)))
        case "inbound", question:
            return replace(way, inbound=_route(question, text))
        case "outbound", question:
            return replace(way, outbound=_route(question, text))
    raise UnparsableError(f"cannot read the section {kind!r}")


def _rung(vantage: Vantage, address: str, status: int, text: str) -> Rung:
    if status == _NO_COMMAND:
        raise UnparsableError("curl is not installed on the host")
    wrote = re.search(r"^=> (\d+) ([\d.]+)$", text, flags=re.MULTILINE)
    if wrote is None:
        raise UnparsableError(f"curl ended with {status} and wrote no result")
    code, ms = int(wrote[1]), float(wrote[2]) * 1000
    phase = Phase.HTTP if re.search(r"^\* Connected to", text, flags=re.MULTILINE) else Phase.CONNECT
    if code:
        registry = "docker-distribution-api-version" in text.lower()
        return Rung(vantage, address, Phase.HTTP, Ended.ANSWERED, ms, code, registry)
    ended = next((ended for words, ended in _ERRORS if words in text), Ended.FAILED)
    return Rung(vantage, address, phase, ended, ms)


def _route(question: list[str], text: str) -> Route:
    answer = " ".join(text.split())
    device = re.match(r"[\d.]+ (?:.*? )?dev (\S+)", answer)
    return Route("ip route get " + " ".join(question), answer, device[1] if device else None)


_COMMAND = r"""
format='{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}'
format="$format"'{{range $p, $b := .NetworkSettings.Ports}}{{range $b}}{{$p}}={{.HostPort}} {{end}}{{end}}'
client=${SSH_CONNECTION%% *}
case $client in 127.*|*:*) client= ;; esac
[ -n "$client" ] && nic=$(ip route get "$client" | sed -n 's/.* dev \([^ ]*\).*/\1/p;q')
try() {
  said=$(curl -q -skv --noproxy '*' -o /dev/null --connect-timeout 2 -m 3 \
    -w '\n=> %{http_code} %{time_total}\n' "$4" 2>&1)
  printf '@ %s rung %s %s %s\n%s\n' "$1" "$2" "$3" "$?" "$said" >"path.$1.$2"
}
follow() {
  printf '@ %s container %s\n' "$1" "$2"
  [ -n "$client" ] || return
  bridge=$(ip route get "$2" | sed -n 's/.* dev \([^ ]*\).*/\1/p;q')
  set -- "$1" "$2 from $client iif $nic" "$client from $2 iif $bridge"
  printf '@ %s inbound %s\n%s\n' "$1" "$2" "$(ip route get $2 2>&1)"
  printf '@ %s outbound %s\n%s\n' "$1" "$3" "$(ip route get $3 2>&1)"
}
service() {
  [ -n "$client" ] && echo "@ $1 client $client" >"path.$1.client"
  try "$1" loopback 127.0.0.1 "$2://127.0.0.1:$1$3" &
  try "$1" own "$4" "$2://$4:$1$3" &
  name=$5
  [ "$name" = - ] && name=$(docker ps -q --filter "publish=$1" | head -n 1)
  ip= port=
  [ -n "$name" ] && for word in $(docker inspect --type container -f "$format" "$name"); do
    case $word in */tcp="$1") port=${word%%/*} ;; *[!0-9.]*) ;; *) ip=${ip:-$word} ;; esac
  done
  if [ -n "$ip" ] && [ -n "$port" ]; then
    try "$1" container "$ip:$port" "$2://$ip:$port$3" &
    follow "$1" "$ip" >"path.$1.follow"
  fi
  wait
}
while read -r port scheme path target name; do
  service "$port" "$scheme" "$path" "$target" "$name" &
done <<END
$SERVICES
END
wait
cat path.[0-9]*
echo '@ end'
"""

PATH = Source("path", (Probe("path", _COMMAND, timeout=8),), parse)
