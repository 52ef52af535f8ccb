"""What ends packets below or beside the packet filter, without a rule of it: IPsec policies, queues of traffic control.

Each is told by its own counter: it rose by as many as there were attempts.
"""

from checks.causes.cause import Cause, Judgement, fail, passed
from checks.causes.network import bridge_of
from checks.evidence.arrival import arrives_at
from checks.evidence.packet import known_blockers
from checks.facts.addresses import ADDRESSES
from checks.facts.ipsec import IPSEC
from checks.facts.queues import QUEUES, Queue
from checks.look import Look, MissingError
from checks.model import Evidence, Phase, ReachOutcome

_AGAIN = 4
"""How often an answer that nobody acknowledges has been sent by then, at most: what rises by more has other reasons."""

_BY_POLICY = {
    "XfrmOutPolBlock": "a policy blocks what leaves",
    "XfrmOutNoStates": "a policy wants what leaves encrypted, and there is no key for it: the tunnel is not up",
    "XfrmOutStateExpired": "the key for what leaves has expired",
    "XfrmOutStateInvalid": "the key for what leaves is not valid (any more)",
    "XfrmOutPolDead": "the policy for what leaves is being removed",
    "XfrmInPolBlock": "a policy blocks what comes in",
    "XfrmInNoPols": "a policy for what comes in wants it encrypted",
    "XfrmInTmplMismatch": "a policy wants what comes in encrypted, and it is not",
    "XfrmFwdHdrError": "what is forwarded could not be encrypted",
}


def _ipsec_policy_drop(look: Look) -> Judgement:
    """A policy takes the packets of clients, or the answers, for the traffic of a tunnel."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    before = look.need(IPSEC)
    if not before:
        return passed("the kernel has no IPsec")
    after = look.recounted(IPSEC)
    if after is None or look.recount is None:
        raise MissingError(IPSEC.name, "they were not read again after attempts from outside")
    attempts = look.recount.attempts
    rises = {name: after.get(name, 0) - before.get(name, 0) for name in _BY_POLICY}
    felt = {name: rise for name, rise in rises.items() if rise >= attempts}
    if not felt:
        return passed(f"no counter of IPsec rose by the {attempts} attempts")
    return fail(
        *(
            Evidence(
                IPSEC.name,
                f"{name} rose by {rise} while {attempts} attempts were made from outside: {_BY_POLICY[name]}",
            )
            for name, rise in felt.items()
        ),
        sure=look.outside.ended in {ReachOutcome.TIMED_OUT, ReachOutcome.NO_ROUTE}
        and min(felt.values()) <= attempts * _AGAIN
        and not any(one.stop.certain for one in known_blockers(look)),
        advice=(
            f"sudo ip xfrm policy   # which one has {look.way.client} and the container's or the host's address in it",
            "sudo swanctl --list-conns; sudo ipsec statusall   # whose it is: strongSwan, Libreswan, a script",
            "# let its traffic selectors leave these clients out, or bring the tunnel up where they are behind it",
        ),
    )


def _queue_drops(look: Look) -> Judgement:
    """A queue on the way throws away what is sent through it, or a filter before it does."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    if look.outside.phase is not Phase.CONNECT:
        return passed(f"it {look.outside.says}: the connection was made")
    before, after = look.need(QUEUES), look.recounted(QUEUES)
    if after is None or look.recount is None:
        raise MissingError(QUEUES.name, "they were not read again after attempts from outside")
    attempts, counted = look.recount.attempts, {(one.device, one.says): one for one in before}
    way = _devices(look)
    losing = [
        (one, one.dropped - first.dropped, one.sent - first.sent)
        for one in after
        if one.device in way and (first := counted.get((one.device, one.says))) is not None
        if one.dropped - first.dropped >= attempts
        if one.incoming or one.dropped - first.dropped > one.sent - first.sent
    ]
    if not losing:
        return passed(f"no queue of {', '.join(way)} dropped as many as the {attempts} attempts")
    queue, dropped, sent = losing[0]
    where = "ingress" if queue.incoming else "root"
    return fail(
        Evidence(QUEUES.name, f"{queue.says} dropped {dropped} packets while {attempts} attempts were made"),
        Evidence(QUEUES.name, f"and let {sent} go on" if sent else "and let none go on"),
        sure=look.outside.ended is ReachOutcome.TIMED_OUT and _loses_all(queue, sent),
        advice=(
            f"tc -s qdisc show dev {queue.device}; tc -s filter show dev {queue.device} {where}   # which one it is",
            f"sudo tc qdisc del dev {queue.device} {queue.kind if queue.incoming else 'root'}   # if nobody needs it",
            "# whoever set it sets it again: a test of bad networks (netem), a shaper's script, networkd, a CNI",
        ),
    )


def _loses_all(queue: Queue, sent: int) -> bool:
    return not queue.incoming and not sent


def _devices(look: Look) -> tuple[str, ...]:
    """The interfaces that a client's packet crosses on the host, in its order."""
    addresses, container = look.need(look.of_clients(ADDRESSES)), look.bridged
    nic = addresses.interface_of(arrives_at(look))
    bridge = bridge_of(look, container) if container is not None and container.running else None
    ports = [port.name for port in addresses.ports_of(bridge)] if bridge else []
    return tuple(dict.fromkeys(one for one in (nic, bridge, *ports) if one))


IPSEC_POLICY_DROP = Cause("ipsec-policy-drop", "an IPsec policy keeps clients out", _ipsec_policy_drop, rank=52)
QUEUE_DROPS = Cause("queue-drops", "a queue of traffic control throws the packets away", _queue_drops, rank=52)
