"""A host that runs plans as a test says, and counts what is done to it; and what configurations say about that."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from bot.approvals.policy import ApprovalRule, AutoRule, Policies, QuietHours, Terms
from checks.execution.order import Event, Happened, OnEvent, Order
from checks.model import (
    Applied,
    Difference,
    Family,
    FixId,
    Outcome,
    Plan,
    Report,
    Risk,
    Service,
    Snapshot,
    StepResult,
    Values,
)
from tests.unit.bot.remediation.lives import Life, Time, Turns
from tests.unit.bot.samples import HOST, broken, good, healthy, not_looked_at, plan

LASTS = timedelta(minutes=30)
LEASE = timedelta(minutes=10)
ALICE, BOB, CAROL, STRANGER, ROOT = "U0ALICE", "U0BOB", "U0CAROL", "U0STRANGER", "terminal:root"
GROUP = "S0ONCALL"
LOW, HIGH = FixId.ENABLE_IP_FORWARD, FixId.RESTART_DOCKER
QUIET = time(12, 5), time(12, 30)  # all begins at noon
WELL = "well"
POINTS = ["look", "before the step", "in the step", "after the step", "verified", "resumed"]
OUTCOMES = ["fixed", "unhelpful", "unhelpful", "failed", "contact lost", "an error of ours"]
TWO_SERVICES = replace(HOST, services=(*HOST.services, Service("web", "http://10.0.0.11:8080/")))


@dataclass(frozen=True)
class Says:
    """What the configuration says about approvals."""

    approvers: tuple[str, ...] = (ALICE, BOB, ROOT, GROUP)
    low: int = 1
    more: int = 1
    not_requester: bool = False
    forbids_high: bool = False
    quiet: bool = False
    auto: bool = False

    @property
    def policies(self) -> Policies:
        return Policies(
            self.approvers,
            {Risk.LOW: self.low, Risk.MEDIUM: self.more, Risk.HIGH: self.more},
            LASTS,
            not_requester=self.not_requester,
            quiet_hours=QuietHours(*QUIET, ZoneInfo("UTC")) if self.quiet else None,
            rules=(ApprovalRule("rules.1", Terms(allowed=False), frozenset({HIGH})),) if self.forbids_high else (),
            auto=(AutoRule(LOW, HOST.name, 3, timedelta(minutes=10)),) if self.auto else (),
        )


def value_of(service: str) -> str:
    return f"sysctl of.{service}"


@cache
def plans_for(service: str, value: str) -> tuple[Plan, ...]:
    """What would mend a service that is in this state."""
    if value == WELL:
        return ()
    basis = {value_of(service): value}
    low = replace(plan(LOW), service=service, basis=basis, undo_unasked=True)
    return low, replace(low, fix=HIGH, title="Restart dockerd", risk=Risk.HIGH, undo_unasked=False)


class ModelHost:
    """Two services, each in a state that a plan rests on. It counts what is done to it, and lets a run wait."""

    def __init__(self, turns: Turns, loop: Time, seen: Counter[str]) -> None:
        self._turns = turns
        self._loop = loop
        self._seen = seen
        self.values = {service.name: WELL for service in TWO_SERVICES.services}
        self.silent = False
        self.next_outcome = "fixed"
        self.waits_at: frozenset[str] = frozenset()
        self._held: list[asyncio.Future[None]] = []
        self.applied: Counter[str] = Counter()  # how often each run was begun
        self.orders: dict[str, Order] = {}
        self.executed: Counter[str] = Counter()  # how often its step was run
        self.stale: set[str] = set()
        self.kept_before: set[str] = set()
        self.unhelped: set[str] = set()
        self._closed: set[str] = set()
        self._came_of: dict[str, Applied] = {}
        self.wrong: list[str] = []

    # --- looks ---

    def report(self, service: str) -> Report:
        now = self._loop.clock()
        if self.silent:
            return replace(not_looked_at(now), service=service)
        found = plans_for(service, self.values[service])
        return replace(broken(*found, at=now) if found else healthy(now), service=service)

    async def check(self, life: Life) -> tuple[Report, ...]:
        async with self._turns.turn(life):
            return tuple(self.report(service) for service in self.values)

    # --- runs ---

    async def apply(self, life: Life, order: Order, tell: OnEvent) -> Applied:
        """As the real one: look again, run nothing that is stale, let no step begin that was not told of."""
        self.applied[order.run] += 1
        self.orders[order.run] = order
        await tell(Event(Happened.LOOKING, "looking again"))
        await self._reaches("look", life)
        if self.silent:
            return Applied(Outcome.FAILED, "Nothing was run: no answer")
        if not self._fits(order.plan):
            self.stale.add(order.run)
            return Applied(Outcome.STALE, "Nothing was run: the host changed")
        service = order.plan.service
        before = Snapshot({Family.SYSCTL: Values({value_of(service): self.values[service]})})
        await tell(Event(Happened.UNCHANGED, "as planned", before=before))
        self.kept_before.add(order.run)
        await self._reaches("before the step", life)
        await tell(Event(Happened.STEP_STARTED, "step 1 of 1"))
        await self._reaches("in the step", life)
        if order.run in self._closed:
            self._seen["a step found its run ended by another life"] += 1
            return Applied(Outcome.NOT_FIXED, "another process has ended this run")
        outcome = self._runs(order)
        await self._reaches("after the step", life)
        if outcome == "an error of ours":
            raise ZeroDivisionError(outcome)
        await tell(Event(Happened.STEP_ENDED, "step 1 ended"))
        await tell(Event(Happened.VERIFYING, "verifying"))
        await self._reaches("verified", life)
        return self._came_of[order.run]

    async def resume(self, life: Life, order: Order, before: Snapshot | None, tell: OnEvent) -> Applied:
        """No step begins after this."""
        self._seen["resumed"] += 1
        self._seen["resumed what had begun"] += self.executed[order.run]
        if order.run in self.kept_before and before is None:
            self.wrong.append(f"{order.run}: how the host was before is lost")
        await tell(Event(Happened.RESUMED, "looking at what took effect"))
        await self._reaches("resumed", life)
        self._closed.add(order.run)
        return self._came_of.get(order.run) or Applied(Outcome.NOT_FIXED, "Nothing was run: stopped before")

    def _fits(self, of: Plan) -> bool:
        value = self.values[of.service]
        if of.undoes:
            return of.basis == {value_of(of.service): value}
        return of.fingerprint in {each.fingerprint for each in plans_for(of.service, value)}

    def _runs(self, order: Order) -> str:
        """The step is run."""
        run, of = order.run, order.plan
        self.executed[run] += 1
        outcome, before = self.next_outcome, self.values[of.service]
        name = value_of(of.service)
        if outcome == "unhelpful" and not of.undoes:
            self.unhelped.add(run)
        helped = next((each.before or "" for each in of.restores), WELL)
        after = {"unhelpful": f"tried {before}"[:20], "failed": before}.get(outcome, helped)
        self.values[of.service] = after
        status = {"failed": 1, "contact lost": None}.get(outcome, 0)
        result = StepResult(of.steps[0], status, "said")
        changed = (Difference(Family.SYSCTL, name, before, after, announced=True),) if after != before else ()
        ends = {"unhelpful": Outcome.NOT_FIXED, "failed": Outcome.FAILED, "contact lost": Outcome.UNKNOWN}
        end = ends.get(outcome, Outcome.UNDONE if of.undoes else Outcome.FIXED)
        readings = (good(self._loop.clock()),) if after == WELL else ()
        self._came_of[run] = Applied(end, outcome, (result,), readings, changed, cause_gone=after == WELL)
        return outcome

    async def _reaches(self, point: str, life: Life) -> None:
        async with self._turns.turn(life):
            pass
        if point in self.waits_at:
            self._seen[f"a run waited: {point}"] += 1
            future = self._loop.create_future()
            self._held.append(future)
            await life.waits(future)

    def goes_on(self) -> None:
        for future in self._held:
            if not future.done():
                future.set_result(None)
        self._held.clear()
