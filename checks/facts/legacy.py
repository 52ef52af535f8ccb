"""The other packet filter of iptables: the legacy tables, which a host may have beside those of nf_tables.

Both are asked for each packet, and a DROP in either wins. iptables-legacy-save, unlike ``iptables-legacy -S``, loads
no table that is not there.
"""

from checks.facts.netfilter import Netfilter, Variant, read
from checks.source import Outputs, Probe, Source

_NOT_INSTALLED = 127


def parse(outputs: Outputs) -> Netfilter:
    """No tables where it is not installed: CentOS 7, whose only iptables-save is the legacy one, shows them there."""
    output = outputs["iptables-legacy"]
    if output.status == _NOT_INSTALLED:
        return Netfilter({}, Variant.LEGACY)
    found = read(output)
    return Netfilter(found.tables, Variant.LEGACY, found.unreadable)


LEGACY = Source("legacy netfilter", (Probe("iptables-legacy", "/usr/sbin/iptables-legacy-save -c", root=True),), parse)
