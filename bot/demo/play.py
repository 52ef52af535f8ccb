"""``dockerhealth demo``: try it by hand, or see the whole story told."""

import asyncio
import logging
import signal
import sys

from rich.console import Console

from bot import logs
from bot.demo.hosts import Fault
from bot.demo.story import NotSeenError, Story
from bot.demo.teller import Teller, console
from bot.demo.world import World, world

FAULTS = {"host1": Fault.FORWARDING_OFF, "host2": Fault.CHAINS_GONE}
BREAKS_BY_ITSELF_AFTER = 10.0
"""Seconds, where nobody is at a terminal to break a host."""

HELP = """\
[bold]{url}[/bold] is a Slack of your own. Its bot is the real one; the hosts answer what real hosts answered.
1. On that page type [bold]/dockerhealth host1[/bold]: all is well.
2. Type [bold]break host1[/bold] or [bold]break host2[/bold] here. Within seconds an alert says what is wrong and why.
3. Choose on the page who you are. Olga is on call and may press the fix button; Nick may not.
4. Type [bold]quit[/bold], or press Ctrl-C, to end it. Nothing is left behind."""


async def main(auto: bool) -> int:  # noqa: FBT001  # the command line's own flag
    """Run the demo. Returns the exit status: not 0 only if a step of the story was not seen."""
    logs.configure(logging.ERROR)
    out = console()
    async with world() as running:
        return await tell(running, out) if auto else await stay(running, out)


async def tell(running: World, out: Console) -> int:
    """Play the story and print it."""
    teller = Teller(out)
    try:
        await Story(running, teller).play()
    except NotSeenError as missed:
        teller.chapter("The story broke off")
        teller.tells(f"Not seen: {missed.step}.", "bold red")
        teller.tells("Seen instead:")
        teller.shows(missed.instead.splitlines())
        return 1
    teller.chapter(f"Every step was seen, in {teller.elapsed:.0f} s")
    return 0


async def stay(running: World, out: Console) -> int:
    """Leave it to a person at the page and the terminal, until they have seen enough."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, stop.set)
    out.print(HELP.format(url=running.slack.page_url))
    if sys.stdin.isatty():
        typing = asyncio.create_task(_listen(running, out, stop))
    else:
        typing = asyncio.create_task(_break_one(running, out))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running.bot, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (typing, stopping):
        task.cancel()
    if running.bot.done() and (error := running.bot.exception()):
        raise error
    return 0


async def _listen(running: World, out: Console, stop: asyncio.Event) -> None:
    """Do what is typed."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
    try:
        while line := await lines.get():  # the end of the input is an empty line without its end
            if line.split() in (["quit"], ["exit"]):
                break
            out.print(await _do(running, line.split()), markup=False)
    finally:
        loop.remove_reader(sys.stdin)
    stop.set()


async def _do(running: World, words: list[str]) -> str:
    match words:
        case []:
            return ""
        case ["break", name] if name in FAULTS:
            await running.hosts[name].break_by(FAULTS[name])
            return f"On {name} {FAULTS[name].says}. Look at the page."
    return "break host1, break host2 or quit"


async def _break_one(running: World, out: Console) -> None:
    out.print(f"Nobody is at a terminal: host1 breaks by itself in {BREAKS_BY_ITSELF_AFTER:.0f} s.")
    await asyncio.sleep(BREAKS_BY_ITSELF_AFTER)
    out.print(await _do(running, ["break", "host1"]))
