"""Every source of facts. One file a source: its command, its parser, its type."""

from typing import Any

from checks.facts.addresses import ADDRESSES
from checks.facts.bus import BUS
from checks.facts.daemon import DAEMON
from checks.facts.engine import CONTAINERS, ENGINE
from checks.facts.firewalld import FIREWALLD
from checks.facts.forwarding import FORWARDING
from checks.facts.netfilter import NETFILTER
from checks.facts.nftables import NFTABLES
from checks.facts.path import PATH
from checks.facts.sockets import SOCKETS
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.facts.system import SYSTEM
from checks.facts.units import UNITS
from checks.source import Source

ALL_FACTS: tuple[Source[Any], ...] = (
    FORWARDING,
    SYSCTL_FILES,
    FIREWALLD,
    NETFILTER,
    NFTABLES,
    UNITS,
    BUS,
    DAEMON,
    ENGINE,
    CONTAINERS,
    ADDRESSES,
    SOCKETS,
    SYSTEM,
    PATH,
)
