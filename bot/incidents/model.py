"""The life of one fault of one service, as a pure state machine."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from checks.model import Applied, Outcome, Plan, Reading, Report, Snapshot, Vantage

Key = tuple[str, str]  # host, service

ALL_HOSTS = "all hosts"
"""The host of the one incident that stands for all services, which has no service.

No host of a configuration can have a name with a blank: see also SEVERAL_HOSTS and WATCHER.
"""

SEVERAL_HOSTS = "several hosts"
"""That of the one that tells of many hosts that cannot be looked at."""

WATCHER = "dockerhealth itself"
"""That of the one that tells that readings fail because of the watcher's own machine."""


class IncidentKind(StrEnum):
    """What an incident is about."""

    OUTAGE = "outage"  # of a service
    PREVENTION = "prevention"  # of a fault: a risk of a service that is well
    WATCHER_OFFLINE = "watcher-offline"  # the watcher itself reaches no host: of ALL_HOSTS
    UNWATCHED = "unwatched"  # of a service that left the configuration: nobody knows how it is
    HOST_BLIND = "host-blind"  # a host that answers cannot be looked at: without a service
    WATCHER_BLIND = "watcher-blind"  # readings fail here, before they leave this machine: of WATCHER


class IncidentState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    FIXING = "fixing"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Transition:
    """One change of an incident. ``old`` is None for the opening; ``who`` is empty for dockerhealth itself."""

    old: IncidentState | None
    new: IncidentState
    reason: str  # for people
    at: datetime
    who: str = ""
    kind: IncidentKind | None = None  # what the incident is about from here on; None where that stays
    since: datetime | None = None  # when what it tells began: the first reading of a row, say; None: at that time

    @property
    def began(self) -> datetime:
        return self.since or self.at

    @property
    def opens(self) -> bool:
        """Whether a fault began with it: that of a new incident, of one that was over, or the one to be prevented."""
        return self.new is IncidentState.OPEN and (self.old in {None, IncidentState.RESOLVED} or self.kind is not None)


AUTO = "auto"
"""Who approves what the configuration allows without a person."""

TERMINAL = "terminal:"
"""What the name of one who stands at the bot's own machine begins with; the login follows."""


@dataclass(frozen=True)
class Approval:
    """Who approved which plan, and when. The fingerprint is that of the plan as it was shown."""

    who: str  # a Slack user id, TERMINAL with a login, or AUTO
    at: datetime
    fingerprint: str


@dataclass(frozen=True)
class Offer:
    """A plan that stands under a message as a button. ``id`` is opaque and is all that the button carries.

    Once approved it is a run, of the same id: it is approved once, carried out once, and ends once.
    """

    id: str
    plan: Plan
    fingerprint: str  # of the plan as it was shown: a release may read a stored one otherwise
    offered_at: datetime
    expires_at: datetime
    approval: Approval | None = None
    applied: Applied | None = None
    progress: str = ""  # what is being done right now, while the plan runs
    withdrawn: bool = False  # a later look made another plan of it
    people: int = 1  # how many different people have to approve it
    agreed: tuple[
        Approval, ...
    ] = ()  # who did so far, where one is not enough; ``approval`` is the one that started it
    before: Snapshot | None = None  # the host just before the first step
    reference: str = ""  # the place of its end in the audit log, with the hash that it has there


@dataclass(frozen=True)
class LastEnded:
    """The last run ended so."""

    outcome: Outcome


@dataclass(frozen=True)
class CameBack:
    """The fault was back so soon after the last run."""

    after: timedelta


@dataclass(frozen=True)
class RanOften:
    """It ran so many times within a day, which is as often as it may."""

    times: int


Why = LastEnded | CameBack | RanOften


@dataclass(frozen=True)
class Stopped:
    """What needs no click would be carried out, and is not any more: a person has to decide about the cause."""

    cause: str
    why: Why


@dataclass(frozen=True)
class Incident:
    """One fault of one service, from its first failed readings to its recovery; or what is done to prevent one."""

    id: str
    host: str
    service: str
    state: IncidentState
    opened_at: datetime
    transitions: tuple[Transition, ...]
    report: Report | None = None  # the newest diagnosis; None until the first look has ended
    offers: tuple[Offer, ...] = ()
    resolved_at: datetime | None = None
    recurs: str = ""  # what is known of the same fault before, in words: how often, and what each time came first
    stopped: Stopped | None = None
    kind: IncidentKind = IncidentKind.OUTAGE
    risk: str = ""  # the title of what it was opened to prevent, whatever it is about now

    def offer(self, offer_id: str) -> Offer | None:
        """The offer, or the run, of that id; None if it is not of this incident."""
        return next((offer for offer in self.offers if offer.id == offer_id), None)

    @property
    def name(self) -> str:
        return f"{self.host}/{self.service}" if self.service else self.host


# --- the state machine -----------------------------------------------------------------------------------------

REOPEN_WITHIN = timedelta(minutes=2)
"""A fault that is back this soon after its recovery is the same fault: no new message for it.

A recovery that has yet to come, as the clock was put back since, is soon after only where it is that near.
"""

LIVE = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.FIXING})


@dataclass(frozen=True)
class Thresholds:
    """How many readings in a row it takes."""

    open_after: int
    resolve_after: int


@dataclass(frozen=True)
class Streak:
    """How the newest readings of one service from outside ended, in a row."""

    failed: int = 0
    good: int = 0
    since: datetime | None = None  # when the first reading of the row was made

    def after(self, reading: Reading) -> "Streak":
        """The streak with one more reading. One that ends otherwise starts a new row."""
        if reading.ok:
            return Streak(good=self.good + 1, since=self.since if self.good else reading.at)
        return Streak(failed=self.failed + 1, since=self.since if self.failed else reading.at)

    def moved(self, by: timedelta) -> "Streak":
        """The same by a clock that was set."""
        return replace(self, since=self.since + by) if self.since else self


def step(
    incident: Incident | None, streak: Streak, reading: Reading, rules: Thresholds, now: datetime
) -> Transition | None:
    """What the newest reading changes. ``streak`` contains it; ``incident`` is the service's newest, if it has one.

    A transition from None opens a new incident; one from RESOLVED opens the given one again. A fix that runs decides
    about its incident itself: its own steps may make the service come and go.
    """
    state = incident.state if incident else None
    if state is IncidentState.FIXING:
        return None
    if reading.ok:
        if state not in LIVE or streak.good < rules.resolve_after:
            return None
        says = f"{_in_a_row(streak.good)} from outside: {reading.says}"
        return Transition(state, IncidentState.RESOLVED, says, now, since=streak.since)
    if streak.failed < rules.open_after:
        return None
    says = f"{_in_a_row(streak.failed)} from outside failed: {reading.says}"
    return opening(incident, says, now, since=streak.since)


def opening(  # noqa: PLR0913  # what a transition says
    incident: Incident | None,
    reason: str,
    now: datetime,
    who: str = "",
    *,
    kind: IncidentKind = IncidentKind.OUTAGE,
    since: datetime | None = None,
) -> Transition | None:
    """The transition by which a fault becomes an incident: a new one, or the one that was resolved a moment ago.

    That of a fault that was to be prevented becomes the fault's own. None where it has one already, or a fix runs.
    """
    if incident and incident.state in LIVE:
        if incident.state is IncidentState.FIXING or incident.kind is not IncidentKind.PREVENTION:
            return None
        return Transition(incident.state, IncidentState.OPEN, reason, now, who, kind, since)
    if incident and incident.resolved_at and abs(now - incident.resolved_at) <= REOPEN_WITHIN:
        return Transition(IncidentState.RESOLVED, IncidentState.OPEN, f"back again: {reason}", now, who, kind, since)
    return Transition(None, IncidentState.OPEN, reason, now, who, kind, since)


def acknowledge(incident: Incident, who: str, now: datetime) -> Transition | None:
    """Someone takes care. None where there is nothing to acknowledge any more."""
    if incident.state is not IncidentState.OPEN:
        return None
    return Transition(IncidentState.OPEN, IncidentState.ACKNOWLEDGED, "someone takes care of it", now, who)


def left_unwatched(incident: Incident, now: datetime) -> Transition | None:
    """The end of an incident whose service left the configuration. None while a fix runs, which ends it itself."""
    if incident.state not in LIVE or incident.state is IncidentState.FIXING:
        return None
    says = f"{incident.name} left the configuration; whether it answers is not known"
    return Transition(incident.state, IncidentState.RESOLVED, says, now, kind=IncidentKind.UNWATCHED)


def begin_run(incident: Incident, plan: Plan, who: str, now: datetime) -> Transition | None:
    """An approved plan starts. None where another one runs already, or nothing is left to fix.

    What was done is taken back on an incident that is over, too.
    """
    may = {IncidentState.OPEN, IncidentState.ACKNOWLEDGED} | ({IncidentState.RESOLVED} if plan.undoes else set())
    if incident.state not in may:
        return None
    return Transition(incident.state, IncidentState.FIXING, f"approved: {plan.title}", now, who)


def end_run(incident: Incident, applied: Applied, now: datetime) -> Transition:
    """What the end of a plan makes of its incident: RESOLVED only where the service is known to be well.

    Where it was well before, it is so afterwards if it answers, however the plan ended. What was over stays over after
    a plan of which no step ran, unless it is seen not to answer.
    """
    seen, since = seen_outside(applied)
    over = incident.transitions[-1].old is IncidentState.RESOLVED
    was_well = over or incident.kind is IncidentKind.PREVENTION
    if applied.outcome is Outcome.FIXED and seen:
        return Transition(incident.state, IncidentState.RESOLVED, applied.says, now, since=since)
    says = f"{applied.outcome}: {applied.says}"
    if (seen and (was_well or applied.outcome is Outcome.UNDONE)) or (over and seen is None and not applied.ran):
        return Transition(incident.state, IncidentState.RESOLVED, says, now, since=since)
    kind = IncidentKind.OUTAGE if was_well and seen is False else None
    return Transition(incident.state, IncidentState.OPEN, says, now, kind=kind, since=since if kind else None)


def seen_outside(applied: Applied) -> tuple[bool | None, datetime | None]:
    """Whether the service was seen to answer from outside after the plan, and since when; None where nobody tried."""
    streak = Streak()
    for reading in applied.readings:
        if reading.vantage is Vantage.OUTSIDE:
            streak = streak.after(reading)
    return (bool(streak.good) if streak.since else None), streak.since


def moved(incident: Incident, transition: Transition) -> Incident:
    """The incident after a transition. Raises ValueError for one that starts from another state."""
    if transition.old is not incident.state:
        raise ValueError(f"incident {incident.id} is {incident.state}, the transition starts from {transition.old}")
    return replace(
        incident,
        state=transition.new,
        transitions=(*incident.transitions, transition),
        resolved_at=transition.at if transition.new is IncidentState.RESOLVED else None,
        kind=transition.kind or incident.kind,
    )


def opened(incident_id: str, host: str, service: str, transition: Transition, risk: str = "") -> Incident:
    """The new incident that a transition from None opens. ``risk`` is the title of what it is to prevent."""
    if transition.old is not None:
        raise ValueError(f"the transition opens an incident again that was {transition.old}")
    kind = transition.kind or IncidentKind.OUTAGE
    return Incident(incident_id, host, service, transition.new, transition.began, (transition,), kind=kind, risk=risk)


def downtime(incident: Incident, now: datetime) -> timedelta:
    """How long a service was down by ``now``: without the time between, in which it answered."""
    total = timedelta()
    kind: IncidentKind | None = None
    down: datetime | None = None  # since when, while it is
    until: datetime | None = None  # the end of the time that is counted already
    for change in incident.transitions:
        kind = change.kind or kind
        if change.new is IncidentState.RESOLVED and down is not None:
            until = max(change.began, down)
            total, down = total + (until - down), None
        elif change.new is IncidentState.OPEN and down is None and kind is not IncidentKind.PREVENTION:
            down = max(change.began, until or change.began)
    return total if down is None else total + max(now - down, timedelta())


def _in_a_row(count: int) -> str:
    return "1 reading" if count == 1 else f"{count} readings in a row"


def predates_a_fix(incident: Incident, report: Report, now: datetime) -> bool:
    """Whether a fix of the incident ended after the report's look began: what it saw may be gone.

    An end that has yet to come is no end after it: the clock was put back since.
    """
    began = report.at - timedelta(milliseconds=report.took_ms)
    return any(change.old is IncidentState.FIXING and began < change.at <= now for change in incident.transitions)
