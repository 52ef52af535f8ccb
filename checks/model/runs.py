"""What was done to a host, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

from checks.model.plans import Step
from checks.model.readings import Reading
from checks.model.snapshots import Difference


class Outcome(StrEnum):
    """How the carrying out of an approved plan ended."""

    FIXED = "fixed"
    NOT_FIXED = "not-fixed"  # the service still does not answer, or the cause still holds
    FAILED = "failed"  # a step failed
    STALE = "stale"  # facts changed since the plan; nothing was run
    UNKNOWN = "unknown"  # contact was lost midway
    UNDONE = "undone"  # of an undo: the host is as it was before the plan that it takes back


@dataclass(frozen=True)
class StepResult:
    """``status`` is None where it began and nobody knows how it ended."""

    step: Step
    status: int | None
    output: str  # stdout and stderr, cut to a length that a message can show
    seconds: float = 0.0  # how long it took on the host

    @property
    def ok(self) -> bool:
        return self.status == 0


@dataclass(frozen=True)
class Applied:
    """What came of an approved plan."""

    outcome: Outcome
    says: str  # for a person, one sentence
    results: tuple[StepResult, ...] = ()  # of the steps that were started
    readings: tuple[Reading, ...] = ()  # the newest from outside: of the verification, or of the look that stopped it
    differences: tuple[Difference, ...] = ()  # the host before and after
    cause_gone: bool | None = None  # whether what the plan mends was seen to be gone; None where that was not seen

    @property
    def ran(self) -> bool:
        """Whether anything was done to the host."""
        return bool(self.results)
