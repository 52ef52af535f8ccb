"""A running bot takes a changed configuration, all of it or none, and the terminal is told which."""

import asyncio
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from bot.app import Bot
from bot.clock import Clock
from bot.demo.local_slack import LocalSlack
from bot.reload import Reload
from bot.slack.client import SlackClient
from bot.store import ReloadState, Store
from tests.unit.bot.samples import plan
from tests.wire.bot_world import FIX, GREEN, PATIENCE, Site, World, now
from tests.wire.test_stop import bot, said

CONFIG = """
slack: {{alert_channel: "{channel}"}}
ssh: {{known_hosts: {folder}/known_hosts, identity_file: {folder}/key}}
checks: {{reach_every: 1s}}
store: sqlite:///{folder}/dockerhealth.db
hosts:
  host1:
    address: 127.0.0.1
    ssh: {{port: 9}}
    services:
      {services}
"""


def configure(folder: Path, services: str, channel: str = "#docker-health") -> Path:
    path = folder / "dockerhealth.yaml"
    path.write_text(CONFIG.format(folder=folder, services=services, channel=channel))
    return path


async def reload(config: Path) -> tuple[int, str]:
    """What `dockerhealth reload` ends with, and what it says."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "reload", "-c", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await running.communicate()
    return running.returncode or 0, output.decode()


async def test_a_changed_configuration_is_taken_and_the_terminal_told(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as answering:
        well = f"web: {{url: 'tcp://127.0.0.1:{answering.getsockname()[1]}'}}"
        config = configure(tmp_path, well)
        async with LocalSlack.start() as slack:
            slack.add_channel("#docker-health")
            others = slack.add_channel("#others")
            async with bot(slack, config) as running:
                await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
                configure(tmp_path, f"{well}\n      redis: {{url: 'tcp://127.0.0.1:1'}}", "#others")
                ended, output = await reload(config)
                assert (ended, output) == (0, f"pid {running.pid}: the new configuration is in use.\n")
                await slack.wait_for_message(others, "host1/redis", timeout=PATIENCE)
                assert running.returncode is None


async def test_a_configuration_with_a_mistake_changes_nothing_and_the_terminal_says_which(tmp_path: Path) -> None:
    config = configure(tmp_path, "web: {url: 'tcp://127.0.0.1:1'}")
    async with LocalSlack.start() as slack:
        slack.add_channel("#docker-health")
        async with bot(slack, config) as running:
            await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
            configure(tmp_path, "web: {url: 'nonsense'}", "#others")
            ended, output = await reload(config)
            assert ended == 64
            assert "hosts.host1.services.web.url" in output
            running.send_signal(signal.SIGHUP)  # whoever tells it itself
            await said(running, "THE OLD CONFIGURATION IS KEPT")
            await slack.wait_for_message("#docker-health", "host1/web", timeout=PATIENCE)
            assert running.returncode is None


async def test_what_only_a_restart_can_change_is_kept_and_the_terminal_says_why(tmp_path: Path) -> None:
    config = configure(tmp_path, "web: {url: 'tcp://127.0.0.1:1'}")
    async with LocalSlack.start() as slack:
        slack.add_channel("#docker-health")
        async with bot(slack, config) as running:
            await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
            moved = tmp_path / "moved.yaml"
            moved.write_text(config.read_text())
            config.write_text(config.read_text().replace("dockerhealth.db", "another.db"))
            ended, output = await reload(moved)  # which names the store that it runs on
            assert ended == 1
            assert f"pid {running.pid} keeps the old configuration:\n  store: it cannot change" in output


async def test_where_no_bot_runs_that_is_said(tmp_path: Path) -> None:
    config = configure(tmp_path, "web: {url: 'tcp://127.0.0.1:1'}")
    await (await Store.open(f"sqlite:///{tmp_path}/dockerhealth.db")).close()
    assert await reload(config) == (1, "No dockerhealth runs on this machine with that store. Nothing was changed.\n")


async def test_a_fix_that_runs_ends_before_a_new_configuration_is_taken(tmp_path: Path) -> None:
    async with LocalSlack.start() as slack:
        world = World(slack, Site(), f"sqlite:///{tmp_path}/store.db")
        world.site.may_end.clear()
        tokens = {"slack_bot_token": SecretStr(slack.bot_token), "slack_app_token": SecretStr(slack.app_token)}
        settings = world.settings().model_copy(update=tokens | {"slack_api_url": slack.api_url})
        changed = asyncio.Event()
        reloading = Reload(settings, lambda: settings)
        store = await Store.open(world.url)
        await store.lives.begin(now())
        client = await SlackClient.open(slack.bot_token, slack.api_url)
        watching = asyncio.create_task(reloading.watch(store))
        acting = Bot(world.settings(), store, client, world.site, world.site.executor, Clock())
        running = asyncio.create_task(acting.act(slack.app_token, asyncio.Event(), reloading))
        running.add_done_callback(lambda _: changed.set())
        alert = await world.alert()
        await world.until(lambda: slack.connected > 0)
        await slack.click(world.alice, alert, FIX)
        await world.until(lambda: world.site.ran == [plan()])
        reloading.asked.set()
        async with asyncio.timeout(PATIENCE):
            while (await store.lives.all())[0].state is not ReloadState.WAITING:  # noqa: ASYNC110  # as a terminal does
                await asyncio.sleep(0.05)
        assert not changed.is_set()
        world.site.may_end.set()
        async with asyncio.timeout(PATIENCE):
            await running
        assert alert.colour == GREEN
        watching.cancel()
        await client.close()
        await store.close()
