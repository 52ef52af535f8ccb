"""Native nftables in the common form. Statements and expressions: libnftables-json(5)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from checks.facts.nftables import BaseChain as NativeChain
from checks.facts.nftables import Key, NativeRule, Nftables
from checks.walk.nft_text import rule_text
from checks.walk.nft_values import Elements, among, condition
from checks.walk.packet import Hook, PacketState
from checks.walk.rules import (
    Backend,
    BaseChain,
    Does,
    Effect,
    Match,
    Place,
    Rule,
    Table,
    Verdict,
    connection_marked,
    mark_restored,
    mark_saved,
    marked,
    unchanged,
    unknown,
    untracked,
)
from checks.walk.translation import destination_nat, redirect

_OF_BOTH = frozenset({"inet", "netdev", "bridge"})  # families whose tables packets of IPv4 and of IPv6 meet
_HOOKS = {hook.value: hook for hook in Hook} | {"egress": Hook.POSTROUTING}
_OWN_FLAGS = frozenset({"owner", "persist"})
_MARK, _CONNECTION_MARK = {"meta": {"key": "mark"}}, {"ct": {"key": "mark"}}
_PLAIN = frozenset({"accept", "drop", "return", "continue"})
_GO_ON = frozenset({"counter", "log", "flow", "dup", "last", "secmark", "ct helper", "ct timeout", "ct expectation"})
_OF_XTABLES = {"MASQUERADE": Does.ACCEPT, "SNAT": Does.ACCEPT, "LOG": Does.CONTINUE, "NFLOG": Does.CONTINUE}


def tables(nftables: Nftables, own: str, skipped: frozenset[str]) -> tuple[Table, ...]:
    """Every table that a packet of family ``own`` can meet, ip or ip6, but for those of that that are ``skipped``."""
    names = dict.fromkeys((family, table) for family, table, _ in nftables.chains)
    return tuple(
        _table(nftables, family, name)
        for family, name in names
        if family in {own, *_OF_BOTH}
        and not (family == own and name in skipped)
        and "dormant" not in nftables.flags.get((family, name), ())
    )


def _table(nftables: Nftables, family: str, table: str) -> Table:
    def elements(name: str) -> Sequence[Any] | None:
        return nftables.sets.get((family, table, name))

    flags = frozenset(nftables.flags.get((family, table), ()))
    return Table(
        Backend.NFTABLES,
        family,
        table,
        tuple(
            _base_chain(chain, in_force=flags <= _OWN_FLAGS)
            for chain in nftables.base_chains
            if (chain.family, chain.table) == (family, table) and chain.hook in _HOOKS
        ),
        {
            key[2]: tuple(part for rule in rules for part in _parts(key, rule, elements))
            for key, rules in nftables.chains.items()
            if key[:2] == (family, table)
        },
    )


def _base_chain(chain: NativeChain, *, in_force: bool) -> BaseChain:
    """``in_force`` is False for a table with flags that cannot be read: it may be dormant.

    What a bridge, or an interface on the way out, is asked is not followed exactly: no stop there is certain.
    """
    return BaseChain(
        name=chain.name,
        hook=_HOOKS[chain.hook],
        priority=chain.priority,
        kind=chain.kind,
        policy=Verdict(Does.DROP if chain.policy == "drop" else Does.ACCEPT),
        place=Place(Backend.NFTABLES, chain.family, chain.table, chain.name, None, f"policy {chain.policy}"),
        devices=chain.devices if chain.hook == Hook.INGRESS else (),
        certain=in_force and chain.family != "bridge" and chain.hook != "egress",
    )


def _parts(chain: Key, rule: NativeRule, elements: Elements) -> Sequence[Rule]:
    """A rule in the common form; one that cannot be read may do anything."""
    place = Place(Backend.NFTABLES, *chain, rule.handle, rule_text(rule.statements, rule.comment))
    packets = next((_count(one["counter"]) for one in rule.statements if "counter" in one), None)
    try:
        return tuple(_read(place, packets, rule.statements, elements))
    except (LookupError, TypeError, ValueError, AttributeError):
        return (Rule(place, packets, (unknown,), Verdict(Does.UNKNOWN)),)


def _count(counter: Any) -> int | None:
    """A named counter may be another rule's too: it counts no rule."""
    return int(counter["packets"]) if isinstance(counter, Mapping) and "packets" in counter else None


def _read(
    place: Place, packets: int | None, statements: Sequence[Mapping[str, Any]], elements: Elements
) -> Iterator[Rule]:
    """One a verdict of the rule's map, if it has one: no two keys of a map hold for one packet."""
    matches: list[Match] = []
    effects: list[Effect] = []
    verdict = Verdict(Does.CONTINUE)
    for kind, body in ((kind, body) for one in statements for kind, body in one.items()):
        if kind == "match":
            matches.append(condition(body, elements))
        elif kind == "vmap":
            yield from _rules_of_map(Rule(place, packets, tuple(matches), verdict, _joined(effects)), body, elements)
            return
        elif _asks(kind, body):
            matches.append(unknown)
        else:
            said, effect = _statement(kind, body)
            effects.append(effect)
            if said.does is not Does.CONTINUE:
                if verdict.does is Does.UNKNOWN:
                    matches.append(unknown)  # it let the packet go on, or did not
                verdict = said
    yield Rule(place, packets, tuple(matches), verdict, _joined(effects))


def _asks(kind: str, body: Any) -> bool:
    """Whether a statement lets some packets go on, by what is not known here: a rate, a number, a match of x_tables."""
    if kind == "xt":
        return (body or {}).get("type") != "target"
    return kind in {"limit", "quota", "ct count", "meter"} or (kind == "set" and "stmt" in body)


def _rules_of_map(rule: Rule, body: Mapping[str, Any], elements: Elements) -> Iterator[Rule]:
    data = body["data"]
    pairs = elements(data[1:]) if isinstance(data, str) else data["set"]
    if pairs is None:
        yield replace(rule, verdict=Verdict(Does.UNKNOWN))
        return
    for key, target in pairs:
        [(kind, to)] = target.items() if isinstance(target, Mapping) else [(target, None)]
        verdict, _ = _statement(kind, to)
        yield replace(rule, matches=(*rule.matches, among(body["key"], key, elements)), verdict=verdict)


def _joined(effects: Sequence[Effect]) -> Effect:
    kept = [effect for effect in effects if effect is not unchanged]
    if not kept:
        return unchanged

    def effect(state: PacketState) -> PacketState:
        for one in kept:
            state = one(state)
        return state

    return effect


def _statement(kind: str, body: Any) -> tuple[Verdict, Effect]:  # noqa: PLR0911  # one line a statement
    """What a statement does that asks nothing of the packet. One that is not known here may do anything."""
    if kind in _PLAIN:
        return Verdict(Does(kind)), unchanged
    if kind in {"jump", "goto"}:
        return Verdict(Does(kind), body["target"]), unchanged
    if kind == "reject":
        return Verdict(Does.REJECT, how=_how(body or {})), unchanged
    if kind == "dnat":
        return Verdict(Does.ACCEPT), destination_nat(_target(body))
    if kind == "redirect":
        return Verdict(Does.ACCEPT), redirect(str(body["port"]) if body and "port" in body else None)
    if kind in {"masquerade", "snat"}:
        return Verdict(Does.ACCEPT), unchanged
    if kind == "mangle":
        return Verdict(Does.CONTINUE), _mangled(body)
    if kind == "notrack":
        return Verdict(Does.CONTINUE), untracked
    if kind == "xt":
        return Verdict(_OF_XTABLES.get(body.get("name"), Does.UNKNOWN)), unchanged
    return Verdict(Does.CONTINUE if kind in _GO_ON or kind in {"set", "map"} else Does.UNKNOWN), unchanged


def _how(body: Mapping[str, Any]) -> str:
    if body.get("type") == "tcp reset":
        return "tcp-reset"
    return str(body.get("expr", "port-unreachable"))


def _target(body: Any) -> str:
    """``172.17.0.2:5000``; of anything but constants, a map for example, no target at all."""
    address, port = body.get("addr", ""), body.get("port", "")
    if not isinstance(address, str) or not isinstance(port, int | str):
        return "unknown"
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _mangled(body: Mapping[str, Any]) -> Effect:
    key, value = body.get("key"), body.get("value")
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if key == _MARK:
        return mark_restored() if value == _CONNECTION_MARK else marked(number)
    if key == _CONNECTION_MARK:
        return mark_saved() if value == _MARK else connection_marked(number)
    return unchanged
