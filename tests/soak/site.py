"""Everything that a soak consists of, running on loopback: hosts, a Slack, a name server, a disk, and the bots."""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import asyncssh
import yaml

from bot.demo.hosts import USER
from bot.demo.local_slack import Channel, LocalSlack, User
from tests.soak.bots import Bot, bot_command
from tests.soak.hosts import SoakHost
from tests.soak.names import DOMAIN, NameServer
from tests.soak.schedule import BOTS, Fault, Pace

CHANNEL = "#docker-health"
NAME_SERVERS = tuple(f"127.1.{number}.53" for number in range(9, 20))
CLOCK = Path(__file__).with_name("clock.c")
_DISK = "size=64m"
_NAMED_EVERY = 5  # each fifth host is reached by its name


@dataclass(frozen=True)
class Clock:
    """The clock of the bots alone: see clock.c."""

    library: Path
    file: Path

    @classmethod
    def made(cls, folder: Path) -> Self | None:
        """Compile it. None where that cannot be done."""
        clock = cls(folder / "clock.so", folder / "clock")
        clock.set(0)
        compiler = shutil.which("cc")
        is_made = compiler is not None and _done(
            compiler, "-O2", "-shared", "-fPIC", "-o", str(clock.library), str(CLOCK)
        )
        return clock if is_made else None

    def set(self, ahead: int) -> None:
        """Let it be so many seconds ahead of the true time, from this moment on."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("q", ahead))

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "SOAK_CLOCK": str(self.file)}


@dataclass(frozen=True)
class Site:
    folder: Path
    slack: LocalSlack
    channel: Channel
    approver: User
    hosts: Mapping[str, SoakHost]
    bots: Sequence[Bot]
    names: NameServer | None  # None without the right to mount
    clock: Clock | None  # None without a C compiler
    has_disk: bool  # whether the store's disk is one of its own, which takes the right to mount

    @property
    def store(self) -> Path:
        return self.folder / "store" / "dockerhealth.db"

    @property
    def cannot(self) -> frozenset[Fault]:
        """What cannot be made to go wrong on this machine."""
        lacking = {
            Fault.NAMES_SILENT: self.names is None,
            Fault.CLOCK_AHEAD: self.clock is None,
            Fault.CLOCK_BACK: self.clock is None,
            Fault.DISK_FULL: not self.has_disk,
        }
        return frozenset(fault for fault, lacks in lacking.items() if lacks)


@asynccontextmanager
async def site(folder: Path, host_names: Sequence[str], pace: Pace, *, standby: bool) -> AsyncIterator[Site]:
    """Run it all until the block is left, but for the bots: these are to be kept by who wants them."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with AsyncExitStack() as stack:
        has_disk = stack.enter_context(_disk(folder / "store"))
        slack = await stack.enter_async_context(LocalSlack.start())
        hosts = {name: SoakHost(number, key, _now) for number, name in enumerate(host_names)}
        for host in hosts.values():
            stack.push_async_callback(host.close)
            await host.serve()
        names = None
        if has_disk:  # who may mount one may also give the bots a resolv.conf of their own
            names = await NameServer.start(NAME_SERVERS, {name: host.address for name, host in hosts.items()})
            stack.callback(names.close)
        clock = Clock.made(folder)
        approver = slack.add_user("olga")
        channel = slack.add_channel(CHANNEL, [approver])
        config = _configured(folder, key, hosts, pace, approver, by_name=names is not None)
        if names is not None:
            resolv_conf = f"nameserver {names.address}\noptions timeout:1 attempts:1\n"
            (folder / "resolv.conf").write_text(resolv_conf, encoding="utf-8")
        environment = _environment(folder, slack, clock)
        command = bot_command(config, folder / "resolv.conf" if names is not None else None)
        bots = [Bot(name, command, environment, folder / f"{name}.log") for name in (BOTS if standby else BOTS[:1])]
        yield Site(folder, slack, channel, approver, hosts, bots, names, clock, has_disk)


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.contextmanager
def _disk(folder: Path) -> Any:
    """A small disk in memory. Gives whether it could be had."""
    folder.mkdir()
    is_mounted = _done("mount", "-t", "tmpfs", "-o", _DISK, "tmpfs", str(folder))
    try:
        yield is_mounted
    finally:
        if is_mounted:
            _done("umount", str(folder))


def _done(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603  # fixed words


def _configured(  # noqa: PLR0913  # what it says
    folder: Path, key: asyncssh.SSHKey, hosts: Mapping[str, SoakHost], pace: Pace, approver: User, *, by_name: bool
) -> Path:
    identity, known_hosts, config = folder / "id_ed25519", folder / "known_hosts", folder / "dockerhealth.yaml"
    identity.touch(mode=0o600)
    identity.write_bytes(key.export_private_key())
    known_hosts.write_text("".join(host.known_hosts_line for host in hosts.values()), encoding="utf-8")
    (folder / "store").mkdir(exist_ok=True)
    document = {
        "slack": {"alert_channel": CHANNEL},
        "ssh": {"user": USER, "identity_file": str(identity), "known_hosts": str(known_hosts)},
        "checks": {"reach_every": f"{pace.reach_every}s", "look_every": f"{pace.look_every}s"},
        "approvals": {"approvers": [approver.id]},
        "store": f"sqlite:///{folder / 'store' / 'dockerhealth.db'}",
        "hosts": {
            name: {
                "address": host.address,
                "ssh": {"port": host.ssh_port},
                "services": {"registry": {"url": _url(number, name, host, by_name=by_name), "container": "registry"}},
            }
            for number, (name, host) in enumerate(hosts.items())
        },
    }
    config.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return config


def _url(number: int, name: str, host: SoakHost, *, by_name: bool) -> str:
    named = by_name and number % _NAMED_EVERY == 0
    return host.url.replace(host.address, f"{name}.{DOMAIN}") if named else host.url


def _environment(folder: Path, slack: LocalSlack, clock: Clock | None) -> dict[str, str]:
    """Only what the bots need: nothing of ours decides what they do."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
    }
    return environment | (clock.environment if clock is not None else {})
