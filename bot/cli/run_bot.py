"""What ``run`` does: the bot, until it is told to stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

import structlog
import typer

from bot import logs
from bot.app import StartError
from bot.app import run as run_bot
from bot.cli import arguments
from bot.cli.arguments import HEALTHY, UNHEALTHY
from bot.config import Settings
from bot.reload import Reload
from bot.slack.outbox import WrongTokenError
from bot.store import StoreError

STOPPED_WITHIN = 9.5  # seconds from the signal on

THREADS_TAKE_TURNS = 0.0001
"""Seconds, a fiftieth of Python's own. The event loop lets go of its turn with each call to the kernel, several of each
reading, and would wait so long to have it back from every thread that diagnoses.
"""

GARBAGE = (5_000, 20, 50)
"""After how many more objects garbage is looked for among the youngest; every how often among older ones, and in all.

Nearly all of it goes without that. To look through all takes 0.2 s with 2,000 services, in which nothing else runs, and
with Python's own figures a storm, whose reports are some 300,000 objects, did so five times, for 0.3 to 0.9 s each.
"""

log = structlog.get_logger()


def run(settings: Settings, load: Callable[[], Settings]) -> int:
    """Be the bot; ``load`` reads its configuration again. Returns the exit status."""
    logs.configure(logging.INFO)
    arguments.here_to_stay()
    try:
        with runner() as loop:
            loop.run(_run(Reload(settings, load)))
    except (StartError, WrongTokenError) as error:
        arguments.wrong(str(error))
    except StoreError as error:  # it may come back: systemd tries again
        typer.echo(str(error), err=True)
        return UNHEALTHY
    return HEALTHY


def runner() -> asyncio.Runner:
    """What runs the bot: on uvloop where that is installed, which takes a fifth off what a reading costs."""
    sys.setswitchinterval(THREADS_TAKE_TURNS)
    gc.set_threshold(*GARBAGE)
    try:
        import uvloop  # noqa: PLC0415  # it may be there or not
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _run(reload: Reload) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told(_signal: int, _frame: object) -> None:
        _gone_within(STOPPED_WITHIN)
        loop.call_soon_threadsafe(stop.set)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, told)  # not the loop's own: it would wait for a loop that is busy
    loop.add_signal_handler(signal.SIGHUP, reload.asked.set)
    await run_bot(reload.settings, stop, reload)


def _gone_within(seconds: float) -> None:
    """End the process by then: a thread that waits for a host, or a task that cannot be cancelled, must not hold it up.

    That is no worse than being killed, which may happen at any point.
    """

    def gone() -> None:
        log.warning("stopped; what did not end in time is left behind")
        sys.stderr.flush()
        os._exit(HEALTHY)

    timer = threading.Timer(seconds, gone)
    timer.daemon = True
    timer.start()
