"""All facts of a host in one session: a POSIX shell script that answers more than once, and the Docker SDK beside it.

The script asks for root once, by a session of dockerhealth-root that lives as long as it does: one line in the log of
sudo, and one wait where sudo is slow. It answers with what the user's own probes found, then with what root's did.
Told a line, it watches the packets or counts them, and answers again. It ends when its input does.
"""

import asyncio
import functools
import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, TypeVar

from checks.collect.engine import Answers, Engine
from checks.collect.reach import source_of
from checks.collect.ssh import Connection, Conversation
from checks.commands import ROOT_HELPER
from checks.errors import CommandTimedOutError, LookError, OutputUnreadableError, SshTimedOutError
from checks.facts import ALL_FACTS, COUNTING, WATCHING
from checks.facts.own_name import OWN_NAME
from checks.facts.root_session import SESSION
from checks.model import Output, Service, ServiceKind
from checks.source import EngineProbe, Facts, Probe, Source, Unavailable, WatchProbe

_Key = TypeVar("_Key", int, str)


def _probes(sources: Iterable[Source[Any]], *, root: bool) -> tuple[Probe, ...]:
    probes = (probe for source in sources for probe in source.probes if isinstance(probe, Probe))
    return tuple(probe for probe in probes if probe.root == root)


def _engine_probes(sources: Iterable[Source[Any]]) -> tuple[EngineProbe, ...]:
    return tuple(probe for source in sources for probe in source.probes if isinstance(probe, EngineProbe))


_COUNTERS = _probes(COUNTING, root=False)
_ASKED_BY_ROOT = _probes(ALL_FACTS, root=True)
_COUNTED_BY_ROOT = _probes(COUNTING, root=True)
_WATCHED = tuple(probe for source in WATCHING for probe in source.probes if isinstance(probe, WatchProbe))

_DEADLINE_RAN_OUT = {124, 137}  # timeout(1): after TERM, after KILL
_NOT_WRITTEN = -1
_FILE_TOO_LARGE = 153  # 128 + SIGXFSZ, from the script's ulimit -f
_ASLEEP = "asleep"  # of the answer that comes before the facts
_SIGNALLED = 128  # and the number of the signal, which is 64 at most; firewall-cmd has statuses above those
_NOT_THERE = {126, 127}
_REFUSED = 77  # by dockerhealth-root, see there

RECENTLY = timedelta(hours=1)
"""How far back the host's journal is read where nobody says since when things went wrong."""

_FURTHEST_BACK = timedelta(days=1)

_OVERALL = 60
"""Seconds after which the script ends whatever it does: it waits for what it is told next, and for sudo."""

_FOR_ROOT = 7.5
"""Seconds in which root has answered. A user cannot end a sudo that hangs, so it is waited for no longer."""

_FOR_A_NAME = 23.0
"""The same where sudo asks a name server for the host's own name: one that is silent takes 20 s (resolv.conf(5))."""

_FOR_COUNTS = 9.0

# Works with dash and bash 4.2. Every probe runs beside the others, its streams and status in files of a private
# folder in memory, which goes when the script ends, however it ends. `stat` tells the sizes (so that no output can
# be taken for a frame) and when each probe ended; `cat` follows with the contents in the same order. Probes of the same
# deadline share one `timeout`, because what a look costs a host is the programs that it starts. Who is at work when it
# runs out leaves no status, and has that of `timeout`. Shells outlive the TERM with which that comes, until those have
# ended for whom they wait: so who ignores it is killed a second later.
_HEAD = """\
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
ulimit -S -f 4096
d=$(mktemp -d /dev/shm/dockerhealth.XXXXXX 2>/dev/null) || d=$(mktemp -d /tmp/dockerhealth.XXXXXX 2>/dev/null) ||
  d=$(mktemp -d "/run/user/$(id -u)/dockerhealth.XXXXXX") || exit 90
trap 'rm -rf "$d"' EXIT
trap 'exit 91' HUP INT TERM
cd "$d" || exit 92
BACK=${1:-3600}
# A question at docker.socket makes systemd start a dockerd that does not run, and a look changes nothing. It is said
# first of all whether it is so, because the Engine is asked beside the script. systemd is slow to ask: seldom is it.
ASLEEP= pid= comm=
{ read -r pid </run/docker.pid; } 2>/dev/null
[ -z "$pid" ] || { read -r comm <"/proc/$pid/comm"; } 2>/dev/null
if [ "$comm" != dockerd ]; then
  case $(timeout 2 systemctl is-active docker.socket docker.service 2>/dev/null | tr '\n' ' ') in
    'active inactive '|'active failed ') ASLEEP=1 ;;
  esac
fi
printf 'start 0 0\nasleep.out %s 0\nasleep.err 0 0\nasleep.status 1 0\n\n%s0' "${#ASLEEP}" "$ASLEEP"
export SERVICES BACK ASLEEP
names= begun=
begin() {
  names="$names $3"
  for n in $3; do : >"$n.out"; : >"$n.err"; : >"$n.status"; done
  timeout -k 1 "$1" sh -c "trap : TERM; $2 until wait; do :; done" </dev/null >/dev/null 2>&1 &
  begun="$begun $!"
}
finish() {
  ended=0
  for one in $begun; do wait "$one" || ended=$?; done
  [ "$ended" = 0 ] || for n in $names; do [ -s "$n.status" ] || echo "$ended" >"$n.status"; done
}
hand_over() {
  set -- start
  for n in $names; do
    s=
    read -r s 2>/dev/null <"$n.status" || :
    [ "$s" != 153 ] || : >"$n.out" # ended by ulimit: who reads it would not use it
    set -- "$@" "$n.out" "$n.err" "$n.status"
  done
  stat -c '%n %s %.Y' "$@"
  echo
  cat "$@"
}
: >start
"""

# Root's session says on stderr how far it is. What else comes there is sudo's, or the shell's: it has not begun, or
# has ended. Its status is written when it begins, and again when it ends by itself. One that has ended may still be
# told something, which must not end the script. It begins first, because sudo takes its time.
_ROOT = """\
if [ "$(id -u)" = 0 ]; then root=; else root='sudo -n'; fi
mkfifo ask told
: >root.out
: >root.err
{ ulimit -S -f 16384; $root HELPER look <ask >>root.out 2>told; echo $? >root.status; } &
session=$!
trap '' PIPE
exec 3>ask 4<told
of_root() {
  here=
  while [ -z "$here" ] && IFS= read -r said; do
    case $said in
      'dockerhealth: begun') echo 0 >root.status ;;
      "dockerhealth: $1") here=1 ;;
      *) printf '%s\\n' "$said" >>root.err ;;
    esac
  done <&4
  [ -n "$here" ] || wait "$session"
  names=root
  hand_over
  : >root.out
  : >root.err
}
tell_root() { echo "$1" >&3 2>/dev/null || :; }
tell_root "facts $ports"
"""

_ANSWER = """\
finish
hand_over
"""

_GO_ON = """\
of_root facts
while read -r word rest; do
  case $word in
    watch)
      tell_root "watch $rest"
      of_root watching
      ;;
    count)
      tell_root count
      : >start
      names= begun=
COUNTERS
      finish
      hand_over
      of_root counted
      ;;
    *) exit 93 ;;
  esac
done
exec 3>&-
wait "$session"
"""


def script(
    services: Sequence[Service],
    address: str,
    sources: Iterable[Source[Any]] = ALL_FACTS,
    clients: Sequence[str] = (),
) -> str:
    """The gather script for these services of one host.

    ``$SERVICES`` and ``$ports`` are the only things in it that are not fixed: a line a service, ``PORT SCHEME PATH
    TARGET CONTAINER CLIENT``, from the configuration, whose values are checked there; each is quoted all the same.
    CLIENT is one of ``clients``: the address from which a service is reached, where that is another one than sshd sees.
    ``-`` is none. Its argument, ``$BACK`` for the probes, is how many seconds of the past matter.
    """
    lines = "\n".join(
        f"{s.port} {_scheme(s)} {s.path} {s.target or address} {s.container or '-'} {client or '-'}"
        for s, client in zip_longest(services, clients)
    )
    by_ipv6 = any(not _is_of_ipv4(service.target or address) for service in services)
    own = tuple(probe for probe in _probes(sources, root=False) if by_ipv6 or not probe.of_ipv6)
    head = f"SERVICES={shlex.quote(lines)}\nports='{' '.join(str(s.port) for s in services)}'\n"
    body = _begin(own)
    if not _probes(sources, root=True):
        return f"{head}{_HEAD}{body}{_ANSWER}"
    counting = _GO_ON.replace("COUNTERS\n", _begin(_COUNTERS))
    return f"{head}{_HEAD}{_ROOT.replace('HELPER', ROOT_HELPER)}{body}{_ANSWER}{counting}"


def _names(probes: Iterable[Probe]) -> str:
    return " ".join(probe.name for probe in probes)


def _is_of_ipv4(target: str) -> bool:
    """Whether it is an address of IPv4: nobody goes to it by IPv6, as to a name."""
    return target.replace(".", "").isdigit()


def _scheme(service: Service) -> str:
    if service.kind is ServiceKind.TCP:
        return "tcp"
    return "https" if service.tls else "http"


def _begin(probes: Iterable[Probe]) -> str:
    """Begin all of them: those of one deadline together, and first those that may take longest."""
    by_deadline = sorted(_parted(probes, lambda probe: probe.timeout).items(), reverse=True)
    return "".join(
        f"begin {seconds} {shlex.quote(_beside(those))} '{_names(those)}'\n" for seconds, those in by_deadline
    )


def _beside(probes: Iterable[Probe]) -> str:
    """Shell text that runs them all beside each other; what is asked first by several is asked once."""
    by_first = _parted(probes, lambda probe: probe.before)
    return "".join(_after(before, those) for before, those in by_first.items())


def _after(before: str, probes: Sequence[Probe]) -> str:
    runs = "".join(map(_run, probes))
    if not before:
        return runs
    return f"""\
{{
trap exit TERM
if (
{before.strip()}
) >/dev/null 2>&1; then
trap : TERM
{runs}until wait; do :; done
else
status=$?
for n in {_names(probes)}; do echo $status >$n.status; done
fi
}} &
"""


def _run(probe: Probe) -> str:
    n, command = probe.name, probe.command.strip()
    if "\n" in command:
        command = f"\n{command}\n"
    return f"{{ trap exit TERM; ({command}) >{n}.out 2>{n}.err; echo $? >{n}.status; }} &\n"


def _parted(probes: Iterable[Probe], by: Callable[[Probe], _Key]) -> dict[_Key, list[Probe]]:
    parts: dict[_Key, list[Probe]] = {}
    for probe in probes:
        parts.setdefault(by(probe), []).append(probe)
    return parts


def root_lines() -> str:
    """What dockerhealth-root asks for root's probes: the lines that stand in it between its own."""
    asked = [probe for probe in _ASKED_BY_ROOT if probe.name != SESSION]
    once = [probe for probe in asked if probe not in _COUNTED_BY_ROOT]
    [seconds] = {probe.timeout for probe in asked}
    return f"""\
DEADLINE={seconds} # of each, in seconds
ONCE='{_names(once)}'
COUNTING='{_names(_COUNTED_BY_ROOT)}'
ASK_ONCE={shlex.quote(_beside(once))}
ASK_COUNTING={shlex.quote(_beside(_COUNTED_BY_ROOT))}
"""


class Inspection:
    """A host while it is looked at: its facts, and then what its packets do, as often as that is asked."""

    def __init__(self, connection: Connection, conversation: Conversation, clock: Callable[[], datetime]) -> None:
        self._host = connection.host
        self._conversation = conversation
        self._clock = clock
        self._waits_for_root: LookError | None = None
        self._watched: tuple[WatchProbe, ...] = ()

    async def facts(self, engine: Engine, sources: Sequence[Source[Any]]) -> Facts:
        """The snapshot, once. Raises LookError when the script did not answer."""
        at = self._clock()
        asleep: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        found, asked = await asyncio.gather(
            self._of_host(sources, asleep), _of_engine(engine, _engine_probes(sources), asleep), return_exceptions=True
        )
        if isinstance(found, BaseException):
            raise found
        outputs, missing = found
        if isinstance(asked, LookError):
            silent = isinstance(asked, SshTimedOutError)
            unasked = Unavailable(f"the Docker Engine could not be asked: {asked}", silent)
            missing |= {probe.name: unasked for probe in _engine_probes(sources)}
        elif isinstance(asked, BaseException):
            raise asked
        else:
            outputs |= asked.outputs
            missing |= asked.missing
        return Facts(self._host.name, at, outputs, missing)

    async def watch(self, ports: Iterable[int], clients: Iterable[str] = ()) -> None:
        """Have root watch the packets of these ports and clients, from when this returns until they are counted.

        Raises LookError.
        """
        self._tell(f"watch {' '.join((*map(str, ports), *clients))}")
        await self._of_root((), _FOR_COUNTS)
        self._watched = _WATCHED

    async def count(self) -> Facts:
        """Only the facts that count packets, and what was watched. Raises LookError."""
        at = self._clock()
        self._tell("count")
        outputs, missing = sort_out(await self._of_user(_FOR_COUNTS))
        by_root, refused = await self._of_root((*_COUNTED_BY_ROOT, *self._watched), _FOR_COUNTS)
        return Facts(self._host.name, at, outputs | by_root, missing | refused)

    def _tell(self, line: str) -> None:
        if self._waits_for_root is not None:
            raise self._waits_for_root
        self._conversation.tell(line)

    async def _of_host(
        self, sources: Sequence[Source[Any]], asleep: asyncio.Future[bool]
    ) -> tuple[dict[str, Output], dict[str, Unavailable]]:
        """What the script answers, and first of all, if it says so, whether dockerd is ``asleep``."""
        patience, clock = self._host.login.command_timeout, asyncio.get_running_loop().time
        until = clock() + patience
        try:
            answered = await self._of_user(patience)
            if _ASLEEP in answered:
                asleep.set_result(bool(answered[_ASLEEP].stdout))
                answered = await self._of_user(until - clock())
        finally:
            if not asleep.done():
                asleep.set_result(False)
        outputs, missing = sort_out(answered)
        if not any(isinstance(probe, Probe) and probe.root for source in sources for probe in source.probes):
            return outputs, missing
        name = Facts(self._host.name, self._clock(), outputs).get(OWN_NAME)
        patient = not isinstance(name, Unavailable) and name.asks_a_server
        by_root, refused = await self._of_root(_ASKED_BY_ROOT, _FOR_A_NAME if patient else _FOR_ROOT)
        return outputs | by_root, missing | refused

    async def _of_user(self, seconds: float) -> dict[str, Output]:
        _, outputs = await self._answer(seconds)
        return {name: output.decoded for name, output in outputs.items()}

    async def _of_root(
        self, probes: Sequence[Probe | WatchProbe], seconds: float
    ) -> tuple[dict[str, Output], dict[str, Unavailable]]:
        """What root's session says next of these probes; where it says nothing, why each has no output."""
        try:
            since, outer = await self._answer(seconds)
        except CommandTimedOutError as error:
            self._waits_for_root = error
            return {}, _all(probes, f"sudo has not begun within {seconds:g} s")
        session = outer["root"]
        try:
            answered = {name: output.decoded for name, output in unframe(session.stdout).items()}
        except ValueError:
            return {}, _all(probes, _why_no_session(session.decoded))
        waited = began(session.stdout) - since
        answered[SESSION] = Output(f"{waited:.3f}\n", session.decoded.stderr, session.status, waited * 1000)
        outputs, missing = sort_out({probe.name: answered[probe.name] for probe in probes if probe.name in answered})
        older = [probe for probe in probes if probe.name not in answered]
        return outputs, missing | _all(older, f"{ROOT_HELPER} is older than this dockerhealth, and does not ask it")

    async def _answer(self, seconds: float) -> "tuple[float, dict[str, _Raw]]":
        """When who answers began, and what it hands over. Raises LookError."""
        raw = await self._conversation.hear(whole, seconds)
        try:
            return began(raw), unframe(raw)
        except ValueError as error:
            end, host = self._conversation.end, self._host.name
            said = end.stderr.strip()[-200:]
            raise OutputUnreadableError(
                host, f"{host}: the gather script ended with {end.status} and no readable answer ({error}): {said}"
            ) from error


async def _of_engine(engine: Engine, probes: Sequence[EngineProbe], asleep: asyncio.Future[bool]) -> Answers:
    """The Engine's answers, unless the question itself would make systemd start it. Raises LookError."""
    if not await asleep:
        return await engine.ask(probes)
    says = "dockerd does not run; it is not asked, because docker.socket would have it started by that"
    return Answers({}, {probe.name: Unavailable(says) for probe in probes})


def _all(probes: Iterable[Probe | WatchProbe], why: str) -> dict[str, Unavailable]:
    return {probe.name: Unavailable(why) for probe in probes}


def _why_no_session(session: Output) -> str:
    said = (session.stderr.strip().splitlines() or [""])[0]
    if session.status in _NOT_THERE or said.endswith("command not found"):
        return f"{ROOT_HELPER} is not there"
    if session.status == _REFUSED:
        return f"{ROOT_HELPER} is older than this dockerhealth: {said}"
    if said.startswith("sudo: "):
        return f"sudo-refused: {said.removeprefix('sudo: ')}"
    return f"root's session ended with {session.status}: {said}"


@asynccontextmanager
async def inspect(
    connection: Connection,
    services: Sequence[Service],
    clock: Callable[[], datetime],
    back: timedelta = RECENTLY,
    sources: tuple[Source[Any], ...] = ALL_FACTS,
) -> AsyncIterator[Inspection]:
    """Begin to look at a host, and at what happened on it in the time ``back`` from now.

    Each service is asked about as a client of this machine sees it. Raises LookError.
    """
    await connection.connected()  # a login takes its time, and the host's clock is compared with this one
    text = _quoted(tuple(services), connection.host.address, sources, _sources(connection, services))
    seconds = int(min(back, _FURTHEST_BACK).total_seconds())
    command = f"exec timeout -k 2 {_OVERALL} /bin/sh -c {text} dockerhealth {seconds}"
    async with connection.converse(command, what="the gather script") as conversation:
        yield Inspection(connection, conversation, clock)


async def gather(  # noqa: PLR0913  # whom to ask, and what
    connection: Connection,
    engine: Engine,
    services: Sequence[Service],
    clock: Callable[[], datetime],
    back: timedelta = RECENTLY,
    *,
    sources: tuple[Source[Any], ...] = ALL_FACTS,
) -> Facts:
    """Take one snapshot of a host, and be done with it. See ``inspect``. Raises LookError."""
    async with inspect(connection, services, clock, back, sources) as inspection:
        return await inspection.facts(engine, sources)


@functools.lru_cache(maxsize=4096)
def _quoted(
    services: tuple[Service, ...], address: str, sources: tuple[Source[Any], ...], clients: tuple[str, ...]
) -> str:
    """The script of a host: the same at each look."""
    return shlex.quote(script(services, address, sources, clients))


def _sources(connection: Connection, services: Sequence[Service]) -> tuple[str, ...]:
    """Where this machine reaches each service from, empty where that is the address that sshd sees us come from."""
    ours = connection.local_address
    sources = (source_of(service) for service in services)
    return tuple("" if source is None or source == ours else source for source in sources)


def whole(received: bytes) -> int | None:
    """The length of the first answer in what comes, as its frame says; None while that is not whole, or is none."""
    head, separator, _ = received.partition(b"\n\n")
    if not separator:
        return None
    try:
        size = sum(size for _, size, _ in _files(head))
    except ValueError:
        return None
    return len(head) + len(separator) + size


def _files(head: bytes) -> list[tuple[str, int, float]]:
    """The files of an answer: name, size and when it was written. Raises ValueError."""
    lines = [line.split() for line in head.decode(errors="replace").splitlines()]
    if not lines or any(len(words) != len(("name", "size", "written")) for words in lines):
        raise ValueError("its frame is not whole")
    return [(name, int(size), float(written)) for name, size, written in lines]


@dataclass(frozen=True)
class _Raw:
    """What a probe printed, undecoded: of root's session it is an answer of its own, whose frame counts bytes."""

    stdout: bytes
    stderr: bytes
    status: int
    ms: float

    @property
    def decoded(self) -> Output:
        return Output(self.stdout.decode(errors="replace"), self.stderr.decode(errors="replace"), self.status, self.ms)


def unframe(answer: bytes) -> dict[str, _Raw]:
    """Take an answer of the script apart. Raises ValueError when it is not whole."""
    head, separator, body = answer.partition(b"\n\n")
    (start, nothing, since), *files = _files(head)
    announced = sum(size for _, size, _ in files)
    if not separator or start != "start" or nothing or len(files) % 3:
        raise ValueError("its frame is not whole")
    if announced != len(body):
        raise ValueError(f"{len(body)} bytes where {announced} were announced")
    outputs: dict[str, _Raw] = {}
    here = 0
    for file in range(0, len(files), 3):
        parts = []
        for _, size, _ in files[file : file + 3]:
            parts.append(body[here : here + size])
            here += size
        name, _, ended = files[file + 2]
        stdout, stderr, status = parts
        outputs[name.removesuffix(".status")] = _Raw(
            stdout, stderr, int(status or _NOT_WRITTEN), (ended - since) * 1000
        )
    return outputs


def began(answer: bytes) -> float:
    """When who answers began, by the host's clock in seconds."""
    return _files(answer.partition(b"\n\n")[0])[0][2]


def sort_out(outputs: Mapping[str, Output]) -> tuple[dict[str, Output], dict[str, Unavailable]]:
    """Part the outputs that a parser may read from the probes that could not do their work, with the reason."""
    missing = {name: Unavailable(reason) for name, output in outputs.items() if (reason := _why_missing(name, output))}
    return {name: output for name, output in outputs.items() if name not in missing}, missing


def _why_missing(name: str, output: Output) -> str:
    if output.status in _DEADLINE_RAN_OUT:
        return f"{name}: no answer within its deadline on the host"
    if output.status == _NOT_WRITTEN:
        return f"{name}: the host had no room for its answer: is /dev/shm full, or /tmp?"
    if output.status == _FILE_TOO_LARGE:
        return f"{name}: printed more than the host's cap of 2 MB"
    if _SIGNALLED < output.status <= _SIGNALLED + 64:
        return f"{name}: was ended by signal {output.status - _SIGNALLED}, maybe halfway through its answer"
    return ""
