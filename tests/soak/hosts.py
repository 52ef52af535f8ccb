"""Hosts of the demo that also hide: their sshd, their key, their Engine, what root sees."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import asyncssh

from bot.demo.hosts import DemoHost, frame
from bot.demo.hosts import Fault as Broken
from bot.demo.hosts.states import HEALTHY, Reachable
from checks.model import Output
from tests.soak.schedule import Fault

PLATFORMS = ("debian12-docker20.10.24", "debian13-docker26.1.5")
_SAME_FOR = 1.0  # seconds
_REFUSED = Output("", "sudo: a password is required\n", 1)


class SoakHost(DemoHost):
    def __init__(self, number: int, key: asyncssh.SSHKey, clock: Callable[[], datetime]) -> None:
        super().__init__(f"127.1.{number // 200}.{number % 200 + 1}", PLATFORMS[number % 2], clock)
        self._key = key
        self._fault: Fault | None = None
        self._made: tuple[object, float, Mapping[str, Output]] | None = None
        self.carried_out: list[tuple[float, str]] = []  # each step, with when, by the clock that only goes on

    async def serve(self) -> None:
        await self.start(self._key)

    async def suffer(self, fault: Fault) -> None:
        """Have this fault until it is healed."""
        self._fault = fault
        match fault:
            case Fault.FORWARDING_OFF:
                await self.break_by(Broken.FORWARDING_OFF)
            case Fault.CHAINS_GONE:
                await self.break_by(Broken.CHAINS_GONE)
            case Fault.BLIP:
                await self._endpoint.become(Reachable.REFUSES)
            case Fault.DEAD:
                await self._endpoint.become(Reachable.SILENT)
                await self.hang_up()
            case Fault.SSH_REFUSED:
                await self.hang_up()
            case Fault.KEY_CHANGED:
                await self.hang_up()
                await self.listen(self._key, asyncssh.generate_private_key("ssh-ed25519"))
            case Fault.ENGINE_GONE | Fault.SUDO_REFUSED:
                pass  # told below

    async def heal(self) -> None:
        """Be well. What a fix has written meanwhile stays: whoever heals a host takes nothing away from it."""
        fault, self._fault = self._fault, None
        await self._become(replace(self.state, recording=HEALTHY))
        if fault in {Fault.BLIP, Fault.DEAD}:
            await self._endpoint.become(Reachable.ANSWERS)
        if fault in {Fault.DEAD, Fault.SSH_REFUSED, Fault.KEY_CHANGED}:
            await self.hang_up()
            await self.listen(self._key, self._host_key)

    def outputs(self, *, again: bool = False) -> Mapping[str, Output]:
        """What every probe prints, made once a second at most: many hosts share a processor with who looks at them."""
        now, what = time.monotonic(), (again, self.state)
        if self._made is None or self._made[0] != what or now - self._made[1] > _SAME_FOR:
            self._made = what, now, super().outputs(again=again)
        return self._made[2]

    async def execute(self, line: str) -> tuple[int, str]:
        self.carried_out.append((time.monotonic(), line))
        return await super().execute(line)

    async def serve_engine(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        if self._fault is Fault.ENGINE_GONE:
            writer.close()
            return
        await super().serve_engine(reader, writer)

    def root_says(self, outputs: Mapping[str, Output], asked: frame.Asked) -> bytes:
        if self._fault is Fault.SUDO_REFUSED:
            return frame.frame({"root": _REFUSED})
        return super().root_says(outputs, asked)
