"""The room for tracked connections: one value for the whole kernel, which the count of each host is held against.

Only this machine may write it. So one host at a time has it changed, below or close to what that host alone tracks;
the others track a few dozen connections and do not notice. The file that is locked for it keeps the value to put back,
so that the next `give_back` of any host mends what a killed run has left. A value that is too small for any host was
left by a run whose file is gone with its machine: the kernel's own choice takes its place.
"""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from tests.lab.command import wait_for

HELD = 1500
"""Connections that the host holds: established and assured, the kind that the kernel never drops for new ones."""

MAXIMUM = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_BUCKETS = Path("/proc/sys/net/netfilter/nf_conntrack_buckets")  # as many as connections, by the kernel's own choice
LOCK = Path("/run/dockerhealth-lab-conntrack.lock")
_LENT = "/proc/sys/net/ipv4/tcp_max_tw_buckets"
_PATIENCE = 120.0  # seconds that the other hosts may take, one after the other
_UNIT = "crowd.service"
# Closed with a reset, a connection is forgotten after 10 seconds, and not after two minutes.
_CROWD = f"""
import resource, socket, struct, time
resource.setrlimit(resource.RLIMIT_NOFILE, ({3 * HELD}, {3 * HELD}))
held = []
with socket.create_server(("127.0.0.1", 7000)) as server:
    while len(held) < {2 * HELD}:
        client = socket.create_connection(("127.0.0.1", 7000))
        served, _ = server.accept()
        for one, other in ((client, served), (served, client)):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.send(b".")
            other.recv(1)
        held += [client, served]
time.sleep(3600)
"""
_COUNT = "cat /proc/net/nf_conntrack >/dev/null; cat /proc/sys/net/netfilter/nf_conntrack_count"  # the first forgets
_taken: dict[str, TextIO] = {}


class Host(Protocol):
    """As much of a host as is needed here."""

    name: str

    def run(self, *argv: str) -> object: ...
    def sh(self, script: str) -> str: ...


def crowd(host: Host, maximum: int) -> None:
    """Have the host hold its connections, and give the kernel room for so many; other hosts wait until `give_back`."""
    take(host.name)
    host.run("systemd-run", "--quiet", f"--unit={_UNIT}", "/usr/bin/python3", "-c", _CROWD)
    wait_for(f"{host.name}: its {HELD} connections", lambda: _count(host) >= HELD, timeout=20)
    MAXIMUM.write_text(str(maximum))


def give_back(host: Host) -> None:
    """Put the value back that this host or a killed run has changed; what another host has is left alone."""
    taken = host.name in _taken
    with _taken.pop(host.name, None) or LOCK.open("a+") as lock:
        if _locked(lock):
            _put_back(lock)
        if taken:
            host.sh(f"systemctl stop {_UNIT} 2>/dev/null || true")
            wait_for(f"{host.name}: its connections forgotten", lambda: _count(host) < HELD / 2, timeout=20)


@contextmanager
def lent(host: Host) -> Iterator[None]:
    """What the host writes for the whole kernel, which it may not, is written here for it.

    Another number, of its own network alone, lies in its place meanwhile: sysctl(8) writes to nothing but sysctls.
    """
    own = host.sh(f"cat {_LENT}")
    host.sh(f"cat {MAXIMUM} > {_LENT} && mount --bind {_LENT} {MAXIMUM}")
    over = threading.Event()
    passing_on = threading.Thread(target=_pass_on, args=(host, over), daemon=True)
    passing_on.start()
    try:
        yield
    finally:
        over.set()
        passing_on.join()
        host.sh(f"umount {MAXIMUM}; echo {own.strip()} > {_LENT}")


def _pass_on(host: Host, over: threading.Event) -> None:
    while not over.wait(0.1):
        wanted = host.sh(f"cat {_LENT}").strip()
        if wanted != MAXIMUM.read_text().strip():
            MAXIMUM.write_text(wanted)


def take(name: str) -> None:
    """Have the table of connections for a host alone, once no other host has it, until `give_back`."""
    lock = LOCK.open("a+")
    try:
        wait_for(f"{name}: another host has the table of connections", lambda: _locked(lock), _PATIENCE, every=0.2)
    except BaseException:
        lock.close()
        raise
    _taken[name] = lock
    _put_back(lock)
    lock.write(MAXIMUM.read_text())
    lock.flush()


def _put_back(lock: TextIO) -> None:
    lock.seek(0)
    value = lock.read()
    if int(value or MAXIMUM.read_text()) <= 2 * HELD:
        value = _BUCKETS.read_text()
    if value:
        MAXIMUM.write_text(value)
        lock.truncate(0)


def _locked(lock: TextIO) -> bool:
    """Whether the lock is held by this open file, now or already."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _count(host: Host) -> int:
    return int(host.sh(_COUNT))
