"""What the kernel counts of IPsec: packets that a policy, or the want of a key, ended (xfrm_proc).

Policies themselves are root's to read, and the keys beside them nobody's business.
"""

from collections.abc import Mapping

from checks.source import Outputs, Probe, Source

Ipsec = Mapping[str, int]
"""The kernel's names to their counts since boot: ``XfrmOutNoStates``... Empty for a kernel without IPsec."""


def parse(outputs: Outputs) -> Ipsec:
    """Lines of a name and a number (Documentation/networking/xfrm_proc.rst)."""
    rows = (line.split() for line in outputs["ipsec"].stdout.splitlines())
    return {name: int(value) for name, value in rows}


_COMMAND = "[ ! -e /proc/net/xfrm_stat ] || cat /proc/net/xfrm_stat"

IPSEC = Source("IPsec counters", (Probe("ipsec", _COMMAND, timeout=2),), parse)
