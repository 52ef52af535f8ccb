"""What came of a plan, and whether it is still the right one, as pure functions of what was seen."""

from collections.abc import Mapping
from dataclasses import dataclass

from checks.model import Finding, Lasts, NoChange, Outcome, Plan, Reading, Report, Snapshot, Verdict


@dataclass(frozen=True)
class Broken:
    """Why a plan was not carried out to its last step."""

    says: str
    failed: bool = False  # a step said so itself
    away: bool = False  # there is nobody to ask what is true now


@dataclass(frozen=True)
class Conclusion:
    """What a plan came to. ``seen`` is for a person; ``amiss`` where it is so though every step ran."""

    outcome: Outcome
    seen: str
    amiss: bool = False

    @property
    def says(self) -> str:
        """In one sentence, of a plan that was carried out whole."""
        return f"Every step ran, but {self.seen}" if self.amiss else self.seen


@dataclass(frozen=True)
class Seen:
    """What is looked at afterwards."""

    readings: tuple[Reading, ...]
    report: Report
    after: Snapshot | None


def why_stale(approved: Plan, report: Report, now: Snapshot) -> str:
    """Why the approved plan is not the one that would be made now; empty where it is."""
    if approved.undoes:
        return _why_not_taken_back(approved, now)
    fresh = report.proposal(approved.fix)
    if isinstance(fresh, NoChange):
        return fresh.why
    if fresh.fingerprint == approved.fingerprint:
        return ""
    return _changed(approved.basis, fresh.basis) or "another plan is right now"


def _why_not_taken_back(undo: Plan, now: Snapshot) -> str:
    """Values that are no more what the run left were changed by somebody else, whose they are now."""
    unread = _unread(undo, now)
    if unread:
        return f"whether the host is as the fix left it cannot be told: {unread}"
    return _changed({each.name: each.after for each in undo.restores}, now.states)


def _changed(approved: Mapping[str, str | None], now: Mapping[str, str]) -> str:
    changed = [
        f"{name} was {_value(value)}, is {_value(now.get(name))}"
        for name, value in approved.items()
        if now.get(name) != value
    ]
    return f"the host changed since this plan was made: {'; '.join(changed)}" if changed else ""


def _value(value: str | None) -> str:
    return "not there" if value is None else repr(value)


def _unread(undo: Plan, now: Snapshot) -> str:
    """Which of the values that an undo is about could not be read; empty where all of them could."""
    names = [each.name for each in undo.restores if each.family not in now.families]
    return f"{', '.join(names)} could not be read" if names else ""


def verified(approved: Plan, seen: Seen) -> Conclusion:
    """Fixed is what answers from outside and whose cause is gone; nothing else is."""
    report, last = seen.report, seen.readings[-1]
    wrong = _left(approved, report)
    if wrong is not None:
        says = wrong.evidence[0].says if wrong.evidence else wrong.title
        return Conclusion(Outcome.NOT_FIXED, f"{wrong.cause} holds: {says}", amiss=True)
    if report.trouble is not None:
        untold = f"what came of it cannot be told: {report.trouble.says}"
        return Conclusion(Outcome.UNKNOWN, untold, amiss=True)
    if not last.ok:
        root = report.diagnosis.root
        then = f"; what is wrong now: {root.title}" if root else ""
        return Conclusion(Outcome.NOT_FIXED, f"{approved.cause} is gone, but from outside: {last.says}{then}")
    why = next((one.why for one in report.diagnosis.not_told if one.cause == approved.cause), None)
    if why is not None:
        answers = f"It answers again, but whether {approved.cause} is gone cannot be told: {why}"
        return Conclusion(Outcome.UNKNOWN, answers)
    return Conclusion(Outcome.FIXED, f"Verified: {approved.verify}")


def cause_gone(approved: Plan, seen: Seen) -> bool | None:
    """Whether what a plan is to mend is no longer there; None where that cannot be told."""
    if _left(approved, seen.report) is not None:
        return False
    untold = any(one.cause == approved.cause for one in seen.report.diagnosis.not_told)
    return None if seen.report.trouble is not None or untold else True


def _left(approved: Plan, report: Report) -> Finding | None:
    """What is still wrong of that which the plan is to mend.

    A fault that is to come counts where the plan was to prevent it, or promised to hold for good.
    """
    for one in (*report.diagnosis.causes, *report.diagnosis.risks):
        counts = one.verdict is Verdict.FAIL or approved.lasts is Lasts.FOR_GOOD
        if one.cause == approved.cause or (counts and approved.fix in one.fixes[:1]):
            return one
    return None


def restored(undo: Plan, seen: Seen) -> Conclusion:
    """Taken back is what is seen to be as it was, value by value."""
    if seen.after is None:
        why = seen.report.trouble.says if seen.report.trouble else "the host could not be looked at"
        return Conclusion(Outcome.UNKNOWN, f"whether the host is as it was cannot be told: {why}", amiss=True)
    states = seen.after.states
    wrong = [
        f"{each.name} is {_value(states.get(each.name))}, was {_value(each.before)}"
        for each in undo.restores
        if each.family in seen.after.families and states.get(each.name) != each.before
    ]
    if wrong:
        return Conclusion(Outcome.FAILED, f"the host is not as it was: {'; '.join(wrong)}", amiss=True)
    unread = _unread(undo, seen.after)
    if unread:
        return Conclusion(Outcome.UNKNOWN, f"whether the host is as it was cannot be told: {unread}", amiss=True)
    return Conclusion(Outcome.UNDONE, "All that the fix had changed is as it was before")


def broken_off(broken: Broken, came_to: Conclusion) -> Conclusion:
    """What is true of a plan that was not carried out whole: what was seen afterwards, and why it broke off."""
    outcome, seen = came_to.outcome, came_to.seen
    if outcome is Outcome.FIXED:
        return Conclusion(Outcome.FAILED if broken.failed else outcome, f"{broken.says}. All the same: {seen}")
    if outcome is Outcome.UNDONE:
        return Conclusion(outcome, f"{seen}, although: {broken.says}")
    if broken.failed:
        return Conclusion(Outcome.FAILED, broken.says)
    return Conclusion(outcome if outcome is Outcome.UNKNOWN else Outcome.NOT_FIXED, f"{broken.says}. {seen}")
