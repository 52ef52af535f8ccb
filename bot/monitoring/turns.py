"""Whose turn it is, by a clock that nobody sets. Pure."""

import heapq
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Each item has a turn every ``interval`` seconds, spread evenly over it; the first ones over ``spread`` seconds.

    Times are seconds of a monotonic clock. Who could not be asked at its turn is asked as soon as it can be, once: its
    next turn is where it would have been.
    """

    def __init__(self, items: Iterable[T], interval: float, begin: float, *, spread: float | None = None) -> None:
        self._items = tuple(items)
        self._interval = interval
        self._begin = begin
        self._waiting = [
            (begin + self._place(number, interval if spread is None else spread), number)
            for number in range(len(self._items))
        ]

    @property
    def next(self) -> float:
        """When the next turn is; infinity where nobody has one."""
        return self._waiting[0][0] if self._waiting else float("inf")

    def due(self, now: float, within: float) -> list[tuple[T, float]]:
        """Whose turn has come, and since when it has. It is to be asked again after ``within`` seconds.

        After a pause not all are told at once, as that would be the next pause: twice as many as usual.
        """
        most = 1 + int(2 * len(self._items) * within / self._interval)
        told: list[tuple[T, float]] = []
        while len(told) < most and self.next <= now:
            at, number = self._waiting[0]
            heapq.heapreplace(self._waiting, (self._after(number, max(now, at + self._interval / 2)), number))
            told.append((self._items[number], at))
        return told

    def _place(self, number: int, within: float) -> float:
        return within * (number + 0.5) / len(self._items)

    def _after(self, number: int, time: float) -> float:
        """The first turn of an item after a time."""
        place = self._begin + self._place(number, self._interval)
        return place + self._interval * ((time - place) // self._interval + 1)
