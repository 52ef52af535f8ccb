"""The commands that change a host: a fix, and what takes it back."""
# ruff: noqa: PLC0415  # what is heavy is imported where it is needed, as in main.py

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bot.approvals.decision import Agreed, Refusal
from bot.cli import arguments
from bot.cli.arguments import HEALTHY, NOT_TOLD, UNHEALTHY, File, HostName, Yes
from checks.model import Applied, FixId, Host, NoChange, NoUndo, Outcome, Plan, Service

if TYPE_CHECKING:
    from bot.cli.fix_session import Mending, Proposal
    from bot.config import Settings
    from bot.incidents.model import Offer

EXITS = {Outcome.FIXED: HEALTHY, Outcome.UNDONE: HEALTHY, Outcome.UNKNOWN: NOT_TOLD}

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
    wanted = arguments.fix_of(fix_id)
    if dry_run:
        raise typer.Exit(_show(asyncio.run(_planned(settings, target, chosen, wanted))))
    raise typer.Exit(_mend(settings, target, lambda mending: mending.propose(target, chosen, wanted), ask=not yes))


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
    if dry_run:
        raise typer.Exit(_show(asyncio.run(_planned_undo(settings, target, run))))
    raise typer.Exit(_mend(settings, target, lambda mending: mending.propose_undo(target, run), ask=not yes))


async def _planned(settings: "Settings", host: Host, service: Service, fix: FixId) -> Plan | NoChange:
    """What a fix would do now. Nothing is opened, kept or told."""
    from checks.check import Checker
    from checks.execution.apply import plan

    checker = Checker(settings.host_list(), clock=_now)
    try:
        return await plan(checker, host, service, fix)
    finally:
        await checker.close()


async def _planned_undo(settings: "Settings", host: Host, run: str | None) -> Plan | NoUndo:
    from bot.cli.fix_session import Mending

    mending = await Mending.open(settings, arguments.person(), lambda _: None)
    try:
        proposal = await mending.propose_undo(host, run)
    finally:
        await mending.close()
    return proposal if isinstance(proposal, NoUndo) else proposal.plan


def _show(planned: Plan | NoChange | NoUndo) -> int:
    from bot.cli.render_report import print_no_change, print_plan

    if isinstance(planned, NoChange | NoUndo):
        print_no_change(Console(), planned)
        return UNHEALTHY
    print_plan(Console(), planned)
    return HEALTHY


def _mend(
    settings: "Settings",
    host: Host,
    propose: "Callable[[Mending], Coroutine[Any, Any, Proposal | NoChange | NoUndo]]",
    *,
    ask: bool,
) -> int:
    from bot.cli.fix_session import Mending
    from bot.store import StoreError

    console = Console()

    def say(says: str) -> None:
        console.print(f"… {says}", markup=False, highlight=False, soft_wrap=True)

    def confirmed() -> bool:
        return not ask or typer.confirm(f"Run this on {host.name}?")

    with asyncio.Runner() as runner:  # the person is asked between its runs: Ctrl-C then does what it should
        try:
            mending = runner.run(Mending.open(settings, arguments.person(), say))
        except StoreError as error:
            arguments.wrong(str(error))
        try:
            runner.run(mending.recover(host))
            proposal = runner.run(propose(mending))
            if isinstance(proposal, NoChange | NoUndo):
                return _told(console, proposal)
            _print_proposal(console, proposal)
            decision = runner.run(mending.decided(proposal))
            if isinstance(decision, Refusal):
                return _told(console, decision)
            return _told(console, runner.run(mending.carry_out(proposal))) if confirmed() else UNHEALTHY
        finally:
            runner.run(mending.close())


def _print_proposal(console: Console, proposal: "Proposal") -> None:
    from bot.cli.render_report import print_offer, print_plan

    if proposal.offer is not None:
        print_offer(console, proposal.offer)
    else:
        print_plan(console, proposal.plan)


def _told(console: Console, done: "tuple[Applied, Offer] | NoChange | NoUndo | Agreed | Refusal") -> int:
    """Print what came of it. Returns the exit status."""
    from bot.cli.render_refusal import print_agreed, print_refusal
    from bot.cli.render_report import print_applied, print_no_change

    match done:
        case NoChange() | NoUndo():
            print_no_change(console, done)
        case Refusal():
            print_refusal(console, done)
        case Agreed():
            print_agreed(console, done)
        case applied, offer:
            print_applied(console, applied, offer)
            return EXITS.get(applied.outcome, UNHEALTHY)
    return UNHEALTHY


def _now() -> datetime:
    return datetime.now(UTC)
