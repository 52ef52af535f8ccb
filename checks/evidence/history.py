"""What happened on the host in the time that matters, by dockerhealth's clock: what became of units, and who asked.

systemd never says who told it to stop a unit. A command of sudo's that names the unit, moments before, is a request;
whatever else was written at that time only correlates with it, and is said to.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from checks.facts.journal import JOURNAL, Event, EventKind
from checks.facts.system import SYSTEM
from checks.facts.units import NETWORK_UNITS, UNIT_NAMES
from checks.look import Look

TOLERATED = timedelta(seconds=2)
"""Between the two clocks: an answer takes its time, and a look is no time server."""

_TOGETHER = timedelta(seconds=5)
"""What systemd says of one unit within this time is one act: a stop and a start are a restart."""

_REQUESTED_WITHIN = timedelta(seconds=10)
"""systemd acts on a request at once, unless another job of it is in the way."""

_SAME_MOMENT = timedelta(seconds=2)
_MOST_COINCIDENCES = 3
_SHORT = 80  # characters of a line that only coincides

_STOPS, _STARTS = {EventKind.STOPPING, EventKind.STOPPED}, {EventKind.STARTING, EventKind.STARTED}
_UNIT_KINDS = {*_STOPS, *_STARTS, EventKind.FAILED, EventKind.RELOADING, EventKind.RELOADED}
_REQUESTS = (EventKind.SUDO, EventKind.CRON, EventKind.POLKIT, EventKind.ANSIBLE)
_NOBODY_S = {*UNIT_NAMES, "podman.service", "podman.socket"}  # the latter come up whenever anybody asks, as we do
_SESSION = re.compile(r"session-(\w+)\.scope")


class Did(StrEnum):
    """What became of a unit, as it is said of it."""

    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    RESTARTING = "stopped and is starting"
    RESTARTED = "restarted"
    RELOADING = "reloading"
    RELOADED = "reloaded"
    FAILED = "failed"


_VERBS = {
    Did.RESTARTED: "stop|restart|try-restart|condrestart|reload-or-restart|kill",
    Did.STOPPED: "stop|restart|try-restart|condrestart|kill|disable|mask|isolate",
    Did.STARTED: "start|restart|enable|reload-or-restart|isolate",
    Did.RELOADED: "reload|reload-or-restart|force-reload",
}


@dataclass(frozen=True)
class Act:
    """What became of a unit, from the first record of it to the last."""

    unit: str
    at: datetime
    until: datetime
    did: Did

    def within(self, other: "Act") -> bool:
        return other.at <= self.at and self.until <= other.until


@dataclass(frozen=True)
class Asker:
    """Who or what asked for an act. ``named``: the record itself names the unit; otherwise it only correlates."""

    says: str
    named: bool


@dataclass(frozen=True)
class History:
    """``events`` and ``acts`` are in order, by dockerhealth's clock."""

    events: tuple[Event, ...]
    acts: tuple[Act, ...]
    complete: bool

    def acts_of(self, *units: str) -> tuple[Act, ...]:
        return tuple(act for act in self.acts if act.unit in units)

    def of_kind(self, *kinds: EventKind) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.kind in kinds)

    def askers(self, act: Act) -> tuple[Asker, ...]:
        """Who asked for an act: the one record that names its unit, or else what coincides with it."""
        request = self.request(act)
        if request is not None:
            return (Asker(told(request), named=True),)
        seen = dict.fromkeys(_coincidences(self, act))
        return tuple(Asker(says, named=False) for says in seen)[:_MOST_COINCIDENCES]

    @property
    def requests(self) -> frozenset[Event]:
        """The records that name a unit, moments before what they asked for was done."""
        return frozenset(request for act in self.acts if (request := self.request(act)) is not None)

    def request(self, act: Act) -> Event | None:
        """The newest record before an act that names its unit, and what was to be done with it."""
        near = [event for event in self.events if act.at - _REQUESTED_WITHIN <= event.at <= act.at]
        return next((event for event in reversed(near) if _requests(event, act)), None)

    def consequence(self, act: Act) -> bool:
        """Whether it came with another act: initscripts' network service applies the sysctl files when it starts."""
        if act.unit != "systemd-sysctl.service":
            return False
        return any(act.within(other) for other in self.acts_of(*NETWORK_UNITS))


def history(look: Look) -> History | None:
    """None where the journal could not be read."""
    journal = look.may(JOURNAL)
    if journal is None:
        return None
    behind = skew(look)
    events = tuple(replace(event, at=event.at - behind) for event in journal.events)
    return History(events, _acts(events), journal.complete)


def skew(look: Look) -> timedelta:
    """By how much the host's clock is ahead of ours; zero where that is too little to be told."""
    system = look.may(SYSTEM)
    if look.facts is None or system is None:
        return timedelta(0)
    ahead = system.clock - look.facts.at
    return ahead if abs(ahead) > TOLERATED else timedelta(0)


def by_our_clock(look: Look, at: datetime | str) -> str:
    """A time of the host's as our clock had it, in words. A text is Docker's (RFC 3339)."""
    known = at if isinstance(at, datetime) else datetime.strptime(at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return clock(known - skew(look))


def clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def told(event: Event) -> str:
    """Who did what, and where: ``webpanel (in webpanel.service) ran `sudo systemctl restart network` ``."""
    if event.kind is EventKind.ANSIBLE:
        return f"Ansible ran {event.what}"
    if event.kind is EventKind.POLKIT:
        return f"{event.who} was allowed {event.what}"
    by = f"cron ran for {event.who}" if event.kind is EventKind.CRON else f"{event.who}{_place(event)} ran"
    return f"{by} `{'sudo ' if event.kind is EventKind.SUDO else ''}{event.what}`"


def _place(event: Event) -> str:
    """The unit or the login session in which a command of sudo's was run: that is the program behind it."""
    if event.kind is not EventKind.SUDO or not event.by_unit:
        return ""
    session = _SESSION.fullmatch(event.by_unit)
    return f" (in {f'login session {session[1]}' if session else event.by_unit})"


# --- acts ------------------------------------------------------------------------------------------------------


def _acts(events: Sequence[Event]) -> tuple[Act, ...]:
    of_units: dict[str, list[Event]] = {}
    for event in events:
        if event.kind in _UNIT_KINDS:
            of_units.setdefault(event.unit, []).append(event)
    acts = [_act(together) for of_unit in of_units.values() for together in _together(of_unit)]
    return tuple(sorted(acts, key=lambda act: (act.at, act.unit)))


def _together(events: Sequence[Event]) -> Iterator[list[Event]]:
    group: list[Event] = []
    for event in events:
        if group and not _joins(group[-1], event):
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def _joins(before: Event, event: Event) -> bool:
    """An end belongs to its beginning, however long it takes; a start that follows a stop makes it a restart.

    Of a unit without ExecStop, systemd says that it stopped before it says that it is stopping.
    """
    if event.kind in {EventKind.STOPPING, EventKind.STARTING}:
        return before.kind in _STOPS and event.at - before.at <= _TOGETHER
    return event.kind is not EventKind.RELOADING and before.kind in {
        EventKind.STOPPING,
        EventKind.STARTING,
        EventKind.RELOADING,
    }


def _act(events: Sequence[Event]) -> Act:
    return Act(events[0].unit, events[0].at, events[-1].at, _did([event.kind for event in events]))


def _did(kinds: Sequence[EventKind]) -> Did:
    last, stopped = kinds[-1], not _STOPS.isdisjoint(kinds)
    if last in _STARTS:
        if EventKind.STARTED in kinds:
            return Did.RESTARTED if stopped else Did.STARTED
        return Did.RESTARTING if stopped else Did.STARTING
    if last in _STOPS:
        return Did.STOPPED if EventKind.STOPPED in kinds else Did.STOPPING
    return {EventKind.FAILED: Did.FAILED, EventKind.RELOADING: Did.RELOADING, EventKind.RELOADED: Did.RELOADED}[last]


# --- who asked -------------------------------------------------------------------------------------------------


def _requests(event: Event, act: Act) -> bool:
    """Whether a command or an Ansible module names the unit of an act, and what was done with it."""
    if event.kind not in _REQUESTS:
        return False
    name = re.escape(act.unit.rpartition(".")[0])
    verbs = _VERBS.get(act.did, "stop|start|restart|reload")
    named = re.search(rf"(?:^|[\s/='\"]){name}(?:\.service)?(?=$|[\s'\";)\]])", event.what)
    verb = re.search(rf"(?:^|[\s=])(?:{verbs})(?:ed)?(?=$|[\s'\";)\]])", event.what)
    return named is not None and verb is not None


def _coincidences(history: History, act: Act) -> Iterator[str]:
    """What else was done or written at that time, the more telling first: what was before it, and near to it."""
    for job in history.acts:
        if act.within(job) and job.unit not in _NOBODY_S and not job.unit.startswith(("user", "systemd-")):
            yield f"{job.unit} was running: it had been started before, and ended after it"
    for event in history.of_kind(*_REQUESTS):
        if act.at - _REQUESTED_WITHIN <= event.at <= act.at:
            yield f"{told(event)} at {clock(event.at)}"
    near = [event for event in history.of_kind(EventKind.SAID) if _near(event, act) and event.by_unit != act.unit]
    for event in sorted(near, key=lambda event: (event.at > act.at, abs(event.at - act.at))):
        if writer := _writer(event):
            yield f'{writer} wrote "{event.what[:_SHORT]}"'


def _near(event: Event, act: Act) -> bool:
    return act.at - _SAME_MOMENT <= event.at <= act.until + _SAME_MOMENT


def _writer(event: Event) -> str:
    """Who wrote a line: its service, or else the program by its own name; empty for what is nobody's doing.

    A container's scope writes for what runs in it.
    """
    if event.by_unit.endswith(".service"):
        return "" if event.by_unit.startswith("user@") else event.by_unit
    program = f"{event.program or 'a program'} (pid {event.pid}"
    session = _SESSION.fullmatch(event.by_unit)
    if session:
        return f"{program}, in login session {session[1]})"
    return f"{program})" if not event.by_unit else ""
