"""Tables of iptables-save in the common form. Targets and their meaning: iptables-extensions(8)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from checks.facts.netfilter import Chain, Netfilter
from checks.facts.netfilter import Rule as SavedRule
from checks.walk.iptables_matches import option, parted
from checks.walk.packet import Hook
from checks.walk.rules import (
    EVERY_BIT,
    Backend,
    BaseChain,
    Does,
    Effect,
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

_HOOKS = {hook.name: hook for hook in Hook}
_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}  # linux/netfilter_ipv4.h
_VERDICTS = {
    "ACCEPT": Does.ACCEPT,
    "DROP": Does.DROP,
    "RETURN": Does.RETURN,
    "DNAT": Does.ACCEPT,
    "REDIRECT": Does.ACCEPT,
    "SNAT": Does.ACCEPT,
    "MASQUERADE": Does.ACCEPT,
}
_NOTES = frozenset({"AUDIT", "IDLETIMER", "LED", "LOG", "NFLOG", "RATEEST", "SET", "TEE", "TRACE", "ULOG"})
_MARKS = frozenset({"CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "MARK", "NOTRACK", "SECMARK"})
_HEADERS = frozenset({"CHECKSUM", "DSCP", "ECN", "HL", "TCPMSS", "TCPOPTSTRIP", "TOS", "TTL"})
_GO_ON = _NOTES | _MARKS | _HEADERS


def tables(netfilter: Netfilter, backend: Backend, family: str) -> tuple[Table, ...]:
    """Every table in the common form. ``family`` is ip, or ip6 for what ip6tables says."""
    return tuple(
        _table(Place(backend, family, name, "", None, ""), chains) for name, chains in netfilter.tables.items()
    )


def _table(place: Place, chains: Mapping[str, Chain]) -> Table:
    return Table(
        place.backend,
        place.family,
        place.table,
        tuple(_base_chain(place, chain) for chain in chains.values() if chain.name in _HOOKS),
        {chain.name: _rules(place, chain) for chain in chains.values()},
    )


def _base_chain(place: Place, chain: Chain) -> BaseChain:
    return BaseChain(
        name=chain.name,
        hook=_HOOKS[chain.name],
        priority=_PRIORITIES.get(place.table, 0),
        kind="nat" if place.table == "nat" else "filter",
        policy=Verdict(Does.DROP if chain.policy == "DROP" else Does.ACCEPT),
        place=replace(place, chain=chain.name, text=f"policy {chain.policy}"),
        packets=chain.packets,
    )


def _rules(place: Place, chain: Chain) -> tuple[Rule, ...]:
    return tuple(
        _rule(replace(place, chain=chain.name, number=number, text=rule.says), rule)
        for number, rule in enumerate(chain.rules, start=1)
    )


def _rule(place: Place, rule: SavedRule) -> Rule:
    try:
        matches, jump, target = parted(rule.words)
        effect = _effect(jump, target)
    except ValueError:  # a quotation that does not end, a mark that is no number
        return Rule(place, rule.packets, (unknown,), Verdict(Does.UNKNOWN))
    return Rule(place, rule.packets, matches, _verdict(jump, target), effect)


def _verdict(jump: str, target: Sequence[str]) -> Verdict:
    name = target[0] if target else ""
    if not name or name in _GO_ON:
        return Verdict(Does.CONTINUE)
    if name == "REJECT":
        return Verdict(Does.REJECT, how=option(target, "--reject-with") or "port-unreachable")
    if name in _VERDICTS:
        return Verdict(_VERDICTS[name])
    return Verdict(Does.GOTO if jump == "-g" else Does.JUMP, name)  # a chain, or a target that is not known here


def _effect(jump: str, target: Sequence[str]) -> Effect:
    name = target[0] if target and jump == "-j" else ""
    if name == "DNAT":
        return destination_nat(option(target, "--to-destination"))
    if name == "REDIRECT":
        return redirect(option(target, "--to-ports"))
    if name == "NOTRACK" or "--notrack" in target:
        return untracked
    if name == "MARK":
        return marked(*_mark(target))
    return _connmark(target) if name == "CONNMARK" else unchanged


def _connmark(target: Sequence[str]) -> Effect:
    to, of = (int(option(target, one) or "0xffffffff", 0) for one in ("--nfmask", "--ctmask"))
    if "--restore-mark" in target:
        return mark_restored(to, of)
    return mark_saved(of, to) if "--save-mark" in target else connection_marked(*_mark(target))


def _mark(target: Sequence[str]) -> tuple[int | None, int]:
    """``--set-xmark 0x52/0xffffffff``, which is how iptables-save says all of them; any other is not known."""
    value, _, mask = (option(target, "--set-xmark") or option(target, "--set-mark") or "").partition("/")
    return (int(value, 0), int(mask, 0) if mask else EVERY_BIT) if value else (None, EVERY_BIT)
