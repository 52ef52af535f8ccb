"""What a fix is: a named remedy that makes an exact plan from facts, or says why it does not."""

from collections.abc import Callable
from dataclasses import dataclass

from checks.causes.cause import Look, MissingError
from checks.model import Finding, NoChange, Plan


class RefusedError(Exception):
    """The fix has nothing to do, or would make things worse; the text says why."""


@dataclass(frozen=True)
class Fix:
    """``prepare`` is pure. It raises RefusedError, or MissingError where a fact that it needs could not be had."""

    id: str
    title: str
    prepare: Callable[[Look, Finding], Plan]

    def plan(self, look: Look, finding: Finding) -> Plan | NoChange:
        """What the fix would do now about a finding, or why nothing."""
        try:
            return self.prepare(look, finding)
        except RefusedError as refused:
            return NoChange(self.id, str(refused))
        except MissingError as missing:
            return NoChange(self.id, f"it cannot be planned without {missing}")
