"""Who the approvers of a policy are at this moment."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bot.approvals.policy import Policy, is_group
from bot.incidents.model import TERMINAL, Offer


@dataclass(frozen=True)
class Unreachable:
    """Who is in a user group could not be asked just now. It may be told at the next click."""


@dataclass(frozen=True)
class Withheld:
    """Who is in a user group is not told, until a person changes something."""

    said: str  # by Slack
    todo: str


Members = frozenset[str] | Unreachable | Withheld


@dataclass(frozen=True)
class Approvers:
    """The approvers of a policy. A group's members are those of this very moment."""

    users: frozenset[str] = frozenset()
    groups: Mapping[str, Members] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)

    def __contains__(self, who: str) -> bool:
        told = (members for members in self.groups.values() if isinstance(members, frozenset))
        return who in self.users or any(who in members for members in told)

    @property
    def names(self) -> tuple[str, ...]:
        return (*sorted(self.users), *sorted(self.groups))


class Directory(Protocol):
    """Who is in a user group at this moment."""

    async def members(self, group: str) -> Members: ...


def involved(offer: Offer, who: str) -> frozenset[str]:
    """Whose approvals of an offer are judged when ``who`` approves it."""
    return frozenset({who, *(each.who for each in offer.agreed)})


async def approvers_of(policy: Policy, directory: Directory, people: Collection[str]) -> Approvers:
    """The approvers of a policy at this moment, as far as it takes to judge these people.

    Groups are asked for their members each time, unless everyone is named: people come and go.
    """
    users = frozenset(name for name in policy.approvers if not is_group(name))
    groups = [name for name in policy.approvers if is_group(name)]
    if all(who in users or who.startswith(TERMINAL) for who in people):
        # Nobody's approval depends on a group; it is named all the same, for the one who asks who may.
        return Approvers(users, dict.fromkeys(groups, frozenset[str]()))
    return Approvers(users, {group: await directory.members(group) for group in groups})
