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
OFFICE_PREFIX = "10.77.1"
OFFICE_ADDRESS = f"{OFFICE_PREFIX}.1"
IPV6_PREFIX = "fd77"  # RFC 4193
PUBLIC_PREFIX = "198.51.100"
"""RFC 5737: addresses of nobody's, by which clients may reach a host behind NAT."""

_SUBNETS = (SUBNET, f"{OFFICE_PREFIX}.0/24")
_MAC = "02:00:0a:4d:00:01"  # fixed: a bridge otherwise takes on a new one with its ports, and peers' ARP goes stale
_LOCK = Path("/run/dockerhealth-lab.lock")


def set_up() -> None:
    """Make the bridge and the guard route. Labs may share them, so what is there already stays."""
    with _one_at_a_time():
        for subnet in _SUBNETS:
            run("ip", "route", "replace", "unreachable", subnet, "metric", "4000")
        if not _bridge().exists():
            run("ip", "link", "add", BRIDGE, "address", _MAC, "type", "bridge")
        Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}/forwarding").write_text("0")
        for address in (OUTSIDE_ADDRESS, OFFICE_ADDRESS):
            run("ip", "address", "replace", f"{address}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")


def tear_down() -> None:
    """Take the bridge away, unless a host of another lab is still on it."""
    with _one_at_a_time():
        if _bridge().exists():
            if any((_bridge() / "brif").iterdir()):
                return
            run("ip", "link", "delete", BRIDGE)
        for subnet in _SUBNETS:
            run("ip", "route", "delete", "unreachable", subnet, "metric", "4000", check=False)


def cut_off(name: str, rules: str) -> None:
    """Have this machine drop or reject what it would send to a host: a firewall somewhere on the way.

    ``rules`` are those of an nftables chain in the output hook.
    """
    chain = f"chain output {{\n type filter hook output priority 0\n {rules}\n}}\n"
    run("nft", "-f", "-", stdin=f"table ip {_table(name)} {{\n{chain}}}\n")


def translate(name: str, outer: str, inner: str, port: int) -> None:
    """Have this machine translate a public address into a host's own, as the router of a cloud does.

    What should not be translated, once the table is gone, stays on the bridge.
    """
    run("ip", "route", "replace", f"{outer}/32", "dev", BRIDGE)  # alone: others of its network may be in use
    rules = f"ip daddr {outer} tcp dport {port} dnat to {inner}"
    chain = f"chain nat {{\n type nat hook output priority -100\n {rules}\n}}\n"
    run("nft", "-f", "-", stdin=f"table ip {_table(name)} {{\n{chain}}}\n")


def forget_paths() -> None:
    """Have this machine forget what sizes of packets it was told to send where: such a word holds for ten minutes."""
    run("ip", "route", "flush", "cache")


def join(name: str) -> None:
    """Undo `cut_off` and `translate`."""
    run("nft", "delete", "table", "ip", _table(name), check=False)


def _table(name: str) -> str:
    return f"dockerhealth-lab-{name}"


def _bridge() -> Path:
    return Path("/sys/class/net", BRIDGE)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
