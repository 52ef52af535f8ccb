"""The bot killed, and its host cut off, at each point of a fix: nothing runs twice, nothing stays locked, no lies.

Two hosts at a time, each with a Slack and a bot of its own: on one the bot is killed, the other goes away.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bot.demo.local_slack import LocalSlack, Message, NeverHappenedError, User
from bot.incidents.model import Incident, Offer
from bot.slack.views.blocks import Colour
from bot.store import Store
from checks.commands import carried_out, privileged
from checks.model import Outcome
from tests.lab import faults, network
from tests.lab.doomed import Point
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240, func_only=True)]

PATIENCE = 90.0
FIX = "enable-ip-forward"
POINTS = (
    Point("approved", 1, "before"),
    Point("approved", 1, "after"),
    Point("looking-again", 1, "after"),
    Point("unchanged", 1, "after"),
    Point("step-started", 1, "after"),
    Point("step-started", 1, "within"),
    Point("step-ended", 1, "before"),
    Point("step-ended", 1, "after"),
    Point("step-started", 2, "within"),
    Point("step-ended", 2, "before"),
    Point("verifying", 1, "after"),
    Point("ended", 1, "before"),
)
RED, GREEN = Colour.RED, Colour.GREEN


@dataclass
class Scene:
    """A real host, a strict Slack, and the bot between them as a process of its own."""

    host: LabHost
    slack: LocalSlack
    alice: User
    config: Path
    database: Path

    @asynccontextmanager
    async def bot(self, *fate: str) -> AsyncIterator[asyncio.subprocess.Process]:
        environment = os.environ | {
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
        }
        log = os.open(self.config.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.lab.doomed", str(self.config), *fate),
            env=environment,
            stdout=log,
            stderr=log,
        )
        os.close(log)
        try:
            await self.slack.wait_until(lambda: self.slack.connected > 0, timeout=PATIENCE)
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()

    async def alert(self) -> Message:
        return await self.slack.wait_for_message("#docker-health", button, timeout=PATIENCE)

    async def press(self, alert: Message) -> None:
        await self.slack.click(self.alice, alert, f"approve:{FIX}")

    async def mended(self) -> None:
        """Press the button that the alert has, as often as it takes: a look may replace it at that very moment."""
        [alert] = self.slack.messages("#docker-health")
        for _ in range(5):
            await self.slack.wait_until(
                lambda: alert.colour == GREEN or (alert.colour == RED and button(alert)), timeout=PATIENCE
            )
            if alert.colour == GREEN:
                return
            await self.press(alert)
            with contextlib.suppress(NeverHappenedError):
                await self.slack.wait_until(lambda: alert.colour != RED, timeout=5)
        raise AssertionError(alert.shown)

    async def run(self) -> tuple[Incident, Offer] | None:
        """The run that was begun first, where any was."""
        store = await Store.open(f"sqlite:///{self.database}")
        try:
            for incident in [await store.incidents.newest("host1", "registry")]:
                for offer in incident.offers if incident else ():
                    if incident and offer.approval is not None:
                        return incident, offer
        finally:
            await store.close()
        return None

    async def ended(self) -> Offer | None:
        """The first run once it has ended, and so has what takes it back; None where none was ever begun."""
        async with asyncio.timeout(PATIENCE):
            while (found := await self.run()) is not None and not _is_over(*found):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.3)
        return found[1] if found is not None else None

    async def until(self, *, is_away: bool) -> None:
        """Wait until the host goes away, or is back."""
        async with asyncio.timeout(PATIENCE):
            while self.config.with_suffix(".now").exists() is not is_away:  # noqa: ASYNC110  # another process's file
                await asyncio.sleep(0.1)

    def locks(self) -> int:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM host_locks").fetchone()[0])

    def times_run(self, run: str, offer: Offer) -> list[int]:
        """How often each step's command was run on the host, as sudo recorded it there."""
        log = self.host.sh("journalctl --quiet --no-pager -o cat _COMM=sudo").splitlines()
        words = [" ".join(privileged(carried_out(step, _by(offer), run))) for step in offer.plan.steps]
        return [sum(line.endswith(f"COMMAND={command}") for line in log) for command in words]

    @property
    def is_kept(self) -> bool:
        return self.host.path("/etc/sysctl.d/99-zz-dockerhealth-ip-forward.conf").exists()

    @property
    def forwards(self) -> bool:
        return self.host.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"


def _is_over(incident: Incident, offer: Offer) -> bool:
    """Whether a run has ended; one that was done halfway, when it was taken back."""
    if offer.applied is None:
        return False
    halfway = offer.applied.outcome is Outcome.NOT_FIXED and offer.applied.ran
    return not halfway or any(each.plan.undoes == offer.id and each.applied for each in incident.offers)


def button(message: Message) -> bool:
    return any(each.action_id == f"approve:{FIX}" for each in message.buttons)


def _by(offer: Offer) -> str:
    return offer.approval.who if offer.approval else ""


@asynccontextmanager
async def scene(lab: Lab, host: LabHost, folder: Path) -> AsyncIterator[Scene]:
    await asyncio.to_thread(host.restore)
    async with LocalSlack.start() as slack:
        alice = slack.add_user("alice")
        slack.add_channel("#docker-health", [alice])
        service = {"url": f"http://{host.address}:5000/v2/", "container": "registry"}
        document = {
            "ssh": {"user": lab.user, "identity_file": str(lab.identity_file), "known_hosts": str(lab.known_hosts)},
            "checks": {"reach_every": "1s"},
            "approvals": {"approvers": [alice.id]},
            "store": f"sqlite:///{folder}/dockerhealth.db",
            "hosts": {"host1": {"address": host.address, "services": {"registry": service}}},
        }
        config = folder / "dockerhealth.yaml"
        config.write_text(yaml.safe_dump(document))
        try:
            yield Scene(host, slack, alice, config, folder / "dockerhealth.db")
        finally:
            network.join(host.name)
            await asyncio.to_thread(host.restore)


async def killed(lab: Lab, host: LabHost, folder: Path, point: Point) -> None:
    """The bot is killed at the point, and started again."""
    async with scene(lab, host, folder) as here:
        async with here.bot("kill", host.name, host.address, str(point)) as process:
            faults.forwarding_switched_off(host)
            await here.press(await here.alert())
            async with asyncio.timeout(PATIENCE):
                assert await process.wait() == -signal.SIGKILL
        async with here.bot():
            await true_in_the_end(here)


async def cut_off(lab: Lab, host: LabHost, folder: Path, point: Point) -> None:
    """The host goes away at the point, and comes back after a while."""
    async with scene(lab, host, folder) as here, here.bot("cut", host.name, host.address, str(point)):
        faults.forwarding_switched_off(host)
        await here.press(await here.alert())
        for is_away in (True, False):
            await here.until(is_away=is_away)
        await true_in_the_end(here)


async def true_in_the_end(here: Scene) -> None:
    """What the run is said to have come to is so on the host; and the next click mends what is left to mend.

    Where none had begun, Slack delivers the click again, and one may begin at any moment.
    """
    offer = await here.ended()
    if offer is not None and offer.applied is not None:
        applied = offer.applied
        times = here.times_run(offer.id, offer)
        assert max(times) <= 1, (applied.says, times)
        assert times == [1] * len(applied.results) + [0] * (len(times) - len(applied.results)), (applied.says, times)
        assert here.forwards is (applied.outcome is Outcome.FIXED), applied.says
        assert here.is_kept is (applied.outcome is Outcome.FIXED), applied.says  # what was done halfway was taken back
        assert (here.host.outside() == "200") is (applied.outcome is Outcome.FIXED), applied.says
        assert here.locks() == 0
    await here.mended()
    assert here.locks() == 0
    assert here.slack.complaints == []


@pytest.mark.parametrize("number", range(len(POINTS)), ids=[str(point).replace(" ", "-") for point in POINTS])
async def test_the_bot_killed_and_the_host_cut_off_there(lab: Lab, tmp_path: Path, number: int) -> None:
    first, second = lab.hosts[:2] if number % 2 else reversed(lab.hosts[:2])
    point = POINTS[number]
    for folder in ("killed", "cut"):
        (tmp_path / folder).mkdir()  # nothing else runs yet
    await asyncio.gather(killed(lab, first, tmp_path / "killed", point), cut_off(lab, second, tmp_path / "cut", point))
