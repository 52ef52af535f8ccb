"""What is wrong with a service, and what says so.

Each report has about a hundred findings, and a bot holds those of many services: what there are most of has slots.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum

from checks.model.plans import FixId


class Verdict(StrEnum):
    FAIL = "fail"  # this is wrong, and it breaks the service
    PASS = "pass"  # noqa: S105  # a verdict, no password
    SKIP = "skip"  # could not be told; says which fact was missing
    RISK = "risk"  # works now, will break


class Confidence(StrEnum):
    PROVEN = "proven"  # the values leave no other reading
    LIKELY = "likely"  # a confirming fact is missing, or one contradicts


LADDER = "ladder"
"""The fact of evidence that says in words what the readings of the report show."""


SSH = "ssh"
"""The fact of evidence that says why a host could not be looked at."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed value that a verdict rests on, in words that a person can check."""

    fact: str
    says: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The fact without which nothing can be told, and why it could not be had.

    ``of_host``: no fact could, because the whole host could not be looked at.
    """

    fact: str
    reason: str
    of_host: bool = False

    @property
    def says(self) -> str:
        return sys.intern(f"{self.fact}: {self.reason}")  # most causes of each service of a host say the same


UNDETERMINED = "undetermined"
"""The cause of an honest finding that none is known."""


WATCHER_OFFLINE = "watcher-offline"
"""The cause that is not the host's: dockerhealth itself is cut off, and reaches none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause's verdict on one service. Its identity is (cause, service), never its wording or time."""

    cause: str
    service: str
    verdict: Verdict
    title: str
    evidence: tuple[Evidence, ...] = ()
    why: str = ""  # PASS: what rules it out; SKIP: which fact was missing and why
    confidence: Confidence = Confidence.PROVEN
    fixes: tuple[FixId, ...] = ()  # smallest first
    advice: tuple[str, ...] = ()  # for a person: exact commands, where no fix is automatic
    missing: Missing | None = None  # SKIP: the fact that was

    @property
    def identity(self) -> tuple[str, str]:
        return self.cause, self.service


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with one service.

    ``causes`` are the failing findings in the order in which to mend them; the first one is the root cause. It is
    empty for a healthy service. An honest *undetermined* is a finding of that cause.
    """

    causes: tuple[Finding, ...] = ()
    risks: tuple[Finding, ...] = ()
    ruled_out: tuple[Finding, ...] = ()
    not_told: tuple[Finding, ...] = ()

    @property
    def root(self) -> Finding | None:
        return self.causes[0] if self.causes else None
