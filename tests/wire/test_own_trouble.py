"""What fails because of the bot's own machine is nobody's outage: real sockets, a real store, and no look inside."""

import asyncio
import errno
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.approvals.policy import Policies
from bot.incidents.model import Thresholds
from bot.monitoring.monitor import Monitor, MonitorSettings
from bot.store import Store
from checks.check import Checker
from checks.collect.reach import attempt_counted, reach
from checks.collect.soundness import Circumstances, judge_soundness, trouble_of
from checks.model import Host, OwnTrouble, Phase, ReachOutcome, Reading, Service, ServiceKind

SILENCE = timedelta(seconds=3)


def now() -> datetime:
    return datetime.now(UTC)


def service_at(port: int, kind: ServiceKind = ServiceKind.TCP) -> Service:
    scheme = "tcp" if kind is ServiceKind.TCP else "http"
    return Service("registry", f"{scheme}://127.0.0.1:{port}", kind)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


class Watch:
    """A monitor of one service that is well, as the bot has it."""

    def __init__(self, store: Store, service: Service) -> None:
        self.host = Host("host1", "127.0.0.1", (service,))
        self.service = service
        self.store = store
        self.checker = Checker([self.host], clock=now)
        settings = MonitorSettings(Thresholds(2, 2), Policies((), {}, timedelta(minutes=30)), "#alerts")
        self.monitor = Monitor([self.host], self.checker, store, settings, clock=now)

    async def reads(self, times: int) -> None:
        for _ in range(times):
            await self.monitor.read(self.host, self.service)


@pytest.fixture
async def watch(tmp_path: Path, port: int) -> AsyncIterator[Watch]:
    store = await Store.open(f"sqlite:///{tmp_path}/store.db")
    watching = Watch(store, service_at(port))
    yield watching
    await watching.monitor.close()
    await watching.checker.close()
    await store.close()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process have no more descriptors than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_service_is_not_down_because_the_bot_has_no_descriptor_left(watch: Watch) -> None:
    await watch.reads(1)
    with no_descriptors():
        await watch.reads(3)
    assert await watch.store.incidents.live() == ()


async def test_a_service_is_not_down_because_the_event_loop_did_nothing_while_it_answered(watch: Watch) -> None:
    """As while a large answer is parsed, or the machine was paused: the deadline is over when the loop looks again."""
    for _ in range(3):
        reading = asyncio.create_task(watch.reads(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(SILENCE.total_seconds() + 0.2)  # noqa: ASYNC251  # that is what happens
        await reading
    assert await watch.store.incidents.live() == ()


async def test_readings_that_tell_nothing_are_counted_by_what_spoiled_them(watch: Watch) -> None:
    with no_descriptors():
        await watch.reads(3)
    tracker = watch.monitor._tracker  # noqa: SLF001  # what the overview and the notice are made of
    assert tracker.unsound == {OwnTrouble.NO_DESCRIPTORS: 3}
    assert set(tracker.blind) == {("host1", "registry")}
    await watch.reads(1)
    assert not tracker.blind


async def test_a_look_without_descriptors_blames_nobody(watch: Watch) -> None:
    with no_descriptors():
        [report] = await watch.checker.check(watch.host)
    assert report.status == "unknown"
    assert report.readings[0].unsound is OwnTrouble.NO_DESCRIPTORS
    assert report.trouble is not None
    assert report.trouble.id == "watcher-trouble"
    assert report.diagnosis.root is not None
    assert report.diagnosis.root.title.startswith("not told: no file descriptor was left")


async def test_attempts_that_could_not_be_made_are_not_counted(port: int) -> None:
    with no_descriptors():
        assert await attempt_counted(service_at(port), now) is None


async def read_silence(clock: Callable[[], datetime]) -> Reading:
    """An attempt at a service that accepts and is silent, for a third of a second."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        return await reach(service_at(mute.getsockname()[1], ServiceKind.HTTP), clock, deadline=0.3)


async def test_silence_counts() -> None:
    reading = await read_silence(now)
    assert (reading.ended, reading.unsound) == (ReachOutcome.TIMED_OUT, None)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(seconds=40)])
async def test_silence_while_the_clock_was_set_does_not(jump: timedelta) -> None:
    times = iter([timedelta(0)])
    reading = await read_silence(lambda: now() + next(times, jump))
    assert reading.unsound is OwnTrouble.CLOCK_SET


_READ = """
import asyncio, datetime, sys
from checks.collect import names, reach
from checks.model import Service, ServiceKind

async def both(*_):
    return [info for target in sys.argv[1:] for info in names._literal(target, 80)]

reach.addresses_of = both
made = reach.reach(Service("web", "tcp://web.example", ServiceKind.TCP), lambda: datetime.datetime.now(datetime.UTC))
reading = asyncio.run(made)
print(reading.ended, reading.address, reading.unsound)
"""
NOWHERE, REFUSING = "192.0.2.1", "127.0.0.1"


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        ([NOWHERE], f"network-unreachable {NOWHERE} no-way"),
        ([REFUSING, NOWHERE], f"refused {REFUSING} None"),
        ([NOWHERE, REFUSING], f"refused {REFUSING} None"),
    ],
)
def test_what_this_machine_has_no_route_to_is_not_down_and_what_refuses_beside_it_is(
    addresses: list[str], told: str
) -> None:
    """In a network of its own, with nothing in it."""
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:  # noqa: S603  # fixed words
        pytest.skip("this machine lets nobody have a network of his own")
    asked = [*alone, sys.executable, "-c", _READ, *addresses]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)  # noqa: S603  # as above
    assert done.stdout.strip() == told


async def test_a_service_that_answers_late_to_a_late_loop_is_well() -> None:
    """An answer is one, whatever became of this machine meanwhile."""
    accepted = threading.Event()

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        accepted.set()
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=answer, args=(listening,))
        answering.start()
        trying = asyncio.create_task(reach(service_at(listening.getsockname()[1], ServiceKind.HTTP), now))
        await asyncio.to_thread(accepted.wait)
        time.sleep(1)  # noqa: ASYNC251  # as above
        reading = await trying
        await asyncio.to_thread(answering.join)
    assert (reading.ok, reading.unsound) == (True, None)


QUIET = Circumstances()
BUSY = Circumstances(lates=(0.2,) * 10)  # as while a thousand services fail at once
LATE = Circumstances(lates=(0.1, 1.2))
SLOW = Circumstances(lates=(0.4,) * 5)


@pytest.mark.parametrize(
    ("ended", "phase", "around", "unsound"),
    [
        (ReachOutcome.TIMED_OUT, Phase.CONNECT, QUIET, None),
        (ReachOutcome.TIMED_OUT, Phase.RESOLVE, QUIET, OwnTrouble.NO_NAME_SERVER),
        (ReachOutcome.NAME_UNKNOWN, Phase.RESOLVE, QUIET, None),
        (ReachOutcome.TIMED_OUT, Phase.CONNECT, BUSY, None),
        (ReachOutcome.TIMED_OUT, Phase.HTTP, LATE, OwnTrouble.LOOP_LATE),
        (ReachOutcome.TIMED_OUT, Phase.HTTP, SLOW, OwnTrouble.LOOP_LATE),
        (ReachOutcome.RESET, Phase.HTTP, LATE, OwnTrouble.LOOP_LATE),
        (ReachOutcome.REFUSED, Phase.CONNECT, LATE, None),
        (ReachOutcome.BAD_STATUS, Phase.HTTP, LATE, None),
        (ReachOutcome.CERTIFICATE_EXPIRED, Phase.TLS, Circumstances(set_by=3600.0), OwnTrouble.CLOCK_SET),
        (ReachOutcome.ANSWERED, Phase.HTTP, Circumstances((9.0,), 3600.0), None),
    ],
)
def test_what_spoils_which_attempt(
    ended: ReachOutcome, phase: Phase, around: Circumstances, unsound: OwnTrouble | None
) -> None:
    assert judge_soundness(ended, phase, around) is unsound


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (OSError(errno.EMFILE, ""), OwnTrouble.NO_DESCRIPTORS),
        (OSError(errno.ENFILE, ""), OwnTrouble.NO_DESCRIPTORS),
        (OSError(errno.ENOBUFS, ""), OwnTrouble.NO_MEMORY),
        (OSError(errno.ENOMEM, ""), OwnTrouble.NO_MEMORY),
        (OSError(errno.EADDRNOTAVAIL, ""), OwnTrouble.NO_PORTS),
        (OSError(errno.ENETDOWN, ""), OwnTrouble.NO_WAY),
        (OSError(errno.ECONNREFUSED, ""), None),
        (OSError(errno.EHOSTUNREACH, ""), None),
        (ssl.SSLError(errno.EPERM, "OpenSSL's own number"), None),
        (PermissionError(errno.EACCES, "what a REJECT of IPv6 by firewalld looks like"), None),
        (socket.gaierror(socket.EAI_NONAME, ""), None),
        (TimeoutError(), None),
    ],
    ids=repr,
)
def test_what_an_error_of_the_system_tells_of_this_machine(error: OSError, trouble: OwnTrouble | None) -> None:
    assert trouble_of(error) is trouble
