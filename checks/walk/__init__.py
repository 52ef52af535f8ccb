"""Which rule of which table would block a client's packet: every packet filter of a host, walked as the kernel does."""

from checks.walk.packet import Hook, Packet
from checks.walk.rules import Backend, Place
from checks.walk.ruleset import Ruleset, rises, ruleset
from checks.walk.trace import Fate, Stop, Trace
from checks.walk.walk import walk

__all__ = [
    "Backend",
    "Fate",
    "Hook",
    "Packet",
    "Place",
    "Ruleset",
    "Stop",
    "Trace",
    "rises",
    "ruleset",
    "walk",
]
