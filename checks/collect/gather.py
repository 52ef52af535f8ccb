"""All facts of a host in one round trip: one exec of a POSIX shell script, and the Docker SDK beside it."""

import asyncio
import functools
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from checks.collect.engine import Engine
from checks.collect.reach import source_of
from checks.collect.ssh import Connection
from checks.errors import LookError, OutputUnreadableError, SshTimedOutError
from checks.facts import ALL_FACTS, COUNTING
from checks.model import Output, Service, ServiceKind
from checks.source import EngineProbe, Facts, Probe, Source, Unavailable


def _probes(sources: tuple[Source[Any], ...]) -> tuple[Probe, ...]:
    return tuple(probe for source in sources for probe in source.probes if isinstance(probe, Probe))


def _engine_probes(sources: tuple[Source[Any], ...]) -> tuple[EngineProbe, ...]:
    return tuple(probe for source in sources for probe in source.probes if isinstance(probe, EngineProbe))


_PROBES = _probes(ALL_FACTS)
_COUNTERS = _probes(COUNTING)

_DEADLINE_RAN_OUT = {124, 137}  # timeout(1): after TERM, after KILL
_NOT_ENDED = -1
_FILE_TOO_LARGE = 153  # 128 + SIGXFSZ, from the script's ulimit -f
_SIGNALLED = 128  # and the number of the signal, which is 64 at most; firewall-cmd has statuses above those

RECENTLY = timedelta(hours=1)
"""How far back the host's journal is read where nobody says since when things went wrong."""

_FURTHEST_BACK = timedelta(days=1)

_OVERALL = 9
"""Seconds for all probes together. It is there for sudo, which hangs where the host's name cannot be resolved, and
which a user cannot end: timeout(1) then sends USR1, and the script hands over what it has."""

# Works with dash and bash 4.2. Every probe runs beside the others, its streams and status in files of a private
# folder in memory, which goes when the script ends, however it ends. `stat` tells the sizes (so that no output can
# be taken for a frame) and when each probe ended; `cat` follows with the contents in the same order.
_HEAD = """\
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
ulimit -f 4096
d=$(mktemp -d /dev/shm/dockerhealth.XXXXXX 2>/dev/null || mktemp -d /tmp/dockerhealth.XXXXXX) || exit 90
trap 'rm -rf "$d"' EXIT
trap 'exit 91' HUP INT TERM
trap : USR1
cd "$d" || exit 92
if [ "$(id -u)" = 0 ]; then root=; else root='sudo -n'; fi
BACK=${1:-3600}
export SERVICES BACK
for n in $names; do : >"$n.status"; done
: >start
"""
_TAIL = """\
wait
set -- start
for n in $names; do set -- "$@" "$n.out" "$n.err" "$n.status"; done
stat -c '%s %.Y' "$@"
echo
cat "$@"
"""


def script(
    services: Sequence[Service], address: str, probes: Sequence[Probe] = _PROBES, sources: Sequence[str] = ()
) -> str:
    """The gather script for these services of one host.

    ``$SERVICES`` is the only thing in it that is not fixed: a line a service, ``PORT SCHEME PATH TARGET CONTAINER
    CLIENT``, from the configuration, whose values are checked there; each is quoted all the same. CLIENT is one of
    ``sources``: the address from which a service is reached, where that is another one than sshd sees. ``-`` is none.
    Its argument, ``$BACK`` for the probes, is how many seconds of the past matter.
    """
    lines = "\n".join(
        f"{s.port} {_scheme(s)} {s.path} {s.target or address} {s.container or '-'} {source or '-'}"
        for s, source in zip_longest(services, sources)
    )
    body = "".join(_run_beside(probe) for probe in probes)
    names = " ".join(probe.name for probe in probes)
    return f"SERVICES={shlex.quote(lines)}\nnames='{names}'\n{_HEAD}{body}{_TAIL}"


def _scheme(service: Service) -> str:
    if service.kind is ServiceKind.TCP:
        return "tcp"
    return "https" if service.tls else "http"


def _run_beside(probe: Probe) -> str:
    if probe.root:
        command = f"$root /usr/bin/timeout -k 1 {probe.timeout} {probe.command}"
    else:
        command = f"timeout -k 1 {probe.timeout} sh -c {shlex.quote(probe.command)}"
    if probe.before:
        command = f"{{ ( {probe.before} ) && {command}; }}"
    return f"{{ {command} </dev/null >{probe.name}.out 2>{probe.name}.err; echo $? >{probe.name}.status; }} &\n"


async def gather(  # noqa: PLR0913  # whom to ask, and what
    connection: Connection,
    engine: Engine,
    services: Sequence[Service],
    clock: Callable[[], datetime],
    back: timedelta = RECENTLY,
    *,
    sources: tuple[Source[Any], ...] = ALL_FACTS,
) -> Facts:
    """Take one snapshot of a host, and what happened on it in the time ``back`` from now.

    Each service is asked about as a client of this machine sees it.

    Raises LookError when the script could not be run to its end.
    """
    host = connection.host
    await connection.connected()  # a login takes its time, and the host's clock is compared with this one
    at = clock()
    probes, engine_probes = _probes(sources), _engine_probes(sources)
    raw, asked = await asyncio.gather(
        _run_script(connection, services, probes, back), engine.ask(engine_probes), return_exceptions=True
    )
    if isinstance(raw, BaseException):
        raise raw
    outputs, missing = sort_out(raw)
    if isinstance(asked, LookError):
        silent = isinstance(asked, SshTimedOutError)
        unasked = Unavailable(f"the Docker Engine could not be asked: {asked}", silent)
        missing |= {probe.name: unasked for probe in engine_probes}
    elif isinstance(asked, BaseException):
        raise asked
    else:
        outputs |= asked.outputs
        missing |= asked.missing
    return Facts(host.name, at, outputs, missing)


async def count(connection: Connection, services: Sequence[Service], clock: Callable[[], datetime]) -> Facts:
    """Only the facts that count packets, in one more round trip. Raises LookError as gather does."""
    at = clock()
    outputs, missing = sort_out(await _run_script(connection, services, _COUNTERS, timedelta(0)))
    return Facts(connection.host.name, at, outputs, missing)


@functools.lru_cache(maxsize=4096)
def _quoted(services: tuple[Service, ...], address: str, probes: tuple[Probe, ...], sources: tuple[str, ...]) -> str:
    """The script of a host: the same at each look."""
    return shlex.quote(script(services, address, probes, sources))


def _sources(connection: Connection, services: Sequence[Service]) -> tuple[str, ...]:
    """Where this machine reaches each service from, empty where that is the address that sshd sees us come from."""
    ours = connection.local_address
    sources = (source_of(service) for service in services)
    return tuple("" if source is None or source == ours else source for source in sources)


async def _run_script(
    connection: Connection, services: Sequence[Service], probes: tuple[Probe, ...], back: timedelta
) -> dict[str, Output]:
    host = connection.host
    await connection.connected()
    text = _quoted(tuple(services), host.address, probes, _sources(connection, services))
    seconds = int(min(back, _FURTHEST_BACK).total_seconds())
    command = f"exec timeout -s USR1 -k 2 {_OVERALL} /bin/sh -c {text} dockerhealth {seconds}"
    raw = await connection.run(command, what="the gather script", timeout=host.login.command_timeout)
    try:
        return unframe(raw.stdout, [probe.name for probe in probes])
    except ValueError as error:
        said = raw.stderr.decode(errors="replace").strip()[-200:]
        raise OutputUnreadableError(
            host.name,
            f"{host.name}: the gather script ended with {raw.status} and no readable answer ({error}): {said}",
        ) from error


def unframe(answer: bytes, names: Sequence[str]) -> dict[str, Output]:
    """Take the script's answer apart. Raises ValueError when it is not whole."""
    head, separator, body = answer.partition(b"\n\n")
    words = head.split()
    if not separator or len(words) != 2 + 6 * len(names):
        raise ValueError("its frame is not whole")
    sizes, ends = [int(size) for size in words[::2]], [float(end) for end in words[1::2]]
    if sum(sizes) != len(body):
        raise ValueError(f"{len(body)} bytes where {sum(sizes)} were announced")
    parts, start = [], 0
    for size in sizes:
        parts.append(body[start : start + size].decode(errors="replace"))
        start += size
    return {
        name: Output(parts[i], parts[i + 1], int(parts[i + 2] or _NOT_ENDED), (ends[i + 2] - ends[0]) * 1000)
        for name, i in zip(names, range(1, len(parts), 3), strict=True)
    }


def sort_out(outputs: Mapping[str, Output]) -> tuple[dict[str, Output], dict[str, Unavailable]]:
    """Part the outputs that a parser may read from the probes that could not do their work, with the reason."""
    missing = {name: Unavailable(reason) for name, output in outputs.items() if (reason := _why_missing(name, output))}
    return {name: output for name, output in outputs.items() if name not in missing}, missing


def _why_missing(name: str, output: Output) -> str:
    if output.status in _DEADLINE_RAN_OUT or output.status == _NOT_ENDED:
        return f"{name}: no answer within its deadline on the host"
    if output.status == _FILE_TOO_LARGE:
        return f"{name}: printed more than the host's cap of 2 MB"
    if _SIGNALLED < output.status <= _SIGNALLED + 64:
        return f"{name}: was ended by signal {output.status - _SIGNALLED}, maybe halfway through its answer"
    if output.stderr.startswith("sudo: ") and output.status == 1:
        return f"sudo-refused: {output.stderr.strip().splitlines()[0].removeprefix('sudo: ')}"
    return ""
