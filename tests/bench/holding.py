"""What a bot holds while it watches hosts that it looks into: memory and descriptors, by the number of hosts.

    python -m tests.bench.holding [--against ../other] [--hosts 1 15 100] [--seconds 90]

Each host is a real SSH server on loopback with a Docker Engine behind it and one service, all of them in a process of
their own. Each is looked into once in the first 10 to 25 s, the connection stays. Told are memory at the end, and the
descriptors at the end and at most.
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
from pathlib import Path
from typing import Any

import yaml

from bot.demo.local_slack import LocalSlack

from .bots import descriptors, environment_of_bot, make_store, megabytes, process, python

_HERE = Path(__file__).parents[2]
_EVERY = 0.1  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.holding", description=__doc__.partition("\n")[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 15, 100])
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--against", type=Path, action="append", default=[], help="another checkout, with its .venv")
    asyncio.run(_run(parser.parse_args()))
    return 0


async def _run(args: argparse.Namespace) -> None:
    checkouts = {"dockerhealth": _HERE} | {f"dockerhealth of {path}": path.resolve() for path in args.against}
    sys.stdout.write(f"{'':40}{'hosts':>6}{'MB':>6}{'descriptors':>13}{'at most':>9}{'looked into':>13}\n")
    for number in args.hosts:
        for row, checkout in checkouts.items():
            with tempfile.TemporaryDirectory(prefix="dh-holding-") as name:
                async with _hosts(Path(name), number) as told, _bot(Path(name), told, checkout) as pid:
                    most, until = 0, time.monotonic() + args.seconds
                    while time.monotonic() < until:
                        most = max(most, descriptors(pid))
                        await asyncio.sleep(_EVERY)
                    held = f"{megabytes(pid):6.0f}{descriptors(pid):13}{most:9}{_sessions(told):13}"
            sys.stdout.write(f"{row[-40:]:40}{number:6}{held}\n")
            sys.stdout.flush()


def _sessions(told: Mapping[str, Any]) -> int:
    """Hosts to which a connection stands, as the kernel lists them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = {_place(row[2]) for row in rows if row[3] == "01"}
    return len({(address, port) for address, port, _ in told["well"]} & established)


def _place(text: str) -> tuple[str, int]:
    """Address and port as the kernel writes them: hexadecimal, the address in this machine's order of bytes."""
    address, _, port = text.partition(":")
    return socket.inet_ntoa(int(address, 16).to_bytes(4, sys.byteorder)), int(port, 16)


@asynccontextmanager
async def _hosts(folder: Path, number: int) -> AsyncIterator[Mapping[str, Any]]:
    argv = ("-m", "tests.wire.hundred.hosts", str(folder), str(number), "0")
    hosts = await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=_HERE, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        assert hosts.stdout is not None
        yield json.loads(await hosts.stdout.readline())
    finally:
        hosts.kill()
        await hosts.wait()


@asynccontextmanager
async def _bot(folder: Path, told: Mapping[str, Any], checkout: Path) -> AsyncIterator[int]:
    """The bot as it is started, on a store that it has not to migrate."""
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
    async with LocalSlack.start() as slack:
        slack.add_channel("#docker-health", [slack.add_user("alice")])
        argv = (python(checkout), "-m", "bot", "run", "-c", str(config))
        async with process(argv, environment_of_bot(folder, slack, checkout), folder / "log") as pid:
            yield pid


if __name__ == "__main__":
    sys.exit(main())
