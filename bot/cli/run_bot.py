"""What ``run`` does: the bot, until it is told to stop."""

import asyncio
import logging
import signal

import typer

from bot import logs
from bot.app import StartError
from bot.app import run as run_bot
from bot.cli import arguments
from bot.cli.arguments import HEALTHY, UNHEALTHY
from bot.config import Settings
from bot.slack.outbox import RefusedError
from bot.store import StoreError


def run(settings: Settings) -> int:
    """Returns the exit status."""
    logs.configure(logging.INFO)
    arguments.here_to_stay()
    try:
        asyncio.run(_run(settings))
    except (StartError, RefusedError) as error:
        arguments.wrong(str(error))
    except StoreError as error:  # it may come back: systemd tries again
        typer.echo(str(error), err=True)
        return UNHEALTHY
    return HEALTHY


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    await run_bot(settings, stop)
