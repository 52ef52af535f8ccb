"""All rules of a host that can meet a packet of one family, of every backend, each once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from checks.facts.legacy import LEGACY
from checks.facts.netfilter import NETFILTER, Netfilter, Variant
from checks.facts.nftables import NFTABLES, Nftables
from checks.walk import iptables, nft
from checks.walk.packet import Hook
from checks.walk.rules import Backend, BaseChain, Place, Table

_BRIDGE = "bridge"  # the family

Group = list[tuple[BaseChain, Table]]


@dataclass(frozen=True)
class Ruleset:
    """``missing`` names the facts that could not be had: no path through the rest of the rules is then clear."""

    tables: tuple[Table, ...]
    missing: tuple[str, ...] = ()

    def at(self, hook: Hook, device: str = "", *, of_bridge: bool = False) -> list[Group]:
        """The base chains of a hook, the host's or a bridge's, in the order in which a packet meets them.

        Those in one group have the same priority: which of them is asked first depends on which was made first, and
        that is nowhere to be read.
        """
        groups: dict[tuple[int, int], Group] = {}
        for table in self.tables:
            for base in table.base:
                asked = base.hook is hook and (table.family == _BRIDGE) is of_bridge
                if asked and (not base.devices or device in base.devices):
                    groups.setdefault((base.turn, base.priority), []).append((base, table))
        return [groups[key] for key in sorted(groups)]

    def without(self, places: frozenset[Place]) -> "Ruleset":
        """The rules as they would be if those were deleted, and those policies were to accept."""
        return replace(self, tables=tuple(table.without(places) for table in self.tables))

    def counters(self) -> Iterator[tuple[Place, int]]:
        """The packet counter of every rule and policy that has one."""
        for table in self.tables:
            yield from ((base.place, base.packets) for base in table.base if base.packets is not None)
            for rules in table.chains.values():
                yield from ((rule.place, rule.packets) for rule in rules if rule.packets is not None)


def ruleset(
    netfilter: Netfilter | None, legacy: Netfilter | None, nftables: Nftables | None, family: str = "ip"
) -> Ruleset:
    """The rules of a host for packets of a family: ip, or ip6. Each fact may be None where it could not be had.

    iptables-save shows what nftables holds in ``ip filter``, ``ip nat`` and so on, or else, where it is the legacy
    variant, what iptables-legacy-save shows. It leaves out a table that it cannot read: nftables still has it.
    """
    facts = {NETFILTER.name: netfilter, LEGACY.name: legacy, NFTABLES.name: nftables}
    variant = _variant(netfilter, legacy, nftables, family)
    of_legacy = netfilter if variant is Variant.LEGACY else legacy
    by_nft = netfilter if variant is not Variant.LEGACY else None
    tables: list[Table] = []
    if of_legacy is not None:
        tables += iptables.tables(of_legacy, Backend.LEGACY, family)
    if by_nft is not None:
        tables += iptables.tables(by_nft, Backend.IPTABLES, family)
    if nftables is not None:
        tables += nft.tables(nftables, family, frozenset(by_nft.tables) if by_nft else frozenset())
    missing = (name for name, fact in facts.items() if fact is None)
    return Ruleset(tuple(tables), tuple(name for name in missing if not (name == LEGACY.name and of_legacy)))


def _variant(
    netfilter: Netfilter | None, legacy: Netfilter | None, nftables: Nftables | None, family: str
) -> Variant | None:
    """Which variant iptables-save is; where its header does not tell, the one whose tables it shows."""
    if netfilter is None or netfilter.variant is not None:
        return netfilter.variant if netfilter else None
    if legacy is not None and _specs(netfilter) and _specs(netfilter) == _specs(legacy):
        return Variant.LEGACY
    if nftables is not None and not {(family, table) for table in netfilter.tables} & {
        (one, table) for one, table, _ in nftables.chains
    }:
        return Variant.LEGACY if netfilter.tables else None
    return None


def _specs(netfilter: Netfilter) -> Mapping[str, Mapping[str, list[str]]]:
    return {
        table: {name: [rule.spec for rule in chain.rules] for name, chain in chains.items()}
        for table, chains in netfilter.tables.items()
    }


def rises(before: Ruleset, after: Ruleset) -> dict[Place, int]:
    """By how many packets each rule and policy that counts rose, of those that were there both times.

    A counter that fell was set to zero in between, and tells nothing.
    """
    counted = dict(before.counters())
    return {
        place: packets - counted[place]
        for place, packets in after.counters()
        if place in counted and packets >= counted[place]
    }
