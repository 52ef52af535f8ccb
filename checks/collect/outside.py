"""The attempts from outside of one look: none is waited for longer than it takes to know how it ends."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from checks.collect.reach import SMALL_SEGMENT, CountedAttempts, attempt_counted, reach, reach_each
from checks.model import OwnTrouble, Phase, ReachOutcome, Reading, Service, Vantage

_AT_ONCE = 0.3
"""Seconds in which a healthy service has answered. Others are asked a counted number of times, and not waited for."""

_SMALL_DEADLINE = 1.0
"""Seconds for an attempt with small packets: where they make the difference it is answered at once."""


class Outside:
    """One attempt a service, begun at once. Ask for results once the task group has ended."""

    def __init__(self, services: Sequence[Service], clock: Callable[[], datetime], group: asyncio.TaskGroup) -> None:
        self._services = services
        self._clock = clock
        self._group = group
        self._began = time.perf_counter()
        self._attempts = {one.name: group.create_task(reach(one, clock)) for one in services}
        self._each = {one.name: group.create_task(reach_each(one, clock)) for one in services}
        self._counted: dict[str, CountedAttempts] = {}
        self._silent: dict[str, Reading] = {}
        self._small: dict[str, asyncio.Task[Reading]] = {}

    @property
    def suspects(self) -> tuple[Service, ...]:
        """The services that have not answered as they should, so far."""
        return tuple(one for one in self._services if not self._is_good(one))

    async def settle(self) -> None:
        """Let the healthy ones answer."""
        left = self._began + _AT_ONCE - time.perf_counter()
        await asyncio.wait(self._attempts.values(), timeout=max(0.0, left))

    async def attempt_counted(self) -> None:
        """Ask each suspect for a known number of connections.

        What is accepted, and then not answered, is tried again with small packets: large ones may be lost on the way.
        """
        suspects = self.suspects
        asked = await asyncio.gather(*(attempt_counted(service, self._clock) for service in suspects))
        for service, made in zip(suspects, asked, strict=True):
            if made is None:
                continue
            self._counted[service.name] = made
            if made.accepted and not self._attempts[service.name].done():
                trying = reach(service, self._clock, segment=SMALL_SEGMENT, deadline=_SMALL_DEADLINE)
                self._small[service.name] = self._group.create_task(trying)

    def give_up(self) -> None:
        """End each attempt that need not be waited for: more were made since, and none was answered."""
        ms = (time.perf_counter() - self._began) * 1000
        for name, made in self._counted.items():
            if not made.accepted and (self._attempts[name].cancel() or self._was_late(name)):
                self._silent[name] = Reading(
                    Vantage.OUTSIDE, Phase.CONNECT, ReachOutcome.TIMED_OUT, ms, self._clock(), address=made.address
                )

    def _was_late(self, name: str) -> bool:
        """Whether an attempt told nothing because the event loop was late: those that were counted since were not."""
        attempt = self._attempts[name]
        return attempt.done() and attempt.result().unsound is OwnTrouble.LOOP_LATE

    def reading(self, service: Service) -> Reading:
        return self._silent.get(service.name) or self._attempts[service.name].result()

    def asked(self, service: Service) -> int | None:
        """How many connections were asked for beside the attempt; None where none were."""
        made = self._counted.get(service.name)
        return made.asked if made else None

    def each(self, service: Service) -> tuple[Reading, ...]:
        """Each address for itself, of a name that has more than one."""
        return self._each[service.name].result()

    def small(self, service: Service) -> Reading | None:
        """The attempt with small packets, where one was made."""
        trying = self._small.get(service.name)
        return trying.result() if trying else None

    def _is_good(self, service: Service) -> bool:
        attempt = self._attempts[service.name]
        return attempt.done() and not attempt.cancelled() and attempt.result().ok
