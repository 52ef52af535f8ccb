"""The commands. What is heavy is imported by the command that needs it: help and ``config check`` are quick."""
# ruff: noqa: PLC0415  # that is why imports stand in functions here

import asyncio
import json
import logging
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bot.cli import arguments, audit, fix
from bot.cli.arguments import HEALTHY, NOT_TOLD, UNHEALTHY, File, HostName, Yes
from bot.text import counted
from checks.model import Host, Report, Service, Status

if TYPE_CHECKING:
    from bot.config import Settings
    from checks.doctor import Checked


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


app = typer.Typer(
    cls=arguments.Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and tokens are among them
    help="Finds out why a published Docker port stopped answering, and mends it when a person approves.",
)
config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")
app.add_typer(config_app, name="config")
app.command()(fix.fix)
app.command()(fix.undo)
app.add_typer(audit.app, name="audit")


def main() -> None:
    app()


@app.callback()
def _always() -> None:
    _log_from(logging.WARNING)


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
    reports = asyncio.run(_check(settings, target, chosen))
    _show(reports, output)
    raise typer.Exit(exit_code(reports))


async def _check(settings: "Settings", host: Host, service: Service | None) -> tuple[Report, ...]:
    from bot.cli.baselines import good_looks
    from checks.check import Checker

    checker = Checker(settings.host_list(), clock=_now)
    for host_name, service_name, good in good_looks(settings.store):
        checker.remember(host_name, service_name, good)
    try:
        return await checker.check(host, service)
    finally:
        await checker.close()


def _show(reports: Sequence[Report], output: Output) -> None:
    from bot.cli.render_report import print_report, report_json

    if output is Output.JSON:
        typer.echo(json.dumps([report_json(report) for report in reports], indent=2))
        return
    for report in reports:
        print_report(Console(), report)


def exit_code(reports: Sequence[Report]) -> int:
    """What is known to be ill weighs more than what could not be told."""
    states = {report.status for report in reports}
    if Status.UNHEALTHY in states:
        return UNHEALTHY
    return NOT_TOLD if Status.UNKNOWN in states else HEALTHY


@app.command()
def run(config: File = None) -> None:
    """Run the bot until it is told to stop."""
    from bot.app import StartError
    from bot.slack.outbox import RefusedError
    from bot.store import StoreError

    _log_from(logging.INFO)
    settings = arguments.settings_of(config)
    missing = [name for name in ("slack_bot_token", "slack_app_token") if getattr(settings, name) is None]
    if missing:
        arguments.wrong("\n".join(f"{name.upper()} or {name.upper()}_FILE must be set." for name in missing))
    try:
        asyncio.run(_run(settings))
    except (StartError, RefusedError) as error:
        arguments.wrong(str(error))
    except StoreError as error:  # it may come back: systemd tries again
        typer.echo(str(error), err=True)
        raise typer.Exit(UNHEALTHY) from None


async def _run(settings: "Settings") -> None:
    from bot.app import run as run_bot

    stop = asyncio.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    await run_bot(settings, stop)


@app.command()
def demo(*, auto: Annotated[bool, typer.Option("--auto", help="Play the story and end.")] = False) -> None:
    """Try it on this machine with nothing installed: a local Slack, and hosts that break."""
    from bot.demo.play import main as play

    raise typer.Exit(asyncio.run(play(auto)))


@app.command()
def trust(host: HostName, config: File = None, *, yes: Yes = False) -> None:
    """Pin the SSH key that a host shows now, after you have compared its fingerprint."""
    from bot.cli.known_hosts import Known, add, known
    from checks.errors import LookError

    settings = arguments.settings_of(config)
    target = arguments.host_of(settings, host)
    path = target.login.known_hosts or Path("~/.ssh/known_hosts").expanduser()
    try:
        line, fingerprint = asyncio.run(_offered(target))
    except LookError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(NOT_TOLD) from None
    typer.echo(f"{host} ({line.partition(' ')[0]}) shows the key {fingerprint}")
    state = known(path.read_text(encoding="utf-8") if path.exists() else "", line)
    if state is Known.SAME:
        typer.echo(f"It is in {path} already.")
        return
    if state is not Known.NONE:
        typer.echo(
            f"{path} holds {state.value} for this host. Either it was installed anew, or someone stands in between. "
            f"Find out which. If all is well: ssh-keygen -f {path} -R '{line.partition(' ')[0]}', then again.",
            err=True,
        )
        raise typer.Exit(UNHEALTHY)
    typer.echo("On the host, compare: for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done")
    if not yes and not typer.confirm("Trust it?"):
        raise typer.Exit(UNHEALTHY)
    add(path, line)
    typer.echo(f"Added to {path}.")


@app.command()
def doctor(host: HostName, config: File = None) -> None:
    """Check what a host has to have. Exits 0: all there, 1: something is missing, 2: not reachable, 64: wrong usage."""
    from bot.cli.render_doctor import print_doctor, print_unreachable
    from checks.doctor import State
    from checks.errors import LookError

    target = arguments.host_of(arguments.settings_of(config), host)
    try:
        checked = asyncio.run(_doctor(target))
    except LookError as error:
        print_unreachable(Console(), target, error)
        raise typer.Exit(NOT_TOLD) from None
    print_doctor(Console(), target, checked)
    raise typer.Exit(UNHEALTHY if any(one.state is State.MISSING for one in checked) else HEALTHY)


async def _doctor(host: Host) -> "tuple[Checked, ...]":
    from checks.check import Checker

    checker = Checker([host], clock=_now)
    try:
        return await checker.doctor(host)
    finally:
        await checker.close()


async def _offered(host: Host) -> tuple[str, str]:
    from checks.check import Checker

    checker = Checker([host], clock=_now)
    try:
        return await checker.offered_host_key(host)
    finally:
        await checker.close()


@config_app.command("check")
def config_check(config: File = None) -> None:
    """Read the configuration, and report every mistake in it, and what can hardly be meant."""
    from bot.config.warnings import warnings

    settings = arguments.settings_of(config)
    services = sum(len(host.services) for host in settings.hosts.values())
    typer.echo(f"No mistakes. {counted(len(settings.hosts), 'host')}, {counted(services, 'service')}.")
    for warning in warnings(settings):
        typer.echo(f"Warning: {warning}")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from bot.config import Settings

    typer.echo(json.dumps(Settings.file_schema(), indent=2))


def _log_from(level: int) -> None:
    from bot import logs

    logs.configure(level)


def _now() -> datetime:
    return datetime.now(UTC)
