"""What the kernel drops by itself, without any rule: spoofed sources, connections that it has no room to track."""

from checks.causes.cause import IN_HOST, Cause, Judgement, died, fail, passed, risk
from checks.facts.counters import COUNTERS, Conntrack, Counters
from checks.facts.forwarding import FORWARDING
from checks.facts.path import PATH, Route
from checks.facts.system import SYSTEM
from checks.look import Look, MissingError
from checks.model import Evidence, FixId, ReachOutcome, Stretch

_FULL = 0.98  # of the table: each processor keeps some entries that are not counted yet
_FILLING = 0.8
_NO_WAY_BACK = ("Invalid argument", "Invalid cross-device link")  # EINVAL, and EXDEV on older kernels
_AS_NOBODY_WERE_THERE = {
    ReachOutcome.TIMED_OUT,
    ReachOutcome.NO_ROUTE,
}  # a neighbour's ARP question is not answered either
_RP_COUNTER = "TcpExtIPReversePathFilter"


def taken_for_spoofed(look: Look) -> Route | None:
    """The kernel's own word that it drops what the client sends, as coming from a false source; None without one.

    For a packet that is forwarded it looks the client up as if it came from the container's bridge: rules for that
    may differ from those for the host itself. The latter decide about ARP: a neighbour's question is not answered.
    """
    inbound, arrival = look.way.inbound, look.way.arrival
    if inbound is not None and _no_way_back(look, inbound):
        return inbound
    asked_for_itself = inbound is None or look.outside.ended is ReachOutcome.NO_ROUTE
    return arrival if asked_for_itself and arrival is not None and _no_way_back(look, arrival) else None


def _no_way_back(look: Look, route: Route) -> bool:
    """A filter that is off filters nothing: the kernel says the same where a route of its own ends the packet."""
    forwarding = look.may(look.of_clients(FORWARDING))
    off = forwarding is not None and not forwarding.filters(route.interface)
    return not off and any(words in route.answer for words in _NO_WAY_BACK)


def rise(look: Look, counter: str) -> int | None:
    """By how much a counter of the kernel rose during the known attempts; None where it was not read twice."""
    before = look.may(COUNTERS)
    after = look.recounted(COUNTERS)
    if before is None or after is None or counter not in before.packets:
        return None
    return after.packets.get(counter, 0) - before.packets[counter]


def counted(look: Look, counter: str) -> tuple[Evidence, ...]:
    """The rise of a counter as evidence, where it fits the attempts that were made."""
    risen = rise(look, counter)
    if look.recount is None or risen is None or risen < look.recount.attempts:
        return ()
    return (Evidence("kernel counters", f"{counter} rose by {risen} while {look.recount.attempts} attempts were made"),)


def _reverse_path_filter(look: Look) -> Judgement:
    """A client's packet comes in by another interface than the one that its answer would leave by."""
    if look.by_ipv6:
        return passed("clients come by IPv6, for which the kernel itself has no such filter")
    forwarding = look.need(FORWARDING)
    look.need(PATH)
    asked = look.way.inbound or look.way.arrival
    if asked is None:
        raise MissingError(PATH.name, "where clients come from is not known")
    arrival = taken_for_spoofed(look)
    if arrival is None:
        return passed(f"`{asked.question}` is answered: {asked.answer}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    interface = arrival.interface
    strict = forwarding.filters_strictly(interface)
    values = f"net.ipv4.conf.{{all,{interface}}}.rp_filter = {forwarding.rp_filter.get('all')}, " + str(
        forwarding.rp_filter.get(interface)
    )
    back = look.way.back
    evidence = [
        Evidence("route", f"`{arrival.question}` answers: {arrival.answer}"),
        Evidence("forwarding", f"{values}: the answer would have to leave by {interface} too"),
    ]
    if back is not None:
        evidence.append(Evidence("route", f"`{back.question}` answers: {back.answer}"))
    return fail(
        *evidence,
        *counted(look, _RP_COUNTER),
        sure=strict and look.outside.ended in _AS_NOBODY_WERE_THERE,
        advice=(f"ip -4 route get {look.way.client}   # better: give it a route by {interface}",),
    )


def _conntrack_full(look: Look) -> Judgement:
    """A new connection that cannot be tracked is dropped, on loopback as well; those that are tracked go on."""
    before = look.need(COUNTERS)
    table = before.conntrack
    if table is None:
        return passed("connection tracking is not in use")
    filled = f"{table.count} of {table.maximum} connections are tracked"
    if table.count < table.maximum * _FULL:
        return passed(filled)
    if look.outside.ok:
        return passed(f"{filled}, yet it {look.outside.says} from outside")
    dropped = _dropped(look, before)
    evidence = [Evidence("kernel counters", f"{filled}: there is no room for a new one")]
    if dropped:
        evidence.append(Evidence("kernel counters", f"{dropped} packets were dropped for that while it was looked at"))
    return fail(
        *evidence,
        sure=bool(dropped) and look.outside.ended is ReachOutcome.TIMED_OUT,
        advice=(
            "sudo conntrack -L 2>/dev/null | awk '{print $5}' | sort | uniq -c | sort -rn | head   # who fills it",
        ),
    )


def _dropped(look: Look, before: Counters) -> int:
    after = look.recounted(COUNTERS)
    if after is None or after.dropped is None or before.dropped is None:
        return 0
    return after.dropped - before.dropped


def _conntrack_filling(look: Look) -> Judgement:
    table = look.need(COUNTERS).conntrack
    if table is None:
        return passed("connection tracking is not in use")
    says = _share(table)
    return risk(Evidence("kernel counters", says)) if table.count >= table.maximum * _FILLING else passed(says)


def _share(table: Conntrack) -> str:
    return f"{table.count} of {table.maximum} connections are tracked ({table.count / table.maximum:.0%})"


def _kernel_modules_gone(look: Look) -> Judgement:
    """Nothing is wrong until something needs a module that was never loaded: a restart of dockerd, mostly."""
    system = look.need(SYSTEM)
    if not system.modules_gone:
        return passed(f"the modules of {system.kernel} are there, or no kernel keeps modules here")
    return risk(
        Evidence("system", f"/lib/modules has none for the running kernel {system.kernel}: reboot to the new one")
    )


REVERSE_PATH_FILTER = Cause(
    "reverse-path-filter",
    "the reverse path filter drops what clients send",
    _reverse_path_filter,
    rank=38,
    fixes=(FixId.RELAX_REVERSE_PATH_FILTER,),
    death=died(Stretch.INTO_HOST, Stretch.BACK_INTO_HOST, of=("IP_RPFILTER",)),
)
CONNTRACK_FULL = Cause(
    "conntrack-full",
    "the table of tracked connections is full",
    _conntrack_full,
    rank=37,
    fixes=(FixId.RAISE_CONNTRACK_MAX,),
    death=died(*IN_HOST, Stretch.BACK_INTO_HOST, of=("NETFILTER_DROP",)),
)
CONNTRACK_FILLING = Cause(
    "conntrack-filling",
    "the table of tracked connections fills up",
    _conntrack_filling,
    fixes=(FixId.RAISE_CONNTRACK_MAX,),
)
KERNEL_MODULES_GONE = Cause(
    "kernel-modules-gone",
    "the running kernel's modules are deleted: a restart of dockerd would fail",
    _kernel_modules_gone,
)
