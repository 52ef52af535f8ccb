"""The walk of a packet through every base chain of every backend: pure.

Order: hooks as they come, in a hook by priority. A packet has to get past all base chains: accepting ends one of them,
dropping or rejecting ends the packet. Where a rule cannot be judged, both ways are followed, and what comes of either
is possible, not certain, until they meet again.

A bridge has hooks of its own (family bridge) for what crosses it: prerouting and input for what its ports bring to the
host, output and postrouting for what the host sends to them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from checks.walk.packet import Hook, Packet, PacketState, Tracking, answer, first
from checks.walk.rules import BaseChain, Does, Place, Rule, Table, Verdict, holds
from checks.walk.ruleset import Group, Ruleset
from checks.walk.trace import Fate, Stop, Trace

_DEPTH = 32  # jumps inside jumps; nft allows 16
_BUDGET = 200_000  # judgements of one rule
_CONNTRACK = -200  # the priority at which connection tracking sees a packet
Within = tuple[str, ...]
"""The chains that a packet is in, from the base chain inwards."""

_FATES = {Does.DROP: Fate.DROP, Does.REJECT: Fate.REJECT, Does.UNKNOWN: Fate.UNKNOWN}

T = TypeVar("T")
States = frozenset[PacketState]
"""The packet, as it may be: more than one where a rule that changes it could not be judged."""

_NONE: States = frozenset()


def walk(rules: Ruleset, packet: Packet) -> Trace:
    """What becomes of a client's first packet and of the answer to it. Raises ValueError for what is no address."""
    way = _Way(rules, packet.bridges)
    states, sure = way.through(Hook.INGRESS, frozenset({first(packet)}), packet.interface, sure=not rules.missing)
    states, sure = way.off_bridge(packet.interface, states, sure=sure)
    states, sure = way.through(Hook.PREROUTING, states, sure=sure)
    translated, marks = {_target(one) for one in states}, frozenset(one.mark for one in states)
    here, on = _routed(states, packet)
    sure = sure and not (here and on)
    here, here_sure = way.through(Hook.INPUT, here, sure=sure)
    out, out_sure = way.forward(on, sure=sure)
    reached = way.reached
    blocked = not (here or out)
    if not blocked:
        back = way.answered(here | out, packet.interface, sure=(here_sure or not here) and (out_sure or not out))
        blocked = not back
    egress = {one.egress for one in on}
    return Trace(
        stops=tuple(way.stops),
        translated=_only(translated),
        egress=_only(egress) if not here else None,
        hook_reached=reached,
        blocked=blocked,
        tracked=all(one.tracking is not Tracking.UNTRACKED for one in states),
        complete=way.complete and not rules.missing,
        marks=marks,
        answer_marks=frozenset(way.answer_marks) or frozenset({0}),
    )


def _target(state: PacketState) -> tuple[str, int] | None:
    known = state.dnat and state.destination is not None
    return (str(state.destination), state.port.start) if known and state.port else None


def _only(found: set[T]) -> T | None:
    return next(iter(found)) if len(found) == 1 else None


def _routed(states: States, packet: Packet) -> tuple[States, States]:
    """Which go to the host itself and which are sent on; one whose destination is not known may do either."""
    here, on = set(), set()
    for state in states:
        local = state.is_local(state.destination)
        if local is not False:
            here.add(state)
        if local is not True:
            on.add(replace(state, egress=packet.route(str(state.destination)) if state.destination else None))
    return frozenset(here), frozenset(on)


@dataclass(frozen=True)
class _End:
    """How packets leave a chain: accepted, or at its end. ``stopped``: some may have ended within."""

    accepted: States
    fell: States
    stopped: bool = False


@dataclass
class _Way:
    """A walk under way: what it met so far."""

    rules: Ruleset
    bridges: frozenset[str]
    stops: list[Stop] = field(default_factory=list)
    judged: int = 0
    complete: bool = True
    reached: Hook = Hook.INGRESS
    hook: Hook = Hook.INGRESS  # the same, or that of a bridge
    answer_marks: set[int | None] = field(default_factory=set)

    def forward(self, states: States, *, sure: bool) -> tuple[States, bool]:
        states, sure = self.through(Hook.FORWARD, states, sure=sure)
        leaving = frozenset(replace(state, ingress=None) for state in states)
        past, sure = self.through(Hook.POSTROUTING, leaving, sure=sure)
        for device in {one.egress for one in past}:
            past, sure = self.onto_bridge(device, past, sure=sure)
        return past, sure

    def off_bridge(self, device: str | None, states: States, *, sure: bool) -> tuple[States, bool]:
        """What a port of a bridge brings to the host itself, before the host sees it come in by the bridge."""
        return self._over_bridge(device, (Hook.PREROUTING, Hook.INPUT), states, sure=sure)

    def onto_bridge(self, device: str | None, states: States, *, sure: bool) -> tuple[States, bool]:
        """What the host sends to a port of a bridge."""
        return self._over_bridge(device, (Hook.OUTPUT, Hook.POSTROUTING), states, sure=sure)

    def _over_bridge(
        self, device: str | None, hooks: tuple[Hook, ...], states: States, *, sure: bool
    ) -> tuple[States, bool]:
        if device not in self.bridges:
            return states, sure
        for hook in hooks:
            for group in self.rules.at(hook, of_bridge=True):
                self.hook = hook
                states, sure = self._past_group(group, states, sure=sure)
        return states, sure

    def answered(self, states: States, interface: str, *, sure: bool) -> States:
        """The way back, out by the interface by which the client came."""
        if any(state.tracking is not Tracking.NEW for state in states):
            self.complete = False  # what is not tracked on its way in is no known connection on its way back
            return states
        answers = frozenset(answer(state) for state in states)
        own = frozenset(one for one in answers if one.ingress == "")
        brought = answers - own
        sure = sure and not (own and brought)
        own, own_sure = self.through(Hook.OUTPUT, own, sure=sure)
        self._note_marks(own)
        own, own_sure = self.through(Hook.POSTROUTING, own, sure=own_sure)
        for device in {one.ingress for one in brought} - {None}:
            brought, sure = self.through(Hook.INGRESS, brought, device or "", sure=sure)
            brought, sure = self.off_bridge(device, brought, sure=sure)
        brought, sure = self.through(Hook.PREROUTING, brought, sure=sure)
        self._note_marks(brought)
        brought, sure = self.forward(brought, sure=sure)
        past, _ = self.onto_bridge(interface, own | brought, sure=own_sure and sure)
        return past

    def _note_marks(self, answers: States) -> None:
        """Of those that are about to be routed."""
        self.answer_marks |= {one.mark for one in answers}

    def through(self, hook: Hook, states: States, device: str = "", *, sure: bool) -> tuple[States, bool]:
        """Past the base chains of a hook: the packet as it may be then, and whether it certainly gets there."""
        if not states:
            return states, sure
        self.reached = self.hook = hook
        for group in self.rules.at(hook, device):
            states = _seen_by_conntrack(states, hook, group[0][0].turn)
            states, sure = self._past_group(group, states, sure=sure)
            if not states:
                return states, False
        return _seen_by_conntrack(states, hook, 0), sure

    def _past_group(self, group: Group, states: States, *, sure: bool) -> tuple[States, bool]:
        """Base chains of one priority, in an order that is not known.

        Where more than one may stop the packet, or translate it, which one does is not certain.
        """
        before = len(self.stops)
        past: list[States] = []
        stopping = 0
        for base, table in group:
            met = len(self.stops)
            through, still = self._past(base, table, states, sure=sure)
            stopping += len(self.stops) > met or not still
            past.append(through)
        if stopping > 1:
            self.stops[before:] = [replace(stop, certain=False) for stop in self.stops[before:]]
        if not all(past):
            return _NONE, False
        changed = frozenset[PacketState]().union(*past) - states
        return changed | states.intersection(*past), sure and not stopping and (len(group) == 1 or len(changed) <= 1)

    def _past(self, base: BaseChain, table: Table, states: States, *, sure: bool) -> tuple[States, bool]:
        """One base chain. The NAT chains are asked for the first packet only, and until one of them translates it."""
        beside = states if not base.certain else _NONE
        if base.kind == "nat":
            beside |= frozenset(
                one for one in states if one.tracking is not Tracking.NEW or (one.dnat and base.hook is Hook.PREROUTING)
            )
        inside = states - beside if base.certain else _on_bridge(states) if table.family == "bridge" else states
        if not inside:
            return states, sure
        certain = sure and not beside
        end = self._through_chain(table, base.name, inside, sure=certain)
        stopped = end.stopped
        out = end.accepted
        if end.fell and base.policy.does is Does.DROP:
            certain = certain and not end.accepted and not end.stopped
            self._stop(base.place, base.policy, certain=certain, states=end.fell)
            stopped = True
        else:
            out |= end.fell
        return (out | beside if base.certain else beside), sure and not stopped

    def _through_chain(self, table: Table, name: str, states: States, *, sure: bool, within: Within = ()) -> _End:
        within = (*within, name)
        here, accepted, fell, stopped = states, _NONE, _NONE, False
        for rule in table.chains.get(name, ()):
            if not here or not self._may_judge(len(here)):
                break
            entering, staying = _parted(rule, here)
            if not entering:
                continue
            entering = frozenset(rule.effect(state) for state in entering)
            certain = sure and not staying
            here = staying
            match self._does(rule, table, within):
                case Does.CONTINUE:
                    here |= entering
                case Does.ACCEPT:
                    accepted |= entering
                    sure = False
                case Does.RETURN:
                    fell |= entering
                    sure = False
                case Does.JUMP:
                    end = self._through_chain(table, rule.verdict.chain, entering, sure=certain, within=within)
                    accepted, here, stopped = accepted | end.accepted, here | end.fell, stopped or end.stopped
                    sure = sure and not end.accepted and not end.stopped
                case Does.GOTO:
                    end = self._through_chain(table, rule.verdict.chain, entering, sure=certain, within=within)
                    accepted, fell, stopped = accepted | end.accepted, fell | end.fell, stopped or end.stopped
                    sure = False
                case Does.UNKNOWN:
                    self._stop(rule.place, Verdict(Does.UNKNOWN), certain=False, states=entering)
                    accepted, here, stopped, sure = accepted | entering, here | entering, True, False
                case _:
                    self._stop(rule.place, rule.verdict, certain=certain, states=entering)
                    stopped, sure = True, False
        return _End(accepted, fell | here, stopped or not self.complete)

    def _does(self, rule: Rule, table: Table, within: Within) -> Does:
        """A jump to what is no chain of the table, or into the chains that led to it, is a target that is not known.

        The kernel takes no rules that loop: what looks so here was not read whole.
        """
        does = rule.verdict.does
        if does not in {Does.JUMP, Does.GOTO}:
            return does
        chain = rule.verdict.chain
        if chain in table.chains and chain not in within and len(within) <= _DEPTH:
            return does
        return Does.UNKNOWN

    def _may_judge(self, states: int) -> bool:
        self.judged += states
        if self.judged > _BUDGET:
            self.complete = False
        return self.complete

    def _stop(self, place: Place, verdict: Verdict, *, certain: bool, states: Iterable[PacketState]) -> None:
        states = tuple(states)
        reply, by_ipv6 = any(state.reply for state in states), any(state.by_ipv6 for state in states)
        if any(stop.place == place for stop in self.stops):
            return  # said already: of another way here, or of the packet itself
        self.stops.append(Stop(place, _FATES[verdict.does], certain, self.hook, verdict.how, reply, by_ipv6))


def _parted(rule: Rule, states: States) -> tuple[States, States]:
    """Those that the rule may match, and those that it may not: one that cannot be judged is among both."""
    truths = {state: holds(rule.matches, state) for state in states}
    entering = frozenset(state for state, truth in truths.items() if truth is not False)
    return entering, frozenset(state for state, truth in truths.items() if truth is not True)


def _seen_by_conntrack(states: States, hook: Hook, turn: int) -> States:
    if hook not in {Hook.PREROUTING, Hook.OUTPUT} or turn < _CONNTRACK:
        return states
    return frozenset(
        replace(one, tracking=Tracking.ESTABLISHED if one.reply else Tracking.NEW) if one.tracking is None else one
        for one in states
    )


def _on_bridge(states: States) -> States:
    """There the interfaces are ports of the bridge, which are not followed."""
    return frozenset(replace(state, ingress=None, egress=None) for state in states)
