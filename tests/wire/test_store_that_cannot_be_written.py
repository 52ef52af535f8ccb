"""A store that is locked for long, that is somebody else's, or whose disk is full: said once, and taken up again."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from bot.demo.local_slack import LocalSlack
from bot.slack import store_notice
from bot.store import Store, StoreError, database, writability
from tests.unit.bot.cli.cli_world import configured, invoke
from tests.unit.bot.samples import plan
from tests.wire.bot_world import FIX, GREEN, Site, World

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that every user comes to: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        assert slack.complaints == []


async def test_a_fix_is_not_broken_off_because_the_store_was_locked_for_forty_seconds(world: World) -> None:
    async with world.bot():
        alert = await world.alert()
        world.site.may_end.clear()
        await world.slack.click(world.alice, alert, FIX)
        await world.until(lambda: world.site.ran == [plan()])
        async with world.locked():
            world.site.may_end.set()  # it ends, and cannot note that
            await asyncio.sleep(40)
        await world.becomes(alert, GREEN)
    assert world.site.ran == [plan()]
    assert "dockerhealth was stopped" not in alert.shown
    assert "Verified" in alert.shown


async def test_it_says_once_that_its_store_cannot_be_written_and_takes_up_again(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_notice, "TOLD_AFTER", 1.0)
    monkeypatch.setattr(writability, "OVER_AFTER", 3.0)
    async with world.bot():
        async with world.locked():
            world.site.well = False
            notice = await world.shows(world.channel, "cannot write its store")
            await asyncio.sleep(12)
            assert world.slack.messages(world.channel) == [notice]
        await world.shows(world.channel, lambda message: any(each.action_id == FIX for each in message.buttons))
        await world.until(lambda: "can write its store again" in notice.shown)
    logged = capsys.readouterr().out
    assert logged.count("CANNOT BE WRITTEN") == 1
    assert logged.count("Traceback") == 0
    assert len(world.slack.messages(world.channel)) == 2


async def test_a_bot_that_ends_meanwhile_leaves_no_notice_that_stays_red(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 200)
    monkeypatch.setattr(store_notice, "TOLD_AFTER", 1.0)
    async with AsyncExitStack() as locked:
        async with world.bot():
            await locked.enter_async_context(world.locked())
            world.site.well = False
            notice = await world.shows(world.channel, "🔴 dockerhealth cannot write its store")
        assert "⚪ dockerhealth could not write its store when it ended" in notice.shown
    async with world.bot():
        await world.shows(world.channel, lambda message: any(each.action_id == FIX for each in message.buttons))
    assert not [each for each in world.slack.messages(world.channel) if "🔴 dockerhealth" in each.shown]


LOCKING = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
for _ in range(int(sys.argv[2])):
    store.execute("BEGIN IMMEDIATE")
    time.sleep(3)
    store.execute("ROLLBACK")
    time.sleep(3)
"""


async def test_another_process_that_locks_it_now_and_then_is_told_once_and_not_each_time(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 200)
    monkeypatch.setattr(store_notice, "TOLD_AFTER", 0.5)
    monkeypatch.setattr(writability, "OVER_AFTER", 6.0)
    async with world.bot():
        command = (sys.executable, "-c", LOCKING, world.file, "3")
        another = await asyncio.create_subprocess_exec(*command)
        while another.returncode is None:
            world.site.well = not world.site.well  # there is always something to write
            await asyncio.sleep(0.5)
        notice = await world.shows(world.channel, "its store")
        await world.until(lambda: "can write its store again" in notice.shown)
    notices = [each for each in world.slack.messages(world.channel) if "its store" in each.shown]
    assert notices == [notice]
    assert len(notice.revisions) == 2
    logged = capsys.readouterr().out
    assert (logged.count("CANNOT BE WRITTEN"), logged.count("can be written again")) == (1, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk to be filled is mounted")
async def test_with_a_full_disk_an_alert_is_posted_once_it_has_room_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with _mounted(disk):
        async with LocalSlack.start() as slack:
            world = World(slack, Site(), f"sqlite:///{disk}/store.db")
            async with world.bot():
                ballast = disk / "ballast"
                _fill(ballast)
                world.site.well = False
                await asyncio.sleep(8)
                posted = slack.calls("chat.postMessage")
                ballast.unlink()
                alert = await world.shows(world.channel, lambda message: bool(message.buttons))
                await slack.click(world.alice, alert, FIX)
                await world.becomes(alert, GREEN)
            assert len(posted) <= 1
            logged = capsys.readouterr().out
            assert logged.count("CANNOT BE WRITTEN") == 1
            assert "database or disk is full" in logged
            assert "Traceback" not in logged
            assert [each for each in slack.messages(world.channel) if "host1/registry" in each.shown] == [alert]


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    if _ran("mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)):
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        _ran("umount", "-l", str(folder))


def _ran(*command: str) -> int:
    """Return the exit status."""
    return subprocess.run(command, check=False).returncode  # noqa: S603  # fixed text


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


# --- found at start ---


@contextmanager
def as_nobody() -> Iterator[None]:
    """What a service runs as that is not root. Without root nothing has to be changed for that."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_store_that_is_another_users_is_found_at_start_with_the_reason(folder: Path) -> None:
    await (await Store.open(f"sqlite:///{folder}/store.db")).close()
    (folder / "store.db").chmod(0o444)
    with as_nobody(), pytest.raises(StoreError, match=r"readonly database.*belongs to \w+ and may not be written by"):
        await Store.open(f"sqlite:///{folder}/store.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
async def test_what_root_makes_in_the_services_folder_is_the_services(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    await (await Store.open(f"sqlite:///{folder}/store.db")).close()
    with as_nobody():
        store = await Store.open(f"sqlite:///{folder}/store.db")
    await store.close()


@pytest.mark.parametrize(
    "command", [("audit",), ("audit", "verify"), ("audit", "export"), ("undo", "host1", "--dry-run")]
)
def test_a_command_that_only_reads_makes_no_store(tmp_path: Path, command: tuple[str, ...]) -> None:
    config = configured(tmp_path, "[]")
    before = sorted(tmp_path.iterdir())
    done = invoke(*command, "-c", config)
    assert done.exit_code == 64
    assert "There is no store at" in done.output
    assert sorted(tmp_path.iterdir()) == before
