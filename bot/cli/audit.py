"""The commands that read the audit log."""
# ruff: noqa: PLC0415  # what a command does is imported when it is called, as in main.py

from typing import Annotated

import typer

from bot.cli import arguments
from bot.cli.arguments import File

app = typer.Typer(help="What was done to hosts, by whom: an append-only log, each entry bound to the one before it.")

OfHost = Annotated[str | None, typer.Option("--host", help="Only what concerns this host.")]
OfRun = Annotated[str | None, typer.Option("--run", help="Only this run, all of it.")]


@app.callback(invoke_without_command=True)
def show(context: typer.Context, host: OfHost = None, run: OfRun = None, config: File = None) -> None:
    """Show the newest entries."""
    if context.invoked_subcommand is not None:
        return
    settings = arguments.settings_of(config)
    from bot.cli import run_audit

    run_audit.show(settings, host, run)


@app.command()
def verify(
    config: File = None,
    expect: Annotated[
        list[str] | None, typer.Option("--expect", help="A reference that an alert in Slack shows: 41:9f86d0812ab3.")
    ] = None,
) -> None:
    """Recompute the chain. Exits 0 only if no entry is missing or changed, and every expected one is there."""
    settings = arguments.settings_of(config)
    from bot.cli import run_audit

    raise typer.Exit(run_audit.verify(settings, expect or ()))


@app.command()
def export(host: OfHost = None, run: OfRun = None, config: File = None) -> None:
    """Print the log as JSON, an entry a line."""
    settings = arguments.settings_of(config)
    from bot.cli import run_audit

    run_audit.export(settings, host, run)
