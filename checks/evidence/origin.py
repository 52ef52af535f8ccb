"""How a fault came about, as far as the host's journal tells: evidence for the causes, in words that claim no more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from checks.evidence.history import TOLERATED, Act, Did, History, clock, history, skew, told
from checks.facts.daemon import DAEMON
from checks.facts.journal import EventKind
from checks.facts.network_service import NAME as NETWORK
from checks.facts.network_service import NETWORK_SERVICE, NetworkService
from checks.facts.sysctl_files import SYSCTL_FILES, SysctlLine
from checks.look import Look
from checks.model import Aspect, Evidence

_SYSCTL_UNIT = "systemd-sysctl.service"
_FIREWALLS = ("firewalld.service", "nftables.service", "iptables.service", "ufw.service")
_SWITCH = (
    r"(ip_forward|all[./]forwarding)['\"]?(\s*=\s*['\"]?|['\"]?.*\bvalue['\"]?[=:]\s*['\"]?){0}\b"
    r"|\becho\s+{0}\b.*(ip_forward|all/forwarding)"
)
_SWITCHES_OFF, _SWITCHES_ON = (re.compile(_SWITCH.replace("{0}", value)) for value in "01")
_LOADS_FILES = re.compile(r"\bsysctl\b.*(--system|-p\b|--load)")
_CHANGES_RULES = re.compile(
    r"\bfirewall-cmd\b.*--(complete-)?reload|\b(iptables|ip6tables)\S*\b.*\s(-F|--flush|-X)|\biptables\S*-restore\b"
    r"|\bnft\b.*(\bflush\b|\bdelete\b|\s-f\b)|\bufw\b.*\b(enable|disable|reload|reset)\b"
)
_COMMANDS = (EventKind.SUDO, EventKind.CRON, EventKind.ANSIBLE)
_MOST = 6  # lines


def who_switched_forwarding(look: Look) -> tuple[Evidence, ...]:
    """What may have switched net.ipv4.ip_forward off, after it was last known to be on; nothing where that is not told.

    The kernel keeps no record of who writes to it: whoever left one in the journal may not be the one who did it.
    """
    since = _last_on(look)
    happened = history(look)
    if happened is None:
        found = list(_by_unit_times(look, since))
    else:
        ways = (*_commands(happened), *_network_service(look, happened), *_sysctl_files(look, happened))
        found = [way for way in sorted(ways, key=lambda way: way.at) if since is None or way.at > since.at]
    if not found:
        return ()
    newest = found[-_MOST_WAYS:]
    return (*(line for way in newest for line in way.told(since, look.before.failed_at)), _NO_PROOF)


def who_touched_the_firewall(look: Look) -> tuple[Evidence, ...]:
    """What was done to the host's firewall after dockerd wrote its rules, and who asked; the newest of it."""
    happened = history(look)
    if happened is None:
        return ()
    since = _docker_started(look, happened)
    evidence = [
        (act.at, line)
        for act in happened.acts_of(*_FIREWALLS)
        if since is None or act.at > since
        for line in _by_act(happened, act)
    ]
    requests = happened.requests
    evidence += [
        (event.at, Evidence("journal", f"{told(event)} at {clock(event.at)}"))
        for event in happened.of_kind(*_COMMANDS)
        if _CHANGES_RULES.search(event.what) and event not in requests and (since is None or event.at > since)
    ]
    return tuple(line for _, line in sorted(evidence, key=lambda pair: pair[0]))[-_MOST:]


def who_stopped(look: Look, name: str) -> tuple[Evidence, ...]:
    """Who stopped a unit (``docker.service``) or a container, the last time that it was stopped."""
    happened = history(look)
    if happened is None:
        return ()
    stops = [act for act in happened.acts_of(name) if act.did in {Did.STOPPED, Did.STOPPING, Did.FAILED}]
    if stops:
        return tuple(_by_act(happened, stops[-1]))
    command = re.compile(rf"\bdocker\b.*\b(stop|kill|rm|restart|pause|down)\b.*(?<![\w.-]){re.escape(name)}(?![\w.-])")
    commands = [event for event in happened.of_kind(EventKind.SUDO, EventKind.CRON) if command.search(event.what)]
    return tuple(Evidence("journal", f"{told(event)} at {clock(event.at)}") for event in commands[-1:])


# --- forwarding ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LastOn:
    """When forwarding was last known to be on: what was done up to ``at`` is not why it is off."""

    at: datetime
    says: str


@dataclass(frozen=True)
class _Way:
    """One thing that switches forwarding off, and was done: what, how that does it, and who asked for it."""

    at: datetime
    fact: str
    what: str
    how: str = ""
    asked: tuple[Evidence, ...] = ()

    def told(self, since: _LastOn | None, failed_at: datetime | None) -> Iterator[Evidence]:
        """``since``: when it was last known to be on; ``failed_at``: when the service first failed to answer."""
        between = f"; {since.says}" if since else ""
        late = failed_at is not None and self.at - TOLERATED > failed_at
        already = f"; it had not answered since {clock(failed_at)} already" if failed_at and late else ""
        yield Evidence(self.fact, f"{self.what} at {clock(self.at)}{between}{already}{self.how}")
        yield from self.asked


_NO_PROOF = Evidence("forwarding", "that fits in time; it is no proof, as the kernel does not record who writes to it")
_MOST_WAYS = 3


def _commands(happened: History) -> Iterator[_Way]:
    """A command that itself says 0."""
    for event in happened.of_kind(*_COMMANDS):
        if _SWITCHES_OFF.search(event.what):
            yield _Way(event.at, "journal", told(event))


def _network_service(look: Look, happened: History) -> Iterator[_Way]:
    """The stop of initscripts' network service, where its script says so and no file switches it on again."""
    service = look.may(NETWORK_SERVICE)
    if service is None or not service.resets:
        return
    for act in happened.acts_of(NETWORK):
        if act.did in _ways_off(look):
            asked = tuple(_askers(happened, act))
            yield _Way(act.at, "journal", f"{NETWORK} was {act.did}", _its_stop(service), asked)


def _sysctl_files(look: Look, happened: History) -> Iterator[_Way]:
    """The sysctl files were applied anew, and they say 0."""
    line = _deciding_line(look)
    if line is None or line.is_on:
        return
    how = f": it applies the files, and {line.says}"
    service = look.may(NETWORK_SERVICE)
    told_by_itself = service is not None and service.resets
    for act in happened.acts_of(_SYSCTL_UNIT):
        if not (told_by_itself and happened.consequence(act)):
            yield _Way(act.at, "journal", f"{_SYSCTL_UNIT} was {act.did}", how, tuple(_askers(happened, act)))
    for event in happened.of_kind(*_COMMANDS):
        if _LOADS_FILES.search(event.what):
            yield _Way(event.at, "journal", told(event), how)


def _by_unit_times(look: Look, since: _LastOn | None) -> Iterator[_Way]:
    """The stop of the network service by systemd's own times, where the journal cannot be read: nobody is named."""
    service, unit = look.may(NETWORK_SERVICE), look.may_unit(NETWORK)
    stopped = unit.inactive_since if unit else None
    if service is None or not service.resets or stopped is None:
        return
    at = stopped - skew(look)
    if since is None or at > since.at:
        yield _Way(at, "units", f"{NETWORK} was last stopped", _its_stop(service))


def _its_stop(service: NetworkService) -> str:
    return f"; its stop switches forwarding off: {service.resets[0].says}"


def _ways_off(look: Look) -> set[Did]:
    """After a restart forwarding is on again where a file says so: then only a stop leaves it off."""
    line = _deciding_line(look)
    return {Did.STOPPED} if line is not None and line.is_on else {Did.STOPPED, Did.RESTARTED}


def _deciding_line(look: Look) -> SysctlLine | None:
    files = look.may(SYSCTL_FILES)
    return files.at_boot() if files else None


def _last_on(look: Look) -> _LastOn | None:
    """The last time of all: of a good look, a command, dockerd's start, which switches it on, and an answer.

    Behind NAT nothing answers while forwarding is off, but by docker-proxy where Docker's rules are gone: then it is
    the rules that keep clients out. A reading comes every few seconds, and clocks may differ by two.
    """
    happened = history(look)
    commands = happened.of_kind(*_COMMANDS) if happened else ()
    on = [event.at for event in commands if _SWITCHES_ON.search(event.what)]
    good, answered = look.before.good, look.before.answered_at
    switch = good.of(Aspect.HOST_FORWARDING) if good is not None else None
    if good is not None and switch is not None and switch.text == "1":
        on.append(good.at)
    settings = look.may(DAEMON)
    started = _docker_started(look, happened)
    if started is not None and settings is not None and settings.ip_forward:
        on.append(started)
    known = [_LastOn(at, f"forwarding was last known to be on at {clock(at)}") for at in on]
    if answered is not None:
        known.append(_LastOn(answered - TOLERATED, f"the service still answered at {clock(answered)}"))
    return max(known, key=lambda one: one.at, default=None)


def _docker_started(look: Look, happened: History | None) -> datetime | None:
    """When dockerd began its last start: what happens from then on meets a dockerd that is there, or comes up."""
    acts = (
        [act for act in happened.acts_of("docker.service") if act.did in {Did.STARTED, Did.RESTARTED}]
        if happened
        else []
    )
    if acts:
        return acts[-1].until
    docker = look.may_unit("docker.service")
    since = docker.active_since if docker else None
    return since - skew(look) if since else None


# --- words -----------------------------------------------------------------------------------------------------


def _by_act(happened: History, act: Act) -> Iterator[Evidence]:
    was = "" if act.did is Did.FAILED else "was "
    yield Evidence("journal", f"{act.unit} {was}{act.did} at {clock(act.at)}")
    yield from _askers(happened, act)


def _askers(happened: History, act: Act) -> Iterator[Evidence]:
    askers = happened.askers(act)
    if not askers:
        yield Evidence("journal", f"nothing in the journal names who had {act.unit} {act.did}")
    elif askers[0].named:
        yield Evidence("journal", f"asked for by: {askers[0].says}{_moments_before(happened, act)}")
    else:
        says = "; ".join(asker.says for asker in askers)
        yield Evidence("journal", f"who asked is not recorded. At that time {says}: a correlation, no proof")


def _moments_before(happened: History, act: Act) -> str:
    request = happened.request(act)
    return f" at {clock(request.at)}" if request else ""
