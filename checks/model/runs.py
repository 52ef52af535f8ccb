"""What was done to a host, and what it changed there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from checks.model.plans import Step
from checks.model.readings import Reading


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


class Family(StrEnum):
    """What values of a snapshot are of. A family is had as a whole, or not at all."""

    SYSCTL = "sysctl"
    CONNTRACK = "conntrack"  # the room of the kernel's table of connections
    FILE = "file"
    RULES = "rules"  # of iptables
    LEGACY_RULES = "legacy-rules"  # of an iptables-legacy beside it
    NFT = "nft"  # chains of nftables that iptables does not show
    ZONE = "zone"  # of firewalld, now
    KEPT_ZONE = "kept-zone"  # the same for its next start
    CONTAINER = "container"
    UNIT = "unit"

    @property
    def moment(self) -> str:
        """What the moment of one of its values is called."""
        return "written" if self is Family.FILE else "started"


@dataclass(frozen=True)
class Values:
    """All that a snapshot has of one family, by name: ``sysctl net.ipv4.ip_forward``, ``rules nat DOCKER``...

    ``states`` can be brought back; ``moments`` (when that container or unit was started) cannot.
    """

    states: Mapping[str, str]
    moments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All of a host that a fix may change. A family of which a fact could not be had is not in it."""

    families: Mapping[Family, Values]

    @property
    def states(self) -> Mapping[str, str]:
        """Those of every family: names begin with what they are of, so that none stands there twice."""
        return {name: value for values in self.families.values() for name, value in values.states.items()}


@dataclass(frozen=True)
class Difference:
    """One value that is another one after a plan. ``None`` where there was, or is, no such value."""

    family: Family
    name: str
    before: str | None
    after: str | None
    announced: bool  # whether the plan said that it may change this


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
