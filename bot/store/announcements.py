"""What has just been stored, told to whoever in this process acts on it.

Who stores something knows nobody who acts on it; who acts on it knows nobody who stored it. What another process
stores is not told here: it is found by looking.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class MessageDue:
    """A message of the outbox has something new to show."""


@dataclass(frozen=True)
class DiagnosisStored:
    """A look said something of a live incident, and what it said is kept."""

    incident_id: str


@dataclass(frozen=True)
class RunEnded:
    """A plan was carried out on a host, for a service of it, and how it ended is kept."""

    host: str
    service: str


Announcement = MessageDue | DiagnosisStored | RunEnded

A = TypeVar("A", MessageDue, DiagnosisStored, RunEnded)


class Announcements:
    def __init__(self) -> None:
        self._listeners: defaultdict[type, list[Callable[[Any], None]]] = defaultdict(list)

    def on(self, kind: type[A], listener: Callable[[A], None]) -> Callable[[], None]:
        """Call ``listener`` with each announcement of this kind from now on. Returns what ends that.

        A listener must not block, nor raise.
        """
        self._listeners[kind].append(listener)

        def end() -> None:
            self._listeners[kind] = [each for each in self._listeners[kind] if each is not listener]

        return end

    def announce(self, announcement: Announcement) -> None:
        for listener in self._listeners[type(announcement)]:
            listener(announcement)
