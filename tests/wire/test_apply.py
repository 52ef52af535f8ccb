"""Carrying an approved plan out, over real SSH: it ends in one of five ways, and each says the truth."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from bot.demo.hosts import USER, DemoHost, Fault
from checks.check import Checker
from checks.commands import shell_line
from checks.execution import apply as apply_module
from checks.execution.apply import apply, plan, resume
from checks.execution.order import Event, Happened, Order
from checks.model import (
    Applied,
    Finding,
    FixId,
    Host,
    Login,
    NoChange,
    Outcome,
    Plan,
    Report,
    Service,
    Snapshot,
    Step,
    Verdict,
)
from checks.source import Facts

FIX = "enable-ip-forward"


class Blindable(Checker):
    """A checker whose looks, once it is blind, cannot judge forwarding any more."""

    blind = False

    async def examine(self, host: Host, service: Service) -> tuple[Report, Facts | None]:
        report, facts = await super().examine(host, service)
        return (_without_forwarding(report) if self.blind else report), facts


def _without_forwarding(report: Report) -> Report:
    skipped = Finding("ip-forward-off", report.service, Verdict.SKIP, "", why="forwarding: no answer in time")
    return replace(report, diagnosis=replace(report.diagnosis, ruled_out=(), not_told=(skipped,)))


@dataclass
class Site:
    """A demo host whose forwarding was switched off, and the plan that mends it."""

    demo: DemoHost
    checker: Blindable
    host: Host
    told: list[Event] = field(default_factory=list)

    async def plan(self, fix: str = FIX) -> Plan:
        planned = await plan(self.checker, self.host, self.host.services[0], FixId(fix))
        assert isinstance(planned, Plan), planned
        return planned

    async def apply(
        self, approved: Plan, then: Callable[[Event], Awaitable[None]] | None = None, run: str = "run-1"
    ) -> Applied:
        async def tell(event: Event) -> None:
            self.told.append(event)
            if then is not None:
                await then(event)

        return await apply(self.checker, Order(run, approved, "U0ALICE"), tell)

    async def resume(self, approved: Plan, before: Snapshot | None = None, run: str = "run-1") -> Applied:
        async def tell(event: Event) -> None:
            self.told.append(event)

        return await resume(self.checker, Order(run, approved, "U0ALICE"), before, tell)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    demo = DemoHost("127.0.0.51", "debian12-docker20.10.24", lambda: datetime.now(UTC))
    await demo.start(key)
    key.write_private_key(tmp_path / "id")
    (tmp_path / "known_hosts").write_text(demo.known_hosts_line)
    login = Login(USER, demo.ssh_port, tmp_path / "id", tmp_path / "known_hosts")
    host = Host("host1", demo.address, (Service("registry", demo.url, container="registry"),), login)
    checker = Blindable([host], clock=lambda: datetime.now(UTC))
    await demo.break_by(Fault.FORWARDING_OFF)
    try:
        yield Site(demo, checker, host)
    finally:
        await checker.close()
        await demo.close()


async def test_a_plan_that_helps_is_fixed_and_verified_from_outside(site: Site) -> None:
    applied = await site.apply(await site.plan())
    assert applied.outcome is Outcome.FIXED
    assert [result.status for result in applied.results] == [0, 0]
    assert all(reading.ok for reading in applied.readings[-2:])
    assert [event.what for event in site.told] == [
        Happened.LOOKING,
        Happened.UNCHANGED,
        *(Happened.STEP_STARTED, Happened.STEP_ENDED) * 2,
        Happened.VERIFYING,
    ]
    changed = {each.name: (each.before, each.after) for each in applied.differences}
    assert changed["sysctl net.ipv4.ip_forward"] == ("0", "1")


async def test_a_plan_after_which_it_still_does_not_answer_is_not_fixed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_module, "SETTLE", 2.0)
    site.demo.sabotage()
    applied = await site.apply(await site.plan())
    assert applied.outcome is Outcome.NOT_FIXED
    assert "ip-forward-off is gone, but from outside: timed out" in applied.says


async def test_a_plan_for_a_host_that_changed_runs_nothing_and_says_why(site: Site) -> None:
    approved = await site.plan()
    await site.demo.execute(shell_line(Step("", ("/usr/bin/systemctl", "restart", "docker.service"), timeout=120)))
    applied = await site.apply(approved)
    assert applied.outcome is Outcome.STALE
    assert applied.says.startswith("Nothing was run: the host changed since this plan was made: net.ipv4.ip_forward")
    assert [reading.ok for reading in applied.readings] == [True], "restarted, dockerd switched forwarding on"
    assert len(site.demo.ran) == 1


async def test_the_same_plan_twice_runs_once(site: Site) -> None:
    approved = await site.plan()
    await asyncio.gather(site.apply(approved), site.apply(approved))
    assert len(site.demo.ran) == len(approved.steps)


async def test_contact_lost_in_a_step_is_unknown_and_never_claimed_as_anything_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_module, "AWAY_FOR_MOST", -30.0)  # not even for the step's own deadline

    async def pull_the_plug(event: Event) -> None:
        if event.says.startswith("step 2"):
            await site.demo.close()
            await site.checker.close()

    applied = await site.apply(await site.plan(), pull_the_plug)
    assert applied.outcome is Outcome.UNKNOWN
    assert "step 2" in applied.says
    assert "may have taken effect" in applied.says


async def test_a_host_that_goes_away_in_a_step_is_waited_for_and_the_step_is_not_run_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_module, "_RETRY", 0.1)

    async def cut(event: Event) -> None:
        if event.what is Happened.STEP_STARTED:
            asyncio.get_running_loop().call_later(0.05, site.demo.cut)

    approved = await site.plan()
    applied = await site.apply(approved, cut)
    assert applied.outcome is Outcome.FIXED, applied.says
    assert len(site.demo.ran) == len(approved.steps)
    assert Happened.WAITING in {event.what for event in site.told}


class DiedError(Exception):
    """The process was killed there."""


@dataclass(frozen=True)
class Death:
    """When a process dies: as it would keep an event for the nth time. And what is true then."""

    event: Happened
    nth: int
    ran: int
    outcome: Outcome
    says: str


DEATHS = (
    Death(Happened.LOOKING, 1, 0, Outcome.NOT_FIXED, "Nothing was run"),
    Death(Happened.UNCHANGED, 1, 0, Outcome.NOT_FIXED, "Nothing was run"),
    Death(Happened.STEP_STARTED, 1, 0, Outcome.NOT_FIXED, "Nothing was run"),
    Death(Happened.STEP_ENDED, 1, 1, Outcome.NOT_FIXED, "1 of 2 steps were run, and the others are not"),
    Death(Happened.STEP_STARTED, 2, 1, Outcome.NOT_FIXED, "1 of 2 steps were run, and the others are not"),
    Death(Happened.STEP_ENDED, 2, 2, Outcome.FIXED, "Verified"),
    Death(Happened.VERIFYING, 1, 2, Outcome.FIXED, "Verified"),
)


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: f"{death.event}-{death.nth}")
async def test_what_a_dead_process_left_is_ended_with_what_is_seen_and_nothing_more_is_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, death: Death
) -> None:
    monkeypatch.setattr(apply_module, "SETTLE", 1.0)
    seen: list[Event] = []

    async def die(told: Event) -> None:
        seen.append(told)
        if told.what is death.event and len([each for each in seen if each.what is death.event]) == death.nth:
            raise DiedError

    approved = await site.plan()
    with pytest.raises(DiedError):
        await site.apply(approved, die)
    before = next((each.before for each in seen if each.before), None)
    applied = await site.resume(approved, before)
    assert (applied.outcome, len(site.demo.ran), len(applied.results)) == (death.outcome, death.ran, death.ran)
    assert death.says in applied.says
    again = await site.resume(approved, before)  # whoever else comes, finds the same and changes nothing
    assert (again.outcome, len(site.demo.ran)) == (death.outcome, death.ran)


async def test_a_cause_that_cannot_be_judged_afterwards_is_not_called_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service answers, but the look that should show the cause gone could not ask."""
    monkeypatch.setattr(apply_module, "SETTLE", 2.0)

    async def go_blind(event: Event) -> None:
        if event.what is Happened.VERIFYING:
            site.checker.blind = True

    applied = await site.apply(await site.plan(), go_blind)
    assert applied.outcome is Outcome.UNKNOWN
    assert "whether ip-forward-off is gone cannot be told" in applied.says


async def test_a_host_that_cannot_be_looked_at_again_is_left_alone(site: Site) -> None:
    approved = await site.plan()
    await site.demo.close()
    await site.checker.close()
    applied = await site.apply(approved)
    assert applied.outcome is Outcome.FAILED
    assert applied.says.startswith("Nothing was run: host1:")
    assert [reading.ok for reading in applied.readings] == [False], "seen from outside all the same"
    assert site.demo.ran == []


async def test_a_fix_that_nothing_asks_for_has_no_plan(site: Site) -> None:
    planned = await plan(site.checker, site.host, site.host.services[0], FixId.START_DOCKER)
    assert planned == NoChange(FixId.START_DOCKER, "nothing that start-docker mends is wrong with registry now")
