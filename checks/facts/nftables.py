"""Native nftables: every base chain, whoever made it. A packet has to get past all of them, not only iptables'."""

import json
from dataclasses import dataclass
from typing import Any

from checks.source import Outputs, Probe, Source, UnparsableError

_NOT_INSTALLED = 127
_OF_IPTABLES = {"filter", "nat", "mangle", "raw", "security"}  # iptables-nft's own tables, in family ip


@dataclass(frozen=True)
class BaseChain:
    family: str  # ip, ip6, inet, ...
    table: str
    name: str
    hook: str  # prerouting, input, forward, output, postrouting
    priority: int
    policy: str  # accept or drop

    @property
    def foreign(self) -> bool:
        """Whether it is none of those that iptables-save shows too."""
        return not (self.family == "ip" and self.table in _OF_IPTABLES)

    @property
    def says(self) -> str:
        return f"nft chain {self.family} {self.table} {self.name}: hook {self.hook}, policy {self.policy}"


BaseChains = tuple[BaseChain, ...]


def parse(outputs: Outputs) -> BaseChains:
    """``nft -j list chains``: ``{"nftables": [{"metainfo": ...}, {"chain": {...}}, ...]}`` (libnftables-json(5))."""
    output = outputs["nftables"]
    if output.status == _NOT_INSTALLED:
        return ()
    if output.status != 0:
        raise UnparsableError(f"nft ended with {output.status}: {output.stderr.strip()[:200]}")
    chains = [one["chain"] for one in json.loads(output.stdout)["nftables"] if "chain" in one]
    return tuple(_base_chain(chain) for chain in chains if "hook" in chain)


def _base_chain(chain: dict[str, Any]) -> BaseChain:
    return BaseChain(
        family=chain["family"],
        table=chain["table"],
        name=chain["name"],
        hook=chain["hook"],
        priority=int(chain["prio"]),
        policy=chain.get("policy", "accept"),
    )


NFTABLES = Source("nftables", (Probe("nftables", "/usr/sbin/nft -j list chains", root=True),), parse)
