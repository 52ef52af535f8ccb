"""The common form of a rule, whichever backend it comes from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from checks.walk.packet import Hook, PacketState, Tracking

Truth = bool | None
"""None: cannot be told from what is known of the packet."""

Match = Callable[[PacketState], Truth]
Effect = Callable[[PacketState], PacketState]


class Backend(StrEnum):
    """Which of the kernel's packet filters holds a rule."""

    IPTABLES = "iptables"  # iptables-nft, or a variant that could not be told
    LEGACY = "iptables-legacy"
    NFTABLES = "nftables"


class Does(StrEnum):
    """What a rule does with a packet that it matches."""

    CONTINUE = "continue"
    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"
    UNKNOWN = "unknown"  # may stop it, let it past or go on: a queue to a program, a target of a module


@dataclass(frozen=True)
class Verdict:
    """``how`` is for a rejection: ``icmp-port-unreachable``, ``tcp-reset``... ``chain`` for a jump or goto."""

    does: Does
    chain: str = ""
    how: str = ""


@dataclass(frozen=True)
class Place:
    """Which rule or policy: its identity, and where a person finds it.

    ``number`` is the handle of a native rule, or else the place in its chain, from 1; None for the policy.
    """

    backend: Backend
    family: str  # ip, ip6, inet, netdev, bridge
    table: str
    chain: str
    number: int | None
    text: str  # "-A DOCKER-USER -j DROP", "policy DROP", "tcp dport 5000 counter drop"

    @property
    def is_policy(self) -> bool:
        return self.number is None

    @property
    def says(self) -> str:
        """For a person: ``table filter, chain DOCKER-USER: -A DOCKER-USER -j DROP``."""
        if self.backend is Backend.NFTABLES:
            handle = "" if self.is_policy else f" (handle {self.number})"
            return f"nft table {self.family} {self.table}, chain {self.chain}: {self.text}{handle}"
        legacy = "legacy " if self.backend is Backend.LEGACY else ""
        legacy += "IPv6 " if self.family == "ip6" else ""
        return f"{legacy}table {self.table}, chain {self.chain}: {self.text}"


def unchanged(state: PacketState) -> PacketState:
    return state


@dataclass(frozen=True)
class Rule:
    """``packets`` is its counter, None where it has none."""

    place: Place
    packets: int | None
    matches: tuple[Match, ...]
    verdict: Verdict
    effect: Effect = unchanged


@dataclass(frozen=True)
class BaseChain:
    """A chain that the kernel itself asks. ``kind`` is filter, nat or route."""

    name: str
    hook: Hook
    priority: int
    kind: str
    policy: Verdict
    place: Place  # of its policy
    packets: int | None = None  # that met its policy
    devices: tuple[str, ...] = ()  # of an ingress chain
    certain: bool = True  # False where it may not be in force, or not for this packet

    @property
    def turn(self) -> int:
        """Where it stands among the base chains of its hook.

        The kernel runs all NAT chains of a hook from one place, whatever their own priority, which only orders them
        among themselves (net/netfilter/nf_nat_core.c, nf_nat_register_fn).
        """
        if self.kind != "nat":
            return self.priority
        return -100 if self.hook in {Hook.PREROUTING, Hook.OUTPUT} else 100


@dataclass(frozen=True)
class Table:
    """One table of one backend: chains jump only within it."""

    backend: Backend
    family: str
    name: str
    base: tuple[BaseChain, ...]
    chains: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)

    def without(self, places: frozenset[Place]) -> "Table":
        """The table without the rules at those places, and with policies that accept in their place."""
        accept = Verdict(Does.ACCEPT)
        base = (replace(one, policy=accept) if one.place in places else one for one in self.base)
        chains = {
            name: tuple(rule for rule in rules if rule.place not in places) for name, rules in self.chains.items()
        }
        return replace(self, base=tuple(base), chains=chains)


def holds(matches: Iterable[Match], state: PacketState) -> Truth:
    """Whether a packet meets all of them: one that does not decides, whatever else is unknown."""
    unknown = False
    for match in matches:
        truth = match(state)
        if truth is False:
            return False
        unknown = unknown or truth is None
    return None if unknown else True


def any_of(truths: Iterable[Truth]) -> Truth:
    """Whether one of them is true."""
    found = set(truths)
    return True if True in found else None if None in found else False


def negated(match: Match) -> Match:
    def otherwise(state: PacketState) -> Truth:
        truth = match(state)
        return None if truth is None else not truth

    return otherwise


def unknown(_state: PacketState) -> Truth:
    """A match that cannot be judged from here."""
    return None


def never(_state: PacketState) -> Truth:
    return False


EVERY_BIT = 0xFFFFFFFF
"""Of a mark."""


def marked(value: int | None, mask: int = EVERY_BIT) -> Effect:
    """Its bits in the mask become those of a value, the others stay; None: to what is not known."""

    def effect(state: PacketState) -> PacketState:
        return replace(state, mark=_bits(state.mark, mask, value))

    return effect


def connection_marked(value: int | None, mask: int = EVERY_BIT) -> Effect:
    """The same for the mark that the connection keeps."""

    def effect(state: PacketState) -> PacketState:
        return replace(state, connection_mark=_bits(state.connection_mark, mask, value))

    return effect


def mark_saved(mask: int = EVERY_BIT, of: int = EVERY_BIT) -> Effect:
    """The connection keeps the packet's mark. ``of`` are the bits that are taken, ``mask`` those that they replace."""

    def effect(state: PacketState) -> PacketState:
        taken = None if state.mark is None else state.mark & of
        return replace(state, connection_mark=_bits(state.connection_mark, mask, taken))

    return effect


def mark_restored(mask: int = EVERY_BIT, of: int = EVERY_BIT) -> Effect:
    """The packet gets the mark that its connection keeps."""

    def effect(state: PacketState) -> PacketState:
        taken = None if state.connection_mark is None else state.connection_mark & of
        return replace(state, mark=_bits(state.mark, mask, taken))

    return effect


def _bits(mark: int | None, mask: int, value: int | None) -> int | None:
    """As xt_mark.c and xt_connmark.c do: what the mask clears is then changed by exclusive or."""
    if value is None or (mark is None and mask != EVERY_BIT):
        return None
    return ((mark or 0) & ~mask & EVERY_BIT) ^ value


def untracked(state: PacketState) -> PacketState:
    """Notrack works only before connection tracking has seen the packet."""
    return replace(state, tracking=Tracking.UNTRACKED) if state.tracking is None else state
