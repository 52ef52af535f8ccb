"""Running programs on this machine: one place, always with a deadline, never through a shell."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class LabError(Exception):
    """The lab itself does not work. Never an answer about the code under test."""


def run(
    *argv: str | Path, check: bool = True, stdin: str | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it said; what fails or hangs is a LabError that quotes it."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell, all of it written in this folder
            words,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise LabError(f"no answer within {timeout:g} s from: {' '.join(words)}") from late
    if check and done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise LabError(f"exit {done.returncode} from: {' '.join(words)}\n{said}")
    return done


def wait_for(what: str, holds: Callable[[], bool], timeout: float, every: float = 0.05) -> None:
    """Poll a condition for which there is no event to await, for so long and no longer."""
    until = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > until:
            raise LabError(f"not within {timeout:g} s: {what}")
        time.sleep(every)
