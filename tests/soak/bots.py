"""The real bot as a process of its own, started again when it ends, as systemd does it."""

import asyncio
import contextlib
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NICER = 10
"""By how much a bot is nicer than what stands for other machines, which it must not keep from answering."""

AGAIN_AFTER = 5.0  # seconds: RestartSec of the unit
WRONG_CONFIGURATION = 64  # RestartPreventExitStatus of the unit
_STOPS_WITHIN = 30.0
_SAMPLED_EVERY = 2.0


@dataclass(frozen=True)
class Sample:
    """What one process held at one time: seconds since it began, MB of RSS, open descriptors."""

    age: float
    rss: float
    descriptors: int


@dataclass
class Life:
    """One process of a bot, from its start to its end."""

    bot: str
    began: float  # seconds of the run
    samples: list[Sample] = field(default_factory=list)
    status: int | None = None  # how it ended by itself; None while it lives, and where it was killed
    stopped: float | None = None  # seconds that it took to end after SIGTERM


class Bot:
    """Keeps one bot running until it is stopped."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.lives: list[Life] = []
        self._command = command
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._may_run = asyncio.Event()
        self._may_run.set()

    async def keep(self, now: Callable[[], float]) -> None:
        """Run it, and run it again whenever it ends."""
        while True:
            await self._may_run.wait()
            life = Life(self.name, now())
            self.lives.append(life)
            with self._log.open("ab") as log:
                self._process = process = await asyncio.create_subprocess_exec(
                    *self._command, env=dict(self._environment), stdout=log, stderr=log
                )
            await self._sample_until_its_end(process, life)
            if process.returncode != -signal.SIGKILL:
                life.status = process.returncode
                if life.status == WRONG_CONFIGURATION:
                    return
                await asyncio.sleep(AGAIN_AFTER)

    def kill(self) -> None:
        """End it without a word; it stays dead until ``revive``."""
        self._may_run.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def revive(self) -> None:
        self._may_run.set()

    def leave_descriptors(self, more: int | None) -> None:
        """Let it open only so many more; None lets it open what it may otherwise."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            pid = self._process.pid
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            soft = min(1024, hard) if more is None else _descriptors(pid) + more
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))

    async def stop(self) -> None:
        """Stop it as systemd does, and see how long that takes. Call when nothing keeps it any more."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        began = time.monotonic()
        process.terminate()
        try:
            async with asyncio.timeout(_STOPS_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        self.lives[-1].stopped = time.monotonic() - began

    async def _sample_until_its_end(self, process: asyncio.subprocess.Process, life: Life) -> None:
        began = time.monotonic()
        while process.returncode is None:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                age = time.monotonic() - began
                life.samples.append(Sample(age, _rss(process.pid), _descriptors(process.pid)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SAMPLED_EVERY):
                    await process.wait()


def bot_command(config: Path, resolv_conf: Path | None) -> list[str]:
    """``dockerhealth run``; with a resolver's configuration of its own where there is one, which takes root."""
    run = ["nice", "-n", str(NICER), sys.executable, "-m", "bot", "run", "-c", str(config)]
    if resolv_conf is None:
        return run
    bound = f'mount --bind {resolv_conf} /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", bound, "sh", *run]


def _rss(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
