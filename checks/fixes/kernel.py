"""What the kernel drops by itself: relax its filter on one interface, or give it room for more connections."""

from checks.causes.kernel import taken_for_spoofed
from checks.facts.counters import COUNTERS, Conntrack
from checks.facts.forwarding import FORWARDING
from checks.facts.sysctl_order import interface_key
from checks.fixes.fix import Fix, RefusedError, Remedy
from checks.fixes.sysctl import conntrack_max, keep, loose_filter_of, write_now, write_now_again
from checks.look import Look
from checks.model import Finding, FixId, Lasts, Risk

_BYTES = 320  # of kernel memory a tracked connection (slabinfo: nf_conntrack, on 64 bits)
_FILLED = 0.7  # of the new table by what is tracked already, at most
_MOST = 99_999_999


def _prepare_filter(look: Look, _: Finding) -> Remedy:
    forwarding, spoofed = look.need(FORWARDING), taken_for_spoofed(look)
    if spoofed is None:
        raise RefusedError("the kernel takes no client's packet for a spoofed one")
    interface = spoofed.interface
    if not forwarding.filters_strictly(interface):
        raise RefusedError(f"the reverse path filter of {interface} is not strict: it is not what drops them")
    setting, was = loose_filter_of(interface), forwarding.rp_filter.get(interface, 0)
    keeping = keep(look, setting)
    everywhere = forwarding.rp_filter.get("all", 0)
    return Remedy(
        steps=(*keeping.steps, write_now(setting, write_now_again(setting.key, str(was)))),
        risk=Risk.MEDIUM if keeping.edited else Risk.LOW,
        blast_radius=(
            f"Nothing restarts. On {interface} the kernel then admits a source that it has a route to by any interface,"
            " and no longer only by this one: a weaker guard against spoofed sources, there alone."
        ),
        verify="the kernel has a route for what clients send, and the service answers from outside",
        basis={
            setting.key: str(was),
            interface_key("all", "rp_filter"): str(everywhere),
            "the kernel says": spoofed.answer,
        },
        lasts=Lasts.UNTIL_REBOOT if keeping.why_not else Lasts.FOR_GOOD,
        changes=(*setting.changes, *keeping.changes),
        preflight=(
            f"the filter is strict: all {everywhere}, {interface} {was}; the higher one counts, so that 2 is loose",
            f"`{spoofed.question}` answers: {spoofed.answer}",
        ),
        notes=(
            *keeping.notes,
            *((f"Only for now, until the next boot: {keeping.why_not}.",) if keeping.why_not else ()),
            f"The better mend is a route: the host sends its answers to these clients by another way than {interface}.",
        ),
        undo_unasked=True,
    )


def _prepare_conntrack(look: Look, _: Finding) -> Remedy:
    table = look.need(COUNTERS).conntrack
    if table is None:
        raise RefusedError("connection tracking is not in use")
    wanted = _doubled(table)
    if wanted > _MOST:
        raise RefusedError(f"the table has room for {table.maximum} connections: who fills it is the question")
    setting = conntrack_max(wanted)
    keeping = keep(look, setting)
    return Remedy(
        steps=(*keeping.steps, write_now(setting, write_now_again(setting.key, str(table.maximum)))),
        risk=Risk.MEDIUM if keeping.edited else Risk.LOW,
        blast_radius=(
            f"Nothing restarts. The kernel may take up to {_megabytes(wanted - table.maximum)} more memory,"
            f" about {_BYTES} bytes a connection, once {wanted} are tracked instead of {table.maximum}."
        ),
        verify="the table of connections has room, and the service answers from outside",
        basis={setting.key: str(table.maximum)},  # not the count, which is another one at each look
        lasts=Lasts.UNTIL_REBOOT,
        changes=(*setting.changes, *keeping.changes),
        preflight=("what is tracked now fills at most 70 % of the new table",),
        notes=(
            *keeping.notes,
            *((f"It is not kept by a file: {keeping.why_not}.",) if keeping.why_not else ()),
            "At boot the file counts only if module nf_conntrack is there when sysctl files are read.",
            "To have it there: echo nf_conntrack | sudo tee /etc/modules-load.d/nf_conntrack.conf",
            "Who fills it: sudo conntrack -L 2>/dev/null | awk '{print $5}' | sort | uniq -c | sort -rn | head",
        ),
        undo_unasked=True,
    )


def _doubled(table: Conntrack) -> int:
    """Twice the room, or as often as it takes: the same at each look, though the count is another one."""
    wanted = 2 * table.maximum
    while table.count > wanted * _FILLED:
        wanted *= 2
    return wanted


def _megabytes(connections: int) -> str:
    return f"{connections * _BYTES / 2**20:.1f} MB"


FILTER = Fix(FixId.RELAX_REVERSE_PATH_FILTER, "Relax the reverse path filter of the interface", _prepare_filter)
CONNTRACK = Fix(FixId.RAISE_CONNTRACK_MAX, "Make room for more connections", _prepare_conntrack)
