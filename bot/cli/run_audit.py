"""What the commands do that read the audit log."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.console import Console

from bot.cli import arguments
from bot.cli.arguments import HEALTHY, UNHEALTHY
from bot.cli.render_audit import print_audit
from bot.config import Settings
from bot.incidents.audit import Sealed, flaw, refers_to
from bot.store import Store, StoreError

MOST_SHOWN = 40


def show(settings: Settings, host: str | None, run: str | None) -> None:
    """Print the newest entries, or all of a run."""
    log = _read(settings, host, run)
    if run is None and len(log) > MOST_SHOWN:
        typer.echo(f"The newest {MOST_SHOWN} of {len(log)} entries; `audit export` has them all.")
        log = log[-MOST_SHOWN:]
    print_audit(Console(), log)


def verify(settings: Settings, expected: Sequence[str]) -> int:
    """Say whether the chain is sound and has every expected entry. Returns the exit status."""
    log = _read(settings)
    wrong = flaw(log) or next(
        (
            f"no entry is {reference}: the log was cut off or written anew"
            for reference in expected
            if not refers_to(reference, log)
        ),
        "",
    )
    if wrong:
        typer.echo(f"The audit log is NOT sound: {wrong}.", err=True)
        return UNHEALTHY
    last = f", the last is {log[-1].reference}" if log else ""
    typer.echo(f"Sound: {len(log)} entries{last}.")
    return HEALTHY


def export(settings: Settings, host: str | None, run: str | None) -> None:
    """Print every entry, each as one line of JSON."""
    for each in _read(settings, host, run):
        entry = asdict(each.entry) | {"at": each.entry.at.isoformat()}
        line = {"number": each.number, **entry, "previous": each.previous, "hash": each.hash}
        typer.echo(json.dumps(line, ensure_ascii=False))


def _read(settings: Settings, host: str | None = None, run: str | None = None) -> tuple[Sealed, ...]:
    async def read() -> tuple[Sealed, ...]:
        store = await Store.read(settings.store)
        try:
            return await store.audit.all(host, run)
        finally:
            await store.close()

    try:
        return asyncio.run(read())
    except StoreError as error:
        arguments.wrong(str(error))
