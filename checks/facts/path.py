"""The way of a packet, asked on the host: the reach ladder, and the kernel's own answer about routing.

The ladder reaches each service from the host by 127.0.0.1, by its LAN address and by the container's own address.
Where it connects and comes to nothing, the other scheme is tried too. What listens inside the container is read from
the kernel (proc(5): /proc/PID/net/tcp is that of the process's own network namespace, and any user may read it), and
from the same place by which routes the container answers: /proc/PID/net/route, its main table.
The route oracle asks the kernel what it would do with a client's packet: ``ip route get CONTAINER from CLIENT iif
NIC`` answers with a route where it would be forwarded, "No route to host" where forwarding is off on the way in, and
"Invalid argument" (older kernels: "Invalid cross-device link") where the reverse path filter would drop it.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from checks.answer import REGISTRY_HEADER
from checks.facts.inner_network import ROUTES_LIMIT, InnerNetwork, inner_network
from checks.model import Phase, ReachOutcome, Vantage
from checks.source import Gaps, Outputs, Probe, Source, UnparsableError

_VANTAGES = {
    "loopback": Vantage.LOOPBACK,
    "own": Vantage.HOST,
    "container": Vantage.CONTAINER,
    "other": Vantage.HOST,  # the other scheme than the URL's
    "inner": Vantage.CONTAINER,  # where it does not publish the port: who has it is a proxy, maybe
}
_SERVER = re.compile(r"^< server: (.{1,60})", flags=re.MULTILINE | re.IGNORECASE)
_NO_COMMAND = 127
_HARDWARE = re.compile(r"\blladdr (\S+)")
_CONNECTED = re.compile(r"^\* (?:Connected|Established connection) to", flags=re.MULTILINE)  # the latter from curl 8.15
_COMPLAINT = re.compile(r"^curl: (.*)$", flags=re.MULTILINE)
_GREETED = "TLS handshake, Client hello"  # all that curl 8.14 says of a connection that ends in TLS
_ASKED = "\n> GET "
_CERTIFICATE = re.compile(
    r"^\* [ \t](subject|issuer|start date|expire date): (.*)$", flags=re.MULTILINE
)  # a tab: with NSS
_BY_STATUS = {
    28: ReachOutcome.TIMED_OUT,
    35: ReachOutcome.TLS_FAILED,
    52: ReachOutcome.RESET,
    124: ReachOutcome.TIMED_OUT,
}  # curl(1), timeout(1)
_TLS_STATUS = 35
_REFUSALS = ("No route to host", "Permission denied", "Invalid argument", "Network is unreachable", "cross-device")
"""How the kernel answers for routes and rules of the kinds unreachable, prohibit, blackhole and throw (fib_props)."""

_ERRORS = (
    ("Connection refused", ReachOutcome.REFUSED),
    ("No route to host", ReachOutcome.NO_ROUTE),
    ("Network is unreachable", ReachOutcome.NETWORK_UNREACHABLE),
    ("Connection reset by peer", ReachOutcome.RESET),
    ("Empty reply from server", ReachOutcome.RESET),
    ("timed out", ReachOutcome.TIMED_OUT),
    ("Could not resolve", ReachOutcome.NAME_UNKNOWN),
    ("wrong version number", ReachOutcome.TLS_FAILED),
    ("HTTP/0.9", ReachOutcome.NOT_HTTP),
)


@dataclass(frozen=True)
class Certificate:
    """What a TLS server showed. Names as curl prints them: ``CN=registry.example``."""

    subject: str
    issuer: str
    begins: datetime
    expires: datetime


@dataclass(frozen=True)
class Rung:
    """One attempt of the ladder. ``registry`` tells whether the answer had the registry's header."""

    vantage: Vantage
    address: str
    phase: Phase
    ended: ReachOutcome  # ANSWERED for any HTTP answer; ``status`` says which
    ms: float
    status: int | None = None
    registry: bool = False
    certificate: Certificate | None = None
    server: str = ""  # what it calls itself in its answer


@dataclass(frozen=True)
class Listener:
    """A TCP socket that accepts connections inside a container.

    ``waiting``: connections that its program has not accepted yet; None where that was not asked.
    """

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int
    waiting: int | None = None

    @property
    def says(self) -> str:
        return (
            f"{self.address}:{self.port}"
            if isinstance(self.address, ipaddress.IPv4Address)
            else f"[{self.address}]:{self.port}"
        )


@dataclass(frozen=True)
class Route:
    """The kernel's answer for one direction.

    ``device`` is where the packet would leave, None if nowhere. ``interface`` is by which it comes in, empty for the
    host's own. ``mark`` is that of the packet that was asked about.
    """

    question: str
    answer: str
    device: str | None
    interface: str = ""
    mark: int = 0

    @property
    def ends(self) -> bool:
        """Whether it says that the packet goes nowhere, and not that it was asked wrongly."""
        return self.device is None and any(words in self.answer for words in _REFUSALS)


@dataclass(frozen=True)
class There:
    """Who has an address on the host's own link: ``hardware`` is empty where nobody answered."""

    address: str
    device: str
    hardware: str


@dataclass(frozen=True)
class Way:
    """All that was asked for one service port. ``client`` is the bot's address, as the host sees it."""

    rungs: tuple[Rung, ...] = ()
    client: str | None = None
    arrival: Route | None = None  # a client's packet, to the host's own address
    back: Route | None = None  # the host's own answer, to the client
    inbound: Route | None = None  # a client's packet, to the container
    outbound: Route | None = None  # the container's answer, to the client
    inbound_marked: Mapping[int, Route] = field(default_factory=dict)  # the same for each mark that a rule asks for
    outbound_marked: Mapping[int, Route] = field(default_factory=dict)
    other_scheme: Rung | None = None  # https where the URL says http, or the reverse; tried where that one is no good
    inner: Rung | None = None  # the configured container by its own address, where it does not publish the port itself
    listening: tuple[Listener, ...] | None = None  # in the container; None where it could not be read
    there: There | None = None  # who has the URL's address, where it belongs on a link of the host and is not its own
    inside: InnerNetwork | None = None  # of the container; None as above
    gaps: Gaps = field(default_factory=dict)  # attempts that were made and cannot be read

    @property
    def of_another_family(self) -> "Way":
        """Without all that is about packets: who comes by the other family takes another way."""
        none: dict[int, Route] = {}
        routes = replace(self, arrival=None, back=None, inbound=None, outbound=None)
        return replace(routes, client=None, inbound_marked=none, outbound_marked=none)


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
        way = ways.get(int(port), Way())
        ways[int(port)] = _try(way, rest, text) if kind == "rung" else _add(way, kind, rest, text)
    return Path(ways)


def _try(way: Way, rest: list[str], text: str) -> Way:
    """One attempt more. What cannot be read of it costs that attempt alone."""
    name, address, status = rest
    vantage = _VANTAGES[name]
    try:
        rung = rung_of(vantage, address, int(status), text)
    except UnparsableError as error:
        return replace(way, gaps={**way.gaps, name: str(error)})
    match name:
        case "other":
            return replace(way, other_scheme=rung)
        case "inner":
            return replace(way, inner=rung)
    return replace(way, rungs=(*way.rungs, rung))


def _add(way: Way, kind: str, rest: list[str], text: str) -> Way:  # noqa: C901, PLR0911  # one return a kind of section
    match kind, rest:
        case "client", [client]:
            return replace(way, client=client)
        case "container", [_]:
            return way
        case "listening", []:
            return replace(way, listening=tuple(_listener(word) for word in text.split()))
        case "there", [address, device]:
            found = _HARDWARE.search(text)
            return replace(way, there=There(address, device, found[1] if found else ""))
        case "network", []:
            return replace(way, inside=inner_network(text))
        case "arrival", question:
            return replace(way, arrival=_route(question, text))
        case "back", question:
            return replace(way, back=_route(question, text))
        case "inbound", question:
            route = _route(question, text)
            if route.mark:
                return replace(way, inbound_marked={**way.inbound_marked, route.mark: route})
            return replace(way, inbound=route)
        case "outbound", question:
            route = _route(question, text)
            if route.mark:
                return replace(way, outbound_marked={**way.outbound_marked, route.mark: route})
            return replace(way, outbound=route)
    raise UnparsableError(f"cannot read the section {kind!r}")


def rung_of(vantage: Vantage, address: str, status: int, text: str) -> Rung:
    """What curl said of one attempt, with its exit status. Raises UnparsableError where it said no such thing."""
    if status == _NO_COMMAND:
        raise UnparsableError("curl or bash is not installed on the host")
    wrote = re.search(r"^=> (\d+|tcp) ([\d.]+)$", text, flags=re.MULTILINE)
    if wrote is None:
        said = _COMPLAINT.search(text)
        why = f": {said[1][:100]}" if said else ""
        raise UnparsableError(f"curl ended with {status} and wrote no result{why}")
    ms = float(wrote[2]) * 1000
    ended = next((ended for words, ended in _ERRORS if words in text), _BY_STATUS.get(status, ReachOutcome.FAILED))
    if wrote[1] == "tcp":
        return Rung(vantage, address, Phase.CONNECT, ended if status else ReachOutcome.ANSWERED, ms)
    if code := int(wrote[1]):
        registry = REGISTRY_HEADER in text.lower()
        server = named[1].strip() if (named := _SERVER.search(text)) else ""
        return Rung(vantage, address, Phase.HTTP, ReachOutcome.ANSWERED, ms, code, registry, _certificate(text), server)
    if not status:  # curl before 7.66 takes any bytes for an answer, of HTTP 0.9
        return Rung(vantage, address, Phase.HTTP, ReachOutcome.NOT_HTTP, ms)
    return Rung(vantage, address, _phase(status, text), ended, ms, certificate=_certificate(text))


def _phase(status: int, text: str) -> Phase:
    if "Could not resolve" in text:
        return Phase.RESOLVE
    if status == _TLS_STATUS or (_GREETED in text and _ASKED not in text):
        return Phase.TLS
    return Phase.HTTP if _CONNECTED.search(text) else Phase.CONNECT


def _certificate(text: str) -> Certificate | None:
    shown = dict(_CERTIFICATE.findall(text))
    if len(shown) != 4:  # noqa: PLR2004  # the four of the pattern
        return None
    begins, expires = (
        datetime.strptime(shown[f"{which} date"], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
        for which in ("start", "expire")
    )
    return Certificate(shown["subject"].strip(), shown["issuer"].strip(), begins, expires)


def _listener(word: str) -> Listener:
    """``0100007F:1388=00000002``: address, port and waiting connections, in hex.

    The address is in words of the machine's byte order, little-endian.
    """
    socket, _, waiting = word.partition("=")
    address, _, port = socket.partition(":")
    words = bytes.fromhex(address)
    turned = b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4))
    return Listener(ipaddress.ip_address(turned), int(port, 16), int(waiting, 16) if waiting else None)


def _route(question: list[str], text: str) -> Route:
    answer = " ".join(text.split())
    device = re.match(r"[\da-f.:]+ (?:.*? )?dev (\S+)", answer)
    asked = dict(zip(question[1::2], question[2::2], strict=False))
    asked_as = "ip route get " + " ".join(question)
    return Route(asked_as, answer, device[1] if device else None, asked.get("iif", ""), int(asked.get("mark", "0"), 0))


def _gaps(path: Path) -> Gaps:
    return {f"port {port}, {name}": why for port, way in path.ways.items() for name, why in way.gaps.items()}


_COMMAND = r"""
format='{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}'
format="$format"'{{range $p, $b := .NetworkSettings.Ports}}{{range $b}}{{$p}}={{.HostPort}} {{end}}{{end}}'
format="$format"'pid={{.State.Pid}}'
set -- $SSH_CONNECTION
seen=$1 server=$3
# policy FAMILY: the rules by which packets of it are routed, and the marks that they ask for
policy() {
  family=$1
  rules=$(ip "$1" rule 2>/dev/null)
  marks=
  case $rules in
    *fwmark*) marks=$(printf '%s\n' "$rules" | sed -n 's/.* fwmark \(0x[0-9a-f]*\).*/\1/p' | sort -u | head -n 8) ;;
  esac
}
policy -4
# owner ADDRESS: the interface that has it is $nic
owner() {
  nic=$(ip -o "$family" address show to "$1" 2>/dev/null)
  nic=${nic#*: }
  nic=${nic%% *}
}
# try PORT NAME SCHEME HOST HOSTPORT PATH ASKED: ASKED is the Host that a client asks for. No packet is lost on the host
# itself, so short deadlines do. Newer versions of curl count TLS as part of connecting. Those before 7.32 (CentOS 7)
# take no fraction of a second: they end at once with 2, and are asked again with a whole one.
try() {
  case $4 in *:*) host="[$4]" ;; *) host=$4 ;; esac
  if [ "$3" = tcp ]; then
    began=$(date +%s%N)
    said=$(timeout 0.8 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$4" "$5" 2>&1)
    status=$?
    took=$(($(date +%s%N) - began))
    said="$said
=> tcp $((took / 1000000000)).$(printf %09d $((took % 1000000000)))"
  else
    [ "$3" = https ] && most='1.5 2' || most='0.8 1'
    for seconds in $most; do
      said=$(curl -q -skv --noproxy '*' -o /dev/null --connect-timeout "$seconds" -m 2 \
        -H "Host: $7" -w '\n=> %{http_code} %{time_total}\n' "$3://$host:$5$6" 2>&1)
      status=$?
      [ "$status" = 2 ] || break
    done
  fi
  printf '@ %s rung %s %s %s\n%s\n' "$1" "$2" "$4" "$status" "$said" >"path.$1.$2"
}
other() {
  case $3 in http) scheme=https ;; https) scheme=http ;; *) return ;; esac
  grep -qE '^=> (000|400) ' "path.$1.$2" || return
  grep -qE '^\* (Connected|Established connection) to|TLS handshake, Client hello' "path.$1.$2" || return
  # Who is silent to plain HTTP is not waiting for TLS; who is silent to TLS may be waiting for the end of a line.
  [ "$3" = http ] && head -n 1 "path.$1.$2" | grep -q ' 28$' && return
  try "$1" other "$scheme" "$4" "$5" "$6" "$7"
}
# there PORT ADDRESS: who has an address that is not the host's, where it would be on its own link
there() {
  way=$(ip route get "$2" 2>/dev/null | head -n 1)
  case $way in *' via '*|local*|broadcast*|'') return ;; esac
  link=$(printf %s "$way" | sed -n 's/.* dev \([^ ]*\).*/\1/p')
  timeout 0.8 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$1" 2>/dev/null
  printf '@ %s there %s %s\n%s\n' "$1" "$2" "$link" "$(ip -4 neigh show to "$2" dev "$link")" >"path.$1.there"
}
# Asked, docker.socket would have systemd start a dockerd that does not run. In $(...) or a pipe: its shell ends here.
engine() { [ -z "$ASLEEP" ] && exec timeout 2 docker "$@"; }
# inside PORT CONTAINER: how that port is reached within the container, if it is published by it
inside() {
  ip= ipv6= port= pid=0
  said=$(engine inspect --type container -f "$format" "$2")
  ended=$?
  for word in $said; do
    case $word in
      pid=*) pid=${word#pid=} ;;
      */tcp="$1") port=${word%%/*} ;;
      *:*:*) ipv6=${ipv6:-$word} ;;
      *[!0-9.]*) ;;
      *) ip=${ip:-$word} ;;
    esac
  done
  [ "$family" = -4 ] || ip=${ipv6:-$ip}
}
# listening PID: what listens in that process's network, and how many connections wait there to be accepted
listening() {
  awk '$4 == "0A" { print $2 "=" substr($5, 10) }' "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null  # or no IPv6
}
# Where the container does not publish the port somebody else may answer in its place: the first of the ports on which
# it listens for others, in plain HTTP as behind a proxy, else in TLS.
inner() {
  first=$(grep -v -e '^0100007F:' -e '^0*1000000:' "behind.$1" | sort | head -n 1)
  [ -n "$first" ] || return
  first=${first%=*}
  for scheme in http https; do
    try "$1" inner "$scheme" "$2" "$((0x${first##*:}))" "$3" "$4"
    grep -qE '^=> (000|400) ' "path.$1.inner" || return
  done
}
# route PORT KIND QUESTION SPORT DPORT: where rules ask for ports, the question has them (iproute2 5.0 and newer)
route() {
  question=$3
  case $rules in *sport*|*dport*|*ipproto*) question="$3 ipproto tcp sport $4 dport $5" ;; esac
  printf '@ %s %s %s\n%s\n' "$1" "$2" "$question" "$(ip route get $question 2>&1)"
}
# between PORT OWN CONTAINER INNERPORT: what is asked for each mark that a rule wants too
between() {
  echo "@ $1 client $client"
  [ -n "$nic" ] || owner "$server"
  route "$1" arrival "$2 from $client iif $nic" 40000 "$1"
  route "$1" back "$client from $2" "$1" 40000
  [ -n "$3" ] || return
  bridge=$(ip route get "$3")
  bridge=${bridge#* dev }
  bridge=${bridge%% *}
  for mark in '' $marks; do
    route "$1" inbound "$3 from $client iif $nic${mark:+ mark $mark}" 40000 "$4"
    route "$1" outbound "$client from $3 iif $bridge${mark:+ mark $mark}" "$4" 40000
  done
}
service() {
  client=$6
  [ "$client" = - ] && client=$seen
  case $4 in *:*) asked="[$4]" ;; *) asked=$4 ;; esac
  case $2$1 in http80|https443) ;; *) asked=$asked:$1 ;; esac
  own=$4
  case $own in *:*) ;; *[!0-9.]*) own=$(timeout 1 getent ahostsv4 "$4" | sed 's/ .*//;q') ;; esac
  nic=
  case $own in
    *:*)
      case $client in ::1|*[!0-9a-f:]*) client= ;; esac
      policy -6
      owner "$own"
      ;;
    *)
      case $client in 127.*|*:*) client= ;; esac
      [ -n "$own" ] && owner "$own"
      if [ -z "$nic" ]; then
        [ -n "$own" ] && there "$1" "$own" &
        own=$server
      fi
      ;;
  esac
  try "$1" loopback "$2" 127.0.0.1 "$1" "$3" "$asked" &
  try "$1" own "$2" "$own" "$1" "$3" "$asked" &
  ip= port= pid=0 ended= behind=
  [ "$5" = - ] || inside "$1" "$5"
  # Whoever publishes the port is whom a client meets, whatever name the configuration has. A dockerd that was silent
  # is not asked again: the other answers would be late.
  if [ -z "$port" ] && [ "$ended" != 124 ]; then
    behind=$ip
    [ "$pid" -gt 0 ] && listening "$pid" >"behind.$1"
    name=$(engine ps -q --filter "publish=$1" | head -n 1)
    [ -n "$name" ] && inside "$1" "$name"
  fi
  [ "$pid" -gt 0 ] && [ -r "/proc/$pid/net/tcp" ] &&
    { echo "@ $1 listening"; listening "$pid"; } >"path.$1.listening"
  [ "$pid" -gt 0 ] && [ -r "/proc/$pid/net/route" ] &&
    { echo "@ $1 network"; head -n ROUTES "/proc/$pid/net/route"; cat "/proc/$pid/net/arp" "/proc/$pid/net/igmp"; } \
      >"path.$1.network"
  if [ -n "$behind" ] && [ "$2" != tcp ]; then
    inner "$1" "$behind" "$3" "$asked" &
  fi
  if [ -n "$ip" ] && [ -n "$port" ]; then
    echo "@ $1 container $ip" >"path.$1.address"
    try "$1" container "$2" "$ip" "$port" "$3" "$asked" &
  else
    ip=
  fi
  through=$ip
  [ -z "$ip" ] || [ "$family" = -4 ] || through=$ipv6  # a docker-proxy asks a container that has no IPv6
  [ -n "$client" ] && between "$1" "$own" "$through" "$port" >"path.$1.between"
  wait
  if [ -n "$ip" ]; then
    other "$1" container "$2" "$ip" "$port" "$3" "$asked"
  else
    other "$1" own "$2" "$own" "$1" "$3" "$asked"
  fi
}
while read -r port scheme path target name client; do
  [ -n "$port" ] || continue
  service "$port" "$scheme" "$path" "$target" "$name" "$client" &
done <<END
$SERVICES
END
wait
cat path.[0-9]*
echo '@ end'
""".replace("ROUTES", str(ROUTES_LIMIT + 1))

PATH = Source("path", (Probe("path", _COMMAND, timeout=8),), parse, _gaps)
