"""The commands: their names, options and help.

What a command does is in a module of its own, which is imported when it is called: asyncssh, the Docker SDK, Slack's
libraries or the database's take longer to import than most commands take to run. Types that only annotate are not
imported at all.
"""
# ruff: noqa: PLC0415  # that is why imports stand in functions here

import gc
from enum import StrEnum
from typing import Annotated

import typer

from bot.cli import arguments, audit, fix
from bot.cli.arguments import File, HostName, Yes
from bot.text import counted


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


app = typer.Typer(
    cls=arguments.Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and tokens are among them
    rich_markup_mode=None,  # boxes around the help cost four times what the help does
    help="Finds out why a published Docker port stopped answering, and mends it when a person approves.",
)
config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")
app.add_typer(config_app, name="config")
app.command()(fix.fix)
app.command()(fix.undo)
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run a command. What is imported is no garbage: looking for some in it would take a third of a check's time."""
    gc.disable()
    try:
        app()
    finally:
        gc.freeze()  # or the interpreter would look through all of it once more at its end


@app.command()
def check(
    host: HostName,
    service: Annotated[str | None, typer.Argument(help="Only this service.")] = None,
    config: File = None,
    output: Annotated[Output, typer.Option("-o", "--output")] = Output.TEXT,
) -> None:
    """Look at a host now. Exits 0: healthy, 1: unhealthy, 2: could not be told, 64: wrong usage."""
    settings = arguments.settings_of(config)
    target = arguments.host_of(settings, host)
    chosen = arguments.service_of(target, service) if service else None
    from bot.cli import run_check

    raise typer.Exit(run_check.check(settings, target, chosen, as_json=output is Output.JSON))


@app.command()
def run(config: File = None) -> None:
    """Run the bot until it is told to stop."""
    settings = arguments.settings_of(config)
    missing = [name for name in ("slack_bot_token", "slack_app_token") if getattr(settings, name) is None]
    if missing:
        arguments.wrong("\n".join(f"{name.upper()} or {name.upper()}_FILE must be set." for name in missing))
    from bot.cli import run_bot

    raise typer.Exit(run_bot.run(settings, lambda: arguments.loaded(config)))


@app.command()
def reload(config: File = None) -> None:
    """Have a running bot take a changed configuration, all of it or none. Exits 0: taken, 1: the old one is kept."""
    settings = arguments.settings_of(config)
    from bot.cli import run_reload

    raise typer.Exit(run_reload.reload(settings))


@app.command()
def demo(*, auto: Annotated[bool, typer.Option("--auto", help="Play the story and end.")] = False) -> None:
    """Try it on this machine with nothing installed: a local Slack, and hosts that break."""
    import asyncio

    from bot.demo.play import main as play

    arguments.here_to_stay()
    raise typer.Exit(asyncio.run(play(auto)))


@app.command()
def trust(host: HostName, config: File = None, *, yes: Yes = False) -> None:
    """Pin the SSH key that a host shows now, after you have compared its fingerprint."""
    target = arguments.host_of(arguments.settings_of(config), host)
    from bot.cli import run_check

    raise typer.Exit(run_check.trust(target, ask=not yes))


@app.command()
def doctor(host: HostName, config: File = None) -> None:
    """Check what a host has to have. Exits 0: all there, 1: something is missing, 2: not reachable, 64: wrong usage."""
    target = arguments.host_of(arguments.settings_of(config), host)
    from bot.cli import run_check

    raise typer.Exit(run_check.doctor(target))


@config_app.command("check")
def config_check(config: File = None) -> None:
    """Read the configuration, and report every mistake in it, and what can hardly be meant."""
    settings = arguments.settings_of(config)
    from bot.config.warnings import warnings

    services = sum(len(host.services) for host in settings.hosts.values())
    typer.echo(f"No mistakes. {counted(len(settings.hosts), 'host')}, {counted(services, 'service')}.")
    for warning in warnings(settings):
        typer.echo(f"Warning: {warning}")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    import json

    from bot.config import Settings

    typer.echo(json.dumps(Settings.file_schema(), indent=2))
