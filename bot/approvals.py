"""Who may approve what, as a pure policy. It fails closed: what is not known to be allowed is refused, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.incidents import Approval, Incident, Offer, State
from bot.offers import usable


class No(StrEnum):
    """Why a click changes nothing."""

    ELSEWHERE = "elsewhere"  # not from our workspace, app, channel or message
    GONE = "gone"  # nothing of that id is known
    NO_APPROVERS = "no-approvers"
    NOT_AN_APPROVER = "not-an-approver"
    GROUP_UNKNOWN = "group-unknown"  # Slack did not say who is in an approvers' group
    CLAIMED = "claimed"  # someone was first
    BUSY = "busy"  # another fix of the same incident runs
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"  # a later look made another plan
    EXPIRED = "expired"
    NOT_OPEN = "not-open"  # nothing to acknowledge


@dataclass(frozen=True)
class Refusal:
    """Why not, and what it takes to say so."""

    reason: No
    incident: Incident | None = None
    offer: Offer | None = None  # the one that was clicked; for BUSY, the one that runs
    names: tuple[str, ...] = ()  # who could approve; for GROUP_UNKNOWN, the groups


@dataclass(frozen=True)
class Place:
    """A message of ours. ``ts`` is empty for an ephemeral answer: only its one reader sees it."""

    team: str
    app: str
    channel: str
    ts: str


@dataclass(frozen=True)
class Click:
    """A press of a button, as Slack reported it. ``target`` is all that the button carried: an offer or incident id."""

    id: str  # the same for each delivery of the same click
    user: str
    target: str
    place: Place


@dataclass(frozen=True)
class Approvers:
    """The configured approvers. A group's members are those of this very moment, None if Slack did not tell."""

    users: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str] | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)


def decide(
    incident: Incident, click: Click, home: Place, approvers: Approvers, now: datetime
) -> tuple[Offer, Approval] | Refusal:
    """Whether this click approves the offer that it names, now.

    ``home`` is where the incident's message stands; its channel and ts are empty while it is not posted.
    """
    offer = next((offer for offer in incident.offers if offer.id == click.target), None)
    if offer is None:
        return Refusal(No.GONE)
    if not at_home(click.place, home):
        return Refusal(No.ELSEWHERE, incident, offer)
    refusal = _not_allowed(click.user, approvers) or _too_late(incident, offer, now)
    return refusal or (offer, Approval(who=click.user, at=now, digest=offer.plan.digest))


def at_home(place: Place, home: Place) -> bool:
    """Whether a click comes from the incident's own message, or from an answer of ours that only one person sees."""
    ours = bool(home.team and home.app) and (place.team, place.app) == (home.team, home.app)
    return ours and (not place.ts or (place.channel, place.ts) == (home.channel, home.ts))


def _not_allowed(user: str, approvers: Approvers) -> Refusal | None:
    if not approvers:
        return Refusal(No.NO_APPROVERS)
    known = [members for members in approvers.groups.values() if members is not None]
    if user in approvers.users or any(user in members for members in known):
        return None
    unknown = tuple(sorted(group for group, members in approvers.groups.items() if members is None))
    if unknown:
        return Refusal(No.GROUP_UNKNOWN, names=unknown)
    return Refusal(No.NOT_AN_APPROVER, names=(*sorted(approvers.users), *sorted(approvers.groups)))


def _too_late(incident: Incident, offer: Offer, now: datetime) -> Refusal | None:
    if offer.approval is not None:
        return Refusal(No.CLAIMED, incident, offer)
    if incident.state is State.RESOLVED:
        return Refusal(No.RESOLVED, incident, offer)
    if incident.state is State.FIXING:
        running = next((each for each in incident.offers if each.approval and not each.applied), None)
        return Refusal(No.BUSY, incident, running)
    if offer.withdrawn:
        return Refusal(No.WITHDRAWN, incident, offer)
    if not usable(offer, now):
        return Refusal(No.EXPIRED, incident, offer)
    return None
