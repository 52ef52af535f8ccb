"""What a fix is: a named remedy that makes an exact plan from facts, or says why it does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from checks.look import Look, MissingError
from checks.model import Finding, FixId, Lasts, NoChange, Plan, Risk, Step


class RefusedError(Exception):
    """The fix has nothing to do, or would make things worse; the text says why."""


@dataclass(frozen=True)
class Remedy:
    """What a fix would do to the host of a look: a Plan (see there) that does not know yet whose it is."""

    steps: tuple[Step, ...]
    risk: Risk
    blast_radius: str
    verify: str
    basis: Mapping[str, str]
    lasts: Lasts
    changes: tuple[str, ...]
    preflight: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    undo_unasked: bool = False


@dataclass(frozen=True)
class Fix:
    """``prepare`` is pure. It raises RefusedError, or MissingError where a fact that it needs could not be had."""

    id: FixId
    title: str
    prepare: Callable[[Look, Finding], Remedy]

    def plan(self, look: Look, finding: Finding) -> Plan | NoChange:
        """What the fix would do now about a finding, or why nothing."""
        try:
            remedy = self.prepare(look, finding)
        except RefusedError as refused:
            return NoChange(self.id, str(refused))
        except MissingError as missing:
            return NoChange(self.id, f"it cannot be planned without {missing}")
        return Plan(
            fix=self.id,
            title=self.title,
            host=look.host.name,
            service=look.service.name,
            cause=finding.cause,
            **vars(remedy),
        )
