"""Whether the process that holds a token lives, as the kernel knows it: it lets go of a process's locks when it ends.

Works for processes on one machine, in whatever containers, that see the same folder. Elsewhere nothing can be told.
"""

import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid: struct flock of fcntl(2)


class SignsOfLife:
    """A file, of which the holder of token N has locked byte N. ``path`` is None where there can be no such file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd: int | None = None

    def hold(self, token: int) -> bool:
        """Hold a token for as long as this process lives, or ``let_go`` is called. False if another one holds it."""
        try:
            fcntl.fcntl(self._open(), fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK, token))
        except BlockingIOError:
            return False
        except OSError:  # no such file can be had: then nobody can tell
            return True
        return True

    def is_dead(self, token: int) -> bool:
        """Whether the holder of a token is known to have ended. False also where that cannot be told."""
        try:
            told = fcntl.fcntl(self._open(), fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, token))
        except OSError:
            return False
        kind: int = _FLOCK.unpack(told)[0]
        return kind == fcntl.F_UNLCK

    def let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._path is None:
            raise FileNotFoundError("the store is no file")
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd


def _lock(kind: int, token: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, token, 1, 0)
