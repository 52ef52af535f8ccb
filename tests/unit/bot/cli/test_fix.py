"""The commands that change a host, and the log of it: the same policy, record and undo as behind a button."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from bot.cli import arguments
from bot.config import load
from bot.incidents.model import Incident, IncidentKind, IncidentState
from bot.store import Store, StoreError
from bot.store.database import Transaction
from checks.check import Checker
from checks.commands import typed
from checks.execution.order import Event, Happened, OnEvent, Order
from checks.model import Applied, Difference, Family, Finding, FixId, NoChange, Outcome, Report, Verdict
from tests.unit.bot.cli.cli_world import configured, invoke
from tests.unit.bot.slack.view_samples import HEALTHY, PLAN, REPORT, applied

T = TypeVar("T")
SWITCHED = Difference(Family.SYSCTL, "sysctl net.ipv4.ip_forward", "0", "1", announced=True)
EVERYBODY = ["fix", "host1", "enable-ip-forward", "--yes"]


def stored(path: Path, read: Callable[[Store], Awaitable[T]]) -> T:
    """What the store knows afterwards."""

    async def opened() -> T:
        store = await Store.open(load(path, {}).store)
        try:
            return await read(store)
        finally:
            await store.close()

    return asyncio.run(opened())


def incident_of(path: Path) -> Incident:
    newest = stored(path, lambda store: store.incidents.newest("host1", "registry"))
    assert newest is not None
    return newest


# --- fix ------------------------------------------------------------------------------------------------------


def apply_as(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[str]:
    ran: list[str] = []

    async def apply(_checker: Checker, order: Order, tell: OnEvent) -> Applied:
        ran.append(order.plan.name)
        await tell(Event(Happened.STEP_STARTED, "step 1 of 2: write the file"))
        return replace(applied(outcome), differences=(SWITCHED,))

    monkeypatch.setattr("bot.cli.fix_session.apply", apply)
    return ran


@pytest.mark.usefixtures("found")
def test_fix_shows_the_plan_asks_runs_and_exits_0_once_verified(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    result = invoke("fix", "host1", "enable-ip-forward", "-c", config, typed="y\n")
    assert result.exit_code == 0, result.output
    assert result.output.index(typed(PLAN.steps[0])) < result.output.index("Run this on host1?")
    assert "… step 1 of 2: write the file" in result.output
    assert "Fixed." in result.output
    assert ran == ["enable-ip-forward"]


@pytest.mark.usefixtures("found")
def test_fix_is_remembered_as_a_click_is(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_as(monkeypatch, Outcome.FIXED)
    invoke("fix", "host1", "enable-ip-forward", "-c", config, "--yes")

    incident = incident_of(config)
    assert [change.new for change in incident.transitions] == [
        IncidentState.OPEN,
        IncidentState.FIXING,
        IncidentState.RESOLVED,
    ]
    [offer] = [offer for offer in incident.offers if offer.applied]
    assert offer.applied is not None
    assert offer.applied.outcome is Outcome.FIXED
    assert offer.approval is not None
    assert offer.approval.who == arguments.person()
    assert offer.approval.fingerprint == offer.plan.fingerprint


def test_fix_runs_nothing_when_its_record_cannot_be_kept(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_url: str) -> Store:
        raise StoreError("The store cannot be used.")

    monkeypatch.setattr(Store, "open", broken)
    result = invoke("fix", "host1", "enable-ip-forward", "-c", config, "--yes")
    assert result.exit_code == 64
    assert "cannot be used" in result.stderr


@pytest.mark.usefixtures("found")
def test_fix_runs_nothing_when_the_answer_is_no(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    assert invoke("fix", "host1", "enable-ip-forward", "-c", config, typed="n\n").exit_code == 1
    assert ran == []


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.NOT_FIXED, 1), (Outcome.FAILED, 1), (Outcome.STALE, 1), (Outcome.UNKNOWN, 2)]
)
def test_fix_exits_0_for_nothing_less(
    config: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    apply_as(monkeypatch, outcome)
    assert invoke("fix", "host1", "enable-ip-forward", "-c", config, "--yes").exit_code == code


@pytest.mark.usefixtures("found")
def test_a_dry_run_shows_the_plan_and_runs_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    result = invoke("fix", "host1", "enable-ip-forward", "-c", config, "--dry-run")
    assert result.exit_code == 0
    assert typed(PLAN.undo[0]) in result.output
    assert ran == []


def test_a_fix_with_nothing_to_do_says_why_and_exits_1(config: Path, found: list[Report]) -> None:
    found[:] = [replace(HEALTHY, refused=(NoChange(FixId.ENABLE_IP_FORWARD, "it is on and persisted"),))]
    for option in ("--yes", "--dry-run"):
        result = invoke("fix", "host1", "enable-ip-forward", "-c", config, option)
        assert result.exit_code == 1
        assert "it is on and persisted" in result.output


def test_a_fix_that_nobody_knows_exits_64(config: Path) -> None:
    result = invoke("fix", "host1", "enable-ip-foward", "-c", config)
    assert result.exit_code == 64
    assert "Did you mean enable-ip-forward" in result.stderr


def test_a_host_with_several_services_wants_to_know_which(config: Path) -> None:
    result = invoke("fix", "host2", "enable-ip-forward", "-c", config)
    assert result.exit_code == 64
    assert "one of registry, web" in result.stderr


# --- who may --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("found")
def test_who_is_no_approver_is_told_so_before_being_asked_and_nothing_runs(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    for approvers, says in (("[]", "no approvals.approvers"), ('["terminal:somebody-else"]', "You may not approve")):
        configured(tmp_path, approvers)
        result = invoke("fix", "host1", "enable-ip-forward", "-c", config, typed="y\n")
        assert result.exit_code == 1
        assert says in result.output
        assert "Run this on host1?" not in result.output
    assert ran == []


@pytest.mark.usefixtures("found")
def test_where_two_have_to_approve_the_first_one_is_noted_and_cannot_be_the_second(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    two = config.read_text().replace("approvals: {", "approvals: {people: {low: 2}, ")
    config.write_text(two.replace("]}", ', "terminal:eve"]}'))
    first = invoke(*EVERYBODY, "-c", config)
    assert (first.exit_code, "1 of 2 approved" in first.output) == (1, True)
    again = invoke(*EVERYBODY, "-c", config)
    assert (again.exit_code, "it takes someone else as well" in again.output) == (1, True)
    assert ran == []
    monkeypatch.setattr(arguments, "person", lambda: "terminal:eve")
    assert invoke(*EVERYBODY, "-c", config).exit_code == 0
    assert ran == ["enable-ip-forward"]
    log = stored(config, lambda store: store.audit.all())
    assert [each.entry.event for each in log if each.entry.event in {"agreed", "approved"}] == ["agreed", "approved"]


def test_a_plan_that_only_a_person_can_run_shows_its_commands_and_is_not_run(
    config: Path, found: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    found[:] = [replace(REPORT, plans=(replace(PLAN, by_hand="dockerhealth may only look on host1"),))]
    result = invoke(*EVERYBODY, "-c", config)
    assert result.exit_code == 1
    assert typed(PLAN.steps[0]) in result.output
    assert "Nobody may approve this: dockerhealth may only look on host1" in result.output
    assert ran == []


# --- what is not broken yet -----------------------------------------------------------------------------------


def test_a_risk_of_a_healthy_service_is_mended_as_an_incident_of_its_own(
    config: Path, found: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    risk = Finding(PLAN.cause, "registry", Verdict.RISK, "it is not kept")
    diagnosis = replace(HEALTHY.diagnosis, risks=(risk,))
    found[:] = [replace(HEALTHY, plans=(PLAN,), diagnosis=diagnosis)]
    apply_as(monkeypatch, Outcome.FIXED)
    assert invoke(*EVERYBODY, "-c", config).exit_code == 0
    incident = incident_of(config)
    assert (incident.kind, incident.risk) == (IncidentKind.PREVENTION, "it is not kept")
    assert [change.new for change in incident.transitions] == [
        IncidentState.OPEN,
        IncidentState.FIXING,
        IncidentState.RESOLVED,
    ]
    assert {change.who for change in incident.transitions[:2]} == {arguments.person()}


# --- undo -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("found")
def test_undo_takes_back_what_the_newest_fix_did_and_only_once(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    invoke(*EVERYBODY, "-c", config)
    shown = invoke("undo", "host1", "-c", config, "--dry-run")
    assert shown.exit_code == 0
    assert typed(PLAN.steps[0].undo[0]) in shown.output
    apply_as(monkeypatch, Outcome.UNDONE)
    undone = invoke("undo", "host1", "-c", config, typed="y\n")
    assert undone.exit_code == 0, undone.output
    assert ran == ["enable-ip-forward"]
    again = invoke("undo", "host1", "-c", config, "--yes")
    assert (again.exit_code, "was taken back already" in again.output) == (1, True)
    assert incident_of(config).offers[-1].plan.undoes == incident_of(config).offers[0].id


def test_a_fix_that_is_asked_for_again_is_not_its_own_undo(
    config: Path, found: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    invoke(*EVERYBODY, "-c", config)
    found[:] = [replace(REPORT, at=datetime.now(UTC) + timedelta(minutes=1))]  # a look after that
    again = invoke(*EVERYBODY, "-c", config)
    assert again.exit_code == 0, again.output
    assert ran == ["enable-ip-forward", "enable-ip-forward"]


def test_there_is_nothing_to_undo_where_nothing_was_done(config: Path) -> None:
    result = invoke("undo", "host1", "-c", config, "--yes")
    assert (result.exit_code, "no run on host1 is known that did anything" in result.output) == (1, True)


# --- audit ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("found")
def test_the_log_says_who_did_what_and_is_found_sound_or_not(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_as(monkeypatch, Outcome.FIXED)
    invoke(*EVERYBODY, "-c", config)
    shown = invoke("audit", "-c", config)
    assert [event for event in ("planned", "approved", "step-started", "ended") if event not in shown.output] == []
    assert arguments.person() in shown.output
    sound = invoke("audit", "verify", "-c", config)
    assert sound.exit_code == 0
    reference = sound.output.rstrip(".\n").rpartition(" ")[2]
    assert invoke("audit", "verify", "-c", config, "--expect", reference).exit_code == 0
    missing = invoke("audit", "verify", "-c", config, "--expect", "99:000000000000")
    assert (missing.exit_code, "cut off or written anew" in missing.stderr) == (1, True)


@pytest.mark.usefixtures("found")
def test_an_entry_that_was_changed_behind_our_back_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_as(monkeypatch, Outcome.FIXED)
    invoke(*EVERYBODY, "-c", config)

    async def forge(store: Store) -> None:
        for change in ("DROP TRIGGER audit_no_update", "UPDATE audit SET actor = 'U0MALLORY' WHERE event = 'approved'"):
            await store.database.change(partial(Transaction.execute, statement=text(change)))

    stored(config, forge)
    result = invoke("audit", "verify", "-c", config)
    assert (result.exit_code, "was changed after it was written" in result.stderr) == (1, True)


@pytest.mark.usefixtures("found")
def test_the_log_is_exported_whole_an_entry_a_line(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_as(monkeypatch, Outcome.FIXED)
    invoke(*EVERYBODY, "-c", config)
    lines = [json.loads(line) for line in invoke("audit", "export", "-c", config).output.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["previous"] == before["hash"] for before, line in itertools.pairwise(lines))
    assert lines[0]["data"]["fingerprint"] == PLAN.fingerprint
