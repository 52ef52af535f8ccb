"""What changed between the last good look and this one, when, and who did it: as far as the host tells.

What stands beside each other in time is shown so, and no more is claimed of it.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from checks.digest import FILE, digest
from checks.evidence.history import Act, History, history, skew, told
from checks.facts.config_files import CONFIG_FILES
from checks.facts.engine import Container
from checks.facts.journal import Event, Kind
from checks.facts.packages import PACKAGES
from checks.facts.sysctl_order import IP_FORWARD
from checks.facts.units import NETWORK_UNITS, UNITS, known
from checks.look import Look, MissingError
from checks.model import Change, Digest

_WATCHED = {"docker.service", "firewalld.service", "systemd-sysctl.service", *NETWORK_UNITS}
_SAME = timedelta(seconds=2)
"""systemctl's times are whole seconds."""

_MARGIN = timedelta(minutes=1)
_WITHOUT_A_GOOD_LOOK = timedelta(hours=1)
_MOST = 30


def timeline(look: Look) -> tuple[Change, ...]:
    """The newest changes that matter, oldest first, by dockerhealth's clock; empty where the host was not looked at.

    What happened before the last good look broke nothing and is left out, but what somebody did just before it: that
    may have had its effect later.
    """
    now = digest(look)
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
    return tuple(sorted(set(recent), key=lambda change: (change.at, change.what)))[-_MOST:]


def differences(good: Digest, now: Digest, told: Collection[str] = ()) -> Iterator[Change]:
    """The values that are not what they were: ``net.ipv4.ip_forward was 1 at 14:03:10, and is 0 at 14:03:20 UTC``.

    ``told`` are units whose starts and stops are in the timeline already.
    """
    # The kernel's switches come last: where there is room for the newest only, they are what must not be missed.
    for name in sorted(good.values.keys() & now.values.keys(), key=lambda name: (name.startswith("net."), name)):
        was, became = good.values[name], now.values[name]
        if was != became and not name.startswith(FILE) and name not in told and not _follows(name, good, now):
            then, at = _clocks(good.at, now.at)
            yield Change(now.at, f"{name} was {_value(was)} at {then}, and is {_value(became)} at {at} UTC")
    looked = [name for name in now.values if name.startswith(FILE)]
    gone = [name for name in good.values if name.startswith(FILE) and name not in now.values] if looked else []
    for name in sorted(gone):
        yield Change(now.at, f"{name.removeprefix(FILE)} was there at {good.at:%H:%M:%S} UTC, and is not any more")


def _value(text: str) -> str:
    """A rule stands in backticks: it is for copying, and would else be read as part of the sentence."""
    return f"`{text}`" if text.startswith(("-", "!")) else text


def _follows(name: str, good: Digest, now: Digest) -> bool:
    """Whether another difference says as much: the host's switch is handed on to every interface.

    A container that is another one, or in another state, has started or ended since, and that is told by itself; and
    Docker's rule for a port goes with the container, and with Docker's chains.
    """
    if name.startswith("net.ipv4.conf.") and name.endswith(".forwarding"):
        return _differs(IP_FORWARD, good, now)
    if name in {"container started", "address of the container"}:
        return _differs("container", good, now) or _differs("container's state", good, now)
    ended = now.values.get("container's state", "running") != "running" or now.values.get("container") == "none"
    return name.startswith("DNAT rule") and (ended or _differs("chain DOCKER", good, now))


def _differs(name: str, good: Digest, now: Digest) -> bool:
    return good.values.get(name) != now.values.get(name)


def _clocks(then: datetime, now: datetime) -> tuple[str, str]:
    form = "%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S"
    return then.strftime(form), now.strftime(form)


def _since(look: Look, now: datetime) -> datetime:
    return (look.before.good.at if look.before.good else now - _WITHOUT_A_GOOD_LOOK) - _MARGIN


def _readings(look: Look) -> Iterator[Change]:
    """Between these two it broke."""
    before = look.before
    if before.good is not None:
        yield Change(before.good.at, "the last look that found it healthy")
    if look.outside.ok:
        return
    if before.answered_at is not None and (before.good is None or before.answered_at > before.good.at):
        yield Change(before.answered_at, "it answered from outside for the last time")
    if before.answered_at is not None or before.good is not None:
        failed_at = before.failed_at or look.outside.at
        yield Change(failed_at, "it did not answer from outside for the first time")


def _clock(look: Look) -> list[Change]:
    ahead = skew(look)
    if not ahead or look.facts is None:
        return []
    says = f"{abs(ahead).total_seconds():.0f} s {'ahead' if ahead > timedelta(0) else 'behind'}"
    return [Change(look.facts.at, f"the host's clock is {says}; times from the host are corrected by that")]


# --- the journal -----------------------------------------------------------------------------------------------


def _of_units(happened: History) -> Iterator[Change]:
    for act in happened.acts:
        if act.unit in _CHANGING and not happened.consequence(act):
            yield Change(act.at, f"{act.unit} {act.did}", _asked(happened, act))


_CHANGING = {*_WATCHED, "containerd.service", "iptables.service", "nftables.service", "ufw.service"}


def _asked(happened: History, act: Act) -> str:
    askers = happened.askers(act)
    if not askers:
        return ""
    says = "; ".join(asker.says for asker in askers)
    return says if askers[0].named else f"not recorded; at that time {says}: a correlation, no proof"


def _of_people(happened: History) -> Iterator[Change]:
    """Commands and logins that are not named with a unit's change already; what was repeated stands there once."""
    seen: dict[tuple[str, str], list[Event]] = {}
    requests = happened.requests
    for event in happened.of_kind(Kind.SUDO, Kind.POLKIT, Kind.ANSIBLE, Kind.LOGIN, Kind.DOCKERD, Kind.KERNEL):
        if event not in requests:
            seen.setdefault((event.who, _what(event)), []).append(event)
    for (who, what), events in seen.items():
        times = f" (the last of {len(events)} times)" if len(events) > 1 else ""
        yield Change(events[-1].at, what + times, who)


def _what(event: Event) -> str:
    match event.kind:
        case Kind.LOGIN:
            return f"{event.who} logged in {event.what}"
        case Kind.DOCKERD:
            return f"dockerd says: {event.what}"
        case Kind.KERNEL:
            return f"the kernel says: {event.what}"
        case _:
            return told(event)


def _incomplete(happened: History, since: datetime) -> Iterator[Change]:
    if not happened.complete and happened.events and happened.events[0].at > since:
        yield Change(happened.events[0].at, "the host's journal was read from here on; there was too much of it")


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
            yield Change(at, f"{unit.name} {'started' if unit.is_active else 'stopped'}")


def _files(look: Look) -> Iterator[Change]:
    behind = skew(look)
    for file in look.may(CONFIG_FILES) or ():
        yield Change(file.written - behind, f"{file.path} was written; it is {file.owner}'s")


def _packages(look: Look) -> Iterator[Change]:
    behind = skew(look)
    for change in look.may(PACKAGES) or ():
        yield Change(change.at - behind, f"package {change.name} {change.did}")


def _of_container(look: Look) -> Iterator[Change]:
    container = _container(look)
    if container is None:
        return
    what = "started" if container.running else f"ended with {container.exit_code}"
    at = _time(container.started_at if container.running else container.finished_at)
    if at is not None:
        yield Change(at - skew(look), f"container {container.name} {what}")


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
