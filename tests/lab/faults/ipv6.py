"""Clients come by IPv6: docker-proxy serves them, and rules of their own let them in."""

from tests.lab.faults.firewalld import clients_by_ipv6
from tests.lab.faults.foreign_firewalls import nft
from tests.lab.scenario import BY_IPV6, UNDETERMINED, Act, fault, healthy, one_after_the_other, typed

FOREIGN = "foreign-firewall-drop"


def by_ipv6(act: Act) -> Act:
    return one_after_the_other(clients_by_ipv6, act)


SCENARIOS = (
    fault(
        "ip6tables-drops-the-port",
        by_ipv6(typed("ip6tables -I INPUT -p tcp --dport 5000 -j DROP")),
        FOREIGN,
        service=BY_IPV6,
    ),
    fault(
        "ip6tables-rejects-the-port",
        by_ipv6(typed("ip6tables -I INPUT -p tcp --dport 5000 -j REJECT")),
        FOREIGN,
        outside="refused",
        service=BY_IPV6,
    ),
    fault(
        "nft-drops-the-port-for-ipv6-and-does-not-count",
        by_ipv6(nft("ip6 corp", "type filter hook input priority 0;", "tcp dport 5000 drop")),
        UNDETERMINED,
        service=BY_IPV6,
    ),
    healthy(
        "ip6tables-drops-another-port",
        by_ipv6(typed("ip6tables -I INPUT -p tcp --dport 5432 -j DROP")),
        service=BY_IPV6,
    ),
)
