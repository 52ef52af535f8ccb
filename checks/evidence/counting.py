"""What the kernel counted more of while known attempts were made, whether or not a cause knows the counter."""

import re

from checks.facts.counters import COUNTERS
from checks.look import Look
from checks.model import Evidence

_OF_LOSS = re.compile(
    r"Xfrm|Softnet|Conntrack|Drop|Err|Discard|NoRoutes|Overflow|Filter|Invalid|Reject|Fail|Backlog|Unknown"
)
"""Names of counters that tell of packets that came to nothing; the others rise with every packet that is well."""


def rising(look: Look) -> tuple[Evidence, ...]:
    """The counters of loss that rose by as many as there were attempts, or by more."""
    before, after = look.may(COUNTERS), look.recounted(COUNTERS)
    if before is None or after is None or look.recount is None:
        return ()
    attempts = look.recount.attempts
    rises = {name: count - before.packets.get(name, count) for name, count in after.packets.items()}
    rose = [f"{name} by {rise}" for name, rise in rises.items() if rise >= attempts and _OF_LOSS.search(name)]
    return (Evidence(COUNTERS.name, f"{', '.join(rose)} while {attempts} attempts were made"),) if rose else ()
