"""What other hosts see of a service: the vantage that tells "the host is cut off" from "the bot is cut off"."""

import asyncio
import ipaddress
import math
import re
import shlex
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checks.collect.reach import reach
from checks.collect.ssh import Connection
from checks.errors import LookError, OutputUnreadableError, SshTimedOutError
from checks.facts.path import rung_of
from checks.look import Peer
from checks.model import Host, Phase, Reading, Service, ServiceKind, Trouble, Vantage
from checks.rungs import as_reading
from checks.source import UnparsableError

_MOST_ASKED = 2
"""Peers that are asked: one may be ill itself."""

_MOST_REACHED = 5
"""Peers of which a service is reached from here, those among them."""

_DEADLINE = 2.5
"""Seconds for a peer's answer, with a login where there is no connection yet. It is more than the script takes."""

_SSH_PORT = 22

# As in the gather script: each attempt runs beside the others, and writes to a file of a private folder in memory.
# Linux repeats a lost SYN after 1 s, so a connection gets one packet here: a check of a broken host is to stay quick.
# curl before 7.32 (CentOS 7) takes no fraction of a second: it ends at once with 2, and is asked again with whole ones.
_SCRIPT = r"""
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
d=$(mktemp -d /dev/shm/dockerhealth.XXXXXX 2>/dev/null || mktemp -d /tmp/dockerhealth.XXXXXX) || exit 90
trap 'rm -rf "$d"' EXIT
trap 'exit 91' HUP INT TERM
cd "$d" || exit 92
# try NUMBER SCHEME HOST PORT PATH
try() {
  case $3 in *:*) host="[$3]" ;; *) host=$3 ;; esac
  if [ "$2" = tcp ]; then
    began=$(date +%s%N)
    said=$(timeout 0.4 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$3" "$4" 2>&1)
    status=$?
    took=$(($(date +%s%N) - began))
    said="$said
=> tcp $((took / 1000000000)).$(printf %09d $((took % 1000000000)))"
    case $3 in *[!0-9.]*) address= ;; *) address=$3 ;; esac
  else
    for seconds in '0.4 1.5' '1 2'; do
      said=$(curl -q -skv --noproxy '*' -o /dev/null --connect-timeout "${seconds% *}" -m "${seconds#* }" \
        -w '\n=> %{http_code} %{time_total}\n' "$2://$host:$4$5" 2>&1)
      status=$?
      [ "$status" = 2 ] || break
    done
    address=$(printf '%s\n' "$said" | sed -n 's/^\*  *Trying \([0-9][0-9.]*[0-9]\).*/\1/p' | head -n 1)
  fi
  link=$([ -n "$address" ] && ip neigh show to "$address" 2>/dev/null | head -n 1)
  case $link in *' lladdr '*) link=known ;; *FAILED*|*INCOMPLETE*) link=unknown ;; *) link=- ;; esac
  printf '@ %s %s %s %s\n%s\n' "$1" "$status" "${address:--}" "$link" "$said" >"$1"
}
number=0
while read -r scheme host port path; do
  try "$number" "$scheme" "$host" "$port" "$path" </dev/null &
  number=$((number + 1))
done <<END
$SERVICES
END
wait
cat [0-9]*
echo '@ end'
"""


@dataclass(frozen=True)
class Seen:
    """One attempt of a peer, and whether its link knows the hardware address that it was made to."""

    reading: Reading
    on_link: bool | None


Answer = Seen | Trouble
"""What came of one question: a host without curl may still be asked for connections."""


async def ask_peers(
    connections: Mapping[str, Connection],
    host: Host,
    services: Sequence[Service],
    clock: Callable[[], datetime],
    *,
    sshd: bool = True,
) -> dict[str, tuple[Peer, ...]]:
    """Let other hosts reach the services of one: their answers by the service's name. Never raises.

    ``sshd``: and its sshd, which is of interest where it does not answer here; it logs every such attempt.
    A service of each of some other hosts is reached from here meanwhile. Where none of them is, the host itself is
    asked to reach them: whether they see each other is then the question.
    """
    far = tuple(service for service in services if not _is_here(service.target))
    others = _others(connections, host) if far else ()
    if not others:
        return {}
    questions = (*far, _sshd(host)) if sshd else far
    asked, chosen = others[:_MOST_ASKED], _chosen(others)
    witness = {one.host.name: service for one in chosen if (service := _far(one.host)) is not None}
    async with asyncio.TaskGroup() as group:
        reached = group.create_task(_reach_own(witness, clock))
        asking = [group.create_task(_ask(one, questions, clock)) for one in asked]
    own = reached.result()
    back = await _look_back(connections[host.name], own, witness, clock)
    names = [one.host.name for one in chosen]
    peers = [Peer(name, None, own.get(name), back=back.get(name)) for name in names]
    answers = [answer.result() for answer in asking]
    return {
        service.name: (
            *(_with(peer, answer, place, sshd=sshd) for peer, answer in zip(peers, answers, strict=False)),
            *peers[len(answers) :],
        )
        for place, service in enumerate(far)
    }


async def ask(connection: Connection, services: Sequence[Service], clock: Callable[[], datetime]) -> tuple[Answer, ...]:
    """Let a host reach services, in one round trip. Raises LookError."""
    name = connection.host.name
    command = f"exec timeout -k 1 3 /bin/sh -c {shlex.quote(script(services))}"
    at = clock()
    try:
        async with asyncio.timeout(_DEADLINE):
            raw = await connection.run(command, what="the reach script", timeout=2 * _DEADLINE)
    except TimeoutError:
        raise SshTimedOutError(name, f"{name}: no answer over SSH within {_DEADLINE:g} s") from None
    try:
        return parse(raw.decoded().stdout, services, at, name)
    except UnparsableError as error:
        raise OutputUnreadableError(name, f"{name}: {error}") from error


def script(services: Sequence[Service]) -> str:
    """The script for these services. ``$SERVICES`` is all in it that is not fixed; the configuration checks it."""
    return f"SERVICES={shlex.quote(chr(10).join(map(_line, services)))}\n{_SCRIPT}"


def parse(text: str, services: Sequence[Service], at: datetime, by: str) -> tuple[Answer, ...]:
    """A section a service, ``@ NUMBER STATUS ADDRESS LINK`` and what curl said. Raises UnparsableError.

    What curl said of one service and cannot be read is the trouble with that one.
    """
    *sections, end = re.split(r"^@ ", text, flags=re.MULTILINE)[1:] or [""]
    if end.strip() != "end":
        raise UnparsableError("the reach script was cut off")
    answers: dict[int, Answer] = {}
    for section in sections:
        head, _, said = section.partition("\n")
        try:
            number, status, address, link = head.split()
            answers[int(number)] = _seen(services[int(number)], (int(status), address, link, said), at, by)
        except (ValueError, LookupError) as error:
            raise UnparsableError(f"cannot read the section {head!r}: {error}") from error
    if len(answers) != len(services):
        raise UnparsableError(f"{len(answers)} answers to {len(services)} questions")
    return tuple(answers[number] for number in range(len(services)))


def _seen(service: Service, answer: tuple[int, str, str, str], at: datetime, by: str) -> Answer:
    status, address, link, said = answer
    on_link = {"known": True, "unknown": False, "-": None}[link]
    try:
        rung = rung_of(Vantage.PEER, service.target if address == "-" else address, status, said)
    except UnparsableError as error:
        return Trouble(OutputUnreadableError.id, f"{by}: {error}")
    reading = as_reading(rung, service.kind, at, by)
    return Seen(
        reading if reading.ok or on_link is None else replace(reading, detail=_words(reading, on_link)), on_link
    )


def _words(reading: Reading, on_link: bool) -> str:  # noqa: FBT001  # what was asked
    known = "has its hardware address" if on_link else "finds no hardware address for it"
    return f"{reading.detail}; {reading.by}'s link {known}".removeprefix("; ")


def _others(connections: Mapping[str, Connection], host: Host) -> tuple[Connection, ...]:
    """The other hosts, those first that need no login. One that is this machine or that host sees nothing new."""
    places = {host.address, *(service.target for service in host.services)}
    others = [
        connection
        for connection in connections.values()
        if connection.host.name != host.name
        and connection.host.address not in places
        and not _is_here(connection.host.address)
    ]
    return tuple(sorted(others, key=lambda connection: not connection.is_warm))


def _chosen(others: Sequence[Connection]) -> tuple[Connection, ...]:
    """Those that are asked, and some of the others from all over the list: a whole rack may be cut off by itself."""
    rest = others[_MOST_ASKED:]
    every = math.ceil(len(rest) / (_MOST_REACHED - _MOST_ASKED)) or 1
    return (*others[:_MOST_ASKED], *rest[::every])


async def _ask(
    connection: Connection, services: Sequence[Service], clock: Callable[[], datetime]
) -> tuple[Answer, ...] | Trouble:
    try:
        return await ask(connection, services, clock)
    except LookError as error:
        return Trouble(error.id, str(error))


def _with(peer: Peer, answer: tuple[Answer, ...] | Trouble, place: int, *, sshd: bool) -> Peer:
    if isinstance(answer, Trouble):
        return replace(peer, trouble=answer)
    seen, last = answer[place], answer[-1]
    peer = replace(peer, sshd=last.reading) if sshd and isinstance(last, Seen) else peer
    if isinstance(seen, Trouble):
        return replace(peer, trouble=seen)
    return replace(peer, seen=seen.reading, on_link=seen.on_link)


def _sshd(host: Host) -> Service:
    return Service("sshd", f"tcp://{_bracketed(host.address)}:{host.login.port or _SSH_PORT}", ServiceKind.TCP)


async def _reach_own(services: Mapping[str, Service], clock: Callable[[], datetime]) -> dict[str, Reading]:
    """A service of each host from here, by the host's name. Once one is reached, the others are not waited for."""
    attempts = {name: asyncio.create_task(reach(service, clock)) for name, service in services.items()}
    try:
        for ended in asyncio.as_completed(attempts.values()):
            if was_reached(await ended):
                break
        made = {name: attempt.result() for name, attempt in attempts.items() if attempt.done()}
        return {name: one for name, one in made.items() if one.unsound is None or one.unsound.cuts_off}
    finally:
        for attempt in attempts.values():
            attempt.cancel()


async def _look_back(
    connection: Connection, own: Mapping[str, Reading], services: Mapping[str, Service], clock: Callable[[], datetime]
) -> dict[str, Reading]:
    """The same services from the host itself, where none of them is reached from here; by the host's name."""
    if not own or any(was_reached(reading) for reading in own.values()):
        return {}
    answer = await _ask(connection, [services[name] for name in own], clock)
    if isinstance(answer, Trouble):
        return {}
    return {name: seen.reading for name, seen in zip(own, answer, strict=True) if isinstance(seen, Seen)}


def was_reached(reading: Reading) -> bool:
    """Whether something there accepted the connection."""
    return reading.ok or reading.phase not in {Phase.RESOLVE, Phase.CONNECT}


def _far(host: Host) -> Service | None:
    """A service by which it shows whether a host is reached from here."""
    return next((service for service in host.services if not _is_here(service.target)), None)


def _line(service: Service) -> str:
    scheme = "tcp" if service.kind is ServiceKind.TCP else "https" if service.tls else "http"
    return f"{scheme} {service.target} {service.port} {service.path}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_here(address: str) -> bool:
    """Whether it is an address of this machine, to which only such a one can be bound. False for a name."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004  # IPv6
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except (ValueError, OSError):
        return False
    return True
