"""An approved plan that is to be carried out, and what is told of it meanwhile."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from checks.model import Plan, Snapshot


class Happened(StrEnum):
    """What is told while a plan is carried out. The names stand in the audit log."""

    LOOKING = "looking-again"
    UNCHANGED = "unchanged"  # the plan is still the right one; carries the host as it is before the first step
    STEP_STARTED = "step-started"
    STEP_ENDED = "step-ended"
    WAITING = "waiting"  # for a host that went away
    RESUMED = "resumed"  # by the next life of a process that was stopped
    VERIFYING = "verifying"


@dataclass(frozen=True)
class Event:
    """Something that happened, in words for a person, and with the values for the record."""

    what: Happened
    says: str
    data: Mapping[str, str | int | float | None] = field(default_factory=dict)
    before: Snapshot | None = None


OnEvent = Callable[[Event], Awaitable[None]]
"""Returns once the event is kept. What it raises stops the run before the next step."""


@dataclass(frozen=True)
class Order:
    """An approved plan: the run that carries it out, and who gave the word."""

    run: str
    plan: Plan
    by: str
