"""What a contestant is: it opens its connections, then takes turns, each of them measured."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

Turn = Callable[[], Awaitable[int]]
"""Works on every host once. Returns the bytes that were received from all of them, 0 where nobody can tell."""


@dataclass(frozen=True)
class Sample:
    """One turn: seconds of CPU of the client's processes, seconds of wall time, bytes received."""

    cpu: float
    wall: float
    received: int


class Contestant(Protocol):
    """Lives in a process of its own, so that its CPU time is told apart from the others'."""

    async def open(self) -> None: ...

    def turns(self) -> Mapping[str, Turn]: ...

    async def tidy(self) -> None:
        """Undo what a turn left open. Not measured."""

    def helpers_cpu(self) -> float:
        """Seconds of CPU so far of processes that work for it but were not waited for."""

    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how it went."""

    async def close(self) -> None: ...
