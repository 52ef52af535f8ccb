"""Notices that readings have stopped, from a thread of its own: it needs neither the scheduler nor the event loop."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

ASKED_EVERY = 1.0  # seconds

log = structlog.get_logger()


@dataclass(frozen=True)
class Silence:
    """No reading has ended for some time."""

    since: float  # seconds of the monotonic clock
    stuck: bool  # whether the event loop stands still; else it runs, and no reading is made


class Watchdog:
    """``patience``: seconds without a reading after which something is wrong.

    Then ``wake`` is called in the event loop with what is known of it, every second until readings go on. A silence is
    logged when it begins and when it ends.
    """

    def __init__(self, patience: float, wake: Callable[[Silence], None]) -> None:
        self._patience = patience
        self._wake = wake
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._fed = self._beat = 0.0
        self.silence: Silence | None = None  # the one that lasts
        self.silences = 0  # since the start

    def start(self) -> None:
        """Begin to watch. Called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._fed = self._beat = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def fed(self) -> None:
        """A reading has ended."""
        self._fed = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(ASKED_EVERY):
            now = time.monotonic()
            if now - self._fed >= self._patience:
                self._silent(now)
            elif self.silence is not None:
                log.warning("readings go on", silent_for=round(self._fed - self.silence.since, 1))
                self.silence = None
            self._ask_loop(self._beats if self.silence is None else partial(self._woken, self.silence))

    def _silent(self, now: float) -> None:
        stuck = now - self._beat > 3 * ASKED_EVERY
        if self.silence is None:
            self.silences += 1
            where = sys._current_frames().get(self._loop_thread) if stuck else None  # noqa: SLF001  # there is no other way
            log.error(
                "READINGS HAVE STOPPED: dockerhealth does not see whether services fail",
                silent_for=round(now - self._fed, 1),
                why="the event loop stands still" if stuck else "the event loop runs, and no reading ends",
                at="".join(traceback.format_stack(where, limit=5)) if where else "",
                times=self.silences,
            )
        self.silence = Silence(self._fed, stuck)

    def _ask_loop(self, what: Callable[[], None]) -> None:
        assert self._loop is not None  # noqa: S101  # set before the thread was started
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # it is closed: nobody is to be watched any more
            self._over.set()

    def _beats(self) -> None:
        self._beat = time.monotonic()

    def _woken(self, silence: Silence) -> None:
        self._beats()
        self._wake(silence)
