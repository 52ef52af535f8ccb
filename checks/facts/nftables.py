"""Native nftables: all of it, whoever made it. A packet has to get past every base chain, not only iptables'."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checks.source import Outputs, Probe, Source, UnparsableError

_NOT_INSTALLED = 127
DOCKER_TABLE, PODMAN_TABLE = "docker-bridges", "netavark"
"""The tables of Docker's nftables backend (29 and later), and of Podman's network program."""

_OF_IPTABLES = {"filter", "nat", "mangle", "raw", "security"}  # iptables-nft's own tables, in family ip

Key = tuple[str, str, str]
"""Family, table, name: of a chain, a set, a map or a named counter."""


@dataclass(frozen=True)
class BaseChain:
    family: str  # ip, ip6, inet, ...
    table: str
    name: str
    hook: str  # ingress, prerouting, input, forward, output, postrouting
    priority: int
    policy: str  # accept or drop
    kind: str = "filter"  # filter, nat or route
    devices: tuple[str, ...] = ()  # of an ingress chain

    @property
    def foreign(self) -> bool:
        """Whether it is none of those that iptables-save shows too."""
        return not (self.family == "ip" and self.table in _OF_IPTABLES)

    @property
    def says(self) -> str:
        return f"nft chain {self.family} {self.table} {self.name}: hook {self.hook}, policy {self.policy}"


@dataclass(frozen=True)
class NativeRule:
    """``statements`` are as in libnftables-json(5): ``{"match": ...}``, ``{"counter": ...}``, ``{"drop": None}``..."""

    handle: int
    statements: tuple[Mapping[str, Any], ...]
    comment: str = ""


@dataclass(frozen=True)
class Nftables:
    """``chains`` maps every chain to its rules; ``sets`` every set and map to its elements.

    ``flags`` holds those of a table that has any: ``("dormant",)``. nft 1.0.6 prints the table's name instead.
    """

    base_chains: tuple[BaseChain, ...] = ()
    chains: Mapping[Key, tuple[NativeRule, ...]] = field(default_factory=dict)
    sets: Mapping[Key, tuple[Any, ...]] = field(default_factory=dict)
    counters: Mapping[Key, int] = field(default_factory=dict)
    flags: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[BaseChain]:
        return iter(self.base_chains)


def parse(outputs: Outputs) -> Nftables:
    """``nft -j list ruleset``: ``{"nftables": [{"metainfo": ...}, {"chain": {...}}, ...]}`` (libnftables-json(5))."""
    output = outputs["nftables"]
    if output.status == _NOT_INSTALLED:
        return Nftables()
    if output.status != 0:
        raise UnparsableError(f"nft ended with {output.status}: {output.stderr.strip()[:200]}")
    objects: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(output.stdout)["nftables"]:
        for kind, content in one.items():
            objects.setdefault(kind, []).append(content)
    if "metainfo" not in objects:
        raise UnparsableError("nft wrote no ruleset")
    chains: dict[Key, list[NativeRule]] = {_key(chain, "name"): [] for chain in objects.get("chain", ())}
    for rule in objects.get("rule", ()):
        native = NativeRule(int(rule["handle"]), tuple(rule["expr"]), rule.get("comment", ""))
        chains[_key(rule, "chain")].append(native)
    sets = (*objects.get("set", ()), *objects.get("map", ()))
    return Nftables(
        base_chains=tuple(_base_chain(chain) for chain in objects.get("chain", ()) if "hook" in chain),
        chains={key: tuple(rules) for key, rules in chains.items()},
        sets={_key(one, "name"): tuple(one.get("elem") or ()) for one in sets},
        counters={_key(one, "name"): int(one["packets"]) for one in objects.get("counter", ())},
        flags={
            (one["family"], one["name"]): _words(one["flags"]) for one in objects.get("table", ()) if "flags" in one
        },
    )


def _key(one: Mapping[str, Any], name: str) -> Key:
    return one["family"], one["table"], one[name]


def _words(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _base_chain(chain: Mapping[str, Any]) -> BaseChain:
    return BaseChain(
        family=chain["family"],
        table=chain["table"],
        name=chain["name"],
        hook=chain["hook"],
        priority=int(chain["prio"]),
        policy=chain.get("policy", "accept"),
        kind=chain.get("type", "filter"),
        devices=_words(chain.get("dev") or ()),
    )


NFTABLES = Source("nftables", (Probe("nftables", "/usr/sbin/nft -j list ruleset", root=True),), parse)
