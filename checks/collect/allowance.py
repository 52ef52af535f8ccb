"""What another side may take of this one, however it sends its answers: seconds and bytes, both in all."""

import contextlib
import socket
import threading
import time


class SpentError(OSError):
    """The other side took all that it was given, and has not come to an end."""


class Allowance:
    """Seconds and bytes for all that is read from one side. May be withdrawn by another thread."""

    def __init__(self, seconds: float, size: int) -> None:
        self._until = time.monotonic() + seconds
        self._seconds = seconds
        self._size = self._left = size
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.spent: SpentError | None = None

    def seconds(self) -> float:
        """How many are left. Raises SpentError where none are."""
        left = self._until - time.monotonic()
        if left <= 0:
            self.spent = SpentError(f"it did not come to an end within {self._seconds:g} s")
            raise self.spent
        return left

    def take(self, size: int) -> None:
        """Note so many bytes. Raises SpentError where they are too many."""
        self._left -= size
        if self._left < 0:
            self.spent = SpentError(f"it sent more than {self._size} bytes")
            raise self.spent

    def reads(self, sock: socket.socket) -> None:
        """Name the socket that is read from now on."""
        with self._lock:
            self._socket = sock
        self.seconds()

    def withdraw(self) -> None:
        """Let what reads by it end now."""
        with self._lock:
            self._until = 0.0
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    self._socket.shutdown(socket.SHUT_RDWR)


class BoundedSocket(socket.socket):
    """A socket of which no more is read than an allowance grants."""

    allowance: Allowance

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]  # what http.client gives
        """As socket.socket has it. Raises SpentError."""
        patience = self.gettimeout()
        left = self.allowance.seconds()
        self.settimeout(left if patience is None else min(patience, left))
        try:
            size = super().recv_into(buffer, nbytes, flags)
        except TimeoutError:
            self.allowance.seconds()
            raise
        finally:
            self.settimeout(patience)
        self.allowance.take(size)
        return size
