"""How a fault came about, as far as the host's journal tells: evidence for the causes, in words that claim no more."""

import re
from collections.abc import Iterator
from datetime import datetime

from checks.evidence.history import Act, Did, History, clock, history, skew, told
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
    """What switched net.ipv4.ip_forward off, after it was last known to be on; nothing where that is not told."""
    since = _last_on(look)
    happened = history(look)
    if happened is None:
        return tuple(_by_unit_times(look, since))
    for way in (_by_command, _by_network_service, _by_sysctl_files):
        if found := tuple(way(look, happened, since)):
            return found
    return ()


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


def _by_network_service(look: Look, happened: History, since: datetime | None) -> Iterator[Evidence]:
    """The stop of initscripts' network service, where its script says so and no file switches it on again."""
    service = look.may(NETWORK_SERVICE)
    if service is None or not service.resets:
        return
    acts = [act for act in happened.acts_of(NETWORK) if act.did in _ways_off(look) and _after(act.at, since)]
    if not acts:
        return
    yield _its_stop("journal", f"{NETWORK} was {acts[0].did} at {clock(acts[0].at)}{_between(since)}", service)
    yield from _askers(happened, acts[0])
    yield _NO_PROOF


def _by_unit_times(look: Look, since: datetime | None) -> Iterator[Evidence]:
    """The same by systemd's own times, where the journal cannot be read: they do not say who asked."""
    service, unit = look.may(NETWORK_SERVICE), look.may_unit(NETWORK)
    stopped = unit.inactive_since if unit else None
    if service is None or not service.resets or stopped is None:
        return
    at = stopped - skew(look)
    if _after(at, since):
        yield _its_stop("units", f"{NETWORK} was last stopped at {clock(at)}{_between(since)}", service)
        yield _NO_PROOF


def _its_stop(fact: str, when: str, service: NetworkService) -> Evidence:
    return Evidence(fact, f"{when}; its stop switches forwarding off: {service.resets[0].says}")


_NO_PROOF = Evidence("forwarding", "that fits in time; it is no proof, as the kernel does not record who writes to it")


def _by_command(_look: Look, happened: History, since: datetime | None) -> Iterator[Evidence]:
    """A command that itself says 0."""
    for event in happened.of_kind(*_COMMANDS):
        if _SWITCHES_OFF.search(event.what) and _after(event.at, since):
            yield Evidence("journal", f"{told(event)} at {clock(event.at)}{_between(since)}")
            return


def _by_sysctl_files(look: Look, happened: History, since: datetime | None) -> Iterator[Evidence]:
    """The sysctl files were applied anew, and they say 0."""
    line = _deciding_line(look)
    if line is None or line.is_on:
        return
    acts = [act for act in happened.acts_of(_SYSCTL_UNIT) if _after(act.at, since)]
    commands = [
        event for event in happened.of_kind(*_COMMANDS) if _LOADS_FILES.search(event.what) and _after(event.at, since)
    ]
    if acts:
        yield Evidence(
            "journal", f"{_SYSCTL_UNIT} was {acts[0].did} at {clock(acts[0].at)}: it applies the files, and {line.says}"
        )
        yield from _askers(happened, acts[0])
    elif commands:
        yield Evidence(
            "journal", f"{told(commands[0])} at {clock(commands[0].at)}: it applies the files, and {line.says}"
        )


def _ways_off(look: Look) -> set[Did]:
    """After a restart forwarding is on again where a file says so: then only a stop leaves it off."""
    line = _deciding_line(look)
    return {Did.STOPPED} if line is not None and line.is_on else {Did.STOPPED, Did.RESTARTED}


def _deciding_line(look: Look) -> SysctlLine | None:
    files = look.may(SYSCTL_FILES)
    return files.at_boot() if files else None


def _last_on(look: Look) -> datetime | None:
    """When forwarding was last known to be on: a good look, dockerd's start, which switches it on, or a command."""
    happened = history(look)
    commands = happened.of_kind(*_COMMANDS) if happened else ()
    known = [event.at for event in commands if _SWITCHES_ON.search(event.what)]
    good = look.before.good
    switch = good.of(Aspect.HOST_FORWARDING) if good is not None else None
    if good is not None and switch is not None and switch.text == "1":
        known.append(good.at)
    settings = look.may(DAEMON)
    started = _docker_started(look, happened)
    if started is not None and settings is not None and settings.ip_forward:
        known.append(started)
    return max(known, default=None)


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


def _after(at: datetime, since: datetime | None) -> bool:
    return since is None or at > since


def _between(since: datetime | None) -> str:
    return f"; forwarding was last known to be on at {clock(since)}" if since else ""


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
