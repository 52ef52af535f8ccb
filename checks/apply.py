"""The second door: carry an approved plan out, if it is still the right one, and prove that it worked."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from checks.check import Checker
from checks.errors import LookError
from checks.model import Applied, Host, NoChange, Outcome, Plan, Reading, Report, Service, StepResult

SETTLE = 30.0
"""Seconds that a service has to answer again from outside after the last step."""

_PAUSE = 0.5
_IN_A_ROW = 2
_SHOWN = 500  # characters of a step's output that a message shows


@dataclass(frozen=True)
class Progress:
    """What is being done right now, for a person."""

    says: str


OnProgress = Callable[[Progress], Awaitable[None]]


async def plan(checker: Checker, host: Host, service: Service, fix: str) -> Plan | NoChange:
    """What a fix would do now, or why nothing."""
    [report] = await checker.check(host, service)
    return _planned(report, fix)


async def apply(checker: Checker, approved: Plan, on_progress: OnProgress) -> Applied:
    """Carry a plan out: look again, plan again, and only if that is the plan that was approved, run and verify it."""
    host = checker.hosts[approved.host]
    service = host.service(approved.service)
    async with checker.fixing(host):
        await on_progress(Progress("looking again: is it still the same fault?"))
        [report] = await checker.check(host, service)
        if report.trouble is not None:
            return Applied(Outcome.FAILED, f"Nothing was run: {report.trouble.says}")
        stale = _why_stale(approved, _planned(report, approved.fix))
        if stale:
            return Applied(Outcome.STALE, f"Nothing was run: {stale}")
        results: list[StepResult] = []
        broken = await _run(checker, host, approved, results, on_progress)
        if broken is not None:
            return broken
        await on_progress(Progress("verifying from outside"))
        return await _verify(checker, host, service, approved, tuple(results))


def _planned(report: Report, fix: str) -> Plan | NoChange:
    candidates: tuple[Plan | NoChange, ...] = (*report.plans, *report.refused)
    for planned in candidates:
        if planned.fix == fix:
            return planned
    why = report.trouble.says if report.trouble else f"nothing that {fix} mends is wrong with {report.service} now"
    return NoChange(fix, why)


def _why_stale(approved: Plan, now: Plan | NoChange) -> str:
    """Why the approved plan is not the one that would be made now; empty where it is."""
    if isinstance(now, NoChange):
        return now.why
    if now.digest == approved.digest:
        return ""
    changed = [
        f"{name} was {approved.basis.get(name, 'not looked at')!r}, is {value!r}"
        for name, value in now.basis.items()
        if approved.basis.get(name) != value
    ]
    return f"the host changed since this plan was made: {'; '.join(changed) or 'another plan is right now'}"


async def _run(
    checker: Checker, host: Host, approved: Plan, results: list[StepResult], on_progress: OnProgress
) -> Applied | None:
    """Run every step in turn. None when all of them succeeded."""
    for number, step in enumerate(approved.steps, 1):
        await on_progress(Progress(f"step {number} of {len(approved.steps)}: {step.does}"))
        try:
            output = await checker.run(host, step)
        except LookError as error:
            says = f"Contact was lost in step {number} ({step.does}); it may have taken effect. {error}"
            return Applied(Outcome.UNKNOWN, says, tuple(results))
        said = f"{output.stdout}{output.stderr}".strip()[-_SHOWN:]
        results.append(StepResult(step, output.status, said))
        if output.status != 0:
            says = f"Step {number} ({step.does}) ended with {output.status}: {said or 'no output'}"
            return Applied(Outcome.FAILED, says, tuple(results))
    return None


async def _verify(
    checker: Checker, host: Host, service: Service, approved: Plan, results: tuple[StepResult, ...]
) -> Applied:
    """Fixed is what answers from outside and whose cause is gone; nothing else is."""
    readings = await _settle(checker, host, service)
    [report] = await checker.check(host, service)
    left = (*report.diagnosis.causes, *report.diagnosis.risks)
    wrong = next((one for one in left if one.cause == approved.cause or approved.fix in one.fixes[:1]), None)
    if wrong is not None:
        says = f"Every step ran, but {wrong.cause} holds: {wrong.evidence[0].says if wrong.evidence else wrong.title}"
        return Applied(Outcome.NOT_FIXED, says, results, readings)
    if not readings[-1].ok:
        root = report.diagnosis.root
        then = f"; what is wrong now: {root.title}" if root else ""
        says = f"{approved.cause} is gone, but from outside: {readings[-1].says}{then}"
        return Applied(Outcome.NOT_FIXED, says, results, readings)
    untold = next((one.why for one in report.diagnosis.not_told if one.cause == approved.cause), None)
    if untold is not None:
        says = f"It answers again, but whether {approved.cause} is gone cannot be told: {untold}"
        return Applied(Outcome.UNKNOWN, says, results, readings)
    return Applied(Outcome.FIXED, f"Verified: {approved.verify}", results, readings)


async def _settle(checker: Checker, host: Host, service: Service) -> tuple[Reading, ...]:
    """Read from outside until it answers twice in a row, or the time to settle is over."""
    readings: list[Reading] = []
    until = time.monotonic() + SETTLE
    while time.monotonic() < until:
        readings.append(await checker.reach(host, service))
        if len(readings) >= _IN_A_ROW and all(reading.ok for reading in readings[-_IN_A_ROW:]):
            break
        await asyncio.sleep(_PAUSE)
    return tuple(readings[-3:])
