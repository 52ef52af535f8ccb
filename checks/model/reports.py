"""All that one look found out about a service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from checks.model.findings import Diagnosis
from checks.model.plans import FixId, NoChange, Plan
from checks.model.readings import Reading, Vantage
from checks.model.segments import Segment


class Status(StrEnum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"  # the host could not be looked at


@dataclass(frozen=True)
class Trouble:
    """Why a host could not be looked at: reported beside the reading, never as the cause. ``id`` as in errors.py."""

    id: str
    says: str


class Hidden(StrEnum):
    """What of a host cannot be looked at. Without it a fault there is found by readings, and hardly explained."""

    HOST = "host"  # no login, or none that answers
    ENGINE = "engine"  # Docker's: the containers
    ROOT = "root"  # what only root sees: rules, processes, packets


@dataclass(frozen=True)
class Blindness:
    """A part of a host that a look could not see, and why."""

    of: Hidden
    says: str


class ChangeKind(StrEnum):
    """What a timeline tells of."""

    UNIT = "unit"
    PACKAGE = "package"
    FILE = "file"
    CONTAINER = "container"
    LOGIN = "login"
    COMMAND = "command"
    MESSAGE = "message"  # a line of dockerd's or of the kernel's
    DIFFERENCE = "difference"  # a look found another value than one before it
    LOOK = "look"  # of the looks and readings themselves: nothing happened on the host

    @property
    def happened(self) -> bool:
        """Whether it is something that happened on the host at a time of its own: an effect has none."""
        return self not in {ChangeKind.DIFFERENCE, ChangeKind.LOOK}


@dataclass(frozen=True)
class Lacking:
    """A fact, or a part of one, that a host was asked for and that could not be had."""

    fact: str
    why: str


def reasons_of(lacking: Iterable[Lacking]) -> dict[str, tuple[str, ...]]:
    """Each reason, and the facts that could not be had for it, in the order in which they come."""
    groups: dict[str, tuple[str, ...]] = {}
    for one in lacking:
        groups[one.why] = (*groups.get(one.why, ()), one.fact)
    return groups


@dataclass(frozen=True)
class Change:
    """What a timeline tells at one time. Two of the same kind ``of`` the same are the same thing, another time.

    ``asked`` is whether ``who`` is known to have asked for it: a login or a command only names its user.

    A difference came about between ``since`` and ``at``: the newest look at which the value was still the old one, and
    the first one at which it was another.
    """

    kind: ChangeKind
    of: tuple[str, ...]  # a unit and what became of it, say; of a difference its name, the value before and after it
    at: datetime  # of what was repeated, the last time
    what: str  # for a person, without its times
    who: str = ""  # empty where nobody is named
    asked: bool = False
    times: int = 1
    since: datetime | None = None  # of a difference

    @property
    def says(self) -> str:
        """The change in words, without its interval: of what was repeated, how often it was."""
        return f"{self.what} (the last of {self.times} times)" if self.times > 1 else self.what


class Aspect(StrEnum):
    """What a value of a baseline is of, as far as anything depends on that."""

    HOST_FORWARDING = "host-forwarding"  # the switch that the kernel hands on to every interface
    INTERFACE_FORWARDING = "interface-forwarding"
    REVERSE_PATH_FILTER = "reverse-path-filter"
    DOCKER_CHAINS = "docker-chains"
    DNAT_RULE = "dnat-rule"  # Docker's for the service's port
    UNIT = "unit"
    CONTAINER = "container"  # which one it is
    CONTAINER_STATE = "container-state"
    CONTAINER_START = "container-start"  # what is another one after each start of the container
    FILE = "file"  # when a configuration file was written
    OTHER = "other"


@dataclass(frozen=True)
class Value:
    """One value of a baseline; ``text`` is None where there is no such thing."""

    aspect: Aspect
    text: str | None

    @property
    def says(self) -> str:
        return "none" if self.text is None else self.text


@dataclass(frozen=True)
class Baseline:
    """How a host was, in short: each value that matters to a service under a name, for comparing two looks.

    The name is for a person: what depends on what a value is of asks for its aspect.
    """

    at: datetime
    values: Mapping[str, Value]

    def moved(self, by: timedelta) -> "Baseline":
        """The same by a clock that was set by so much."""
        return replace(self, at=self.at + by)

    def of(self, aspect: Aspect) -> Value | None:
        """The value of an aspect of which there is one at most; None where it could not be had."""
        return next((value for value in self.values.values() if value.aspect is aspect), None)


@dataclass(frozen=True)
class Report:
    """All that one check found out about one service."""

    host: str
    service: str
    at: datetime
    status: Status
    readings: tuple[Reading, ...]
    diagnosis: Diagnosis
    plans: tuple[Plan, ...] = ()
    refused: tuple[NoChange, ...] = ()  # fixes of the root cause that have no plan, and why
    timeline: tuple[Change, ...] = ()
    trouble: Trouble | None = None
    took_ms: float = 0.0
    baseline: Baseline | None = None  # None where the host could not be looked at
    stands_in: str = ""  # why another container than the configured one was looked at; empty where none was
    segment: Segment | None = None  # None where the connection was made, or no packet was watched
    unavailable: tuple[Lacking, ...] = ()  # facts that could not be had of a host that could be looked at
    blind: tuple[Blindness, ...] = ()  # what of the host nobody could see

    @property
    def answered(self) -> bool:
        """Whether the service was reached from outside."""
        return any(reading.ok for reading in self.readings if reading.vantage is Vantage.OUTSIDE)

    @property
    def proposed(self) -> tuple[Plan, ...]:
        """The plans that are put before people.

        What only prevents a fault that is to come waits until the service is well: under an outage it would read as
        advice about that.
        """
        at_risk = set() if self.status is Status.HEALTHY else {risk.cause for risk in self.diagnosis.risks}
        return tuple(plan for plan in self.plans if plan.cause not in at_risk)

    def proposal(self, fix: FixId) -> Plan | NoChange:
        """The plan of a fix, or why it has none."""
        candidates: tuple[Plan | NoChange, ...] = (*self.proposed, *self.refused)
        for candidate in candidates:
            if candidate.fix == fix:
                return candidate
        if any(plan.fix == fix for plan in self.plans):
            return NoChange(fix, f"it would only prevent a fault that is to come, and {self.service} is down now")
        why = self.trouble.says if self.trouble else f"nothing that {fix} mends is wrong with {self.service} now"
        return NoChange(fix, why)
