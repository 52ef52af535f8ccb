"""The words of dockerhealth, as frozen dataclasses and enums. Nothing here does I/O or asks what time it is."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

# --- what is watched -------------------------------------------------------------------------------------------


class ServiceKind(StrEnum):
    """What a healthy answer looks like."""

    REGISTRY = "registry"  # GET /v2/ answers 200, or 401 where a login is asked for
    HTTP = "http"  # any answer below 500
    TCP = "tcp"  # the connection is accepted


@dataclass(frozen=True)
class Service:
    """One published endpoint on a host. ``url`` is ``http://``, ``https://`` or ``tcp://``."""

    name: str
    url: str
    kind: ServiceKind = ServiceKind.REGISTRY
    container: str | None = None

    @property
    def target(self) -> str:
        """The host part of the URL: a name or an address, IPv6 without its brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def path(self) -> str:
        return "/v2/" if self.kind is ServiceKind.REGISTRY else urlsplit(self.url).path or "/"


@dataclass(frozen=True)
class Login:
    """How a host is logged in to. ``None`` leaves the choice to the user's ``~/.ssh/config`` and agent."""

    user: str | None = None
    port: int | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    proxy_jump: str | None = None
    connect_timeout: float = 5.0  # seconds, TCP and login together
    command_timeout: float = 20.0  # seconds, one remote command
    keepalive: float = 15.0  # seconds between keepalives; three missed ones end the connection


@dataclass(frozen=True)
class Host:
    """A machine reached over SSH, under the name that people use for it."""

    name: str
    address: str
    services: tuple[Service, ...]
    login: Login = field(default_factory=Login)

    def service(self, name: str) -> Service:
        """The service of that name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)


_UNAUTHORIZED = 401

# --- reaching a service ----------------------------------------------------------------------------------------


class Vantage(StrEnum):
    """Where a reach attempt is made from."""

    OUTSIDE = "outside"  # the bot
    PEER = "peer"  # another host
    HOST = "host"  # the host itself, to its own LAN address
    LOOPBACK = "loopback"  # the host itself, to 127.0.0.1
    CONTAINER = "container"  # the host itself, to the container's own address


class Phase(StrEnum):
    """How far an attempt got: the phase that it was in when it ended."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    HTTP = "http"


class ReachOutcome(StrEnum):
    """How an attempt ended."""

    ANSWERED = "answered"  # as a healthy service does
    REFUSED = "refused"  # ECONNREFUSED
    TIMED_OUT = "timed-out"
    RESET = "reset"  # ECONNRESET, also: accepted, then closed without an answer
    NO_ROUTE = "no-route"  # EHOSTUNREACH: nobody at that address, or a firewall's REJECT
    NETWORK_UNREACHABLE = "network-unreachable"  # ENETUNREACH
    NAME_UNKNOWN = "name-unknown"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    TLS_FAILED = "tls-failed"  # no TLS spoken there, or no common version
    NOT_HTTP = "not-http"
    BAD_STATUS = "bad-status"
    NOT_A_REGISTRY = "not-a-registry"  # 200 without the registry's header
    FAILED = "failed"  # another error of the system; ``detail`` names it


@dataclass(frozen=True)
class Reading:
    """The typed result of one reach attempt."""

    vantage: Vantage
    phase: Phase
    ended: ReachOutcome
    ms: float  # the whole attempt
    at: datetime
    status: int | None = None  # of the HTTP answer, where there was one
    address: str | None = None  # the address that was tried
    detail: str = ""
    phases_ms: Mapping[Phase, float] = field(default_factory=dict)
    by: str = ""  # the host that made the attempt, where that is another one than the service's (PEER)
    expires: datetime | None = None  # of the certificate that was shown, where it was verified

    @property
    def ok(self) -> bool:
        return self.ended is ReachOutcome.ANSWERED

    @property
    def says(self) -> str:
        """The reading in a few words: ``timed out at connect``, ``answered 200``."""
        words = self.ended.value.replace("-", " ")
        if self.status is not None:
            login = " (asks for a login)" if self.ok and self.status == _UNAUTHORIZED else ""
            return f"{words} {self.status}{login}"
        return words if self.ok else f"{words} at {self.phase}"


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """What a command printed, each stream apart. ``status`` is the exit status; 124 is a deadline that ran out."""

    stdout: str
    stderr: str = ""
    status: int = 0
    ms: float | None = None  # how long it took on the host, where that was measured


# --- causes, findings, diagnosis -------------------------------------------------------------------------------


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


class Verdict(StrEnum):
    FAIL = "fail"  # this is wrong, and it breaks the service
    PASS = "pass"  # noqa: S105  # a verdict, no password
    SKIP = "skip"  # could not be told; says which fact was missing
    RISK = "risk"  # works now, will break


class Confidence(StrEnum):
    PROVEN = "proven"  # the values leave no other reading
    LIKELY = "likely"  # a confirming fact is missing, or one contradicts


LADDER = "ladder"
"""The fact of evidence that says in words what the readings of the report show."""

SSH = "ssh"
"""The fact of evidence that says why a host could not be looked at."""


@dataclass(frozen=True)
class Evidence:
    """One observed value that a verdict rests on, in words that a person can check."""

    fact: str
    says: str


@dataclass(frozen=True)
class Missing:
    """The fact without which nothing can be told, and why it could not be had.

    ``of_host``: no fact could, because the whole host could not be looked at.
    """

    fact: str
    reason: str
    of_host: bool = False

    @property
    def says(self) -> str:
        return f"{self.fact}: {self.reason}"


UNDETERMINED = "undetermined"
"""The cause of an honest finding that none is known."""

WATCHER_OFFLINE = "watcher-offline"
"""The cause that is not the host's: dockerhealth itself is cut off, and reaches none."""


@dataclass(frozen=True)
class Finding:
    """A cause's verdict on one service. Its identity is (cause, service), never its wording or time."""

    cause: str
    service: str
    verdict: Verdict
    title: str
    evidence: tuple[Evidence, ...] = ()
    why: str = ""  # PASS: what rules it out; SKIP: which fact was missing and why
    confidence: Confidence = Confidence.PROVEN
    fixes: tuple[FixId, ...] = ()  # smallest first
    advice: tuple[str, ...] = ()  # for a person: exact commands, where no fix is automatic
    missing: Missing | None = None  # SKIP: the fact that was

    @property
    def identity(self) -> tuple[str, str]:
        return self.cause, self.service


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with one service.

    ``causes`` are the failing findings in the order in which to mend them; the first one is the root cause. It is
    empty for a healthy service. An honest *undetermined* is a finding of that cause.
    """

    causes: tuple[Finding, ...] = ()
    risks: tuple[Finding, ...] = ()
    ruled_out: tuple[Finding, ...] = ()
    not_told: tuple[Finding, ...] = ()

    @property
    def root(self) -> Finding | None:
        return self.causes[0] if self.causes else None


# --- fixes -----------------------------------------------------------------------------------------------------


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
    restores: Mapping[str, str] = field(default_factory=dict)  # of an undo: the values that are to be back
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


class Outcome(StrEnum):
    """How the carrying out of an approved plan ended."""

    FIXED = "fixed"
    NOT_FIXED = "not-fixed"  # the service still does not answer, or the cause still holds
    FAILED = "failed"  # a step failed
    STALE = "stale"  # facts changed since the plan; nothing was run
    UNKNOWN = "unknown"  # contact was lost midway
    UNDONE = "undone"  # of an undo: the host is as it was before the plan that it takes back


@dataclass(frozen=True)
class StepResult:
    """``status`` is None where it began and nobody knows how it ended."""

    step: Step
    status: int | None
    output: str  # stdout and stderr, cut to a length that a message can show
    seconds: float = 0.0  # how long it took on the host

    @property
    def ok(self) -> bool:
        return self.status == 0


class Family(StrEnum):
    """What values of a snapshot are of. A family is had as a whole, or not at all."""

    SYSCTL = "sysctl"
    CONNTRACK = "conntrack"  # the room of the kernel's table of connections
    FILE = "file"
    RULES = "rules"  # of iptables
    LEGACY_RULES = "legacy-rules"  # of an iptables-legacy beside it
    NFT = "nft"  # chains of nftables that iptables does not show
    ZONE = "zone"  # of firewalld, now
    KEPT_ZONE = "kept-zone"  # the same for its next start
    CONTAINER = "container"
    UNIT = "unit"

    @property
    def moment(self) -> str:
        """What the moment of one of its values is called."""
        return "written" if self is Family.FILE else "started"


@dataclass(frozen=True)
class Values:
    """All that a snapshot has of one family, by name: ``sysctl net.ipv4.ip_forward``, ``rules nat DOCKER``...

    ``states`` can be brought back; ``moments`` (when that container or unit was started) cannot.
    """

    states: Mapping[str, str]
    moments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All of a host that a fix may change. A family of which a fact could not be had is not in it."""

    families: Mapping[Family, Values]

    @property
    def states(self) -> Mapping[str, str]:
        """Those of every family: names begin with what they are of, so that none stands there twice."""
        return {name: value for values in self.families.values() for name, value in values.states.items()}


@dataclass(frozen=True)
class Difference:
    """One value that is another one after a plan. ``None`` where there was, or is, no such value."""

    family: Family
    name: str
    before: str | None
    after: str | None
    announced: bool  # whether the plan said that it may change this


@dataclass(frozen=True)
class Applied:
    """What came of an approved plan."""

    outcome: Outcome
    says: str  # for a person, one sentence
    results: tuple[StepResult, ...] = ()  # of the steps that were started
    readings: tuple[Reading, ...] = ()  # the newest from outside: of the verification, or of the look that stopped it
    differences: tuple[Difference, ...] = ()  # the host before and after
    cause_gone: bool | None = None  # whether what the plan mends was seen to be gone; None where that was not seen

    @property
    def ran(self) -> bool:
        """Whether anything was done to the host."""
        return bool(self.results)


# --- reports ---------------------------------------------------------------------------------------------------


class Status(StrEnum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"  # the host could not be looked at


@dataclass(frozen=True)
class Trouble:
    """Why a host could not be looked at: reported beside the reading, never as the cause. ``id`` as in errors.py."""

    id: str
    says: str


class ChangeKind(StrEnum):
    """What a timeline tells of."""

    UNIT = "unit"
    PACKAGE = "package"
    FILE = "file"
    CONTAINER = "container"
    LOGIN = "login"
    COMMAND = "command"
    MESSAGE = "message"  # a line of dockerd's or of the kernel's
    DIFFERENCE = "difference"  # a look found another value than one before it
    LOOK = "look"  # of the looks and readings themselves: nothing happened on the host

    @property
    def happened(self) -> bool:
        """Whether it is something that happened on the host at a time of its own: an effect has none."""
        return self not in {ChangeKind.DIFFERENCE, ChangeKind.LOOK}


@dataclass(frozen=True)
class Lacking:
    """A fact, or a part of one, that a host was asked for and that could not be had."""

    fact: str
    why: str


def reasons_of(lacking: Iterable[Lacking]) -> dict[str, tuple[str, ...]]:
    """Each reason, and the facts that could not be had for it, in the order in which they come."""
    groups: dict[str, tuple[str, ...]] = {}
    for one in lacking:
        groups[one.why] = (*groups.get(one.why, ()), one.fact)
    return groups


@dataclass(frozen=True)
class Change:
    """What a timeline tells at one time. Two of the same kind ``of`` the same are the same thing, another time.

    ``asked`` is whether ``who`` is known to have asked for it: a login or a command only names its user.

    A difference came about between ``since`` and ``at``: the newest look at which the value was still the old one, and
    the first one at which it was another.
    """

    kind: ChangeKind
    of: tuple[str, ...]  # a unit and what became of it, say; of a difference its name, the value before and after it
    at: datetime  # of what was repeated, the last time
    what: str  # for a person, without its times
    who: str = ""  # empty where nobody is named
    asked: bool = False
    times: int = 1
    since: datetime | None = None  # of a difference

    @property
    def says(self) -> str:
        """The change in words, without its interval: of what was repeated, how often it was."""
        return f"{self.what} (the last of {self.times} times)" if self.times > 1 else self.what


class Aspect(StrEnum):
    """What a value of a baseline is of, as far as anything depends on that."""

    HOST_FORWARDING = "host-forwarding"  # the switch that the kernel hands on to every interface
    INTERFACE_FORWARDING = "interface-forwarding"
    REVERSE_PATH_FILTER = "reverse-path-filter"
    DOCKER_CHAINS = "docker-chains"
    DNAT_RULE = "dnat-rule"  # Docker's for the service's port
    UNIT = "unit"
    CONTAINER = "container"  # which one it is
    CONTAINER_STATE = "container-state"
    CONTAINER_START = "container-start"  # what is another one after each start of the container
    FILE = "file"  # when a configuration file was written
    OTHER = "other"


@dataclass(frozen=True)
class Value:
    """One value of a baseline; ``text`` is None where there is no such thing."""

    aspect: Aspect
    text: str | None

    @property
    def says(self) -> str:
        return "none" if self.text is None else self.text


@dataclass(frozen=True)
class Baseline:
    """How a host was, in short: each value that matters to a service under a name, for comparing two looks.

    The name is for a person: what depends on what a value is of asks for its aspect.
    """

    at: datetime
    values: Mapping[str, Value]

    def of(self, aspect: Aspect) -> Value | None:
        """The value of an aspect of which there is one at most; None where it could not be had."""
        return next((value for value in self.values.values() if value.aspect is aspect), None)


@dataclass(frozen=True)
class Report:
    """All that one check found out about one service."""

    host: str
    service: str
    at: datetime
    status: Status
    readings: tuple[Reading, ...]
    diagnosis: Diagnosis
    plans: tuple[Plan, ...] = ()
    refused: tuple[NoChange, ...] = ()  # fixes of the root cause that have no plan, and why
    timeline: tuple[Change, ...] = ()
    trouble: Trouble | None = None
    took_ms: float = 0.0
    baseline: Baseline | None = None  # None where the host could not be looked at
    unavailable: tuple[Lacking, ...] = ()  # facts that could not be had of a host that could be looked at
