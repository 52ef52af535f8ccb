"""Runs a step on the host at most once, to its end though the connection breaks. Its receipt says how it ended.

Each run has a folder in the home of the user who logs in, and each step that was ever started a folder in it, its
receipt. The receipt appears in one rename, whole, before the command starts: whoever comes second finds it and is told
what became of the first. It does not matter who that is: the same process that lost the connection, the next life of
one that was killed, or a request that was under way for a minute. The command is a session of its own: it goes on when
sshd ends.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checks.collect.ssh import Connection, RawOutput
from checks.commands import shell_line
from checks.errors import OutputUnreadableError
from checks.model import Step

GRACE = 20
"""Seconds beyond a step's own deadline before its host is taken for silent."""

_QUICK = 15.0  # seconds for what runs no step
_CANNOT_WRITE = 73  # sysexits.h: EX_CANTCREAT
_HEAD = re.compile(rb"receipt (\d+) (ended|running|lost|closed) (\d+|-) ([\d.]+) ([\d.]+|-) (\d+)\n")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")

# dash, bash 4.2 and coreutils 8.22. $1 is the run; `take` makes a receipt unless there is one. `mv -T` replaces no
# folder that holds something (rename(2)), and a receipt always does.
_COMMON = """\
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
here=$HOME/.dockerhealth/$1
mkdir -p "$here" && cd "$here" || exit 73
boot=$(cat /proc/sys/kernel/random/boot_id)
take() {
    mkdir ".$1.$$" || exit 73
    { echo "$boot" >".$1.$$/boot" && echo $$ >".$1.$$/pid" && date +%s.%N >".$1.$$/began" &&
        : >".$1.$$/$2"; } || exit 73
    mv -T ".$1.$$" "$1" 2>/dev/null && return
    rm -rf ".$1.$$"
    return 1
}
show() {
    status=$(cat "$1/status" 2>/dev/null) state=lost
    if [ -e "$1/closed" ]; then state=closed
    elif [ -n "$status" ]; then state=ended
    elif [ "$(cat "$1/boot")" = "$boot" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null; then state=running
    fi
    [ "$state" = ended ] || status=
    size=$(stat -c %s "$1/out" 2>/dev/null || echo 0)
    echo "receipt $1 $state ${status:--} $(cat "$1/began") $(cat "$1/over" 2>/dev/null || echo -) $size"
    [ "$size" = 0 ] || head -c "$size" "$1/out"
    echo
}
"""

# $2 the boot in which the run began, $3 the step, then its command. `tail` keeps the end of what it prints.
START = f"""{_COMMON}
[ "$2" = "$boot" ] || {{ echo rebooted; exit 0; }}
n=$3
shift 3
if take "$n" out; then
    setsid sh -c '
        echo $$ >"$0/pid.new" && mv "$0/pid.new" "$0/pid"
        {{ "$@" </dev/null 2>&1; echo $? >"$0/ended"; }} | tail -c 60000 >"$0/out"
        date +%s.%N >"$0/over"
        mv "$0/ended" "$0/status"
    ' "$n" "$@" </dev/null >/dev/null 2>&1 &
    wait $!
fi
show "$n"
"""

OPEN = f"""{_COMMON}
find "$HOME/.dockerhealth" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {{}} +
echo "boot $boot"
"""

# $2 and on: the steps that are not to be started any more
CLOSE = f"""{_COMMON}
shift
for n in "$@"; do take "$n" closed; done
for n in "$@"; do show "$n"; done
"""


class ReceiptState(StrEnum):
    """What became of a step that was started, or never will be."""

    ENDED = "ended"
    RUNNING = "running"
    LOST = "lost"  # it was started and is gone without having ended: the host went down, or somebody killed it
    CLOSED = "closed"  # it was not started, and cannot be any more


@dataclass(frozen=True)
class Receipt:
    number: int
    state: ReceiptState
    status: int | None  # only of one that ended
    output: str
    seconds: float  # 0 for one that has not ended


class RebootedError(Exception):
    """The host was started anew since the run began: nothing of what was looked at holds any more."""


async def open_run(connection: Connection, run: str) -> str:
    """Make the folder of a run. Returns the host's boot id. Raises LookError, also where nothing can be written."""
    raw = await _script(connection, OPEN, (_checked(run),), what="the receipts of a fix", timeout=_QUICK)
    match = re.fullmatch(rb"boot ([0-9a-f-]{36})\n", raw.stdout)
    if match is None:
        raise _unreadable(connection, raw)
    return match[1].decode()


async def start(connection: Connection, run: str, boot: str, number: int, step: Step) -> Receipt:
    """Start a step that was never started, and wait for its end; of one that was, tell what became of it.

    Raises LookError: then it may or may not have been started, and to call this again finds out. Raises RebootedError.
    """
    words = (_checked(run), boot, str(number), "sh", "-c", shell_line(step))
    raw = await _script(connection, START, words, what=step.does, timeout=step.timeout + GRACE)
    if raw.stdout == b"rebooted\n":
        raise RebootedError
    receipts = _parse(raw.stdout)
    if len(receipts) != 1:
        raise _unreadable(connection, raw)
    return receipts[0]


async def close_run(connection: Connection, run: str, steps: int) -> tuple[Receipt, ...]:
    """See to it that no step is started any more, whoever tries, and tell what became of each. Raises LookError."""
    numbers = tuple(str(number) for number in range(1, steps + 1))
    raw = await _script(connection, CLOSE, (_checked(run), *numbers), what="the receipts of a fix", timeout=_QUICK)
    receipts = _parse(raw.stdout)
    if len(receipts) != steps:
        raise _unreadable(connection, raw)
    return receipts


async def _script(
    connection: Connection,
    text: str,
    words: Sequence[str],
    *,
    what: str,
    timeout: float,  # noqa: ASYNC109  # the SSH channel's own
) -> RawOutput:
    command = f"exec /bin/sh -c {shlex.quote(text)} dockerhealth {shlex.join(words)}"
    return await connection.run(command, what=what, timeout=timeout)


def _parse(text: bytes) -> tuple[Receipt, ...]:
    """Receipts as ``show`` prints them: a line that says how long the output is, and the output."""
    receipts = []
    while match := _HEAD.match(text):
        number, state, status, began, over, size = (group.decode() for group in match.groups())
        end = match.end() + int(size)
        receipts.append(
            Receipt(
                number=int(number),
                state=ReceiptState(state),
                status=None if status == "-" else int(status),
                output=text[match.end() : end].decode(errors="replace"),
                seconds=0.0 if over == "-" else max(0.0, float(over) - float(began)),
            )
        )
        text = text[end + 1 :]
    return tuple(receipts) if not text else ()


def _unreadable(connection: Connection, raw: RawOutput) -> OutputUnreadableError:
    host = connection.host.name
    said = raw.stderr.decode(errors="replace").strip()[-200:] or "nothing"
    if raw.status == _CANNOT_WRITE:
        return OutputUnreadableError(
            host,
            f"{host}: the login's home folder takes no receipts, and without them no step is run ({said}). "
            "Make room in it, and see that the user may write to ~/.dockerhealth",
        )
    return OutputUnreadableError(
        host, f"{host}: the receipts of a fix cannot be read: it ended with {raw.status}: {said}"
    )


def _checked(run: str) -> str:
    """The run's id as a word of a command and the name of a folder."""
    if not _NAME.fullmatch(run):
        raise ValueError(f"{run!r} is no id of a run")
    return run
