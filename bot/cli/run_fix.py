"""What the commands do that change a host: carry a fix out, or take one back."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console

from bot import logs
from bot.approvals.decision import Agreed, Refusal
from bot.cli import arguments
from bot.cli.arguments import HEALTHY, NOT_TOLD, UNHEALTHY
from bot.cli.fix_session import FixSession, Proposal
from bot.cli.render_refusal import print_agreed, print_refusal
from bot.cli.render_report import print_applied, print_no_change, print_offer, print_plan
from bot.config import Settings
from bot.incidents.model import Offer
from bot.store import StoreError
from checks.check import Checker
from checks.execution.apply import plan
from checks.model import Applied, FixId, Host, NoChange, NoUndo, Outcome, Plan, Service

EXITS = {Outcome.FIXED: HEALTHY, Outcome.UNDONE: HEALTHY, Outcome.UNKNOWN: NOT_TOLD}


def fix(  # noqa: PLR0913  # what was said on the command line
    settings: Settings, host: Host, service: Service, fix_id: str, *, dry_run: bool, ask: bool
) -> int:
    """Carry a fix out, or show what it would do. Returns the exit status."""
    wanted = _fix_of(fix_id)
    logs.configure(logging.WARNING)
    arguments.here_to_stay()
    if dry_run:
        return _show(asyncio.run(_planned(settings, host, service, wanted)))
    return _mend(settings, host, lambda session: session.propose(host, service, wanted), ask=ask)


def undo(settings: Settings, host: Host, run: str | None, *, dry_run: bool, ask: bool) -> int:
    """Take a run back, or show what that would do. Returns the exit status."""
    logs.configure(logging.WARNING)
    arguments.here_to_stay()
    if dry_run:
        try:
            return _show(asyncio.run(_planned_undo(settings, host, run)))
        except StoreError as error:
            arguments.wrong(str(error))
    return _mend(settings, host, lambda session: session.propose_undo(host, run), ask=ask)


def _fix_of(name: str) -> FixId:
    try:
        return FixId(name)
    except ValueError:
        arguments.wrong(f"there is no fix {name!r}. {arguments.nearest(name, FixId)}")


async def _planned(settings: Settings, host: Host, service: Service, fix: FixId) -> Plan | NoChange:
    """What a fix would do now. Nothing is opened, kept or told."""
    checker = Checker(settings.host_list(), clock=_now)
    try:
        return await plan(checker, host, service, fix)
    finally:
        await checker.close()


async def _planned_undo(settings: Settings, host: Host, run: str | None) -> Plan | NoUndo:
    session = await FixSession.open(settings, arguments.person(), lambda _: None, only_reads=True)
    try:
        proposal = await session.propose_undo(host, run)
    finally:
        await session.close()
    return proposal if isinstance(proposal, NoUndo) else proposal.plan


def _show(planned: Plan | NoChange | NoUndo) -> int:
    if isinstance(planned, NoChange | NoUndo):
        print_no_change(Console(), planned)
        return UNHEALTHY
    print_plan(Console(), planned)
    return HEALTHY


def _mend(
    settings: Settings,
    host: Host,
    propose: Callable[[FixSession], Coroutine[Any, Any, Proposal | NoChange | NoUndo]],
    *,
    ask: bool,
) -> int:
    console = Console()

    def say(says: str) -> None:
        console.print(f"… {says}", markup=False, highlight=False, soft_wrap=True)

    def confirmed() -> bool:
        return not ask or typer.confirm(f"Run this on {host.name}?")

    with asyncio.Runner() as runner:  # the person is asked between its runs: Ctrl-C then does what it should
        try:
            session = runner.run(FixSession.open(settings, arguments.person(), say))
        except StoreError as error:
            arguments.wrong(str(error))
        try:
            runner.run(session.recover(host))
            proposal = runner.run(propose(session))
            if isinstance(proposal, NoChange | NoUndo):
                return _told(console, proposal)
            _print_proposal(console, proposal)
            decision = runner.run(session.decided(proposal))
            if isinstance(decision, Refusal):
                return _told(console, decision)
            return _told(console, runner.run(session.carry_out(proposal))) if confirmed() else UNHEALTHY
        finally:
            runner.run(session.close())


def _print_proposal(console: Console, proposal: Proposal) -> None:
    if proposal.offer is not None:
        print_offer(console, proposal.offer)
    else:
        print_plan(console, proposal.plan)


def _told(console: Console, done: tuple[Applied, Offer] | NoChange | NoUndo | Agreed | Refusal) -> int:
    """Print what came of it. Returns the exit status."""
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
