"""The commands that read the audit log."""
# ruff: noqa: PLC0415  # what is heavy is imported where it is needed, as in main.py

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bot.cli import arguments
from bot.cli.arguments import HEALTHY, UNHEALTHY, File

if TYPE_CHECKING:
    from bot.incidents.audit import Sealed

MOST_SHOWN = 40

app = typer.Typer(help="What was done to hosts, by whom: an append-only log, each entry bound to the one before it.")

OfHost = Annotated[str | None, typer.Option("--host", help="Only what concerns this host.")]
OfRun = Annotated[str | None, typer.Option("--run", help="Only this run, all of it.")]


@app.callback(invoke_without_command=True)
def show(context: typer.Context, host: OfHost = None, run: OfRun = None, config: File = None) -> None:
    """Show the newest entries."""
    if context.invoked_subcommand is not None:
        return
    from bot.cli.render_audit import print_audit

    log = _read(config, host, run)
    if run is None and len(log) > MOST_SHOWN:
        typer.echo(f"The newest {MOST_SHOWN} of {len(log)} entries; `audit export` has them all.")
        log = log[-MOST_SHOWN:]
    print_audit(Console(), log)


@app.command()
def verify(
    config: File = None,
    expect: Annotated[
        list[str] | None, typer.Option("--expect", help="A reference that an alert in Slack shows: 41:9f86d0812ab3.")
    ] = None,
) -> None:
    """Recompute the chain. Exits 0 only if no entry is missing or changed, and every expected one is there."""
    from bot.incidents.audit import flaw, refers_to

    log = _read(config)
    wrong = flaw(log) or next(
        (
            f"no entry is {reference}: the log was cut off or written anew"
            for reference in expect or ()
            if not refers_to(reference, log)
        ),
        "",
    )
    if wrong:
        typer.echo(f"The audit log is NOT sound: {wrong}.", err=True)
        raise typer.Exit(UNHEALTHY)
    last = f", the last is {log[-1].reference}" if log else ""
    typer.echo(f"Sound: {len(log)} entries{last}.")
    raise typer.Exit(HEALTHY)


@app.command()
def export(host: OfHost = None, run: OfRun = None, config: File = None) -> None:
    """Print the log as JSON, an entry a line."""
    for each in _read(config, host, run):
        entry = asdict(each.entry) | {"at": each.entry.at.isoformat()}
        line = {"number": each.number, **entry, "previous": each.previous, "hash": each.hash}
        typer.echo(json.dumps(line, ensure_ascii=False))


def _read(config: File, host: str | None = None, run: str | None = None) -> "tuple[Sealed, ...]":
    from bot.store import Store, StoreError

    settings = arguments.settings_of(config)

    async def read() -> "tuple[Sealed, ...]":
        store = await Store.open(settings.store)
        try:
            return await store.audit.all(host, run)
        finally:
            await store.close()

    try:
        return asyncio.run(read())
    except StoreError as error:
        arguments.wrong(str(error))
