"""Rules that end what clients send by IPv6. They are not followed, as those of IPv4 are: what counted is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checks.facts.nftables import NFTABLES, Nftables
from checks.look import Look, MissingError
from checks.model import Evidence, ReachOutcome
from checks.walk import Backend, Fate, Hook, Place, Stop
from checks.walk.nft_text import rule_text

_FAMILIES = frozenset({"ip6", "inet", "netdev"})  # those that a packet of IPv6 can meet
_ENDINGS = {
    Fate.DROP: {ReachOutcome.TIMED_OUT},
    Fate.REJECT: {ReachOutcome.REFUSED, ReachOutcome.NO_ROUTE, ReachOutcome.NETWORK_UNREACHABLE, ReachOutcome.FAILED},
}


@dataclass(frozen=True)
class Felt:
    """A rule that ended as many packets as there were attempts. ``about_port``: it asks for the service's own port."""

    stop: Stop
    rise: int
    attempts: int
    about_port: bool

    def agrees(self, look: Look) -> bool:
        """Whether the way in which the attempt ended says the same."""
        return look.outside.ended in _ENDINGS[self.stop.fate]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        rose = f"its counter rose by {self.rise} while {self.attempts} attempts were made from outside, by IPv6"
        return (Evidence("rules", self.stop.says), Evidence("rules", rose))


def felt(look: Look) -> tuple[Felt, ...]:
    """Those rules, of iptables-nft and of nftables. Raises MissingError where they were not read twice."""
    before, after = look.need(NFTABLES), look.recounted(NFTABLES)
    if after is None or look.recount is None:
        raise MissingError(NFTABLES.name, "the counters were not read again after attempts from outside")
    attempts, port = look.recount.attempts, look.service.port
    counted = {place: packets for place, _, packets in _ending(before)}
    return tuple(
        Felt(
            Stop(place, fate, certain=False, hook=Hook.INPUT),
            rise,
            attempts,
            about_port=str(port) in place.text.split(),
        )
        for place, fate, packets in _ending(after)
        if (rise := packets - counted.get(place, packets)) >= attempts
    )


def _ending(nftables: Nftables) -> Iterator[tuple[Place, Fate, int]]:
    for (family, table, chain), rules in nftables.chains.items():
        for rule in rules if family in _FAMILIES else ():
            counter = next((one["counter"] for one in rule.statements if "counter" in one), None)
            kinds = {_kind(kind, body) for one in rule.statements for kind, body in one.items()}
            if counter and kinds & {"drop", "reject"}:
                text = rule_text([one for one in rule.statements if "counter" not in one], rule.comment)
                place = Place(Backend.NFTABLES, family, table, chain, rule.handle, text)
                yield place, Fate.DROP if "drop" in kinds else Fate.REJECT, int(counter["packets"])


def _kind(kind: str, body: Any) -> str:
    """Of iptables-nft's own rejection, which nft shows as a target of x_tables, too."""
    return "reject" if kind == "xt" and (body or {}).get("name") == "REJECT" else kind
