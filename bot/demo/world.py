"""Everything that the demo consists of, running: a Slack, two hosts, and between them the bot as it always is."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from bot import app
from bot.config import Settings, load
from bot.demo.hosts import USER, DemoHost
from bot.demo.local_slack import Channel, LocalSlack, User

CHANNEL = "#docker-health"
HOSTS = {"host1": ("127.0.0.2", "debian12-docker20.10.24"), "host2": ("127.0.0.3", "debian13-docker26.1.5")}

Json = dict[str, Any]


@dataclass(frozen=True)
class World:
    """``bot`` is its task; it ends when the demo does, or because the bot could not go on."""

    slack: LocalSlack
    channel: Channel
    developer: User
    on_call: User  # the only one who may approve fixes
    newcomer: User
    hosts: Mapping[str, DemoHost]
    bot: asyncio.Task[None]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Run it all on loopback until the block is left, and leave nothing behind."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    with tempfile.TemporaryDirectory(prefix="dockerhealth-demo-") as name:  # 0700
        async with LocalSlack.start() as slack, _hosts(key) as hosts:
            developer = slack.add_user("dana", real_name="Dana (developer)")
            on_call = slack.add_user("olga", real_name="Olga (on call)")
            newcomer = slack.add_user("nick", real_name="Nick (newcomer)")
            group = slack.add_group("oncall", [on_call])
            channel = slack.add_channel(CHANNEL, [developer, on_call, newcomer])
            settings = _settings(Path(name), key, slack, hosts, group.id)
            async with _bot(settings) as bot:
                yield World(slack, channel, developer, on_call, newcomer, hosts, bot)


@asynccontextmanager
async def _hosts(key: asyncssh.SSHKey) -> AsyncIterator[Mapping[str, DemoHost]]:
    async with contextlib.AsyncExitStack() as stack:
        hosts = {}
        for name, (address, platform) in HOSTS.items():
            host = DemoHost(address, platform, lambda: datetime.now(UTC))
            stack.push_async_callback(host.close)
            await host.start(key)
            hosts[name] = host
        yield hosts


def _settings(
    folder: Path, key: asyncssh.SSHKey, slack: LocalSlack, hosts: Mapping[str, DemoHost], approvers: str
) -> Settings:
    """Written to files and read back, as an admin would have it. The environment of this process has no say in it."""
    identity, known_hosts, config = folder / "id_ed25519", folder / "known_hosts", folder / "dockerhealth.yaml"
    identity.touch(mode=0o600)
    identity.write_bytes(key.export_private_key())
    known_hosts.write_text("".join(host.known_hosts_line for host in hosts.values()), encoding="utf-8")
    document: Json = {
        "slack": {"alert_channel": CHANNEL},
        "ssh": {"user": USER, "identity_file": str(identity), "known_hosts": str(known_hosts)},
        "checks": {"reach_every": "1s", "look_every": "30s", "open_after": 2, "resolve_after": 2},
        "approvals": {"approvers": [approvers]},
        "store": f"sqlite:///{folder / 'dockerhealth.db'}",
        "hosts": {name: _host(host) for name, host in hosts.items()},
    }
    config.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    environment = {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
    }
    return load(config, environment)


def _host(host: DemoHost) -> Json:
    service = {"url": host.url, "container": "registry"}
    return {"address": host.address, "ssh": {"port": host.ssh_port}, "services": {"registry": service}}


@asynccontextmanager
async def _bot(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    bot = asyncio.create_task(app.run(settings, stop), name="bot")
    try:
        yield bot
    finally:
        stop.set()
        await asyncio.gather(bot, return_exceptions=True)  # who waits for it says why it ended
