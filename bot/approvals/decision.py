"""Whether an approval counts, as a pure decision. It fails closed: what is not known to be allowed is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.approvals.approvers import Approvers, Unreachable, Withheld
from bot.approvals.offers import usable
from bot.approvals.policy import Policy
from bot.incidents.model import TERMINAL, Approval, Incident, IncidentState, Offer


class RefusalReason(StrEnum):
    """Why an attempt to approve changes nothing."""

    ELSEWHERE = "elsewhere"  # not from our workspace, app, channel or message
    CHANNEL = "channel"  # approvals count in other channels only
    GONE = "gone"  # nothing of that id is known
    OF_ANOTHER = "of-another"  # the same, and another process is connected as the same Slack app
    NOT_ALLOWED = "not-allowed"  # nobody may: a rule says so, or only a person can run it
    NO_APPROVERS = "no-approvers"
    NOT_AN_APPROVER = "not-an-approver"
    GROUP_UNKNOWN = "group-unknown"  # Slack could not say just now who is in an approvers' group
    GROUP_WITHHELD = "group-withheld"  # Slack will not say who is in one until a person changes something
    REQUESTER = "requester"  # whoever asked for the look may not approve what it found
    CLAIMED = "claimed"  # someone was first
    BUSY = "busy"  # another fix of the same incident runs
    HOST_BUSY = "host-busy"  # a fix of another incident runs on the host
    OVERTAKEN = "overtaken"  # the incident changed at the same moment, or its service has a newer one
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"  # a later look made another plan
    EXPIRED = "expired"
    QUIET = "quiet"  # nobody may at this time of the day
    SAME_PERSON = "same-person"  # another person has to
    NOT_OPEN = "not-open"  # nothing to acknowledge


@dataclass(frozen=True)
class Refusal:
    """Why not, and what it takes to say so."""

    reason: RefusalReason
    incident: Incident | None = None  # for HOST_BUSY, the one whose fix runs
    offer: Offer | None = None  # the one that was clicked; for BUSY and HOST_BUSY, the one that runs
    names: tuple[str, ...] = ()  # who could approve; for GROUP_UNKNOWN, the groups; for CHANNEL, the channels
    until: datetime | None = None  # when the quiet hours are over
    why: str = ""  # what does not allow it
    withheld: Mapping[str, Withheld] = field(default_factory=dict)  # for GROUP_WITHHELD, the groups

    @property
    def outdated(self) -> bool:
        """Whether a fresh look would make offers that can be approved."""
        return self.reason in {RefusalReason.EXPIRED, RefusalReason.WITHDRAWN}


@dataclass(frozen=True)
class Approved:
    """Enough people approved: the plan is carried out. ``approval`` is the last one that it took."""

    incident: Incident
    offer: Offer
    approval: Approval


@dataclass(frozen=True)
class Agreed:
    """The approval counts, and so many more people have to give theirs."""

    incident: Incident
    offer: Offer
    approval: Approval
    people: int  # that it takes altogether
    missing: int


@dataclass(frozen=True)
class Acknowledged:
    """Somebody takes care of the incident from now on."""

    incident: Incident


@dataclass(frozen=True)
class Repeated:
    """Slack delivered the same click again. The first delivery is answered, this one is not."""


@dataclass(frozen=True)
class Place:
    """A message of ours. ``ts`` is empty for an ephemeral answer: only its one reader sees it."""

    team: str
    app: str
    channel: str
    ts: str


@dataclass(frozen=True)
class Click:
    """Somebody wants ``target``, an offer or incident id, which is all that a button carries.

    As Slack reported it; or a confirmation by ``terminal:LOGIN`` at a terminal, which has no place.
    """

    id: str  # the same for each delivery of the same click
    user: str
    target: str
    place: Place | None

    @property
    def at_terminal(self) -> bool:
        return self.place is None and self.user.startswith(TERMINAL)


def decide(  # noqa: PLR0913  # an approval rests on each of these
    incident: Incident, click: Click, policy: Policy, approvers: Approvers, *, home: Place | None, now: datetime
) -> Approved | Agreed | Refusal:
    """Whether this click approves the offer that it names, now, and whether that is enough.

    ``policy`` and ``approvers`` are those of the offer's plan at this moment: whoever agreed before is judged by them
    again. ``home`` is where the incident's message stands; its channel and ts are empty while it is not posted. A click
    at a terminal needs none.
    """
    offer = incident.offer(click.target)
    if offer is None:
        return Refusal(RefusalReason.GONE)
    refusal = (
        _not_here(incident, offer, click, home, policy)
        or _not_allowed(incident, offer, policy)
        or _not_them(incident, offer, click.user, policy, approvers)
        or _too_late(incident, offer, now)
        or _quiet(incident, offer, policy, now)
    )
    if refusal:
        return refusal
    before = _agreed(incident, offer, policy, approvers, now)
    takes = max(policy.people, offer.people)  # what was shown holds, too
    missing = takes - len(before | {click.user})
    if missing > 0 and click.user in before:
        return Refusal(
            RefusalReason.SAME_PERSON, incident, offer, tuple(name for name in approvers.names if name not in before)
        )
    approval = Approval(who=click.user, at=now, fingerprint=offer.fingerprint)
    return Agreed(incident, offer, approval, takes, missing) if missing > 0 else Approved(incident, offer, approval)


def at_home(place: Place | None, home: Place | None) -> bool:
    """Whether a click comes from the incident's own message, or from an answer of ours that only one person sees."""
    if place is None or home is None or not (home.team and home.app):
        return False
    ours = (place.team, place.app) == (home.team, home.app)
    return ours and (not place.ts or (place.channel, place.ts) == (home.channel, home.ts))


def _not_here(incident: Incident, offer: Offer, click: Click, home: Place | None, policy: Policy) -> Refusal | None:
    if click.at_terminal:
        return None
    # A login is no name that Slack could have told: whoever bears one is at a terminal, or is not who they say.
    if click.place is None or click.user.startswith(TERMINAL) or not at_home(click.place, home):
        return Refusal(RefusalReason.ELSEWHERE, incident, offer)
    if policy.channels and click.place.channel not in policy.channels:
        return Refusal(RefusalReason.CHANNEL, incident, offer, names=policy.channels)
    return None


def _not_allowed(incident: Incident, offer: Offer, policy: Policy) -> Refusal | None:
    why = offer.plan.by_hand or policy.forbidden_by
    return Refusal(RefusalReason.NOT_ALLOWED, incident, offer, why=why) if why else None


def _not_them(incident: Incident, offer: Offer, who: str, policy: Policy, approvers: Approvers) -> Refusal | None:
    if not approvers:
        return Refusal(RefusalReason.NO_APPROVERS)
    if who in approvers:
        if policy.not_requester and who in requesters(incident):
            return Refusal(
                RefusalReason.REQUESTER, incident, offer, tuple(name for name in approvers.names if name != who)
            )
        return None
    untold = None if who.startswith(TERMINAL) else _untold(approvers)
    return untold or Refusal(RefusalReason.NOT_AN_APPROVER, names=approvers.names)


def _untold(approvers: Approvers) -> Refusal | None:
    """Why it cannot be told whether someone is in a group; first what trying again may mend."""
    groups = sorted(approvers.groups.items())
    if unreachable := tuple(group for group, members in groups if isinstance(members, Unreachable)):
        return Refusal(RefusalReason.GROUP_UNKNOWN, names=unreachable)
    withheld = {group: members for group, members in groups if isinstance(members, Withheld)}
    return Refusal(RefusalReason.GROUP_WITHHELD, withheld=withheld) if withheld else None


def requesters(incident: Incident) -> frozenset[str]:
    """Who asked for the looks that opened the incident, or opened it again. Nobody, where readings did."""
    return frozenset(change.who for change in incident.transitions if change.opens and change.who)


def _too_late(incident: Incident, offer: Offer, now: datetime) -> Refusal | None:
    if offer.approval is not None:
        return Refusal(RefusalReason.CLAIMED, incident, offer)
    if incident.state is IncidentState.RESOLVED and not offer.plan.undoes:
        return Refusal(RefusalReason.RESOLVED, incident, offer)
    if incident.state is IncidentState.FIXING:
        running = next((each for each in incident.offers if each.approval and not each.applied), None)
        return Refusal(RefusalReason.BUSY, incident, running)
    if offer.withdrawn:
        return Refusal(RefusalReason.WITHDRAWN, incident, offer)
    if not usable(offer, now):
        return Refusal(RefusalReason.EXPIRED, incident, offer)
    return None


def _quiet(incident: Incident, offer: Offer, policy: Policy, now: datetime) -> Refusal | None:
    until = policy.quiet_hours.until(now) if policy.quiet_hours else None
    return Refusal(RefusalReason.QUIET, incident, offer, until=until) if until else None


def _agreed(incident: Incident, offer: Offer, policy: Policy, approvers: Approvers, now: datetime) -> frozenset[str]:
    """Who approved before, each once, as far as it still counts."""
    return frozenset(
        each.who
        for each in offer.agreed
        if each.fingerprint == offer.fingerprint
        and offer.offered_at <= each.at <= now < each.at + policy.lasts
        and _not_them(incident, offer, each.who, policy, approvers) is None
    )
