"""The other packet filter of iptables: the legacy tables, which a host may have beside those of nf_tables.

Both are asked for each packet, and a DROP in either wins. iptables-legacy-save, unlike ``iptables-legacy -S``, loads
no table that is not there.
"""

from checks.facts.netfilter import IF_IPV6, NOT_INSTALLED, Netfilter, Variant, read
from checks.model import Output
from checks.source import Outputs, Probe, Source


def parse(outputs: Outputs) -> Netfilter:
    return _read(outputs["iptables-legacy"])


def parse_ipv6(outputs: Outputs) -> Netfilter:
    return _read(outputs["ip6tables-legacy"])


def _read(output: Output) -> Netfilter:
    """No tables where it is not installed: CentOS 7, whose only iptables-save is the legacy one, shows them there."""
    if output.status == NOT_INSTALLED:
        return Netfilter({}, Variant.LEGACY)
    found = read(output)
    return Netfilter(found.tables, Variant.LEGACY, found.unreadable)


LEGACY = Source("legacy netfilter", (Probe("iptables-legacy", "/usr/sbin/iptables-legacy-save -c", root=True),), parse)
LEGACY_IPV6 = Source(
    "legacy netfilter of IPv6",
    (Probe("ip6tables-legacy", "/usr/sbin/ip6tables-legacy-save -c", root=True, before=IF_IPV6),),
    parse_ipv6,
)
