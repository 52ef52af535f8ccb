"""A client's packet as it was watched: where it was last seen, where missed, and what the kernel says of that."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from checks.evidence.reasons import plain_words
from checks.facts.addresses import ADDRESSES
from checks.facts.capture import CAPTURE, Capture, IcmpSighting, NeighbourSighting, TcpSighting
from checks.facts.drops import DROPS, Drop, DropKind
from checks.facts.engine import Container
from checks.look import Look, MissingError
from checks.model import Evidence, Passage, Phase, Segment, Spot, Stretch
from checks.source import Unavailable

_BEFORE, _AFTER = 0.002, 0.005
"""Seconds by which a drop may come before the packet was seen, as the clocks are held together, and after it."""

_ALIKE = 0.0003
"""Seconds: of two kinds of drops that differ by less in how soon they come, none is the sure one."""

_NOT_DROPPED = {Stretch.AFTER_HOST, Stretch.BACK_UNTRANSLATED, Stretch.TAKEN_BY_HOST}
"""Where the host itself has done with a packet what it wanted to."""

_AN_ERROR = ("unreachable", "exceeded", "prohibited", "filtered")
_NUMBERS = 1 << 32
_ETHERNET = {True: 0x86DD, False: 0x800}  # whether by IPv6: the protocol in the frame
_UNTOLD = {"", "NOT_SPECIFIED"}
"""Reasons that say no more than that it was dropped."""


@dataclass(frozen=True)
class Attempt:
    """One connection that was asked for: the question on its way in, what came back, each at its first sighting.

    ``received``: the client went on with it.
    """

    question: tuple[TcpSighting, ...]
    answer: tuple[TcpSighting, ...]
    received: bool

    @property
    def last(self) -> TcpSighting:
        return (self.answer or self.question)[-1]


@dataclass(frozen=True)
class Dropped:
    """What the kernel dropped right after our packets were last seen.

    ``sure``: no other kind fits as well. ``noise``: other drops in that time.
    """

    kind: DropKind
    count: int
    noise: int
    sure: bool


@dataclass(frozen=True)
class Journey:
    """The attempts that ended as most did, of all that were seen. ``segment`` is None where the connection was made."""

    attempts: tuple[Attempt, ...]
    seen: int
    segment: Segment | None
    dropped: Dropped | None = None

    @property
    def says(self) -> str:
        """The way that was seen, from interface to interface."""
        if not self.attempts:
            return "no packet of the attempts was seen at any interface"
        first = self.attempts[0]
        way = [f"{one.interface} {'in' if one.incoming else 'out'}" for one in first.question]
        sent = {one.destination: None for one in first.question}
        came = [f"{one.interface} {'in' if one.incoming else 'out'}" for one in first.answer]
        translated = f" (translated to {list(sent)[-1]})" if len(sent) > 1 else ""
        kind = "reset" if first.answer and first.answer[0].refuses else "accepted"
        back = f"; {kind}: {', '.join(came)}" if came else "; no answer"
        return f"{len(self.attempts)} of {self.seen} attempts: {', '.join(way)}{translated}{back}"

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        died = (Evidence(CAPTURE.name, self.segment.says),) if self.segment else ()
        return (*died, Evidence(CAPTURE.name, self.says), *self._noise)

    @property
    def _noise(self) -> tuple[Evidence, ...]:
        if self.dropped is None or not self.dropped.noise:
            return ()
        says = f"other drops of the kernel in that time, which do not fit the attempts: {self.dropped.noise}"
        return (Evidence(DROPS.name, says),)


@dataclass(frozen=True)
class _Ground:
    """What is known of the host on which it was watched."""

    port: int
    client: str | None
    target: str  # the address that the client asks
    nic: str  # which has that address
    container: Container | None  # that packets are passed on to; None where the host itself has the port
    inner: frozenset[str]  # its addresses, of either family: who comes by IPv6 may be passed on by IPv4
    bridges: tuple[str, ...]  # of that container
    cables: frozenset[str]  # the ports of those bridges
    own: frozenset[str]  # addresses of the host
    ways_back: frozenset[str]  # next hops of an answer: the client itself, or a router
    came: bool  # whether the client is known to have got an answer

    @property
    def answerer(self) -> str:
        return f"container {self.container.name}" if self.container else "the host itself"

    @property
    def onwards(self) -> Spot:
        """Where a packet that came in has to be seen next."""
        if self.bridges:
            return Spot(Passage.LEAVING, self.bridges[0])
        return Spot(Passage.ANSWERED, self.answerer)


def journey(look: Look) -> Journey:
    """The journey of the known attempts. Raises MissingError where they were not watched, or not wholly."""
    if look.recount is None:
        raise MissingError(CAPTURE.name, "no known attempts were watched")
    capture, drops = look.recount.facts.get(CAPTURE), look.recount.facts.get(DROPS)
    if isinstance(capture, Unavailable):
        raise MissingError(CAPTURE.name, capture.reason)
    if not capture.whole:
        raise MissingError(CAPTURE.name, "tcpdump has not told all that passed by")
    ground = _ground(look)
    attempts = _attempts(capture, ground)
    asked = look.recount.attempts
    attempts = _closest_together(attempts, asked)
    if len(attempts) <= asked // 2:
        return Journey((), len(attempts), _before_host(ground))
    ends = [_segment(one, capture, ground) for one in attempts]
    most = Counter(end.stretch if end else None for end in ends).most_common(1)[0][0]
    alike = [(one, end) for one, end in zip(attempts, ends, strict=True) if (end.stretch if end else None) is most]
    end, some = alike[0][1], tuple(one for one, _ in alike)
    if end is None:
        return Journey(some, len(attempts), None)
    dropped = None if isinstance(drops, Unavailable) else _dropped(some, end, drops, by_ipv6=look.by_ipv6)
    return Journey(some, len(attempts), _with_reason(end, dropped, len(some)), dropped)


def may_journey(look: Look) -> Journey | None:
    """The same for what it only confirms; None where it was not watched."""
    try:
        return journey(look)
    except MissingError:
        return None


def segment(look: Look) -> Segment | None:
    """Where the packet died; None where the connection was made, or nobody watched."""
    known = may_journey(look)
    return known.segment if known else None


def most_bytes(look: Look) -> int | None:
    """How many bytes the container takes in one packet, by what it said as it accepted; None where nobody saw it."""
    known = may_journey(look)
    answers = (attempt.answer[0] for attempt in known.attempts if attempt.answer) if known else ()
    return min((one.most for one in answers if one.accepts and one.most is not None), default=None)


def _before_host(ground: _Ground) -> Segment:
    seen, missed = Spot(Passage.SENT, ground.client or "the client"), Spot(Passage.ENTERING, ground.nic or "the host")
    return Segment(Stretch.BEFORE_HOST, seen, missed)


def _ground(look: Look) -> _Ground:
    addresses = look.need(look.of_clients(ADDRESSES))
    target = look.outside.address or look.service.target
    try:
        container = look.bridged
    except MissingError:
        container = None
    networks = container.networks if container is not None and container.running else ()
    outbound = look.way.outbound
    bridges = tuple(addresses.owner_of(network.gateway) or network.bridge for network in networks)
    return _Ground(
        port=look.service.port,
        client=look.way.client,
        target=target,
        nic=addresses.interface_of(target) or "",
        container=container,
        inner=frozenset(_addresses(look)),
        bridges=bridges,
        cables=frozenset(port.name for bridge in bridges for port in addresses.ports_of(bridge)),
        own=addresses.every_address | {target},
        ways_back=frozenset((*(outbound.answer.split() if outbound else ()), look.way.client or "")),
        came=look.outside.ok or look.outside.phase in {Phase.TLS, Phase.HTTP},
    )


def _addresses(look: Look) -> Iterator[str]:
    try:
        for container in (look.container, look.bridged):
            yield from container.addresses if container else ()
    except MissingError:
        return


# --- attempts ----------------------------------------------------------------------------------------------------


def _attempts(capture: Capture, ground: _Ground) -> tuple[Attempt, ...]:
    """Those that came in for the service's port. Of a client that is known only its own, if there are any."""
    numbers = dict.fromkeys(one.sequence for one in capture.tcp if one.asks)
    questions = [_first_sightings(one for one in capture.tcp if one.asks and one.sequence == n) for n in numbers]
    ours = [one for one in questions if one[0].incoming and one[0].destination_port == ground.port]
    known = [one for one in ours if one[0].source == ground.client]
    return tuple(_attempt(one, capture) for one in known or ours)


def _closest_together(attempts: Sequence[Attempt], asked: int) -> tuple[Attempt, ...]:
    """The known ones of a client who has asked before: they were sent at once."""
    starts = sorted(attempts, key=_start)
    groups = [tuple(starts[first : first + asked]) for first in range(max(len(starts) - asked, 0) + 1)]
    return min(groups, key=lambda group: _start(group[-1]) - _start(group[0]) if group else 0.0)


def _start(attempt: Attempt) -> float:
    return attempt.question[0].at


def _attempt(question: tuple[TcpSighting, ...], capture: Capture) -> Attempt:
    first = question[0]
    expected = (first.sequence + 1) % _NUMBERS
    answer = (one for one in capture.tcp if (one.accepts or one.refuses) and one.ack == expected)
    sender = first.source, first.source_port, first.destination
    goes_on = ((one.source, one.source_port, one.destination) for one in capture.tcp if one.flags[0] in "FR")
    return Attempt(question, _first_sightings(answer), received=sender in goes_on)


def _first_sightings(sightings: Iterable[TcpSighting]) -> tuple[TcpSighting, ...]:
    """One at each interface and direction: what is sent once more is no other packet."""
    first: dict[tuple[str, bool], TcpSighting] = {}
    for one in sorted(sightings, key=lambda one: one.at):
        first.setdefault((one.interface, one.incoming), one)
    return tuple(first.values())


# --- where it ends -----------------------------------------------------------------------------------------------


def _segment(attempt: Attempt, capture: Capture, ground: _Ground) -> Segment | None:
    if not attempt.answer:
        return _unanswered(attempt, capture, ground)
    if attempt.answer[0].refuses:
        return _reset(attempt, ground)
    return _kept(attempt, capture, ground) or _answered(attempt, capture, ground)


def _unanswered(attempt: Attempt, capture: Capture, ground: _Ground) -> Segment:
    question = attempt.question
    left = [one for one in question if not one.incoming]
    last = Spot(Passage.LEAVING if left else Passage.ENTERING, question[-1].interface)
    to = {*ground.inner, *(one.destination for one in question)}
    asked = _asked_in_vain(capture, ground, to)
    if asked is not None:
        elsewhere = bool(ground.bridges) and asked.interface not in ground.bridges
        stretch = Stretch.ELSEWHERE if elsewhere else Stretch.TO_CONTAINER
        return Segment(stretch, last, ground.onwards, _in_vain(asked))
    error = next(_errors(capture, question), None)
    if error is not None:
        return _icmp_error(error, last, ground)
    if not left:
        return Segment(Stretch.INTO_HOST, last, ground.onwards)
    return _left(left, last, ground)


def _left(left: Sequence[TcpSighting], last: Spot, ground: _Ground) -> Segment:
    """It went on, and no answer was seen."""
    bridges, cables, to = ground.bridges, ground.cables, left[-1].destination
    if not bridges:  # whose it is is not known: a task of a Swarm, say, or Docker could not be asked
        return Segment(Stretch.IN_CONTAINER, last, Spot(Passage.ANSWERED, to), f"{to} is silent")
    if not {*bridges, *cables} & {one.interface for one in left}:
        return Segment(Stretch.ELSEWHERE, last, ground.onwards, f"it is sent to {to} by {last.name}")
    if last.name in bridges and cables:
        why = f"{last.name} does not hand it to the container's end of the cable"
        return Segment(Stretch.TO_CONTAINER, last, Spot(Passage.LEAVING, ", ".join(sorted(cables))), why)
    flooded = [one.interface for one in left if one.interface in cables]
    why = f"{to} is silent"
    if len(flooded) > 1:
        why = f"no port of {bridges[0]} is known to have the hardware address of {to}: it is sent out by each"
    return Segment(Stretch.IN_CONTAINER, last, Spot(Passage.ANSWERED, ground.answerer), why)


def _icmp_error(error: IcmpSighting, last: Spot, ground: _Ground) -> Segment:
    why = f"{error.source} refuses it by ICMP: {error.says}"
    if error.source in ground.inner:
        return Segment(Stretch.REFUSED_BY_CONTAINER, last, Spot(Passage.ANSWERED, ground.answerer), why)
    return Segment(Stretch.REFUSED_BY_HOST, last, ground.onwards, why)


def _reset(attempt: Attempt, ground: _Ground) -> Segment:
    first, last = attempt.answer[0], attempt.question[-1]
    if first.incoming:
        why = f"{first.source} resets it: nothing listens on its port {first.source_port}, or a rule of its own refuses"
        return Segment(
            *(Stretch.REFUSED_BY_CONTAINER, Spot(Passage.LEAVING, last.interface)),
            *(Spot(Passage.ANSWERED, ground.answerer), why),
        )
    passage = Passage.ENTERING if last.incoming else Passage.LEAVING
    why = f"the host itself resets it: nothing listens on its port {ground.port}, or a rule rejects it"
    return Segment(Stretch.REFUSED_BY_HOST, Spot(passage, last.interface), ground.onwards, why)


def _kept(attempt: Attempt, capture: Capture, ground: _Ground) -> Segment | None:
    """A connection that the host accepted for itself. A docker-proxy asks the container for one of its own."""
    if ground.container is None or not ground.cables or any(not one.incoming for one in attempt.question):
        return None  # without cables of its container here (a rootless engine) nothing of what it asks is seen
    if any(one.asks and one.destination in ground.inner for one in capture.tcp):
        return None
    why = f"a program of the host itself accepts it, and asks {ground.answerer} for nothing"
    last = Spot(Passage.ENTERING, attempt.question[-1].interface)
    return Segment(Stretch.TAKEN_BY_HOST, last, ground.onwards, why)


def _answered(attempt: Attempt, capture: Capture, ground: _Ground) -> Segment | None:
    entering = [one.interface for one in attempt.question if one.incoming]
    first, nic = attempt.question[0], entering[-1]
    asked = first.destination, first.destination_port
    leaving = [one for one in attempt.answer if not one.incoming]
    home = Spot(Passage.LEAVING, nic, answer=True)
    if not leaving:
        last = Spot(Passage.ENTERING, attempt.last.interface, answer=True)
        vain = _asked_in_vain(capture, ground, ground.ways_back)
        if vain is None:
            return Segment(Stretch.BACK_INTO_HOST, last, home)
        stretch = Stretch.BACK_INTO_HOST if vain.interface in entering else Stretch.BACK_ELSEWHERE
        return Segment(stretch, last, home, _in_vain(vain))
    same = next((one for one in leaving if one.interface in entering), None)
    if same is None:
        last = Spot(Passage.LEAVING, leaving[-1].interface, answer=True)
        return Segment(Stretch.BACK_ELSEWHERE, last, home, f"the question came in by {nic}")
    if (same.source, same.source_port) != asked:
        why = "it leaves as from {} port {}, and {} port {} was asked".format(same.source, same.source_port, *asked)
        return Segment(Stretch.BACK_UNTRANSLATED, home, _arriving(attempt), why)
    if attempt.received or ground.came:
        return None
    return Segment(Stretch.AFTER_HOST, home, _arriving(attempt))


def _arriving(attempt: Attempt) -> Spot:
    return Spot(Passage.ARRIVING, attempt.question[0].source, answer=True)


def _asked_in_vain(capture: Capture, ground: _Ground, wanted: Collection[str]) -> NeighbourSighting | None:
    """The host's own question for the hardware address of a next hop, which nobody answered."""
    known = {one.address for one in capture.neighbours if one.is_answer}
    asked = (one for one in capture.neighbours if not one.is_answer and not one.incoming)
    vain = (one for one in asked if one.address not in known and one.address not in ground.own)
    return next((one for one in vain if one.address in wanted), None)


def _in_vain(asked: NeighbourSighting) -> str:
    return f"the host asks on {asked.interface} who has {asked.address}, and nobody answers"


def _errors(capture: Capture, question: Sequence[TcpSighting]) -> Iterator[IcmpSighting]:
    """Those that tell the client so. A host sends one address about one a second."""
    sources = {one.source for one in question}
    errors = (one for one in capture.icmp if any(word in one.says for word in _AN_ERROR))
    return (one for one in errors if one.destination in sources)


# --- what the kernel dropped -------------------------------------------------------------------------------------


def _dropped(attempts: Sequence[Attempt], segment: Segment, drops: Sequence[Drop], *, by_ipv6: bool) -> Dropped | None:
    """The kind of drop that follows each of the packets: the one that does so the soonest.

    Hosts that share a kernel see each other's drops. Some kind may fit by chance, and one that does not is no answer.
    """
    if segment.stretch in _NOT_DROPPED:
        return None
    times = sorted(one.last.at for one in attempts)
    drops = [one for one in drops if one.protocol == _ETHERNET[by_ipv6]]
    fitting = {kind: delay for kind in {one.kind for one in drops} if (delay := _delay(times, kind, drops)) is not None}
    if not fitting:
        return None
    first, *others = sorted(fitting, key=lambda kind: (fitting[kind], kind.says))
    sure = all(fitting[kind] - fitting[first] > _ALIKE for kind in others)
    near = [one for one in drops if times[0] - _BEFORE <= one.at <= times[-1] + _AFTER and one.kind != first]
    return Dropped(first, len(times), len(near), sure)


def _delay(times: Sequence[float], kind: DropKind, drops: Sequence[Drop]) -> float | None:
    """How far from a packet a drop of this kind is, on average; None where some packet is without one."""
    left = sorted(one.at for one in drops if one.kind == kind)
    delays = []
    for at in times:
        fits = next((one for one in left if at - _BEFORE <= one <= at + _AFTER), None)
        if fits is None:
            return None
        left.remove(fits)
        delays.append(abs(fits - at))
    return sum(delays) / len(delays)


def _with_reason(segment: Segment, dropped: Dropped | None, attempts: int) -> Segment:
    if dropped is None:
        return segment
    words = plain_words(dropped.kind.reason)
    inside = " in the container" if segment.stretch in {Stretch.IN_CONTAINER, Stretch.REFUSED_BY_CONTAINER} else ""
    said = f"the kernel dropped {dropped.count} of {attempts}{inside}, {dropped.kind.says}"
    said += f" ({words})" if words else ""
    reason = dropped.kind.reason if dropped.sure and dropped.kind.reason not in _UNTOLD else ""
    return replace(segment, why=f"{segment.why}; {said}" if segment.why else said, reason=reason)
