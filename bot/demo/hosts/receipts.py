"""The other end of the receipts of a fix: what is asked for, and what a host that keeps them answers."""

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from checks.commands import BY, RUN
from checks.execution.receipts import CLOSE, OPEN, START

_BOOT = "00000000-0000-4000-8000-000000000000"
_FILLED = ((re.compile(r"--by=[^\s;']+"), BY), (re.compile(r"--run=[^\s;']+"), RUN))
_WORDS_BEFORE = 5  # exec /bin/sh -c SCRIPT dockerhealth

Execute = Callable[[str], Awaitable[tuple[int, str]]]
"""Carries a line out: its exit status, and what it prints."""


@dataclass
class _Kept:
    """A receipt. It has neither status nor output while the step runs, or where the step is closed."""

    status: int | None = None
    output: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def shown(self, number: str) -> str:
        state = (
            "closed" if self.status is None and self.over.is_set() else "running" if self.status is None else "ended"
        )
        status = "-" if self.status is None else self.status
        over = "-" if self.status is None else "0.1"
        return f"receipt {number} {state} {status} 0.0 {over} {len(self.output.encode())}\n{self.output}\n"


class Receipts:
    """All that a demo host keeps of the runs on it."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._runs: dict[str, dict[str, _Kept]] = {}
        self._going: list[asyncio.Task[None]] = []

    async def answer(self, line: str) -> str | None:
        """What the script that was sent prints; None where it is none of receipts."""
        if not line.startswith("exec /bin/sh -c "):
            return None
        words = shlex.split(line)
        script, (run, *rest) = words[_WORDS_BEFORE - 2], words[_WORDS_BEFORE:] or [""]
        kept = self._runs.setdefault(run, {})
        if script == OPEN:
            return f"boot {_BOOT}\n"
        if script == START:
            return await self._start(kept, rest)
        if script == CLOSE:
            for number in rest:
                if number not in kept:
                    kept[number] = _Kept()
                    kept[number].over.set()
            return "".join(kept[number].shown(number) for number in rest)
        return None

    async def _start(self, kept: dict[str, _Kept], words: list[str]) -> str:
        boot, number, *command = words
        if boot != _BOOT:
            return "rebooted\n"
        if number not in kept:
            receipt = kept[number] = _Kept()
            self._going.append(asyncio.create_task(self._carry_out(receipt, _unfilled(command[-1]))))
            await asyncio.shield(self._going[-1])  # it goes on when the connection ends
        return kept[number].shown(number)

    async def _carry_out(self, receipt: _Kept, line: str) -> None:
        receipt.status, receipt.output = await self._execute(line)
        receipt.over.set()


def _unfilled(line: str) -> str:
    """The line as it stands in the plan: who approved it, and in which run, is not known there yet."""
    for pattern, word in _FILLED:
        line = pattern.sub(word, line)
    return line
