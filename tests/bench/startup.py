"""What starting costs: whole commands of this checkout and of another one, taken in turns.

    python -m tests.bench.startup --against ../other [--rounds 15] [--uncompiled]

The host that is checked is one of the demo's: a real SSH server on loopback, a Docker Engine behind it, which is well
and answers at once. CPU is user and system time of a command's process and of what it started.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import asyncssh
import yaml

from bot.demo.hosts import USER, DemoHost

_HERE = Path(__file__).parents[2]
_PLATFORM = "debian13-docker26.1.5"
_CHECK, _LOOK, _INTERPRETER = "check HOST", "the look", "the interpreter"
_OUTSIDE = "check outside the look"
"""What a check costs less what its look and the interpreter do: what starting it costs."""

_LOOKS = """\
import asyncio, sys, time
from datetime import UTC, datetime
from pathlib import Path
from bot.config import load
from checks.check import Checker

async def look(settings):
    checker = Checker(settings.host_list(), clock=lambda: datetime.now(UTC))
    cpu, wall = time.process_time(), time.perf_counter()
    await checker.check(checker.hosts["host1"])
    took = time.process_time() - cpu, time.perf_counter() - wall
    await checker.close()
    return took

settings = load(Path(sys.argv[1]), {})
asyncio.run(look(settings))
print(*asyncio.run(look(settings)))
"""
"""What a look costs by itself, its login included: the second one of a process, which imports nothing any more.

The first one would not do: what is imported only when it is first needed would count as the look's.
"""


@dataclass(frozen=True)
class Sample:
    """Seconds of CPU and of wall time."""

    cpu: float
    wall: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.startup", description=__doc__.partition("\n")[0])
    parser.add_argument("--against", type=Path, required=True, help="another checkout, with its .venv")
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds, interleaved (default: 15)")
    parser.add_argument("--uncompiled", action="store_true", help="without the bytecode that an installation has")
    args = parser.parse_args()
    checkouts = {"before": args.against.resolve(), "now": _HERE}
    if missing := [str(path) for path in checkouts.values() if not _python(path).exists()]:
        parser.error(f"no .venv/bin/python in {', '.join(missing)}")
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a command that ends leaves the host's last words unread
    sys.stdout.write(asyncio.run(_compared(checkouts, args.rounds, compiled=not args.uncompiled)))
    return 0


async def _compared(checkouts: Mapping[str, Path], rounds: int, *, compiled: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="dh-startup-") as name:
        folder = Path(name)
        async with _host(folder) as document:
            config = folder / "dockerhealth.yaml"
            commands = {
                "--help": ["-m", "bot", "--help"],
                "check --help": ["-m", "bot", "check", "--help"],
                "config check": ["-m", "bot", "config", "check", "-c", str(config)],
                "audit": ["-m", "bot", "audit", "-c", str(config)],
                _CHECK: ["-m", "bot", "check", "host1", "-c", str(config)],
                _INTERPRETER: ["-c", "pass"],
                _LOOK: ["-c", _LOOKS, str(config)],
            }
            taken: dict[tuple[str, str], list[Sample]] = {}
            for number in range(rounds + 1):
                for command, words in commands.items():
                    for side, checkout in checkouts.items():
                        store = {"store": f"sqlite:///{folder / side}.db"}  # the older one cannot read the newer one's
                        config.write_text(yaml.safe_dump(document | store), encoding="utf-8")
                        environment = _environment(folder / side if compiled else None)
                        sample = await asyncio.to_thread(_run, checkout, words, environment, folder / "output")
                        if command == _LOOK:
                            sample = Sample(*map(float, (folder / "output").read_text().split()))
                        if number:  # the round before warms up: it writes the bytecode, and fills the caches
                            taken.setdefault((command, side), []).append(sample)
    return _table(taken, list(commands), tuple(checkouts))


def _python(checkout: Path) -> Path:
    return checkout / ".venv" / "bin" / "python"


def _environment(bytecode: Path | None) -> dict[str, str]:
    """Nothing but what is needed: settings of this user have no part in it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    how = {"PYTHONDONTWRITEBYTECODE": "1"} if bytecode is None else {"PYTHONPYCACHEPREFIX": str(bytecode)}
    return kept | how


def _run(checkout: Path, words: Sequence[str], environment: Mapping[str, str], output: Path) -> Sample:
    """Run a command to its end, which has to be a good one."""
    os.chdir(output.parent)
    opened = os.open(output, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        argv = [str(_python(checkout)), *words]
        to_file = [(os.POSIX_SPAWN_DUP2, opened, 1), (os.POSIX_SPAWN_DUP2, opened, 2)]
        started = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, {**environment, "PYTHONPATH": str(checkout)}, file_actions=to_file)
        _, status, used = os.wait4(pid, 0)
        wall = time.perf_counter() - started
    finally:
        os.close(opened)
    if status != 0:
        raise RuntimeError(f"{checkout}: {' '.join(words)[:200]} ended with {status}: {output.read_text()[-2000:]}")
    return Sample(used.ru_utime + used.ru_stime, wall)


@asynccontextmanager
async def _host(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """A host that is well, and what a configuration says of it."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    host = DemoHost("127.0.0.2", _PLATFORM, lambda: datetime.now(UTC))
    await host.start(key)
    try:
        identity, known_hosts = folder / "identity", folder / "known_hosts"
        identity.touch(mode=0o600)
        identity.write_bytes(key.export_private_key())
        known_hosts.write_text(host.known_hosts_line, encoding="utf-8")
        yield {
            "ssh": {"user": USER, "identity_file": str(identity), "known_hosts": str(known_hosts)},
            "hosts": {
                "host1": {
                    "address": host.address,
                    "ssh": {"port": host.ssh_port},
                    "services": {"registry": {"url": host.url, "container": "registry"}},
                }
            },
        }
    finally:
        await host.close()


def _table(taken: Mapping[tuple[str, str], Sequence[Sample]], commands: Sequence[str], sides: Sequence[str]) -> str:
    cpu = {key: median(sample.cpu for sample in samples) for key, samples in taken.items()}
    wall = {key: median(sample.wall for sample in samples) for key, samples in taken.items()}
    for side in sides:
        cpu[_OUTSIDE, side] = cpu[_CHECK, side] - cpu[_LOOK, side] - cpu[_INTERPRETER, side]
    rows = [
        f"{command:23}" + "".join(_columns(values, command, sides) for values in (cpu, wall))
        for command in (*commands, _OUTSIDE)
    ]
    head = f"{'':23}{'CPU before':>11}{'now':>8}{'ratio':>7}{'wall before':>13}{'now':>8}{'ratio':>7}"
    return "\n".join((head, *rows, ""))


def _columns(values: Mapping[tuple[str, str], float], command: str, sides: Sequence[str]) -> str:
    before, now = (values.get((command, side)) for side in sides)
    if before is None or now is None:
        return ""
    return f"{before:11.3f}{now:8.3f}{now / before:7.2f}" + "  "


if __name__ == "__main__":
    sys.exit(main())
