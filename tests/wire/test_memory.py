"""What a bot holds while it watches: nothing that only another command, or another time, has a use for."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from bot.demo.local_slack import LocalSlack
from tests.bench.bots import environment_of_bot
from tests.postgresql import opened_once

COMMAND = """
import json, sys
from bot.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
CONFIG = """
store: sqlite:///{folder}/dockerhealth.db
slack: {{alert_channel: "#docker-health"}}
hosts:
  host1:
    address: 127.0.0.9
    ssh: {{port: 9}}
    services: {{web: {{url: "tcp://127.0.0.9:20"}}}}
"""
ROOT = Path(__file__).parents[2]
MIGRATES = {"alembic", "mako"}
SELDOM = {"apprise", "docker", "requests"}
PATIENCE = 40.0


async def modules_of_a_bot(folder: Path) -> set[str]:
    """Those that are there after a bot has watched, and told of a service that does not answer."""
    (folder / "dockerhealth.yaml").write_text(CONFIG.format(folder=folder))
    argv = (sys.executable, "-c", COMMAND, "run", "-c", str(folder / "dockerhealth.yaml"))
    async with LocalSlack.start() as slack:
        channel = slack.add_channel("#docker-health")
        environment = environment_of_bot(folder, slack, ROOT)
        bot = await asyncio.create_subprocess_exec(*argv, env=environment, stdin=DEVNULL, stderr=PIPE)
        try:
            await slack.wait_until(lambda: bool(slack.messages(channel)), timeout=PATIENCE)
            bot.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                _, said = await bot.communicate()
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()
    return set(json.loads(said.splitlines()[-1]))


async def test_a_bot_whose_store_is_up_to_date_does_not_hold_what_migrates_one(tmp_path: Path) -> None:
    await opened_once(f"sqlite:///{tmp_path}/dockerhealth.db")
    modules = await modules_of_a_bot(tmp_path)
    assert modules >= {"slack_bolt", "apscheduler", "sqlalchemy", "asyncssh"}
    assert modules & (MIGRATES | SELDOM) == set()
