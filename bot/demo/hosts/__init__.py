"""Hosts for the demo: SSH servers on this machine that answer as real hosts did, and really mend when told to."""

from bot.demo.hosts.host import USER, DemoHost
from bot.demo.hosts.states import Fault

__all__ = ["USER", "DemoHost", "Fault"]
