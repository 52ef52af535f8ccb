"""What the kernel counts of IPsec: packets that a policy, or the want of a key, ended (xfrm_proc).

Policies themselves are root's to read, and the keys beside them nobody's business.
"""

import re
from collections.abc import Mapping

from checks.source import Outputs, Probe, Source, UnparsableError

_ROW = re.compile(r"(?P<name>Xfrm[A-Za-z]+)\s+(?P<count>\d+)")

Ipsec = Mapping[str, int]
"""The kernel's names to their counts since boot: ``XfrmOutNoStates``... Empty for a kernel without IPsec."""


def parse(outputs: Outputs) -> Ipsec:
    """Lines of a name and a number (Documentation/networking/xfrm_proc.rst)."""
    lines = outputs["ipsec"].stdout.splitlines()
    rows = [_ROW.fullmatch(line) for line in lines]
    if None in rows:
        raise UnparsableError(f"cannot read {lines[rows.index(None)][:80]!r}")
    return {row["name"]: int(row["count"]) for row in rows if row is not None}


_COMMAND = "[ ! -e /proc/net/xfrm_stat ] || cat /proc/net/xfrm_stat"

IPSEC = Source("IPsec counters", (Probe("ipsec", _COMMAND),), parse)
