"""What dockerhealth needs of a host, what of it is there, and for the rest the exact line or command to add. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from checks.commands import ROOT_HELPER
from checks.errors import LookError, SshLoginRefusedError
from checks.facts import ALL_FACTS
from checks.facts.engine import ENGINE
from checks.facts.installation import INSTALLATION, SOCKET, TCPDUMP, TOOLS, Installation
from checks.facts.rights import RIGHTS, Rights
from checks.facts.system import SYSTEM, System
from checks.model import Host, reasons_of
from checks.rights import FIXES, LOOKS, sudoers_line
from checks.source import Facts, Source, Unavailable

NEEDED: tuple[Source[Any], ...] = (INSTALLATION, *ALL_FACTS)

HELPER_VERSION = "6aff1df4777e"
"""Of deploy/host/dockerhealth-root, which says it in a line of its own."""

KEY_OPTIONS = 'restrict,port-forwarding,permitopen="[/var/run/docker.sock]:*",permitlisten="127.0.0.1:1"'
"""What stands before the key in deploy/host/authorized_keys."""

_CLOCK_OFF = 2.0  # seconds from which what happened on the host is put in a wrong order with what was seen from here
_RED_HAT = ("centos", "rhel", "fedora", "rocky", "almalinux", "ol")


class RequirementState(StrEnum):
    THERE = "there"
    NOTE = "note"  # nothing is missing, but someone should know
    MISSING = "missing"


@dataclass(frozen=True)
class Requirement:
    """One thing that was checked. ``remedy``: lines to add to a file, or commands to run as root on the host."""

    what: str
    state: RequirementState
    says: str
    remedy: tuple[str, ...] = ()


def examine(facts: Facts) -> tuple[Requirement, ...]:
    """Judge what a host said of itself."""
    rights, installed, system = facts.get(RIGHTS), facts.get(INSTALLATION), facts.get(SYSTEM)
    checked = (
        *(_not_told("sudo", rights) if isinstance(rights, Unavailable) else _sudo(rights)),
        *(
            _not_told("installation", installed)
            if isinstance(installed, Unavailable)
            else _installed(facts, installed, rights, system)
        ),
        *(_not_told("clock", system) if isinstance(system, Unavailable) else _clock(system, facts.at)),
    )
    return (*checked, *_facts(facts, checked))


def unreachable(host: Host, error: LookError) -> tuple[str, ...]:
    """What to do where the host does not let us in, beyond what the error says itself."""
    if not isinstance(error, SshLoginRefusedError) or host.login.identity_file is None:
        return ()
    user = host.login.user or "dockerhealth"
    return (
        f"ssh-keygen -y -f {host.login.identity_file}  # here; the line that it prints is PUBLIC_KEY",
        f"{KEY_OPTIONS} PUBLIC_KEY  # one line of ~{user}/.ssh/authorized_keys on {host.name}",
    )


def _not_told(what: str, missing: Unavailable) -> Iterator[Requirement]:
    yield Requirement(what, RequirementState.MISSING, f"could not be told: {missing.reason}")


# --- sudo --------------------------------------------------------------------------------------------------------


def _sudo(rights: Rights) -> Iterator[Requirement]:
    if rights.root:
        yield Requirement(
            "sudo", RequirementState.NOTE, f"not used: {rights.user} is root, and nothing bounds what the key may do"
        )
        return
    looks, fixes = _lacking(rights, LOOKS), _lacking(rights, FIXES)
    if looks:
        says = "the session that looks as root is refused: no rule, and no process, is seen"
        yield Requirement("looks", RequirementState.MISSING, says, _to_add("look", looks))
    else:
        yield Requirement("looks", RequirementState.THERE, "sudo allows the session that looks as root")
    if len(fixes) == len(FIXES):
        says = "sudo allows none: dockerhealth only looks here, and leaves every fix to a person"
        yield Requirement("fixes", RequirementState.NOTE, says)
    elif fixes:
        says = f"{len(fixes)} of the {len(FIXES)} commands of fixes are refused: plans with them are left to a person"
        yield Requirement("fixes", RequirementState.MISSING, says, _to_add("fix", fixes))
    else:
        yield Requirement("fixes", RequirementState.THERE, f"sudo allows all {len(FIXES)} commands of fixes")


def _lacking(rights: Rights, needed: Sequence[Sequence[str]]) -> list[str]:
    return [sudoers_line(rights.user, words) for words in needed if not rights.allows(words)]


def _to_add(name: str, lines: Sequence[str]) -> tuple[str, ...]:
    return f"visudo -f /etc/sudoers.d/dockerhealth-{name}  # and add:", *lines


# --- what is installed -------------------------------------------------------------------------------------------


def _installed(
    facts: Facts, installed: Installation, rights: Rights | Unavailable, system: System | Unavailable
) -> Iterator[Requirement]:
    user = "dockerhealth" if isinstance(rights, Unavailable) else rights.user
    looks, mends = (not isinstance(rights, Unavailable) and rights.allows(words) for words in (*LOOKS, (ROOT_HELPER,)))
    if looks or mends:
        yield _helper(installed)
    yield _tools(installed, system)
    yield _watching(installed, system)
    yield _docker(facts, installed, user)
    if installed.reads_journal:
        yield Requirement("journal", RequirementState.THERE, "can be read: what happened, and who asked for it")
    else:
        says = "cannot be read: there is no timeline, and nobody is named"
        yield Requirement(
            "journal", RequirementState.MISSING, says, (f"usermod --append --groups systemd-journal {user}",)
        )
    if mends:
        yield _receipts(installed, user)


def _helper(installed: Installation) -> Requirement:
    install = f"install -o root -g root -m 0755 deploy/host/dockerhealth-root {ROOT_HELPER}"
    helper = installed.helper
    if helper is None:
        return Requirement("helper", RequirementState.MISSING, f"{ROOT_HELPER} is not there", (install,))
    if helper.exposed:
        says = f"{ROOT_HELPER}, or a folder above it, can be written by others than root: whoever that is becomes root"
        repair = ("chown root:root / /usr /usr/local /usr/local/sbin", "chmod go-w / /usr /usr/local /usr/local/sbin")
        return Requirement("helper", RequirementState.MISSING, says, (*repair, install))
    if helper.version != HELPER_VERSION:
        says = f"version {helper.version or 'unknown'}, and this dockerhealth has {HELPER_VERSION}"
        return Requirement("helper", RequirementState.MISSING, says, (install,))
    return Requirement("helper", RequirementState.THERE, f"{ROOT_HELPER}, root's, version {helper.version}")


def _tools(installed: Installation, system: System | Unavailable) -> Requirement:
    lacking = [tool for tool in TOOLS if tool not in installed.tools]
    if not lacking:
        return Requirement("tools", RequirementState.THERE, f"all {len(TOOLS)} programs that looks and fixes run")
    packages = dict.fromkeys(TOOLS[tool][_is_red_hat(system)] for tool in lacking)
    says = f"not there: {', '.join(lacking)}"
    return Requirement("tools", RequirementState.MISSING, says, (_to_install(packages, system),))


def _watching(installed: Installation, system: System | Unavailable) -> Requirement:
    """A diagnosis is right without; where it has none, nobody sees where the packet died."""
    if TCPDUMP not in installed.tools:
        says = f"{TCPDUMP} is not there: where a packet was last seen is not told"
        return Requirement("watching", RequirementState.NOTE, says, (_to_install((TCPDUMP,), system),))
    if not installed.traces:
        says = "the kernel has no tracefs: why it drops a packet is told by rules and counters alone"
        return Requirement("watching", RequirementState.NOTE, says)
    return Requirement("watching", RequirementState.THERE, f"{TCPDUMP} and tracefs, for packets that come to nothing")


def _is_red_hat(system: System | Unavailable) -> bool:
    return not isinstance(system, Unavailable) and system.distribution.startswith(_RED_HAT)


def _to_install(packages: Iterable[str], system: System | Unavailable) -> str:
    return f"{'yum' if _is_red_hat(system) else 'apt-get'} install {' '.join(packages)}"


def _docker(facts: Facts, installed: Installation, user: str) -> Requirement:
    engine = facts.get(ENGINE)
    if not isinstance(engine, Unavailable):
        return Requirement(
            "docker", RequirementState.THERE, f"the Engine answers through the forwarded socket: {engine.version}"
        )
    if installed.reaches_socket is None:
        return Requirement(
            "docker", RequirementState.MISSING, f"{SOCKET} is not there: is Docker installed, and its socket enabled?"
        )
    if not installed.reaches_socket:
        says = f"{user} may not use {SOCKET}" + ("" if "docker" in installed.groups else ": not in the group docker")
        return Requirement("docker", RequirementState.MISSING, says, (f"usermod --append --groups docker {user}",))
    says = f"{user} may use {SOCKET}, but through sshd: {engine.reason}"
    return Requirement(
        "docker",
        RequirementState.MISSING,
        says,
        (
            f"in ~{user}/.ssh/authorized_keys the key's line begins: {KEY_OPTIONS}",
            "in /etc/ssh/sshd_config neither DisableForwarding yes nor AllowStreamLocalForwarding no",
        ),
    )


def _receipts(installed: Installation, user: str) -> Requirement:
    folder = f"{installed.home}/.dockerhealth"
    if installed.keeps_receipts:
        return Requirement("receipts", RequirementState.THERE, f"{folder} can be written")
    says = f"{folder} cannot be written: no fix is begun without a receipt"
    return Requirement(
        "receipts", RequirementState.MISSING, says, (f"install -d -m 0700 -o {user} -g {user} {folder}",)
    )


def _clock(system: System, at: datetime) -> Iterator[Requirement]:
    offset = (system.clock - at).total_seconds()
    if abs(offset) <= _CLOCK_OFF:
        yield Requirement("clock", RequirementState.THERE, f"{abs(offset):.1f} s from ours")
        return
    says = f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} ours: times of its journal are off by that"
    yield Requirement("clock", RequirementState.NOTE, says, ("timedatectl set-ntp true",))


def _facts(facts: Facts, checked: Sequence[Requirement]) -> Iterator[Requirement]:
    """All that a diagnosis rests on. Where something else is missing, that may be why; else the host never tells it."""
    lacking = reasons_of(facts.unavailable(ALL_FACTS))
    state = (
        RequirementState.NOTE
        if any(one.state is RequirementState.MISSING for one in checked)
        else RequirementState.MISSING
    )
    if not lacking:
        yield Requirement("facts", RequirementState.THERE, f"all {len(ALL_FACTS)} that a diagnosis rests on can be had")
    for why, names in lacking.items():
        yield Requirement("facts", state, f"could not be asked: {', '.join(names)}: {why}")
