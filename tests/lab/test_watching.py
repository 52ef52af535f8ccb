"""A watch of packets leaves host, tracefs and journal as they were, whatever ends it, and stays within its bounds."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from checks.collect.gather import unframe, whole
from checks.facts import WATCHING
from checks.model import Output
from checks.source import Facts, Unavailable
from tests.lab.host import LabHost
from tests.lab.outside import REGISTRY_PORT
from tests.lab.test_read_only import STATE, changed
from tests.recordings import RECORDED_AT

pytestmark = pytest.mark.lab

LOOK = "/usr/local/sbin/dockerhealth-root look"
LIMIT_BYTES, LIMIT_SECONDS = 2_000_000, 3.0
ITS_INSTANCES = """
unshare -m sh -c 'mount -t tracefs tracefs /mnt
ls -d /mnt/instances/dockerhealth-$(readlink /proc/self/ns/pid | tr -dc 0-9)-* 2>/dev/null
true'
"""
OURS = "_TRANSPORT=kernel + SYSLOG_IDENTIFIER=sudo + _COMM=tcpdump + _COMM=dockerhealth-ro + _COMM=unshare"
"""Who might write for a watch. Logins from before may end meanwhile, and systemd tells of that."""

SINCE = f'journalctl -q --no-pager -o cat --after-cursor="$(cat /run/cursor)" {OURS}'


def watch(seconds: float) -> str:
    """What is run to watch for so long, and then to count."""
    return f"{{ echo watch {REGISTRY_PORT}; sleep {seconds}; echo count; }} | {LOOK} 2>/dev/null"


WHILE_IT_WATCHES = f"""
{watch(2)} >/dev/null &
for _ in $(seq 100); do [ -e /dev/shm/dockerhealth-root.*/drops.ready ] && break; sleep 0.02; done
cd /dev/shm/dockerhealth-root.*
"""


def watched(said: str) -> dict[str, Output]:
    """The last answer: what was counted, and watched."""
    answer, rest = b"", said.encode()
    while (length := whole(rest)) is not None:
        answer, rest = rest[:length], rest[length:]
    return {name: raw.decoded for name, raw in unframe(answer).items()}


def instances(host: LabHost) -> list[str]:
    return host.sh(ITS_INSTANCES).split()


@contextmanager
def knocking(host: LabHost) -> Iterator[None]:
    """Clients that ask for connections as fast as one process can."""
    over = Event()

    def knock() -> None:
        while not over.is_set():
            with socket.socket() as client:
                client.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
                with suppress(OSError):
                    client.connect((host.address, REGISTRY_PORT))

    thread = Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watched_once(host: LabHost) -> Facts:
    with knocking(host):
        return Facts(host.name, RECORDED_AT, watched(host.sh(watch(0.5))))


def test_a_watch_leaves_all_as_it_was_and_has_seen_what_came(host: LabHost) -> None:
    host.sh("journalctl -q -n 1 --show-cursor -o cat | sed -n 's/^-- cursor: //p' >/run/cursor")
    before = host.sh(STATE)
    facts = _watched_once(host)
    if any(isinstance(facts.get(source), Unavailable) for source in WATCHING):  # the host was too busy, and says so
        facts = _watched_once(host)
    assert {source.name: seen.reason for source in WATCHING if isinstance(seen := facts.get(source), Unavailable)} == {}
    assert facts.outputs["capture"].stdout.count("Flags [S]") > 0
    assert changed(before, host.sh(STATE)) == []
    assert instances(host) == []
    assert host.sh(SINCE) == ""


def test_however_long_its_caller_takes_and_whatever_comes_it_is_bounded(host: LabHost) -> None:
    with knocking(host):
        outputs = watched(host.sh(watch(LIMIT_SECONDS + 3)))
    times = [float(line.split()[0]) for line in outputs["capture"].stdout.splitlines()]
    assert times[-1] - times[0] < LIMIT_SECONDS + 0.5
    assert len(outputs["capture"].stdout) + len(outputs["drops"].stdout) < LIMIT_BYTES
    assert len(times) <= 2500


def test_one_that_is_ended_takes_its_instance_with_it(host: LabHost) -> None:
    host.sh(f"{WHILE_IT_WATCHES}kill -TERM $(cat drops.pid); sleep 0.5")
    assert instances(host) == []


def test_what_a_killed_one_leaves_goes_by_the_next_one(host: LabHost) -> None:
    host.sh(f"{WHILE_IT_WATCHES}env kill -KILL -- -$(cat drops.pid); sleep 2.5")
    assert len(instances(host)) == 1
    host.sh(watch(0.1))
    assert instances(host) == []


def test_a_host_without_tcpdump_says_so(host: LabHost) -> None:
    host.sh("mv /usr/bin/tcpdump /usr/bin/tcpdump.away")
    try:
        facts = Facts(host.name, RECORDED_AT, watched(host.sh(watch(0.1))))
    finally:
        host.sh("mv /usr/bin/tcpdump.away /usr/bin/tcpdump")
    capture, drops = (facts.get(source) for source in WATCHING)
    assert capture == Unavailable("tcpdump is not installed on the host")
    assert not isinstance(drops, Unavailable)
