"""The other end of the gather script: what it asks for, and answers in the frame that gather takes apart. Pure."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from checks.model import Output

_BEGUN = re.compile(r"' '([a-z0-9 -]+)'$", flags=re.MULTILINE)  # the last word of `begin`: no quoted text has its like
_TOLD_TO_COUNT = "tell_root count\n"
_NOT_FOUND = 127


@dataclass(frozen=True)
class Asked:
    """The user's own probes that a gather script runs, at first and when it is told to count, by their names."""

    names: tuple[str, ...]
    counted: tuple[str, ...]


def asked(command: str) -> Asked | None:
    """What a gather script asks of the user's own probes; None where the command is something else."""
    if not command.startswith("exec timeout "):
        return None
    try:
        words = shlex.split(command)
        text = words[words.index("-c") + 1]
    except (ValueError, IndexError):
        return None
    at_first, _, counting = text.partition(_TOLD_TO_COUNT)
    names = _begun(at_first)
    return Asked(names, _begun(counting)) if names else None


def _begun(text: str) -> tuple[str, ...]:
    return tuple(name for found in _BEGUN.finditer(text) for name in found[1].split())


def answer(outputs: Mapping[str, Output], names: Sequence[str]) -> bytes:
    """The framed answer to a script. A probe that was not recorded is answered as a command that is not installed."""
    return frame({name: outputs.get(name) or _not_recorded(name) for name in names})


def answer_of_root(outputs: Mapping[str, Output], others: Iterable[str]) -> bytes:
    """What root's session says: of all that was recorded, but what the user's own probes found."""
    beside = set(others)
    found = {name: output for name, output in outputs.items() if name not in beside}
    return frame({"root": Output(frame(found).decode(), "", 0)})


def frame(outputs: Mapping[str, Output]) -> bytes:
    """What the script prints for these outputs: name, size and time of every file, an empty line, then the contents.

    The inverse of ``checks.gather.unframe``. The clock begins at 0 with the script.
    """
    stats, contents = ["start 0 0.0"], [b""]
    for name, output in outputs.items():
        ended = (output.ms or 0.0) / 1000
        for stream, text in (("out", output.stdout), ("err", output.stderr), ("status", f"{output.status}\n")):
            content = text.encode()
            stats.append(f"{name}.{stream} {len(content)} {ended!r}")
            contents.append(content)
    return "\n".join(stats).encode() + b"\n\n" + b"".join(contents)


def _not_recorded(name: str) -> Output:
    return Output("", f"sh: 1: {name}: not found (the demo has no recording of it)\n", _NOT_FOUND, 1.0)
