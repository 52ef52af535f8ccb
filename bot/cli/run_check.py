"""What the commands do that only look at a host: ``check``, ``doctor`` and ``trust``."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from bot.cli.arguments import HEALTHY, NOT_TOLD, UNHEALTHY
from bot.cli.baselines import baselines
from bot.cli.known_hosts import Known, add, known
from bot.cli.render_doctor import print_doctor, print_unreachable
from bot.cli.render_report import print_report, report_json
from bot.config import Settings
from checks.check import Checker
from checks.doctor import Requirement, RequirementState
from checks.errors import LookError, SshSessionTimedOutError
from checks.model import Host, Report, Service, Status

_WAITS, _TRIES = SshSessionTimedOutError, 3
"""A login whose session PAM keeps waiting goes on: so often it is looked once more, within the 30 s that it has."""


def check(settings: Settings, host: Host, service: Service | None, *, as_json: bool) -> int:
    """Print what a look at a host finds. Returns the exit status."""
    reports = asyncio.run(_check(settings, host, service))
    if as_json:
        typer.echo(json.dumps([report_json(report) for report in reports], indent=2))
    else:
        for report in reports:
            print_report(Console(), report)
    return exit_code(reports)


async def _check(settings: Settings, host: Host, service: Service | None) -> tuple[Report, ...]:
    checker = Checker(settings.host_list(), clock=_now)
    for host_name, service_name, good in baselines(settings.store):
        checker.remember(host_name, service_name, good)
    try:
        reports = await checker.check(host, service)
        for _ in range(_TRIES):
            waiting = next((one.trouble for one in reports if one.trouble and one.trouble.id == _WAITS.id), None)
            if waiting is None:
                break
            typer.echo(f"{waiting.says}\nIt is waited for.", err=True)
            reports = await checker.check(host, service)
        return reports
    finally:
        await checker.close()


def exit_code(reports: Sequence[Report]) -> int:
    """What is known to be ill weighs more than what could not be told."""
    states = {report.status for report in reports}
    if Status.UNHEALTHY in states:
        return UNHEALTHY
    return NOT_TOLD if Status.UNKNOWN in states else HEALTHY


def doctor(host: Host) -> int:
    """Print what a host has to have, and what of it is missing. Returns the exit status."""
    try:
        checked = asyncio.run(_doctor(host))
    except LookError as error:
        print_unreachable(Console(), host, error)
        return NOT_TOLD
    print_doctor(Console(), host, checked)
    return UNHEALTHY if any(one.state is RequirementState.MISSING for one in checked) else HEALTHY


async def _doctor(host: Host) -> tuple[Requirement, ...]:
    checker = Checker([host], clock=_now)
    try:
        return await checker.doctor(host)
    finally:
        await checker.close()


def trust(host: Host, *, ask: bool) -> int:
    """Pin the key that a host shows now, on a person's word. Returns the exit status."""
    path = host.login.known_hosts or Path("~/.ssh/known_hosts").expanduser()
    try:
        line, fingerprint = asyncio.run(_offered(host))
    except LookError as error:
        typer.echo(str(error), err=True)
        return NOT_TOLD
    typer.echo(f"{host.name} ({line.partition(' ')[0]}) shows the key {fingerprint}")
    state = known(path.read_text(encoding="utf-8") if path.exists() else "", line)
    if state is Known.SAME:
        typer.echo(f"It is in {path} already.")
        return HEALTHY
    if state is not Known.NONE:
        typer.echo(
            f"{path} holds {state.value} for this host. Either it was installed anew, or someone stands in between. "
            f"Find out which. If all is well: ssh-keygen -f {path} -R '{line.partition(' ')[0]}', then again.",
            err=True,
        )
        return UNHEALTHY
    typer.echo("On the host, compare: for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done")
    if ask and not typer.confirm("Trust it?"):
        return UNHEALTHY
    add(path, line)
    typer.echo(f"Added to {path}.")
    return HEALTHY


async def _offered(host: Host) -> tuple[str, str]:
    checker = Checker([host], clock=_now)
    try:
        return await checker.offered_host_key(host)
    finally:
        await checker.close()


def _now() -> datetime:
    return datetime.now(UTC)
