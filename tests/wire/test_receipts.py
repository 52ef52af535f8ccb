"""Steps over a real SSH connection in a real shell: at most once, to their end, and told of ever after."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checks.collect.ssh import Connection
from checks.errors import LookError, OutputUnreadableError
from checks.execution.receipts import RebootedError, Receipt, ReceiptState, close_run, open_run, start
from checks.model import Step
from tests.wire.sshd import Sshd, sshd


class Site:
    """A host whose login has a home folder of its own, and a file that a step writes a line to each time it runs."""

    def __init__(self, server: Sshd, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.connection = Connection(server.host)
        self.boot = ""

    @property
    def ran(self) -> list[str]:
        file = self.folder / "ran"
        return file.read_text().split() if file.exists() else []

    def step(self, script: str = "", number: int = 1) -> Step:
        return Step(f"step {number}", ("sh", "-c", f"echo {number} >>{self.folder}/ran; {script}"), root=False)

    async def start(self, number: int = 1, script: str = "", run: str = "run-1") -> Receipt:
        self.boot = self.boot or await open_run(self.connection, run)
        return await start(self.connection, run, self.boot, number, self.step(script, number))

    async def until(self, name: str) -> Path:
        """Wait for a file."""
        async with asyncio.timeout(10):
            while not (self.folder / name).exists():  # noqa: ASYNC110  # another process makes it
                await asyncio.sleep(0.01)
        return self.folder / name

    async def told(self, number: int = 1) -> Receipt:
        """What is known of a step once it does not run any more, over whatever connection."""
        async with asyncio.timeout(10):
            while True:
                try:
                    receipt = await self.start(number)
                except LookError:
                    await asyncio.sleep(0.1)
                    continue
                if receipt.state is not ReceiptState.RUNNING:
                    return receipt
                await asyncio.sleep(0.02)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with sshd(tmp_path) as server:
        made = Site(server, tmp_path)
        try:
            yield made
        finally:
            await made.connection.close()


async def test_a_step_says_how_it_ended_and_what_it_printed_on_both_streams(site: Site) -> None:
    receipt = await site.start(script="echo well; echo ill >&2; exit 3")
    assert (receipt.state, receipt.status, receipt.output) == (ReceiptState.ENDED, 3, "well\nill\n")
    assert 0 <= receipt.seconds < 10


async def test_a_step_that_is_started_again_is_not_run_again_and_says_the_same(site: Site) -> None:
    first = await site.start(script="echo once")
    assert [await site.start(script="echo twice") for _ in range(3)] == [first] * 3
    assert site.ran == ["1"]


async def test_of_two_who_start_a_step_at_once_one_runs_it(site: Site) -> None:
    site.boot = await open_run(site.connection, "run-1")
    others = [Connection(site.server.host) for _ in range(3)]
    step = site.step("sleep 0.2")
    receipts = await asyncio.gather(*[start(each, "run-1", site.boot, 1, step) for each in others])
    assert {receipt.state for receipt in receipts} <= {ReceiptState.ENDED, ReceiptState.RUNNING}
    assert (await site.told()).status == 0
    assert site.ran == ["1"]
    for each in others:
        await each.close()


async def test_a_step_goes_on_when_the_connection_breaks_and_is_told_of_over_the_next_one(site: Site) -> None:
    going = asyncio.create_task(site.start(script=f"until [ -e {site.folder}/go ]; do sleep 0.01; done; echo ended"))
    await site.until("ran")
    site.server.cut()
    with pytest.raises(LookError):
        await going
    (site.folder / "go").touch()
    receipt = await site.told()
    assert (receipt.state, receipt.status, receipt.output) == (ReceiptState.ENDED, 0, "ended\n")
    assert site.ran == ["1"]


async def test_a_step_that_runs_is_said_to_run_and_is_not_closed(site: Site) -> None:
    going = asyncio.create_task(site.start(script=f"until [ -e {site.folder}/go ]; do sleep 0.01; done"))
    await site.until("ran")
    first, second = await close_run(site.connection, "run-1", 2)
    assert (first.state, second.state) == (ReceiptState.RUNNING, ReceiptState.CLOSED)
    (site.folder / "go").touch()
    assert (await going).status == 0


async def test_a_step_of_a_closed_run_is_never_started_however_late_it_comes(site: Site) -> None:
    await site.start()
    first, second = await close_run(site.connection, "run-1", 2)
    assert (first.state, second.state) == (ReceiptState.ENDED, ReceiptState.CLOSED)
    assert (await site.start(2)).state is ReceiptState.CLOSED
    assert site.ran == ["1"]


async def test_a_step_that_somebody_kills_is_lost_and_not_run_again(site: Site) -> None:
    going = asyncio.create_task(site.start(script="sleep 30"))
    await site.until("ran")
    pid = int((await site.until(".dockerhealth/run-1/1/pid")).read_text())
    os.killpg(pid, signal.SIGKILL)
    assert (await going).state is ReceiptState.LOST
    assert (await site.told()).status is None
    assert site.ran == ["1"]


async def test_nothing_is_started_on_a_host_that_was_started_anew(site: Site) -> None:
    site.boot = "0" * 36
    with pytest.raises(RebootedError):
        await site.start()
    assert site.ran == []


async def test_a_step_that_was_interrupted_by_a_reboot_is_lost(site: Site) -> None:
    going = asyncio.create_task(site.start(script=f"until [ -e {site.folder}/go ]; do sleep 0.01; done"))
    receipt = await site.until(".dockerhealth/run-1/1/boot")
    await site.until("ran")
    receipt.write_text("an earlier boot\n")
    [lost] = await close_run(site.connection, "run-1", 1)
    assert lost.state is ReceiptState.LOST
    (site.folder / "go").touch()
    await going


async def test_no_step_runs_where_no_receipt_can_be_written(site: Site) -> None:
    (site.folder / ".dockerhealth").write_text("in the way")
    with pytest.raises(OutputUnreadableError, match="takes no receipts, and without them no step is run"):
        await site.start()
    assert site.ran == []


async def test_of_a_step_that_prints_without_end_the_last_words_are_kept(site: Site) -> None:
    receipt = await site.start(script="i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done")
    assert receipt.status == 0
    assert len(receipt.output) == 60_000
    assert receipt.output.endswith("line 19999\n")


async def test_a_run_whose_name_could_be_a_path_is_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="no id of a run"):
        await open_run(site.connection, "../../etc")
