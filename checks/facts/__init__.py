"""Every source of facts. One file a source: its command, its parser, its type."""

from typing import Any

from checks.facts.addresses import ADDRESSES, ADDRESSES_IPV6
from checks.facts.bus import BUS
from checks.facts.capture import CAPTURE
from checks.facts.config_files import CONFIG_FILES
from checks.facts.counters import COUNTERS
from checks.facts.daemon import DAEMON, DAEMON_CONFIGURATION
from checks.facts.disks import DISKS
from checks.facts.docker_networks import DOCKER_NETWORKS
from checks.facts.drops import DROPS
from checks.facts.engine import CONTAINERS, ENGINE, LOGS
from checks.facts.firewalld import FIREWALLD
from checks.facts.firewalld_direct import DIRECT_RULES
from checks.facts.forwarding import FORWARDING, FORWARDING_IPV6
from checks.facts.ipsec import IPSEC
from checks.facts.journal import JOURNAL
from checks.facts.legacy import LEGACY, LEGACY_IPV6
from checks.facts.netfilter import NETFILTER, NETFILTER_IPV6
from checks.facts.network_service import NETWORK_SERVICE
from checks.facts.networkd import NETWORKD
from checks.facts.nftables import NFTABLES
from checks.facts.own_name import OWN_NAME
from checks.facts.packages import PACKAGES
from checks.facts.path import PATH
from checks.facts.queues import QUEUES
from checks.facts.rights import RIGHTS
from checks.facts.root_session import ROOT_SESSION
from checks.facts.sockets import LISTENERS, PORT_TAKERS, SOCKETS, TAKEN_PORTS
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.facts.system import SYSTEM
from checks.facts.units import UNITS
from checks.source import Source

ALL_FACTS: tuple[Source[Any], ...] = (
    FORWARDING,
    FORWARDING_IPV6,
    SYSCTL_FILES,
    FIREWALLD,
    DIRECT_RULES,
    NETFILTER,
    NETFILTER_IPV6,
    LEGACY,
    LEGACY_IPV6,
    NFTABLES,
    UNITS,
    BUS,
    DAEMON,
    DAEMON_CONFIGURATION,
    ENGINE,
    CONTAINERS,
    LOGS,
    DOCKER_NETWORKS,
    ADDRESSES,
    ADDRESSES_IPV6,
    SOCKETS,
    LISTENERS,
    TAKEN_PORTS,
    PORT_TAKERS,
    DISKS,
    SYSTEM,
    COUNTERS,
    IPSEC,
    QUEUES,
    PATH,
    JOURNAL,
    NETWORK_SERVICE,
    NETWORKD,
    CONFIG_FILES,
    PACKAGES,
    RIGHTS,
    OWN_NAME,
    ROOT_SESSION,
)

COUNTING: tuple[Source[Any], ...] = (
    NETFILTER,
    NETFILTER_IPV6,
    LEGACY,
    LEGACY_IPV6,
    NFTABLES,
    COUNTERS,
    IPSEC,
    QUEUES,
)
"""Those that count packets, and are asked once more after a known number of attempts."""

WATCHING: tuple[Source[Any], ...] = (CAPTURE, DROPS)
"""Those that exist only of known attempts, in ``Look.recount``: no look asks for them otherwise."""
