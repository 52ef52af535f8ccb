"""Secrets that the bot is given, or that hosts print, are found nowhere afterwards: the real bot, as a process."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
import yaml

from bot.demo.hosts import USER, DemoHost, Fault
from bot.demo.local_slack import LocalSlack, User
from checks.masking import MASK
from checks.model import Output
from tests.wire.bot_world import CHANNEL, FIX, GREEN, PATIENCE

IN_JOURNAL, IN_ENV, IN_HEALTH, IN_COMMAND = (
    f"Pl4nted-{where}-8c1d" for where in ("journal", "env", "health", "daemon")
)
FROM_HOST = (IN_JOURNAL, IN_ENV, IN_HEALTH, IN_COMMAND)
BEGAN = str(time.time_ns() // 1000)  # somebody logged in just then
IN_OUR_ENVIRONMENT = "Pl4nted-environment-8c1d"


class LeakyHost(DemoHost):
    """A host that prints secrets wherever one does."""

    def outputs(self, *, again: bool = False) -> Mapping[str, Output]:
        outputs = dict(super().outputs(again=again))
        outputs["journal"] = _with(outputs["journal"], _login_of_somebody())
        outputs["daemon"] = _with(outputs["daemon"], f" --http-proxy http://proxy:{IN_COMMAND}@10.0.0.1:3128")
        containers = json.loads(outputs["engine-containers"].stdout)
        for one in containers:
            one["Config"]["Env"] = [*(one["Config"].get("Env") or ()), f"REGISTRY_PASSWORD={IN_ENV}"]
            probe = {"Output": f"curl: (22) 401, sent Authorization: Bearer {IN_HEALTH}", "ExitCode": 22}
            one["State"]["Health"] = {"Status": "unhealthy", "FailingStreak": 7, "Log": [probe]}
        outputs["engine-containers"] = replace(outputs["engine-containers"], stdout=json.dumps(containers))
        return outputs


def _with(output: Output, more: str) -> Output:
    return replace(output, stdout=f"{output.stdout.rstrip()}{more}\n")


def _login_of_somebody() -> str:
    command = f"/usr/bin/docker login -u ci -p {IN_JOURNAL} registry.example"
    record = {
        "SYSLOG_IDENTIFIER": "sudo",
        "_COMM": "sudo",
        "PRIORITY": "5",
        "_PID": "4242",
        "MESSAGE": f"     ci : PWD=/home/ci ; USER=root ; COMMAND={command}",
        "_SOURCE_REALTIME_TIMESTAMP": BEGAN,
        "__REALTIME_TIMESTAMP": BEGAN,
    }
    return f"\n{json.dumps(record)}"


class Place:
    """What the bot is given, and where it leaves traces."""

    def __init__(self, folder: Path, slack: LocalSlack, host: LeakyHost, approver: User) -> None:
        self.folder, self.slack, self.host, self.approver = folder, slack, host, approver
        self.store = folder / "dockerhealth.db"
        self.log = folder / "log"
        self.seen_by_ps = b""

    @property
    def secrets(self) -> dict[str, str]:
        key = (self.folder / "id").read_text(encoding="ascii").splitlines()
        given = {"bot token": self.slack.bot_token, "app token": self.slack.app_token, "key": key[2]}
        return given | {each: each for each in (*FROM_HOST, IN_OUR_ENVIRONMENT)}

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run it as the unit does: tokens in files, and what else is in the environment."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONFAULTHANDLER": "1",
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN_FILE": str(self.folder / "bot_token"),
            "SLACK_APP_TOKEN_FILE": str(self.folder / "app_token"),
            "DATABASE_PASSWORD": IN_OUR_ENVIRONMENT,
            "HTTPS_PROXY": f"http://user:{IN_OUR_ENVIRONMENT}@127.0.0.1:9",
        }
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bot", "run", "-c", str(self.folder / "dockerhealth.yaml")),
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def look_at_processes(self) -> None:
        """What ``ps -ef`` shows to everybody."""
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.seen_by_ps += file.read_bytes()
            except OSError:
                continue  # it has ended

    def traces(self) -> dict[str, bytes]:
        """All that is left of a run."""
        stored = b"".join(file.read_bytes() for file in self.folder.glob("dockerhealth.db*"))
        messages = [*self.slack.messages(CHANNEL), *self.slack.ephemerals(self.approver)]
        posted = "\n".join(json.dumps(each.blocks) + json.dumps(each.attachments) + each.shown for each in messages)
        return {
            "the log": self.log.read_bytes(),
            "the store": stored,
            "Slack": posted.encode(),
            "ps": self.seen_by_ps,
        }

    def assert_no_secret(self) -> None:
        for place, trace in self.traces().items():
            for name, secret in self.secrets.items():
                assert secret.encode() not in trace, f"{name} stands in {place}"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    host = LeakyHost("127.0.0.61", "debian12-docker20.10.24", lambda: datetime.now(UTC))
    await host.start(key)
    async with LocalSlack.start() as slack:
        approver = slack.add_user("olga")
        slack.add_channel(CHANNEL, [approver])
        for name, content in {
            "id": key.export_private_key().decode(),
            "bot_token": slack.bot_token,
            "app_token": slack.app_token,
            "known_hosts": host.known_hosts_line,
            "dockerhealth.yaml": yaml.safe_dump(_configured(tmp_path, host, approver)),
        }.items():
            (tmp_path / name).touch(mode=0o600)
            (tmp_path / name).write_text(content, encoding="utf-8")
        yield Place(tmp_path, slack, host, approver)
    await host.close()


def _configured(folder: Path, host: DemoHost, approver: User) -> dict[str, object]:
    service = {"url": host.url, "container": "registry"}
    return {
        "slack": {"alert_channel": CHANNEL},
        "ssh": {"user": USER, "identity_file": str(folder / "id"), "known_hosts": str(folder / "known_hosts")},
        "checks": {"reach_every": "1s", "look_every": "30s"},
        "approvals": {"approvers": [approver.id]},
        "store": f"sqlite:///{folder}/dockerhealth.db",
        "hosts": {
            "host1": {"address": host.address, "ssh": {"port": host.ssh_port}, "services": {"registry": service}}
        },
    }


async def test_no_secret_is_kept_shown_or_logged_while_a_fault_is_told_and_mended(place: Place) -> None:
    slack = place.slack
    async with place.bot() as process:
        await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
        await place.host.break_by(Fault.FORWARDING_OFF)
        alert = await slack.wait_for_message(
            CHANNEL, lambda message: any(each.action_id == FIX for each in message.buttons), timeout=PATIENCE
        )
        place.look_at_processes()
        await slack.command(place.approver, CHANNEL, "/dockerhealth", "host1")
        await slack.click(place.approver, alert, FIX)
        await slack.wait_until(lambda: alert.colour == GREEN, timeout=PATIENCE)
        process.send_signal(signal.SIGTERM)
        await process.wait()
    shown = "".join(revision.shown for revision in alert.revisions)
    assert f"docker login -u ci -p {MASK} registry.example" in shown  # what was planted was seen
    place.assert_no_secret()


async def test_no_secret_stands_in_what_a_crash_leaves(place: Place) -> None:
    slack = place.slack
    async with place.bot() as process:
        await slack.wait_until(lambda: slack.connected > 0, timeout=PATIENCE)
        process.send_signal(signal.SIGABRT)
        await process.wait()
    slack.faults.refuse("*", "invalid_auth", times=100)
    async with place.bot() as process:
        await _ends(process)
    slack.faults.clear()
    place.store.write_text("this is no database", encoding="ascii")
    async with place.bot() as process:
        await _ends(process)
    log = place.log.read_text(encoding="utf-8", errors="replace")
    assert "Fatal Python error: Aborted" in log
    place.assert_no_secret()


async def _ends(process: asyncio.subprocess.Process) -> None:
    """It gives up, or is ended after it has said why it cannot go on."""
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.terminate()
        await process.wait()
