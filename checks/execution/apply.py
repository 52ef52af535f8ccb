"""The second door: carry an approved plan out, if it is still the right one, and prove what came of it.

Whatever happens to the connection, the host or this process, no step is started twice (see receipts.py), and what is
said in the end was seen on the host.
"""

import asyncio
import time

from checks.check import Checker
from checks.commands import carried_out, shell_line
from checks.errors import LookError
from checks.execution import receipts
from checks.execution.order import Event, Happened, OnEvent, Order
from checks.execution.outcome import Broken, Seen, broken_off, cause_gone, restored, verified, why_stale
from checks.execution.receipts import RebootedError, Receipt, ReceiptState
from checks.execution.snapshot import differences, snapshot
from checks.masking import masked
from checks.model import (
    Applied,
    FixId,
    Host,
    NoChange,
    Outcome,
    Plan,
    Reading,
    Report,
    Service,
    Snapshot,
    Step,
    StepResult,
    Vantage,
)

SETTLE = 30.0
"""Seconds that a service has to answer again from outside, with its cause gone, after the last step."""

BROKEN_OFF_SETTLE = 5.0
"""The same after a plan that was not carried out whole, of which less is to be expected."""

STEADY = 2.0
"""Seconds for which it has to answer each time before that counts."""

AWAY_FOR_MOST = 300.0
"""Seconds that a host which went away midway is waited for."""

_PAUSE = 0.5
_RETRY = 2.0
_SHOWN = 500  # characters of a step's output that a message shows


async def plan(checker: Checker, host: Host, service: Service, fix: FixId) -> Plan | NoChange:
    """Plan a fix on a fresh look. Nothing is changed.

    Returns:
        What the fix would do now, or why nothing: it mends nothing that is wrong, must not run, or the host cannot be
        looked at.
    """
    [report] = await checker.check(host, service)
    return report.proposal(fix)


async def apply(checker: Checker, order: Order, on_event: OnEvent) -> Applied:
    """Carry a plan out: look again, plan again, and only if that is the plan that was approved, run and verify it.

    Args:
        checker: Looks at the host, and has the connection to it.
        order: The approved plan, the id of its run, and who approved it.
        on_event: Called with each event before what it announces is done.

    Returns:
        What came of it, as seen on the host and from outside. A host that cannot be looked at, before or after, is an
        outcome and no error.

    Raises:
        Whatever ``on_event`` raises, before the next step starts.
    """
    if gone := _unknown(checker, order):
        return Applied(Outcome.FAILED, f"Nothing was run: {gone}")
    return await _Run(checker, order, on_event).carry_out()


async def resume(checker: Checker, order: Order, before: Snapshot | None, on_event: OnEvent) -> Applied:
    """End what another process began, and left: let no further step start, and say what came of those that did.

    Args:
        checker: As for ``apply``.
        order: As for ``apply``.
        before: The host as it was before the first step, where that was kept: what changed is told by it.
        on_event: As for ``apply``.

    Returns:
        What came of the steps that were started, as seen now.

    Raises:
        Whatever ``on_event`` raises.
    """
    if gone := _unknown(checker, order):
        return Applied(Outcome.UNKNOWN, f"dockerhealth was stopped while this ran. How far it got is not known: {gone}")
    return await _Run(checker, order, on_event, before).end()


def _unknown(checker: Checker, order: Order) -> str:
    """Why there is no way to what a plan is about; empty where there is one."""
    host = checker.hosts.get(order.plan.host)
    known = host is not None and any(each.name == order.plan.service for each in host.services)
    return "" if known else f"{order.plan.host}/{order.plan.service} left the configuration meanwhile"


class _Run:
    def __init__(self, checker: Checker, order: Order, on_event: OnEvent, before: Snapshot | None = None) -> None:
        self.checker = checker
        self.order = order
        self.plan = order.plan
        self.on_event = on_event
        self.before = before
        self.host = checker.hosts[order.plan.host]
        self.service = self.host.service(order.plan.service)
        self.connection = checker.connection(self.host)
        self.results: list[StepResult] = []

    # --- from the beginning ---

    async def carry_out(self) -> Applied:
        await self.on_event(Event(Happened.LOOKING, "looking again: is it still the same fault?"))
        report, now = await self._look()
        outside = tuple(reading for reading in report.readings if reading.vantage is Vantage.OUTSIDE)
        if report.trouble is not None or now is None:
            why = report.trouble.says if report.trouble else "the host could not be looked at"
            return Applied(Outcome.FAILED, f"Nothing was run: {why}", readings=outside)
        stale = why_stale(self.plan, report, now)
        if stale:
            return Applied(Outcome.STALE, f"Nothing was run: {stale}", readings=outside)
        try:
            boot = await receipts.open_run(self.connection, self.order.run)
        except LookError as error:
            return Applied(Outcome.FAILED, f"Nothing was run: {error}", readings=outside)
        self.before = now
        says = "the host is as it was when this was planned"
        await self.on_event(Event(Happened.UNCHANGED, says, dict(self.plan.basis), before=now))
        for number, step in enumerate(self.plan.steps, 1):
            broken = await self._step(boot, number, carried_out(step, self.order.by, self.order.run))
            if broken is not None:
                return await self._concluded(broken)
        return await self._concluded(None)

    async def _step(self, boot: str, number: int, step: Step) -> Broken | None:
        """Run one step to its end. Returns why no further one is to follow, if so."""
        says = f"step {number} of {len(self.plan.steps)}: {step.does}"
        await self.on_event(Event(Happened.STEP_STARTED, says, {"number": number, "command": shell_line(step)}))
        try:
            receipt = await self._receipt(boot, number, step)
        except RebootedError:
            return Broken(f"{self.host.name} was started anew before step {number} ({step.does})")
        except LookError as error:
            return Broken(
                f"Contact was lost in step {number} ({step.does}); it may have taken effect. {error}", away=True
            )
        await self._ended(receipt, step)
        return self._why_broken(receipt, step)

    async def _receipt(self, boot: str, number: int, step: Step) -> Receipt:
        """Start a step and learn how it ended, over as many connections as that takes.

        Raises RebootedError; LookError when the host stays away.
        """
        until = time.monotonic() + step.timeout + AWAY_FOR_MOST
        while True:
            try:
                receipt = await receipts.start(self.connection, self.order.run, boot, number, step)
            except LookError as error:
                await self._wait(until, error)
            else:
                if receipt.state is not ReceiptState.RUNNING or time.monotonic() > until:
                    return receipt
                await asyncio.sleep(_RETRY)

    async def _wait(self, until: float, error: LookError) -> None:
        """A moment's pause while the host is away. Raises the error once it has been for too long."""
        left = until - time.monotonic()
        if left <= 0:
            raise error
        says = f"{self.host.name} does not answer; what was started goes on there. Waiting, {left:.0f} s at most"
        await self.on_event(Event(Happened.WAITING, says, {"error": str(error)}))
        await asyncio.sleep(min(_RETRY, left))

    async def _ended(self, receipt: Receipt, step: Step) -> None:
        """Keep and tell how a step ended."""
        said = masked(receipt.output.strip())
        result = StepResult(step, receipt.status, said[-_SHOWN:], receipt.seconds)
        self.results.append(result)
        how = "was interrupted" if receipt.status is None else f"ended with {receipt.status}"
        says = f"step {receipt.number} of {len(self.plan.steps)} {how}: {step.does}"
        data = {"number": receipt.number, "status": receipt.status, "seconds": receipt.seconds, "output": said}
        await self.on_event(Event(Happened.STEP_ENDED, says, data))

    def _why_broken(self, receipt: Receipt, step: Step) -> Broken | None:
        where = f"Step {receipt.number} ({step.does})"
        match receipt.state:
            case ReceiptState.ENDED if receipt.status == 0:
                return None
            case ReceiptState.ENDED:
                said = receipt.output.strip()[-_SHOWN:] or "no output"
                return Broken(f"{where} ended with {receipt.status}: {said}", failed=True)
            case ReceiptState.RUNNING:
                return Broken(f"{where} still runs, long after its deadline", away=True)
            case ReceiptState.CLOSED:
                return Broken(f"{where} was not run: another process has ended this run")
            case ReceiptState.LOST:
                return Broken(f"{where} was interrupted: it may have taken effect")

    # --- after a process that was stopped ---

    async def end(self) -> Applied:
        says = "dockerhealth was stopped while this ran; looking at what took effect"
        await self.on_event(Event(Happened.RESUMED, says))
        try:
            found = await self._closed()
        except LookError as error:
            return Applied(
                Outcome.UNKNOWN, f"dockerhealth was stopped while this ran. How far it got is not known: {error}"
            )
        started = [receipt for receipt in found if receipt.state is not ReceiptState.CLOSED]
        for receipt in started:
            step = carried_out(self.plan.steps[receipt.number - 1], self.order.by, self.order.run)
            await self._ended(receipt, step)
        if not started:
            says = "Nothing was run: dockerhealth was stopped before the first step"
            return Applied(Outcome.NOT_FIXED, says)
        return await self._concluded(self._why_unfinished(started))

    async def _closed(self) -> tuple[Receipt, ...]:
        """Every step's receipt, once none runs any more. Raises LookError when the host stays away."""
        until = time.monotonic() + AWAY_FOR_MOST
        while True:
            try:
                found = await receipts.close_run(self.connection, self.order.run, len(self.plan.steps))
            except LookError as error:
                await self._wait(until, error)
            else:
                if all(receipt.state is not ReceiptState.RUNNING for receipt in found) or time.monotonic() > until:
                    return found
                await asyncio.sleep(_RETRY)

    def _why_unfinished(self, started: list[Receipt]) -> Broken | None:
        last = started[-1]
        broken = self._why_broken(last, self.plan.steps[last.number - 1])
        if broken is None and len(started) < len(self.plan.steps):
            done = f"{len(started)} of {len(self.plan.steps)} steps were run, and the others are not"
            return Broken(f"dockerhealth was stopped meanwhile: {done}")
        return broken

    # --- what came of it ---

    async def _concluded(self, broken: Broken | None) -> Applied:
        if broken is not None and broken.away:
            return Applied(Outcome.UNKNOWN, broken.says, tuple(self.results))
        await self.on_event(Event(Happened.VERIFYING, "verifying from outside"))
        within = SETTLE if broken is None else BROKEN_OFF_SETTLE
        seen = await (self._seen_restored() if self.plan.undoes else self._seen_settled(within))
        came_to = restored(self.plan, seen) if self.plan.undoes else verified(self.plan, seen)
        if broken is not None:
            came_to = broken_off(broken, came_to)
        return Applied(
            came_to.outcome,
            came_to.says,
            tuple(self.results),
            seen.readings[-3:],
            differences(self.before, seen.after, self.plan.changes) if self.before and seen.after else (),
            cause_gone(self.plan, seen),
        )

    async def _seen_settled(self, within: float) -> Seen:
        """The service and its host, as soon as both are well, or when the time to settle is over."""
        began = time.monotonic()
        until = began + within
        while True:
            readings = await self._steady(until)
            report, after = await self._look()
            seen = Seen(readings, report, after)
            if report.trouble is not None:
                until = began + AWAY_FOR_MOST
            well = verified(self.plan, seen).outcome is Outcome.FIXED
            if well or time.monotonic() >= until:
                return seen
            await asyncio.sleep(_PAUSE)

    async def _seen_restored(self) -> Seen:
        until = time.monotonic() + SETTLE
        while True:
            reading = await self.checker.reach(self.host, self.service)
            report, after = await self._look()
            seen = Seen((reading,), report, after)
            if restored(self.plan, seen).outcome is Outcome.UNDONE or time.monotonic() >= until:
                return seen
            await asyncio.sleep(_PAUSE)

    async def _look(self) -> tuple[Report, Snapshot | None]:
        """A look at the service, and all of its host that a fix may change; None where that could not be seen."""
        report, facts = await self.checker.examine(self.host, self.service)
        return report, snapshot(facts) if facts is not None else None

    async def _steady(self, until: float) -> tuple[Reading, ...]:
        """Read from outside until it has answered for a while without a break, or the time is over."""
        readings: list[Reading] = []
        good_since: float | None = None
        while True:
            reading = await self.checker.reach(self.host, self.service)
            readings.append(reading)
            now = time.monotonic()
            good_since = (good_since or now) if reading.ok else None
            if (good_since is not None and now - good_since >= STEADY) or now >= until:
                return tuple(readings)
            await asyncio.sleep(_PAUSE)
