"""What no cause has a name for: where the packet died is the answer, seen by the watch of it.

After public reports: an image whose entry point sets up a firewall of its own, a VPN client in a second table that
takes the containers' answers, a filter of tc that somebody forgot.
"""

from checks.model import Stretch
from tests.lab.faults.foreign_firewalls import nft
from tests.lab.host import LabHost
from tests.lab.scenario import UNDETERMINED, fault, one_after_the_other, typed, write

_INSIDE = "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' registry)"


def _noted(host: LabHost) -> None:
    """A file that `restore` sees, so that it makes the container anew: what is in its namespaces nobody compares."""
    write(host, "/etc/of-the-container", "its own firewall\n")


SCENARIOS = (
    fault(
        "container-drops-by-its-own-firewall",
        one_after_the_other(_noted, typed(f"{_INSIDE} iptables -I INPUT -p tcp --dport 5000 -j DROP")),
        UNDETERMINED,
        segment=Stretch.IN_CONTAINER,
    ),
    fault(
        "container-rejects-by-its-own-firewall",
        one_after_the_other(_noted, typed(f"{_INSIDE} iptables -I INPUT -p tcp --dport 5000 -j REJECT")),
        UNDETERMINED,
        outside="refused",
        segment=Stretch.REFUSED_BY_CONTAINER,
    ),
    fault(
        "container-s-address-is-the-host-s-too",
        typed("ip address add 172.17.0.2/32 dev lo"),
        UNDETERMINED,
        outside="reset|refused",
        segment=Stretch.REFUSED_BY_HOST,
    ),
    fault(
        "rewritten-before-it-is-tracked",
        typed(
            "nft add table ip site; nft 'add chain ip site early { type filter hook prerouting priority -310; }'\n"
            "nft add rule ip site early tcp dport 5000 ip daddr set 198.51.100.7"
        ),
        UNDETERMINED,
        segment=Stretch.INTO_HOST,
    ),
    fault(
        "answer-leaves-from-another-port",
        nft(
            "ip site", "type filter hook postrouting priority 300;", 'oifname "host0" tcp sport 5000 tcp sport set 5999'
        ),
        UNDETERMINED,
        segment=Stretch.BACK_UNTRANSLATED,
    ),
    fault(
        "question-goes-on-to-another-port",
        nft("ip site", "type filter hook forward priority 300;", 'oifname "docker0" tcp dport 5000 tcp dport set 5999'),
        UNDETERMINED,
        outside="timed out|refused",
        segment=Stretch.REFUSED_BY_CONTAINER,
    ),
    fault(
        "question-comes-in-for-another-port",
        nft("netdev site", "type filter hook ingress device host0 priority 0;", "tcp dport 5000 tcp dport set 5999"),
        UNDETERMINED,
        outside="timed out|refused",
        segment=Stretch.REFUSED_BY_HOST,
    ),
)
