"""What changed between the last good look and this one, when, and who did it: as far as the host tells.

What stands beside each other in time is shown so, and no more is claimed of it.
"""

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from checks.baseline import baseline
from checks.evidence.history import Act, Did, History, history, skew, told
from checks.facts.config_files import CONFIG_FILES
from checks.facts.engine import Container
from checks.facts.journal import Event, EventKind
from checks.facts.packages import PACKAGES
from checks.facts.units import NETWORK_UNITS, UNITS, known
from checks.look import Look, MissingError
from checks.model import Aspect, Baseline, Change, ChangeKind, Value

_WATCHED = {"docker.service", "firewalld.service", "systemd-sysctl.service", *NETWORK_UNITS}
_SAME = timedelta(seconds=2)
"""systemctl's times are whole seconds."""

_MARGIN = timedelta(minutes=1)
_WITHOUT_A_GOOD_LOOK = timedelta(hours=1)
_MOST = 30

_SWITCHES = {Aspect.HOST_FORWARDING, Aspect.INTERFACE_FORWARDING, Aspect.REVERSE_PATH_FILTER}
_NUMBERS = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b|\d+")


def timeline(look: Look) -> tuple[Change, ...]:
    """The newest changes that matter, oldest first, by dockerhealth's clock; empty where the host was not looked at.

    What happened before the last good look broke nothing and is left out, but what somebody did just before it: that
    may have had its effect later.
    """
    now = baseline(look)
    if now is None:
        return ()
    since, happened = _since(look, now.at), history(look)
    changes = [*_readings(look), *_files(look), *_packages(look), *_last_of_units(look, happened), *_of_container(look)]
    if happened is not None:
        changes += _of_units(happened)
        changes += _of_people(happened)
        changes += _incomplete(happened, since)
    harmless_until = look.before.good.at if look.before.good else since
    recent = [change for change in changes if change.at >= (since if change.who else harmless_until)]
    recent += _clock(look)
    if look.before.good is not None:
        acts = happened.acts if happened is not None else ()
        recent += differences(look.before.good, now, {act.unit for act in acts if act.at >= look.before.good.at})
    in_order = sorted(dict.fromkeys(recent), key=lambda change: change.at)
    return tuple(in_order[-_MOST:])


def differences(good: Baseline, now: Baseline, told: Collection[str] = ()) -> Iterator[Change]:
    """The values that are not what they were: ``net.ipv4.ip_forward changed from 1 to 0``.

    ``told`` are units whose starts and stops are in the timeline already.
    """
    # The kernel's switches come last: where there is room for the newest only, they are what must not be missed.
    for name in sorted(good.values.keys() & now.values.keys(), key=lambda name: (_is_switch(now.values[name]), name)):
        was, became = good.values[name], now.values[name]
        shown_elsewhere = became.aspect is Aspect.FILE or name in told or _follows(became.aspect, good, now)
        if was.text != became.text and not shown_elsewhere:
            what = f"{name} changed from {_quoted(was)} to {_quoted(became)}"
            yield _difference(good, now, (name, was.says, became.says), what)
    files_were_listed = any(value.aspect is Aspect.FILE for value in now.values.values())
    for name, was in sorted(good.values.items()) if files_were_listed else ():
        if was.aspect is Aspect.FILE and name not in now.values:
            yield _difference(good, now, (name, was.says, "none"), f"{name} went away")


def _difference(good: Baseline, now: Baseline, of: tuple[str, str, str], what: str) -> Change:
    return Change(ChangeKind.DIFFERENCE, of, now.at, what, since=good.at)


def _is_switch(value: Value) -> bool:
    return value.aspect in _SWITCHES


def _quoted(value: Value) -> str:
    """A rule stands in backticks: it is for copying, and would else be read as part of the sentence."""
    return f"`{value.says}`" if value.says.startswith(("-", "!")) else value.says


def _follows(aspect: Aspect, good: Baseline, now: Baseline) -> bool:
    """Whether another difference says as much: the host's switch is handed on to every interface.

    A container that is another one, or in another state, has started or ended since, and that is told by itself; and
    Docker's rule for a port goes with the container, and with Docker's chains.
    """
    match aspect:
        case Aspect.INTERFACE_FORWARDING:
            return _differs(Aspect.HOST_FORWARDING, good, now)
        case Aspect.CONTAINER_START:
            return _differs(Aspect.CONTAINER, good, now) or _differs(Aspect.CONTAINER_STATE, good, now)
        case Aspect.DNAT_RULE:
            return _ended(now) or _differs(Aspect.DOCKER_CHAINS, good, now)
        case _:
            return False


def _differs(aspect: Aspect, good: Baseline, now: Baseline) -> bool:
    return good.of(aspect) != now.of(aspect)


def _ended(now: Baseline) -> bool:
    """Whether the container does not run, or is not there at all."""
    container, state = now.of(Aspect.CONTAINER), now.of(Aspect.CONTAINER_STATE)
    return (container is not None and container.text is None) or (state is not None and state.text != "running")


def _since(look: Look, now: datetime) -> datetime:
    return (look.before.good.at if look.before.good else now - _WITHOUT_A_GOOD_LOOK) - _MARGIN


def _readings(look: Look) -> Iterator[Change]:
    """Between these two it broke."""
    before = look.before
    if before.good is not None:
        yield _of_looks(before.good.at, "the last look that found it healthy")
    if look.outside.ok:
        return
    if before.answered_at is not None and (before.good is None or before.answered_at > before.good.at):
        yield _of_looks(before.answered_at, "it answered from outside for the last time")
    if before.answered_at is not None or before.good is not None:
        failed_at = before.failed_at or look.outside.at
        yield _of_looks(failed_at, "it did not answer from outside for the first time")


def _clock(look: Look) -> list[Change]:
    ahead = skew(look)
    if not ahead or look.facts is None:
        return []
    says = f"{abs(ahead).total_seconds():.0f} s {'ahead' if ahead > timedelta(0) else 'behind'}"
    return [_of_looks(look.facts.at, f"the host's clock is {says}; times from the host are corrected by that")]


def _of_looks(at: datetime, what: str) -> Change:
    return Change(ChangeKind.LOOK, (what,), at, what)


# --- the journal -----------------------------------------------------------------------------------------------


def _of_units(happened: History) -> Iterator[Change]:
    for act in happened.acts:
        if act.unit in _CHANGING and not happened.consequence(act):
            who, asked = _asked(happened, act)
            yield Change(ChangeKind.UNIT, (act.unit, act.did.value), act.at, f"{act.unit} {act.did}", who, asked)


_CHANGING = {*_WATCHED, "containerd.service", "iptables.service", "nftables.service", "ufw.service"}


def _asked(happened: History, act: Act) -> tuple[str, bool]:
    """Who asked for it, and whether that is known: what only coincides is told as well."""
    askers = happened.askers(act)
    if not askers:
        return "", False
    says = "; ".join(asker.says for asker in askers)
    named = askers[0].named
    return says if named else f"not recorded; at that time {says}: a correlation, no proof", named


def _of_people(happened: History) -> Iterator[Change]:
    """Commands and logins that are not named with a unit's change already; what was repeated stands there once."""
    seen: dict[tuple[str, str], list[Event]] = {}
    requests = happened.requests
    for event in happened.of_kind(
        EventKind.SUDO, EventKind.POLKIT, EventKind.ANSIBLE, EventKind.LOGIN, EventKind.DOCKERD, EventKind.KERNEL
    ):
        if event not in requests:
            seen.setdefault((event.who, _what(event)), []).append(event)
    for (who, what), events in seen.items():
        kind, of = _thing(events[-1])
        yield Change(kind, of, events[-1].at, what, who, times=len(events))


def _thing(event: Event) -> tuple[ChangeKind, tuple[str, ...]]:
    """What an event is another time. Numbers and ids in what the host wrote, a pid say, make no other thing of it."""
    match event.kind:
        case EventKind.LOGIN:
            return ChangeKind.LOGIN, (event.who,)
        case EventKind.DOCKERD | EventKind.KERNEL:
            return ChangeKind.MESSAGE, (event.kind.value, _NUMBERS.sub("#", event.what))
        case _:
            return ChangeKind.COMMAND, (event.who, _NUMBERS.sub("#", event.what))


def _what(event: Event) -> str:
    match event.kind:
        case EventKind.LOGIN:
            return f"{event.who} logged in {event.what}"
        case EventKind.DOCKERD:
            return f"dockerd says: {event.what}"
        case EventKind.KERNEL:
            return f"the kernel says: {event.what}"
        case _:
            return told(event)


def _incomplete(happened: History, since: datetime) -> Iterator[Change]:
    if not happened.complete and happened.events and happened.events[0].at > since:
        yield _of_looks(happened.events[0].at, "the host's journal was read from here on; there was too much of it")


# --- the rest --------------------------------------------------------------------------------------------------


def _last_of_units(look: Look, happened: History | None) -> Iterator[Change]:
    """The last start or stop of each unit that can break a published port, where the journal does not have it."""
    behind = skew(look)
    for unit in known(look.may(UNITS) or {}).values():
        if unit.name not in _WATCHED or not unit.installed:
            continue
        since = unit.active_since if unit.is_active else unit.inactive_since
        if since is None:
            continue
        at = since - behind
        acts = happened.acts_of(unit.name) if happened else ()
        if not any(act.at - _SAME <= at <= act.until + _SAME for act in acts):
            did = Did.STARTED if unit.is_active else Did.STOPPED
            yield Change(ChangeKind.UNIT, (unit.name, did.value), at, f"{unit.name} {did}")


def _files(look: Look) -> Iterator[Change]:
    behind = skew(look)
    for file in look.may(CONFIG_FILES) or ():
        what = f"{file.path} was written; it is {file.owner}'s"
        yield Change(ChangeKind.FILE, (file.path,), file.written - behind, what)


def _packages(look: Look) -> Iterator[Change]:
    behind = skew(look)
    for change in look.may(PACKAGES) or ():
        what = f"package {change.name} {change.says}"
        yield Change(ChangeKind.PACKAGE, (change.name, change.did), change.at - behind, what)


def _of_container(look: Look) -> Iterator[Change]:
    container = _container(look)
    if container is None:
        return
    did, how = ("started", "") if container.running else ("ended", f" with {container.exit_code}")
    at = _time(container.started_at if container.running else container.finished_at)
    if at is not None:
        # It is the service's own, whatever it is called this time.
        yield Change(ChangeKind.CONTAINER, (did,), at - skew(look), f"container {container.name} {did}{how}")


def _container(look: Look) -> Container | None:
    try:
        return look.container
    except MissingError:
        return None


def _time(text: str) -> datetime | None:
    """Docker's RFC 3339 time with nanoseconds; year 1 means never."""
    if not text or text.startswith("0001"):
        return None
    return datetime.fromisoformat(text[:19] + "+00:00")
