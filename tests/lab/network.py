"""The wire between the hosts: a bridge on this machine, which thereby is the outside from which they are watched.

Nothing addressed to the lab may ever leave the machine, also not when the bridge is gone: an unreachable route of
a high metric catches what the bridge's own route no longer takes. Nor may anything of the lab get out through this
machine should it forward: forwarding is off on the bridge.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.command import run

BRIDGE = "br-lab"
SUBNET = "10.77.0.0/24"
OUTSIDE_ADDRESS = "10.77.0.1"
_MAC = "02:00:0a:4d:00:01"  # fixed: a bridge otherwise takes on a new one with its ports, and peers' ARP goes stale
_LOCK = Path("/run/dockerhealth-lab.lock")


def set_up() -> None:
    """Make the bridge and the guard route. Labs may share them, so what is there already stays."""
    with _one_at_a_time():
        run("ip", "route", "replace", "unreachable", SUBNET, "metric", "4000")
        if not _bridge().exists():
            run("ip", "link", "add", BRIDGE, "address", _MAC, "type", "bridge")
        Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}/forwarding").write_text("0")
        run("ip", "address", "replace", f"{OUTSIDE_ADDRESS}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")


def tear_down() -> None:
    """Take the bridge away, unless a host of another lab is still on it."""
    with _one_at_a_time():
        if _bridge().exists():
            if any((_bridge() / "brif").iterdir()):
                return
            run("ip", "link", "delete", BRIDGE)
        run("ip", "route", "delete", "unreachable", SUBNET, "metric", "4000", check=False)


def _bridge() -> Path:
    return Path("/sys/class/net", BRIDGE)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
