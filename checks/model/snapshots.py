"""All of a host that a fix may change, and what differs of it afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
