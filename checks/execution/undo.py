"""Take back what a run did to its host: the undo of the steps that took effect, and of no other."""

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from checks.model import Applied, Lasts, NoUndo, Outcome, Plan, Risk, StepResult


def undo(plan: Plan, run: str, applied: Applied) -> Plan | NoUndo:
    """The plan that takes a run back, or why there is none. It rests on the values that the run left behind."""
    if plan.undoes:
        return NoUndo("that was an undo itself")
    effective = [result for result in applied.results if result.status in {0, None}]
    steps = tuple(step for result in reversed(effective) for step in result.step.undo)
    if not effective:
        return NoUndo("nothing was done to the host")
    if not steps:
        return NoUndo(f"{plan.title}: it cannot be taken back")
    stays = [each.name for each in applied.differences if any(fnmatchcase(each.name, one) for one in plan.stays)]
    changed = [each for each in applied.differences if each.announced and each.name not in stays]
    return replace(
        plan,
        title=f"Undo: {plan.title}",
        steps=steps,
        risk=max(plan.risk, Risk.MEDIUM, key=list(Risk).index) if applied.outcome is Outcome.FIXED else plan.risk,
        blast_radius=" ".join(_blast_radius(plan, effective, applied)),
        verify=f"all that the fix changed is as it was before{_but_for(stays)}",
        basis={each.name: each.after for each in changed if each.after is not None},
        notes=(),
        preflight=(),
        lasts=Lasts.UNTIL_CHANGED,
        undoes=run,
        restores=tuple(changed),
        undo_unasked=False,
    )


def _but_for(stays: list[str]) -> str:
    return ", but for what dockerd wrote when it started" if stays else ""


def _blast_radius(plan: Plan, effective: list[StepResult], applied: Applied) -> Iterator[str]:
    if applied.outcome is Outcome.FIXED:
        yield f"{plan.cause} COMES BACK: the service stops answering again, unless something else keeps it well."
    kept = [result.step.does for result in effective if not result.step.undo]
    if kept:
        yield f"What cannot be taken back stays: {'; '.join(kept)}."
    if not kept and applied.outcome is not Outcome.FIXED:
        yield "The host is as it was before the fix."
