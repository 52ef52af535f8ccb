"""What becomes of a packet."""

import re
from dataclasses import dataclass
from enum import StrEnum

from checks.model import ReachOutcome
from checks.walk.packet import Hook
from checks.walk.rules import Place


class Fate(StrEnum):
    """How a packet ends at a stop."""

    DROP = "drop"
    REJECT = "reject"
    UNKNOWN = "unknown"  # if it ends there: a program or a module decides


# What the kernel tells a connecting client: net/ipv4/icmp.c, icmp_err_convert, and net/ipv6/icmp.c, tab_unreach. Their
# names are those of iptables, ip6tables and nft, which has one word, icmpx, for both families.
_REJECTIONS = {
    "tcp-reset": ReachOutcome.REFUSED,
    "port-unreachable": ReachOutcome.REFUSED,
    "host-unreachable": ReachOutcome.NO_ROUTE,
    "host-prohibited": ReachOutcome.NO_ROUTE,
    "admin-prohibited": ReachOutcome.NO_ROUTE,
    "net-unreachable": ReachOutcome.NETWORK_UNREACHABLE,
    "net-prohibited": ReachOutcome.NETWORK_UNREACHABLE,
    "proto-unreachable": ReachOutcome.FAILED,
    "no-route": ReachOutcome.NETWORK_UNREACHABLE,
}
_OF_IPV6 = {
    "addr-unreachable": ReachOutcome.NO_ROUTE,
    "adm-prohibited": ReachOutcome.FAILED,  # EACCES, "Permission denied"
    "admin-prohibited": ReachOutcome.FAILED,
    "policy-fail": ReachOutcome.FAILED,
    "reject-route": ReachOutcome.FAILED,
}
_OF_ICMP = re.compile(r"^icmp6?-")


@dataclass(frozen=True)
class Stop:
    """A rule or a policy that ends the packet, or may.

    ``certain``: a packet such as this one does get there, and does end there. ``reply``: it is the answer that ends.
    """

    place: Place
    fate: Fate
    certain: bool
    hook: Hook
    how: str = ""  # of a rejection: icmp-host-prohibited, host-prohibited, tcp-reset...
    reply: bool = False
    by_ipv6: bool = False

    @property
    def ended(self) -> ReachOutcome | None:
        """What a client gets of it. None: cannot be told."""
        if self.fate is Fate.UNKNOWN:
            return None
        if self.fate is Fate.DROP or self.reply:  # a rejected answer is told to the container, not to the client
            return ReachOutcome.TIMED_OUT
        how = _OF_ICMP.sub("", self.how)
        return (_REJECTIONS | _OF_IPV6 if self.by_ipv6 else _REJECTIONS).get(how)

    @property
    def says(self) -> str:
        return self.place.says


@dataclass(frozen=True)
class Trace:
    """The way of a packet, and of the answer to it.

    ``stops`` are in the order of the way, up to the first certain one. ``translated`` is the address and port that it
    was sent on to, ``egress`` the interface; both are None where there is none, or more than one is possible.
    ``blocked``: no packet gets through, whichever of the stops ends it.
    """

    stops: tuple[Stop, ...]
    translated: tuple[str, int] | None
    egress: str | None
    hook_reached: Hook
    blocked: bool
    tracked: bool  # a connection that is not is never translated: table nat is not asked
    complete: bool  # every rule that can meet it was known and judged
    marks: frozenset[int | None] = frozenset({0})  # that it may have as it is routed: None is one that is not known
    answer_marks: frozenset[int | None] = frozenset({0})  # the same of the answer; rules may ask (ip-rule(8), fwmark)

    @property
    def stop(self) -> Stop | None:
        """The rule that certainly ends it: None where there is none, or one before it may."""
        return next((stop for stop in self.stops if stop.certain), None)

    @property
    def clear(self) -> bool:
        """Whether nothing of the firewall stops it, for certain."""
        return self.complete and not self.stops and not self.blocked

    @property
    def ended(self) -> ReachOutcome | None:
        """What a client gets, as far as the firewall goes: None where it gets through, or that cannot be told."""
        endings = {stop.ended for stop in self.stops}
        return endings.pop() if self.blocked and len(endings) == 1 else None
