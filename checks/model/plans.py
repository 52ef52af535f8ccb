"""What a fix would do to a host."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from checks.model.snapshots import Difference


class FixId(StrEnum):
    """Every fix there is. The ids are public and stand in stores: none is ever renamed or removed."""

    ENABLE_IP_FORWARD = "enable-ip-forward"
    ENABLE_INTERFACE_FORWARDING = "enable-interface-forwarding"
    RELAX_REVERSE_PATH_FILTER = "relax-reverse-path-filter"
    RAISE_CONNTRACK_MAX = "raise-conntrack-max"
    RESTART_DOCKER = "restart-docker"
    START_DOCKER = "start-docker"
    ALLOW_IN_DOCKER_USER = "allow-in-docker-user"
    OPEN_FIREWALLD_PORT = "open-firewalld-port"
    CLEAR_ZONE_CONFLICT = "clear-zone-conflict"
    STOP_FIREWALLD = "stop-firewalld"
    START_CONTAINER = "start-container"
    RESTART_CONTAINER = "restart-container"
    UNPAUSE_CONTAINER = "unpause-container"


class Risk(StrEnum):
    """How much a plan can hurt."""

    LOW = "low"  # adds something small that can be taken away again
    MEDIUM = "medium"  # interrupts or exposes something, for a while or a little
    HIGH = "high"


class Lasts(StrEnum):
    """How long what a plan does stays in force."""

    FOR_GOOD = "for-good"  # over restarts and reboots
    UNTIL_CHANGED = "until-changed"  # until something does to the host what was done to it before
    UNTIL_REBOOT = "until-reboot"  # gone after the next boot, or the next restart of what holds it
    STOP_GAP = "stop-gap"  # the service is back, its cause is not mended


@dataclass(frozen=True)
class Step:
    """One command of a plan. ``argv`` is fixed in the source except for values checked against a strict pattern.

    Words that are known only once it is approved are filled in then: see ``checks.commands.carried_out``.
    """

    does: str  # for a person: "write /etc/sysctl.d/...: net.ipv4.ip_forward = 1"
    argv: tuple[str, ...]  # a root step begins with the absolute path of its program: sudo compares it
    root: bool = True
    timeout: int = 30  # seconds, enforced on the host
    undo: tuple["Step", ...] = ()  # what takes this step back, in this order
    typed: str = ""  # what a person would type for the same, where ``argv`` goes through our own root helper


@dataclass(frozen=True)
class Plan:
    """Exactly what a fix would do to one host now, how to take it back, and what else it touches."""

    fix: FixId  # of an undo: the one that it takes back
    title: str
    host: str
    service: str
    cause: str
    risk: Risk
    steps: tuple[Step, ...]
    blast_radius: str
    verify: str
    basis: Mapping[str, str]  # the values that the plan rests on; another value makes it stale
    notes: tuple[str, ...] = ()  # what a person should know: overridden files, what stays broken
    preflight: tuple[str, ...] = ()  # what was looked at first, and is as it has to be
    lasts: Lasts = Lasts.FOR_GOOD
    changes: tuple[str, ...] = ()  # names of the snapshot's values that it may change, as shell patterns
    stays: tuple[str, ...] = ()  # of those, what its undo does not bring back
    undoes: str = ""  # the run that it takes back; empty for a fix
    restores: tuple[Difference, ...] = ()  # of an undo: what the run changed, and what is to be back
    undo_unasked: bool = False  # whether it is safe to take back by itself where it did not help
    by_hand: str = ""  # why only a person can run it; empty where dockerhealth can

    @property
    def name(self) -> str:
        """What it is called in records, which tell an undo apart by that: ``undo-enable-ip-forward``."""
        return f"undo-{self.fix}" if self.undoes else self.fix

    @property
    def undo(self) -> tuple[Step, ...]:
        """What takes every step back, the last one first."""
        return tuple(back for step in reversed(self.steps) for back in step.undo)

    @property
    def fingerprint(self) -> str:
        """A SHA-256 (hex) of all that was shown and of what it rests on. Two equal ones are the same plan."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class NoChange:
    """A fix that has nothing to do, or must not do it, and why."""

    fix: FixId
    why: str


@dataclass(frozen=True)
class NoUndo:
    """That there is nothing to take back, or that it cannot be, and why."""

    why: str
