"""What is looked at before dockerd or a container is started: what would fail, so that it is not begun at all."""

import re
from collections.abc import Callable

from checks.causes.docker_rules import missing_chains
from checks.causes.firewalld import taken_bridges
from checks.evidence.packet import waiting
from checks.facts.daemon import DAEMON, DAEMON_CONFIGURATION
from checks.facts.engine import ENGINE, FirewallBackend
from checks.facts.firewalld import FIREWALLD
from checks.facts.forwarding import FORWARDING
from checks.facts.system import SYSTEM
from checks.fixes.fix import RefusedError
from checks.look import Look, MissingError

_KNOWS_ZONES = (20, 10)  # the first Docker that puts its bridges into a zone of firewalld


def modules(look: Look) -> str:
    """With the modules gone dockerd could not load what it needs: a half outage would become a whole one."""
    system = look.need(SYSTEM)
    if system.modules_gone:
        raise RefusedError(f"the modules of the running kernel {system.kernel} are gone: reboot the host instead")
    return f"no upgrade has taken the modules of the running kernel {system.kernel} away"


def configuration(look: Look) -> str:
    """It is read anew when dockerd starts, whatever the running one was told."""
    found = look.need(DAEMON_CONFIGURATION)
    if found.problem:
        raise RefusedError(f"dockerd would not start with its configuration: {found.problem}")
    return found.checked


def bridges(look: Look) -> str:
    """From 20.10 on dockerd does not start where another zone of firewalld has one of its bridges."""
    firewalld, engine, settings = look.need(FIREWALLD), look.may(ENGINE), look.may(DAEMON)
    unaware = engine is not None and _release(engine.version) < _KNOWS_ZONES
    if not firewalld.running or unaware or (settings is not None and not settings.iptables):
        return "dockerd asks nothing of firewalld when it starts"
    taken = taken_bridges(firewalld)
    if taken:
        zone, bridge = taken[0]
        raise RefusedError(f"zone {zone} has {bridge}: dockerd would not start; clear-zone-conflict goes first")
    return "no zone of firewalld but Docker's own has a bridge of Docker"


def chains(look: Look) -> str:
    """Docker starts no container whose port it cannot write a rule for: a half outage would become a whole one."""
    if look.bridged is None:
        return "the container needs no rules of Docker's"
    if missing_chains(look.docker_rules):
        raise RefusedError(
            "Docker's chains are missing: the start would fail with `No chain/target/match`; restart-docker goes first"
        )
    return "Docker's chains are there, in nat and in filter"


def forwarding(look: Look) -> None:
    """Docker switches forwarding on where it writes its rules in iptables, and refuses to start where in nftables.

    Seen with Docker 29.7.2: three tries, then systemd's start limit.
    """
    known = look.may(FORWARDING)
    if look.firewall_backend is FirewallBackend.NFTABLES and known is not None and not known.ip_forward:
        raise RefusedError(
            f"dockerd does not start on {look.host.name}: with rules in nftables it leaves net.ipv4.ip_forward, which "
            "is 0, to others. First: sudo sysctl -w net.ipv4.ip_forward=1, and the same in a file of /etc/sysctl.d"
        )


def way_after_restart(look: Look) -> None:
    """Docker's rules send packets through FORWARD: where another firewall ends them there, a restart mends nothing.

    It would even take away what docker-proxy serves until then.
    """
    ahead = waiting(look)
    if ahead:
        raise RefusedError(
            f"it would not help: with Docker's rules back, {ahead[0].stop.says} ends the packets instead"
        )


def start_of_dockerd(look: Look, *checks: Callable[[Look], str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What holds, and what could not be told. Raises RefusedError for what would keep dockerd from starting.

    ``checks``: all of them if none is named.
    """
    holds: list[str] = []
    unknown: list[str] = []
    for check in checks or (modules, configuration, bridges):
        try:
            holds.append(check(look))
        except MissingError as missing:
            unknown.append(f"Not looked at before: {missing}")
    return tuple(holds), tuple(unknown)


def _release(version: str) -> tuple[int, ...]:
    """``20.10.24+dfsg1`` as (20, 10); a version that is none is taken for a new one."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else _KNOWS_ZONES
