"""What a bot holds while it watches hosts that it looks into, and how soon it tells, by the number of hosts.

    python -m tests.bench.holding [--against ../other] [--hosts 1 15 100] [--seconds 60]

Each host is a real SSH server on loopback with a Docker Engine behind it and one service, all of them in a process of
their own, and of the checkout whose bot it is: they answer what that asks. Each is looked into once in the first 10 to
25 s, the connection stays. Told are memory and descriptors after so many seconds, and descriptors at most. Then a
second bot is started on the same store, and it is told in how many seconds

- forwarding that is switched off on a host stands in the channel with its cause, and in how many messages;
- the same of another host does after the first bot was killed at that moment;
- the second bot ends when it is told to.
"""

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bot.demo.local_slack import LocalSlack

from .bots import descriptors, environment_of_bot, make_store, megabytes, python, started

_HERE = Path(__file__).parents[2]
_EVERY = 0.1  # seconds
_SETTLED = 8.0  # in which a second bot has found the first one
_PATIENCE = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.holding", description=__doc__.partition("\n")[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 15, 100])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--against", type=Path, action="append", default=[], help="another checkout, with its .venv")
    asyncio.run(_run(parser.parse_args()))
    return 0


async def _run(args: argparse.Namespace) -> None:
    checkouts = {"dockerhealth": _HERE} | {f"dockerhealth of {path}": path.resolve() for path in args.against}
    columns = (
        "hosts",
        "MB",
        "descriptors",
        "at most",
        "looked into",
        "told s",
        "messages",
        "after a kill s",
        "stopped s",
    )
    sys.stdout.write(f"{'':40}{''.join(f'{column:>16}' for column in columns)}\n")
    for number in args.hosts:
        for row, checkout in checkouts.items():
            with tempfile.TemporaryDirectory(prefix="dh-holding-") as name:
                values = await _measured(Path(name), number, checkout, args.seconds)
            sys.stdout.write(f"{row[-40:]:40}{number:16}{''.join(f'{value:>16}' for value in values)}\n")
            sys.stdout.flush()


async def _measured(folder: Path, number: int, checkout: Path, seconds: float) -> list[str]:
    async with _hosts(folder, number, checkout) as hosts, LocalSlack.start() as slack:
        slack.add_channel("#docker-health", [slack.add_user("alice")])
        argv = await _configured(folder, hosts.told, checkout)
        environment = environment_of_bot(folder, slack, checkout)
        async with started(argv, environment, folder / "log") as first:
            most, until = 0, time.monotonic() + seconds
            while time.monotonic() < until:
                most = max(most, descriptors(first.pid))
                await asyncio.sleep(_EVERY)
            held = [f"{megabytes(first.pid):.0f}", f"{descriptors(first.pid)}", f"{most}", f"{_sessions(hosts.told)}"]
            async with started(argv, environment, folder / "log of the second") as second:
                await asyncio.sleep(_SETTLED)
                told = await _told(hosts, slack, 0)
                messages = len(slack.messages("#docker-health"))
                first.kill()
                killed = await _told(hosts, slack, 1) if number > 1 else None
                began = time.monotonic()
                second.terminate()
                await asyncio.wait_for(second.wait(), _PATIENCE)
                stopped = time.monotonic() - began
    return [*held, f"{told:.1f}", f"{messages}", "-" if killed is None else f"{killed:.1f}", f"{stopped:.1f}"]


async def _told(hosts: "_Hosts", slack: LocalSlack, host: int) -> float:
    """Switch forwarding off on a host. Returns the seconds until a message about it names that."""
    began = time.monotonic()
    await hosts.break_(host)

    def is_told() -> bool:
        shown = [str((each.text, each.blocks, each.attachments)) for each in slack.messages("#docker-health")]
        return any(f"host{host}/" in each and "forwarding" in each for each in shown)

    await slack.wait_until(is_told, timeout=_PATIENCE)
    return time.monotonic() - began


def _sessions(told: Mapping[str, Any]) -> int:
    """Hosts to which a connection stands, as the kernel lists them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = {_place(row[2]) for row in rows if row[3] == "01"}
    return len({(address, port) for address, port, _ in told["well"]} & established)


def _place(text: str) -> tuple[str, int]:
    """Address and port as the kernel writes them: hexadecimal, the address in this machine's order of bytes."""
    address, _, port = text.partition(":")
    return socket.inet_ntoa(int(address, 16).to_bytes(4, sys.byteorder)), int(port, 16)


@dataclass(frozen=True)
class _Hosts:
    told: Mapping[str, Any]
    process: asyncio.subprocess.Process

    async def break_(self, host: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{host}\n".encode())
        await self.process.stdin.drain()


@asynccontextmanager
async def _hosts(folder: Path, number: int, checkout: Path) -> AsyncIterator[_Hosts]:
    argv = ("-m", "tests.wire.hundred.hosts", str(folder), str(number), "0")
    hosts = await asyncio.create_subprocess_exec(
        python(checkout), *argv, cwd=checkout, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        assert hosts.stdout is not None
        yield _Hosts(json.loads(await hosts.stdout.readline()), hosts)
    finally:
        hosts.kill()
        await hosts.wait()


async def _configured(folder: Path, told: Mapping[str, Any], checkout: Path) -> tuple[str, ...]:
    """The command of a bot, on a store that it has not to migrate."""
    config, url = folder / "dockerhealth.yaml", f"sqlite:///{folder}/store.db"
    document = {
        "store": url,
        "ssh": {
            "user": told["user"],
            "identity_file": str(folder / "id"),
            "known_hosts": str(folder / "known_hosts"),
        },
        "hosts": {
            f"host{number}": {
                "address": address,
                "ssh": {"port": port},
                "services": {"registry": {"url": url, "container": "registry"}},
            }
            for number, (address, port, url) in enumerate(told["well"])
        },
    }
    config.write_text(yaml.safe_dump(document))
    await make_store(url, checkout)
    return python(checkout), "-m", "bot", "run", "-c", str(config)


if __name__ == "__main__":
    sys.exit(main())
