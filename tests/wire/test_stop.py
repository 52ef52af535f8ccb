"""The bot as a process of its own: it starts whatever Slack says, and ends within 10 s whatever hangs."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.demo.local_slack import LocalSlack
from tests.unit.bot.samples import plan
from tests.wire.bot_world import FIX, GREEN, Site, World

PATIENCE = 40.0
WITHIN = 10.0  # seconds from SIGTERM to the end of the process

CONFIG = """
slack: {{alert_channel: "#docker-health"}}
ssh: {{known_hosts: {folder}/known_hosts, identity_file: {folder}/key}}
checks: {{reach_every: 1s}}
store: sqlite:///{folder}/dockerhealth.db
hosts:
  host1:
    address: 127.0.0.9
    ssh: {{port: 9}}
    services:
{services}
"""


def configured(folder: Path, services: int) -> Path:
    urls = "".join(f"      s{number}: {{url: 'tcp://127.0.0.9:{number + 20}'}}\n" for number in range(services))
    path = folder / "dockerhealth.yaml"
    path.write_text(CONFIG.format(folder=folder, services=urls))
    return path


@asynccontextmanager
async def process(*command: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=dict(os.environ) | dict(environment), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


@asynccontextmanager
async def bot(slack: LocalSlack, config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
    }
    async with process("-m", "bot", "run", "-c", str(config), environment=environment) as running:
        yield running


async def ended_after(running: asyncio.subprocess.Process) -> float:
    """Seconds that it takes to end, once it is told to."""
    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    async with asyncio.timeout(WITHIN + 5):
        await running.wait()
    return time.monotonic() - began


async def said(running: asyncio.subprocess.Process, words: str) -> None:
    assert running.stderr
    async with asyncio.timeout(PATIENCE):
        while words not in (line := (await running.stderr.readline()).decode()):
            assert line, f"it ended without having said {words!r}"


async def test_it_ends_soon_where_slack_hangs_and_twenty_alerts_wait(tmp_path: Path) -> None:
    async with LocalSlack.start() as slack:
        slack.add_channel("#docker-health")
        async with bot(slack, configured(tmp_path, services=20)) as running:
            await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
            slack.faults.delay("*", 300, times=1000)
            for _ in range(20):
                await said(running, '"state": "open"')
            await said(running, "outbox: not delivered")  # each waits for its answer, one after the other
            assert await ended_after(running) < WITHIN
            assert running.returncode == 0


async def test_it_ends_soon_where_slack_has_asked_it_to_wait_for_two_minutes(tmp_path: Path) -> None:
    async with LocalSlack.start() as slack:
        slack.faults.rate_limit("apps.connections.open", times=1000, retry_after=120)
        async with bot(slack, configured(tmp_path, services=1)) as running:
            await slack.wait_until(lambda: bool(slack.calls("apps.connections.open")), timeout=PATIENCE)
            assert await ended_after(running) < WITHIN
            assert running.returncode == 0


HANGING = """
import asyncio, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from bot.cli import run_bot
from bot.config import Settings

async def run(settings, stop, *_, **__):
    asking = ThreadPoolExecutor().submit(time.sleep, 300)  # an Engine that drips
    print("runs", file=sys.stderr, flush=True)
    await stop.wait()
    await asyncio.wrap_future(asking)

run_bot.run_bot = run
service = {"url": "tcp://127.0.0.1:9"}
run_bot.run(Settings(hosts={"host1": {"address": "127.0.0.1", "services": {"web": service}}}), lambda: None)
"""


async def test_it_ends_soon_where_a_thread_waits_for_a_host(tmp_path: Path) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(HANGING)
    async with process(str(script), environment={"PYTHONPATH": str(Path(__file__).parents[2])}) as running:
        await said(running, "runs")
        assert await ended_after(running) < WITHIN


async def test_a_fix_that_runs_when_it_is_stopped_is_taken_up_by_the_next_start(tmp_path: Path) -> None:
    async with LocalSlack.start() as slack:
        world = World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        world.site.may_end.clear()
        async with world.bot():
            alert = await world.alert()
            await world.slack.click(world.alice, alert, FIX)
            await world.until(lambda: world.site.ran == [plan()])
            began = time.monotonic()
        assert time.monotonic() - began < WITHIN
        async with world.bot():
            await world.becomes(alert, GREEN)
        assert world.site.ran == [plan()]


# --- start ---


@pytest.mark.parametrize("error", ["team_added_to_org", "org_login_required", "access_denied", "unknown_error", "new"])
@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
async def test_it_waits_for_what_passes_at_start_and_watches_meanwhile(tmp_path: Path, method: str, error: str) -> None:
    async with LocalSlack.start() as slack:
        world = World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        slack.faults.refuse(method, error, times=2)
        async with world.bot():
            assert world.site.reached.is_set()
            await world.slack.click(world.alice, await world.alert(), FIX)
            await world.until(lambda: world.site.ran == [plan()])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>Welcome to the hotel</html>", "text/html"),
        ("please log in", "text/plain"),
        ("[]", "application/json"),
        ("{not json", "application/json"),
        ("null", "application/json"),
    ],
)
async def test_a_proxy_that_answers_in_slacks_place_is_waited_for(tmp_path: Path, body: str, content_type: str) -> None:
    async with LocalSlack.start() as slack:
        world = World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        slack.faults.answer_instead("apps.connections.open", body, content_type)
        slack.faults.answer_instead("auth.test", body, content_type)
        slack.faults.answer_instead("chat.postMessage", body, content_type)
        async with world.bot():
            await world.slack.click(world.alice, await world.alert(), FIX)
            await world.until(lambda: world.site.ran == [plan()])
