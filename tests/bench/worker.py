"""The process of one contestant: takes orders through a pipe, measures, reports."""

import asyncio
import gc
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, cast

from .contestant import Contestant, Sample, Turn
from .site import Site

Make = Callable[[Site], Contestant]
_NOTES = "notes"
_JOIN, _END = 5, 20  # seconds to finish by itself, and to stop when told


@dataclass(frozen=True)
class Failed:
    """A contestant could not do its work."""

    text: str


Answer = Sample | tuple[str, ...] | Failed


class ContestantError(Exception):
    """What a contestant said when it failed: the run is void."""


class Worker:
    """The parent's end of a contestant's process."""

    def __init__(self, pipe: "Connection[str, Any]") -> None:
        self._pipe = pipe

    def turn(self, name: str) -> Sample:
        return cast(Sample, self._ask(name))

    def notes(self) -> tuple[str, ...]:
        return cast(tuple[str, ...], self._ask(_NOTES))

    def _ask(self, order: str) -> Any:
        self._pipe.send(order)
        answer = self._pipe.recv()
        if isinstance(answer, Failed):
            raise ContestantError(f"{order}: {answer.text}")
        return answer


@contextmanager
def working(make: Make, site: Site) -> Iterator[Worker]:
    """A contestant in a process of its own, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs, make, site))
    process.start()
    theirs.close()
    try:
        yield Worker(ours)
    finally:
        ours.close()  # it ends at the end of its orders
        process.join(_JOIN)
        if process.is_alive():
            process.terminate()
            process.join(_END)
        if process.is_alive():
            process.kill()
            process.join()


def _main(pipe: "Connection[Any, str]", make: Make, site: Site) -> None:
    signal.signal(signal.SIGTERM, _end)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    asyncio.run(_serve(pipe, make(site)))


def _end(number: int, frame: FrameType | None) -> None:
    """In the midst of a turn too, what was started is stopped: SystemExit passes through every ``finally``."""
    del number, frame
    sys.exit(143)


async def _serve(pipe: "Connection[Any, str]", contestant: Contestant) -> None:
    """The loop runs on between two orders: keepalives then fall where they do in real life."""
    loop = asyncio.get_running_loop()
    opened = False
    try:
        while True:
            order = await loop.run_in_executor(None, _next_order, pipe)
            if order is None:
                return
            try:
                if not opened:
                    await contestant.open()
                    opened = True
                answer: Answer = await _carry_out(contestant, order)
            except Exception:  # noqa: BLE001  # whatever it was, the parent tells it and ends the run
                answer = Failed(traceback.format_exc())
            with suppress(OSError):  # nobody listens any more: then the next order is the end
                pipe.send(answer)
    finally:
        await contestant.close()


def _next_order(pipe: "Connection[Any, str]") -> str | None:
    with suppress(EOFError, OSError):
        return pipe.recv()
    return None


async def _carry_out(contestant: Contestant, order: str) -> Sample | tuple[str, ...]:
    if order == _NOTES:
        return contestant.notes()
    try:
        return await _measure(contestant, contestant.turns()[order])
    finally:
        await contestant.tidy()


async def _measure(contestant: Contestant, turn: Turn) -> Sample:
    gc.collect()  # nobody pays for what an earlier turn left
    cpu, wall = _cpu(contestant), time.perf_counter()
    received = await turn()
    return Sample(_cpu(contestant) - cpu, time.perf_counter() - wall, received)


def _cpu(contestant: Contestant) -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + contestant.helpers_cpu()
