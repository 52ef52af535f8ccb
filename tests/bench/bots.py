"""Bots of one checkout or another as processes of their own, in front of a local Slack, and what such a one holds."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bot.demo.local_slack import LocalSlack

_MAKE_STORE = """\
import asyncio, sys
from bot.store import Store
async def main():
    await (await Store.open(sys.argv[1])).close()
asyncio.run(main())
"""


def python(checkout: Path) -> str:
    return str(checkout / ".venv" / "bin" / "python")


async def make_store(url: str, checkout: Path) -> None:
    """Make the store that a bot of a checkout finds: each of its starts but the first has nothing to migrate."""
    making = await asyncio.create_subprocess_exec(python(checkout), "-c", _MAKE_STORE, url, cwd=checkout)
    if await making.wait() != 0:
        raise RuntimeError(f"{checkout}: its store could not be made at {url}")


def environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


def environment_of_bot(home: Path, slack: LocalSlack, checkout: Path) -> dict[str, str]:
    return environment(home) | {
        "PYTHONPATH": str(checkout),
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "DOCKERHEALTH_SLACK_API_URL": slack.api_url,
    }


@asynccontextmanager
async def started(
    argv: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that may end, or be ended, within the block; it is killed at its end."""
    with log.open("wb") as told:
        running = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=told, stderr=told, cwd=log.parent)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


@asynccontextmanager
async def process(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[int]:
    """A process that is told to end in the end. Yields its id. Raises RuntimeError where it ended by itself."""
    async with started(argv, environment, log) as running:
        try:
            yield running.pid
            if running.returncode is not None:
                said = await asyncio.to_thread(log.read_text)
                raise RuntimeError(f"{argv[0]} ended with {running.returncode}: {said[-2000:]}")
        finally:
            if running.returncode is None:
                running.terminate()
                with suppress(TimeoutError):
                    async with asyncio.timeout(20):
                        await running.wait()


def megabytes(pid: int) -> float:
    """What a process holds of the machine's memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
