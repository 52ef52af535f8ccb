"""The commands that change a host: a fix, and what takes it back."""
# ruff: noqa: PLC0415  # what a command does is imported when it is called, as in main.py

from typing import Annotated

import typer

from bot.cli import arguments
from bot.cli.arguments import File, HostName, Yes

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, run nothing.")]


def fix(  # noqa: PLR0913  # these are the options of the command line
    host: HostName,
    fix_id: Annotated[str, typer.Argument(metavar="FIX", help="The id of a fix, as `check` names it.")],
    service: Annotated[str | None, typer.Option("--service", "-s", help="Needed where the host has several.")] = None,
    config: File = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Carry a fix out, as its button in Slack does. Exits 0 only if the service is fixed and verified."""
    settings = arguments.settings_of(config)
    target = arguments.host_of(settings, host)
    chosen = arguments.service_of(target, service)
    from bot.cli import run_fix

    raise typer.Exit(run_fix.fix(settings, target, chosen, fix_id, dry_run=dry_run, ask=not yes))


def undo(
    host: HostName,
    run: Annotated[str | None, typer.Option("--run", help="The run to take back, as `audit` names it.")] = None,
    config: File = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take back what the newest fix on a host did, or that of --run. Exits 0 only if all is seen to be as before."""
    settings = arguments.settings_of(config)
    target = arguments.host_of(settings, host)
    from bot.cli import run_fix

    raise typer.Exit(run_fix.undo(settings, target, run, dry_run=dry_run, ask=not yes))
