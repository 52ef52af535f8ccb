"""The demo over its real wires: SSH, the Docker SDK, TCP on loopback, Slack's protocol."""

import asyncio
import io
import itertools
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import asyncssh
import pytest
from rich.console import Console

from bot.demo.hosts import USER, DemoHost, Fault
from bot.demo.play import tell
from bot.demo.world import world
from checks.check import Checker
from checks.execution.receipts import Receipt, open_run, start
from checks.model import Host, Login, Phase, ReachOutcome, Service, Status, Step

BOOKWORM, TRIXIE = "debian12-docker20.10.24", "debian13-docker26.1.5"


def _now() -> datetime:
    return datetime.now(UTC)


class Site:
    """One demo host, and a checker that may log in to it."""

    def __init__(self, demo: DemoHost, key: asyncssh.SSHKey, folder: Path) -> None:
        self.demo, self.key, self.folder = demo, key, folder
        key.write_private_key(str(folder / "id"))
        (folder / "known_hosts").write_text(demo.known_hosts_line)
        login = Login(USER, demo.ssh_port, folder / "id", folder / "known_hosts")
        self.service = Service("registry", demo.url, container="registry")
        self.host = Host("host1", demo.address, (self.service,), login)
        self.checker = Checker([self.host], clock=_now)
        self._runs = itertools.count()

    async def run(self, step: Step) -> Receipt:
        """Carry one step out, in a run of its own."""
        connection, run = self.checker.connection(self.host), f"run-{next(self._runs)}"
        return await start(connection, run, await open_run(connection, run), 1, step)


@asynccontextmanager
async def site(folder: Path, address: str, platform: str) -> AsyncIterator[Site]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    demo = DemoHost(address, platform, _now)
    await demo.start(key)
    made = Site(demo, key, folder)
    try:
        yield made
    finally:
        await made.checker.close()
        await demo.close()


@pytest.fixture
async def bookworm(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, "127.0.0.41", BOOKWORM) as made:
        yield made


@pytest.fixture
async def trixie(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, "127.0.0.42", TRIXIE) as made:
        yield made


# --- hosts ---------------------------------------------------------------------------------------------------------


async def test_a_look_at_a_demo_host_has_every_fact(bookworm: Site) -> None:
    [report] = await bookworm.checker.check(bookworm.host)
    assert report.trouble is None
    assert report.status is Status.HEALTHY
    assert report.unavailable == ()
    assert [one.cause for one in report.diagnosis.not_told] == ["mtu-black-hole"]  # a healthy answer is a small one
    assert [finding.cause for finding in report.diagnosis.risks] == ["ip-forward-not-persisted"]


async def test_packets_of_a_host_that_does_not_forward_are_lost(bookworm: Site) -> None:
    await bookworm.demo.break_by(Fault.FORWARDING_OFF)
    for _ in range(2):
        reading = await bookworm.checker.reach(bookworm.host, bookworm.service)
        assert (reading.phase, reading.ended) == (Phase.CONNECT, ReachOutcome.TIMED_OUT)


async def test_looks_at_one_change_say_the_same_interval_each_time(bookworm: Site) -> None:
    [well] = await bookworm.checker.check(bookworm.host)
    await bookworm.demo.break_by(Fault.FORWARDING_OFF)
    reports = [report for _ in range(3) for report in await bookworm.checker.check(bookworm.host)]
    told = [
        (change.since, change.at)
        for report in reports
        for change in report.timeline
        if change.of == ("net.ipv4.ip_forward", "1", "0")
    ]
    assert well.baseline
    assert reports[0].baseline
    assert told == [(well.baseline.at, reports[0].baseline.at)] * 3


async def test_a_host_whose_chains_are_gone_refuses(trixie: Site) -> None:
    await trixie.demo.break_by(Fault.CHAINS_GONE)
    reading = await trixie.checker.reach(trixie.host, trixie.service)
    assert (reading.phase, reading.ended) == (Phase.CONNECT, ReachOutcome.REFUSED)
    [report] = await trixie.checker.check(trixie.host)
    [started] = [change for change in report.timeline if change.what == "firewalld.service started"]
    assert started.at > _now() - timedelta(minutes=1)


async def test_a_host_can_break_and_be_mended_again_and_again(bookworm: Site) -> None:
    for _ in range(2):
        await bookworm.demo.break_by(Fault.FORWARDING_OFF)
        [broken] = await bookworm.checker.check(bookworm.host)
        assert broken.diagnosis.root is not None
        assert broken.diagnosis.root.cause == "ip-forward-off"
        told = [change.what for change in broken.timeline]
        assert not [what for what in told if what.endswith(" started")]  # a switched sysctl starts nothing
        for step in broken.plans[0].steps:
            assert (await bookworm.run(step)).status == 0
        [mended] = await bookworm.checker.check(bookworm.host)
        assert (mended.status, mended.diagnosis.risks) == (Status.HEALTHY, ())


async def test_a_command_that_no_fix_consists_of_is_refused(bookworm: Site) -> None:
    for argv in (("id",), ("sysctl", "-w", "net.ipv4.ip_forward=1"), ("systemctl", "stop", "docker.service")):
        receipt = await bookworm.run(Step("something else", argv))
        assert receipt.status == 127
        assert "does not know this command" in receipt.output


@pytest.mark.parametrize("wrong", ["key", "user"])
async def test_nobody_else_gets_in(bookworm: Site, wrong: str) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519") if wrong == "key" else bookworm.key
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            bookworm.demo.address,
            bookworm.demo.ssh_port,
            username="root" if wrong == "user" else USER,
            client_keys=[key],
            known_hosts=str(bookworm.folder / "known_hosts"),
            agent_path=None,
            config=None,
        )


async def test_no_socket_but_dockers_is_forwarded(bookworm: Site) -> None:
    async with asyncssh.connect(
        bookworm.demo.address,
        bookworm.demo.ssh_port,
        username=USER,
        client_keys=[bookworm.key],
        known_hosts=str(bookworm.folder / "known_hosts"),
        agent_path=None,
        config=None,
    ) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection("/run/containerd/containerd.sock")
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", 22)


async def test_a_port_that_is_taken_is_replaced_by_another(bookworm: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with site(other, bookworm.demo.address, BOOKWORM) as second:
        assert second.demo.url != bookworm.demo.url
        [report] = await second.checker.check(second.host)
        assert report.status is Status.HEALTHY
        assert report.unavailable == ()


# --- the story -----------------------------------------------------------------------------------------------------


async def test_the_command_tells_the_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot", "demo", "--auto"]
    told = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await told.communicate()
    story = out.decode()
    assert (told.returncode, err.decode()) == (0, ""), story
    for seen in (
        "🟢 host1/registry: healthy",
        "🔴 host1/registry: IPv4 forwarding is switched off",
        "You may not approve this fix. Nothing was run.",
        "Run this on host1?",
        "🟢 host1/registry: answers again",
        "🔴 host2/registry: Docker's iptables chains are gone",
        "🟢 host2/registry: answers again",
        "Every step was seen",
    ):
        assert seen in story
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # a handful of names, in a test


async def test_a_fix_that_does_not_help_ends_the_story_with_the_step_that_was_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("checks.execution.apply.SETTLE", 2.0)  # seconds; the story is over no sooner
    told = io.StringIO()
    async with world() as running:
        running.hosts["host1"].sabotage()
        status = await tell(running, Console(file=told, width=200))
    assert status == 1
    assert "Not seen: host1 is fixed and verified, its message green." in told.getvalue()
    assert "Ran, but the service is still not well" in told.getvalue()


# --- by hand -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo(stdin: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """``dockerhealth demo``, and what it prints."""
    command = [sys.executable, "-m", "bot", "demo"]
    running = await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=asyncio.subprocess.PIPE)
    assert running.stdout
    try:
        yield running, running.stdout
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def test_a_person_at_a_terminal_breaks_a_host_and_quits() -> None:
    terminal, inside = pty.openpty()
    try:
        async with demo(inside) as (running, printed):
            assert b"is a Slack of your own" in await printed.readline()
            await printed.readuntil(b"Nothing is left behind.\n")
            os.write(terminal, b"break host2\n")
            assert b"On host2 somebody starts firewalld" in await printed.readline()
            os.write(terminal, b"break it all\n")
            assert b"break host1, break host2 or quit" in await printed.readline()
            os.write(terminal, b"quit\n")
            assert await running.wait() == 0
    finally:
        os.close(terminal)
        os.close(inside)


async def test_without_a_terminal_it_serves_its_page_until_it_is_told_to_stop() -> None:
    async with demo(asyncio.subprocess.DEVNULL) as (running, printed):
        url = (await printed.readline()).decode().split()[0]
        async with aiohttp.ClientSession() as session, session.get(url) as page:
            assert page.status == 200
        await printed.readuntil(b"host1 breaks by itself")
        running.send_signal(signal.SIGINT)
        assert await running.wait() == 0
