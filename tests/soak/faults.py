"""How each fault is made, and made good again."""

import asyncio
import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.demo.local_slack import CannotDoError, LocalSlack
from tests.soak.schedule import SLACK, Fault, Injected
from tests.soak.site import Site

FIX = "approve:enable-ip-forward"
_MANY = 100_000
_HOUR = 3600
_FEW = 2
_TRY_AGAIN = 2.0
_SPARE_DESCRIPTORS = 2


async def inject(site: Site, injected: Injected) -> None:
    """Have a fault from now on, for as long as it is to last."""
    seconds = injected.until - injected.at
    if injected.where in site.hosts:
        await _on_host(site, injected, seconds)
    elif injected.fault is Fault.KILLED:
        victim = next((bot for bot in site.bots if bot.name == injected.where), site.bots[0])
        victim.kill()
        await asyncio.sleep(seconds)
        victim.revive()
    elif injected.fault in SLACK or injected.fault is Fault.OUTAGE:
        async with _in_slack(site, injected.fault):
            await asyncio.sleep(seconds)
    else:
        async with _on_own_machine(site, injected.fault):
            await asyncio.sleep(seconds)


async def _on_host(site: Site, injected: Injected, seconds: float) -> None:
    host = site.hosts[injected.where]
    clicking = None
    await host.suffer(injected.fault)
    if injected.click:
        clicking = asyncio.create_task(_approve(site, injected.where))
    await asyncio.sleep(seconds)
    if clicking is not None:
        clicking.cancel()
    await host.heal()


async def _approve(site: Site, host: str) -> None:
    """Press the button under the host's newest alert until it is gone: a person presses again when nothing happens."""
    while True:
        await asyncio.sleep(_TRY_AGAIN)
        for message in reversed(site.slack.messages(site.channel)):
            if f" {host}/" in str(message.blocks[:1]) and any(button.action_id == FIX for button in message.buttons):
                with contextlib.suppress(CannotDoError):
                    await site.slack.click(site.approver, message, FIX)
                break


@asynccontextmanager
async def _in_slack(site: Site, fault: Fault) -> AsyncIterator[None]:
    slack = site.slack
    match fault:
        case Fault.RATE_LIMITED:
            slack.faults.rate_limit("*", times=2 * _FEW, retry_after=3)
        case Fault.SERVER_ERRORS:
            slack.faults.server_error("*", times=2 * _FEW)
        case Fault.DISCONNECTED:
            await slack.disconnect("refresh_requested")
            slack.cut_sockets()
        case Fault.HANDSHAKES_FAILED:
            slack.faults.fail_handshakes(_FEW)
            slack.cut_sockets()
        case Fault.ACKS_LOST:
            slack.faults.drop_acks(_FEW)
            slack.faults.deliver_twice(_FEW)
        case Fault.ANSWERS_LOST:
            slack.faults.lose_answer("chat.postMessage")
            slack.faults.lose_answer("chat.update", times=_FEW)
        case Fault.ARCHIVED:
            site.channel.is_archived = True
        case Fault.OUTAGE:
            _out_of_reach(slack)
    yield
    site.channel.is_archived = False
    slack.faults.clear()


def _out_of_reach(slack: LocalSlack) -> None:
    slack.faults.cut("*", times=_MANY)
    slack.faults.fail_handshakes(_MANY)
    slack.cut_sockets()


@asynccontextmanager
async def _on_own_machine(site: Site, fault: Fault) -> AsyncIterator[None]:
    match fault:
        case Fault.CLOCK_AHEAD | Fault.CLOCK_BACK if site.clock is not None:
            site.clock.set(_HOUR if fault is Fault.CLOCK_AHEAD else -_HOUR)
            yield
            site.clock.set(0)
        case Fault.NAMES_SILENT if site.names is not None:
            site.names.silent = True
            yield
            site.names.silent = False
        case Fault.STORE_LOCKED:
            with contextlib.closing(await asyncio.to_thread(_lock, site.store)):
                yield
        case Fault.DISK_FULL if site.has_disk:
            ballast = site.store.parent / "ballast"
            await asyncio.to_thread(_fill, ballast)
            yield
            ballast.unlink()
        case Fault.NO_DESCRIPTORS:
            for bot in site.bots:
                bot.leave_descriptors(_SPARE_DESCRIPTORS)
            yield
            for bot in site.bots:
                bot.leave_descriptors(None)
        case _:
            raise ValueError(f"{fault} cannot be had here")


def _lock(store: Path) -> sqlite3.Connection:
    """Hold the store's lock for writing, as a backup that takes its time does."""
    connection = sqlite3.connect(store, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def _fill(ballast: Path) -> None:
    """Write until there is no room left."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
