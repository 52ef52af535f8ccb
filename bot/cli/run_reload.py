"""What ``reload`` does: has the bots on this machine read their configuration again, and tells what came of it."""

import asyncio
import os
import signal
import time

import typer

from bot.cli import arguments
from bot.cli.arguments import HEALTHY, NOT_TOLD, UNHEALTHY
from bot.config import Settings
from bot.store import Living, ReloadState, Store, StoreError

ANSWERED_WITHIN = 30.0  # seconds
ASKED_EVERY = 0.2


def reload(settings: Settings) -> int:
    """Returns the exit status."""
    try:
        return asyncio.run(_reload(settings))
    except StoreError as error:
        arguments.wrong(str(error))


async def _reload(settings: Settings) -> int:
    store = await Store.read(settings.store)
    try:
        bots = [each for each in await store.lives.all() if each.is_here]
        if not bots:
            typer.echo("No dockerhealth runs on this machine with that store. Nothing was changed.", err=True)
            return UNHEALTHY
        return max([await _told(store, bot) for bot in bots])
    finally:
        await store.close()


async def _told(store: Store, before: Living) -> int:
    """Tell one bot, and print what it makes of it."""
    try:
        os.kill(before.pid, signal.SIGHUP)
    except PermissionError:
        typer.echo(f"pid {before.pid} is another user's: run this as root or as that user.", err=True)
        return UNHEALTHY
    until, waited = time.monotonic() + ANSWERED_WITHIN, False
    while time.monotonic() < until:
        await asyncio.sleep(ASKED_EVERY)
        now = next((each for each in await store.lives.all() if each.id == before.id), None)
        if now is None:
            typer.echo(f"pid {before.pid} has ended meanwhile.", err=True)
            return UNHEALTHY
        if now.reloads > before.reloads:
            return _ended(now)
        if now.state is ReloadState.WAITING and not waited:
            typer.echo(f"pid {now.pid}: it is right, and is taken when the fix that runs has ended.")
            until, waited = float("inf"), True
    typer.echo(f"pid {before.pid} has not said within {ANSWERED_WITHIN:g} s what came of it; its log has it.", err=True)
    return NOT_TOLD


def _ended(bot: Living) -> int:
    if bot.state is ReloadState.TAKEN:
        typer.echo(f"pid {bot.pid}: the new configuration is in use.")
        return HEALTHY
    lines = "".join(f"\n  {each}" for each in bot.says)
    typer.echo(f"pid {bot.pid} keeps the old configuration:{lines}", err=True)
    return UNHEALTHY
