"""What one attempt came to: a service that was reached for, a command that was run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

_UNAUTHORIZED = 401


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
    CERTIFICATE_EXPIRED = "certificate-expired"  # itself, or one of those that signed it
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_OF_ANOTHER_NAME = "certificate-of-another-name"
    CERTIFICATE_SELF_SIGNED = "certificate-self-signed"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"  # by the chain of those that signed it
    TLS_FAILED = "tls-failed"  # no TLS spoken there, or no common version
    NOT_HTTP = "not-http"
    BAD_STATUS = "bad-status"
    NOT_A_REGISTRY = "not-a-registry"  # 200 without the registry's header
    FAILED = "failed"  # another error of the system; ``detail`` names it


class OwnTrouble(StrEnum):
    """What of the machine that makes an attempt can spoil it: how it ended then says nothing of the service."""

    NO_DESCRIPTORS = "no-descriptors"
    NO_MEMORY = "no-memory"
    NO_PORTS = "no-ports"
    NO_WAY = "no-way"
    NO_NAME_SERVER = "no-name-server"
    LOOP_LATE = "loop-late"
    CLOCK_SET = "clock-set"

    @property
    def says(self) -> str:
        """What the machine lacked, as the end of a sentence."""
        return _TROUBLES[self]

    @property
    def cuts_off(self) -> bool:
        """Whether it lacks a way to others, rather than something that each attempt needs."""
        return self in {OwnTrouble.NO_WAY, OwnTrouble.NO_NAME_SERVER}


_TROUBLES = {
    OwnTrouble.NO_DESCRIPTORS: "no file descriptor was left (LimitNOFILE of the unit, `ulimit -n`)",
    OwnTrouble.NO_MEMORY: "the kernel had no memory for a connection",
    OwnTrouble.NO_PORTS: "no local port was left (net.ipv4.ip_local_port_range)",
    OwnTrouble.NO_WAY: "this machine has no route there",
    OwnTrouble.NO_NAME_SERVER: "no name server answered (/etc/resolv.conf)",
    OwnTrouble.LOOP_LATE: "dockerhealth itself was kept from its work (CPU, memory, a machine that was paused)",
    OwnTrouble.CLOCK_SET: "this machine's clock was set meanwhile, or it slept",
}


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
    rejected_by: str | None = None  # whose firewall ended it with an ICMP error; None also where that cannot be told
    unsound: OwnTrouble | None = None  # why it tells nothing of the service; None for one that counts

    @property
    def ok(self) -> bool:
        return self.ended is ReachOutcome.ANSWERED

    @property
    def says(self) -> str:
        """The reading in a few words: ``timed out at connect``, ``answered 200``."""
        rejected = f", by a REJECT of {self.rejected_by}" if self.rejected_by else ""
        words = self.ended.value.replace("-", " ")
        if self.status is not None:
            login = " (asks for a login)" if self.ok and self.status == _UNAUTHORIZED else ""
            return f"{words} {self.status}{login}"
        unsound = f", which tells nothing: {self.unsound.says}" if self.unsound else ""
        return words if self.ok else f"{words} at {self.phase}{rejected}{unsound}"


@dataclass(frozen=True)
class Output:
    """What a command printed, each stream apart. ``status`` is the exit status; 124 is a deadline that ran out."""

    stdout: str
    stderr: str = ""
    status: int = 0
    ms: float | None = None  # how long it took on the host, where that was measured
