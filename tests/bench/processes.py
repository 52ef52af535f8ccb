"""Programs of the system, and processes that a child left behind: they become ours, to be measured and ended."""

import ctypes
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def program(name: str) -> str:
    """Where a program of the system is, whatever PATH the user has. Its bare name where it is not."""
    return shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin") or name


def adopt_orphans() -> None:
    """From now on a descendant whose parent has gone is this process's child."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children() -> list[int]:
    """This process's children that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(path.parent.name))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, to the nanosecond. 0.0 for one that has gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def end(pid: int) -> None:
    """End a child and take its status."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
