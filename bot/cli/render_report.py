"""The diagnosis for a terminal, and as JSON for a program."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bot.incidents.model import Offer
from bot.incidents.runs import approvals, still_needed
from bot.text import plain
from bot.wording.changes import Changed, changed, not_restored
from bot.wording.plans import LASTS, NO_UNDO, UNASKED, comes_back, ending, outcome, who
from bot.wording.reports import (
    between,
    brief,
    by_reason,
    evidence,
    ladder,
    ruled_out_by,
    title,
    trouble,
    unasked,
    undetermined,
    weight,
    where_it_died,
)
from checks.commands import typed
from checks.model import (
    Applied,
    Change,
    Difference,
    Evidence,
    Finding,
    NoChange,
    NoUndo,
    Outcome,
    Plan,
    Reading,
    Report,
    Risk,
    Segment,
    Status,
    Step,
)

MARKS = {Status.HEALTHY: ("✓", "green"), Status.UNHEALTHY: ("✗", "red"), Status.UNKNOWN: ("?", "yellow")}
RISKS = {Risk.LOW: "green", Risk.MEDIUM: "yellow", Risk.HIGH: "red"}
OUTCOME_COLOURS = {Outcome.FIXED: "green", Outcome.UNDONE: "green", Outcome.UNKNOWN: "yellow"}


Lines = Iterator[Text]


def print_report(console: Console, report: Report) -> None:
    mark, colour = MARKS[report.status]
    name = Text(f"{mark} {report.host}/{report.service}  ", f"bold {colour}")
    _print(console, [name + _line(title(report), "bold")])
    _print(console, _report(report), indent=2)
    _print(console, [_line(f"  looked {report.at:%Y-%m-%d %H:%M:%S %Z}, took {report.took_ms / 1000:.1f} s", "dim")])


def print_plan(console: Console, plan: Plan) -> None:
    """All that the plan would do, before anyone is asked."""
    _print(console, [_line(plan.title, "bold") + _weighed(plan) + f" on {plan.host}"])
    _print(console, _plan(plan), indent=2)


def print_offer(console: Console, offer: Offer) -> None:
    """A plan, and who has to approve it where one person is not enough."""
    print_plan(console, offer.plan)
    _print(console, _approvals(offer), indent=2)


def print_no_change(console: Console, no_change: NoChange | NoUndo) -> None:
    name = no_change.fix if isinstance(no_change, NoChange) else "undo"
    _print(console, [_line(f"{name}: {no_change.why}")])


def print_applied(console: Console, applied: Applied, run: Offer | None = None) -> None:
    """What came of a plan. ``run`` is the offer that it was, where it is on record."""
    words = outcome(applied, run.plan if run else None)
    colour = OUTCOME_COLOURS.get(applied.outcome, "red")
    _print(console, [Text(f"{words}. ", f"bold {colour}") + _line(applied.says)])
    _print(console, _applied(applied, run), indent=2)
    if run is not None:
        _print(console, [_line(f"  all of it: dockerhealth audit --run {run.id}", "dim")])


def report_json(report: Report) -> dict[str, Any]:
    """One service for a program. The keys are a public contract."""
    diagnosis = report.diagnosis
    root = diagnosis.root
    not_told = [{"id": finding.cause, "missing": finding.why} for finding in diagnosis.not_told]
    if report.trouble is not None:
        not_told.insert(0, {"id": report.trouble.id, "missing": report.trouble.says})
    return {
        "host": report.host,
        "service": report.service,
        "status": report.status.value,
        "readings": [_reading_json(reading) for reading in report.readings],
        "cause": {"id": root.cause, "title": root.title, "confidence": root.confidence.value} if root else None,
        "evidence": [
            {"fact": evidence.fact, "says": evidence.says} for cause in diagnosis.causes for evidence in cause.evidence
        ],
        "ruled_out": [{"id": finding.cause, "why": ruled_out_by(finding)} for finding in diagnosis.ruled_out],
        "not_told": not_told,
        "stands_in": report.stands_in or None,
        "segment": _segment_json(report.segment) if report.segment else None,
        "unavailable": [{"fact": lacking.fact, "why": lacking.why} for lacking in report.unavailable],
        "risks": [{"id": finding.cause, "title": finding.title} for finding in diagnosis.risks],
        "timeline": [
            {
                "at": change.at.isoformat(),
                "what": _what(change),
                "who": change.who or None,
                "kind": change.kind.value,
                "since": change.since.isoformat() if change.since else None,
            }
            for change in report.timeline
        ],
        "fixes": [_plan_json(plan) for plan in report.proposed],
        "took_ms": round(report.took_ms, 1),
    }


def _segment_json(segment: Segment) -> dict[str, str]:
    return {
        "last_seen": segment.last_seen.says,
        "first_missed": segment.first_missed.says,
        "why": segment.why,
    }


def _reading_json(reading: Reading) -> dict[str, Any]:
    return {
        "vantage": reading.vantage.value,
        "ok": reading.ok,
        "phase": reading.phase.value,
        "outcome": reading.ended.value,
        "ms": round(reading.ms, 1),
    }


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.fix,
        "title": plan.title,
        "risk": plan.risk.value,
        "steps": [typed(step) for step in plan.steps],
        "undo": [typed(step) for step in plan.undo],
        "blast_radius": plan.blast_radius,
        "lasts": plan.lasts.value,
        "preflight": list(plan.preflight),
        "changes": list(plan.changes),
        "by_hand": plan.by_hand,
    }


def _print(console: Console, lines: Iterable[Text], indent: int = 0) -> None:
    for line in lines:
        # A command must be one line to be copied, also where the terminal is narrow or none.
        console.print(Text(" " * indent) + line, soft_wrap=True, highlight=False)


def _report(report: Report) -> Lines:
    """The order of reading: trouble, proof, where it was reached from, what to do, and then all that backs it."""
    if (untold := trouble(report)) is not None:
        yield _line(f"could not look at the host ({untold.id}): {untold.says}", "yellow")
    if died := where_it_died(report):
        yield Text("where the packet died: ", "bold") + _line(died)
    for number, cause in enumerate(report.diagnosis.causes, 1):
        yield from _cause(number, cause, report)
    if report.stands_in:
        yield _line(f"looked at: {report.stands_in}", "yellow")
    yield from _under("reached from", _ladder(report.readings))
    at_risk = {risk.cause for risk in report.diagnosis.risks}
    for plan in report.proposed:
        if plan.cause not in at_risk:
            yield from _fix(plan, "fix")
    yield from (_line(f"not offered: {each.fix}: {each.why}", "dim") for each in report.refused)
    if report.status is not Status.HEALTHY:
        yield from _under("what changed before", map(_line, _changes(report)))
    yield from _risks(report)
    yield from _backing(report)


def _risks(report: Report) -> Lines:
    """Each with the fixes that keep it from happening, where the service is well."""
    for risk in report.diagnosis.risks:
        yield _line(f"works now, will break: {risk.title}", "yellow")
        yield from _evidence(risk.evidence)
        for plan in report.proposed:
            if plan.cause == risk.cause:
                yield from _fix(plan, "to prevent it")


def _backing(report: Report) -> Lines:
    """The longest part, and the last: complete, and out of the way. Of a healthy service only what nobody looked at."""
    style = "" if undetermined(report) else "dim"  # what it is not is then all that is known
    ruled_out, not_told = report.diagnosis.ruled_out, report.diagnosis.not_told
    if report.status is not Status.HEALTHY:
        yield from _under(f"ruled out ({len(ruled_out)})", _findings(by_reason(ruled_out), style), style)
        yield from _under("could not be told", _findings(by_reason(not_told), style), style)
    if facts := unasked(report):
        yield _line(f"could not be asked: {brief(facts)}", style)


def _cause(number: int, cause: Finding, report: Report) -> Lines:
    if number > 1:
        yield _line(f"{number}. also wrong, to mend after that: {cause.title}", "bold")
    yield from _under(weight(cause), _evidence(evidence(cause, report)))
    yield from _under("to do by hand", map(_by_hand, cause.advice))


def _by_hand(line: str) -> Text:
    """A command as it is copied, and what is said of it behind ``#``, as the shell has it."""
    command, mark, said = plain(line).partition("# ")
    return Text.assemble("  ", (command, "cyan"), (mark + said, "dim"))


def _under(heading: str, lines: Iterable[Text], style: str = "") -> Lines:
    """Lines under a heading, which stands there only if there are any."""
    for number, line in enumerate(lines):
        if number == 0:
            yield Text(heading, f"bold {style}".strip())
        yield line


def _evidence(shown: Iterable[Evidence]) -> Lines:
    return (_line(f"• {brief(each.says)}", "cyan") for each in shown)


def _findings(groups: Iterable[tuple[str, tuple[str, ...]]], style: str) -> Lines:
    return (_line(f"• {', '.join(ids)}: {brief(why)}", style) for why, ids in groups)


def _fix(plan: Plan, label: str) -> Lines:
    yield Text(f"{label}: ", "bold") + _line(plan.title) + _weighed(plan)
    yield _line(f"  touches: {plan.blast_radius}", "dim")
    if plan.by_hand:
        yield _line(f"  by hand: {plan.by_hand}", "yellow")
        yield from (_line(f"  {typed(step)}", "cyan") for step in plan.steps)
    else:
        yield _line(f"  dockerhealth fix {plan.host} {plan.fix} --service {plan.service}", "cyan")


def _weighed(plan: Plan) -> Text:
    effect = f"takes back run {plain(plan.undoes)}" if plan.undoes else LASTS[plan.lasts]
    return Text.assemble(" (", (f"{plan.risk} risk", RISKS[plan.risk]), f", {effect})")


def _plan(plan: Plan) -> Lines:
    if plan.by_hand:
        yield _line(f"by hand: {plan.by_hand}", "yellow")
    yield from (_line(f"note: {note}") for note in plan.notes)
    yield _line(f"touches: {plan.blast_radius}")
    yield from (_line(f"checked first: {each}") for each in plan.preflight)
    if plan.restores:
        yield _line(f"comes back: {comes_back(plan)}")
    yield from _under("to run" if plan.by_hand else "runs", _steps(plan.steps))
    unasked = plan.undo_unasked and not plan.by_hand
    yield from _under(f"undo, {UNASKED}" if unasked else "undo", _steps(plan.undo))
    if not plan.undo and not plan.undoes:
        yield _line(f"undo: none, {NO_UNDO}")
    yield _line(f"verified by: {plan.verify}")


def _approvals(offer: Offer) -> Lines:
    if offer.people > 1:
        more = still_needed(offer)
        yield _line(f"approved by {len(approvals(offer))} of {offer.people} people, {more} more needed", "yellow")
        yield from (_line(f"• {who(each.who)} {each.at:%Y-%m-%d %H:%M:%S %Z}") for each in approvals(offer))


def _applied(applied: Applied, run: Offer | None) -> Lines:
    """What a person must know before anything else is done, then what was done and what it changed."""
    yield from _changes_under("also changed, and not announced", applied.differences, "bold red", announced=False)
    if run is not None and applied.outcome is not Outcome.UNDONE:
        yield from _under("not as it was before", _differing(not_restored(run)), "red")
    for number, result in enumerate(applied.results, 1):
        if not result.ok:
            yield _line(f"step {number} {ending(result)}: {typed(result.step)}", "red")
            yield from (_line(f"  {line}", "dim") for line in result.output.splitlines())
    yield from _under("done", (_line(f"• {result.step.does}") for result in applied.results if result.ok))
    yield from _changes_under("changed", applied.differences, "", announced=True)
    yield from _under("verified" if applied.outcome is Outcome.FIXED else "reached from", _ladder(applied.readings))


def _steps(steps: Sequence[Step]) -> Lines:
    for number, step in enumerate(steps, 1):
        yield _line(f"{number}. {step.does}")
        yield _line(f"   {typed(step)}", "cyan")


def _changes_under(heading: str, differences: Sequence[Difference], style: str, *, announced: bool) -> Lines:
    return _under(heading, _differing(changed(differences, announced=announced)), style)


def _differing(changes: Iterable[Changed]) -> Lines:
    for each in changes:
        yield _line(f"• {each.says}")
        yield from (_line(f"    {line.says}", "green" if line.came else "red") for line in each.lines)


def _ladder(readings: Sequence[Reading]) -> Lines:
    rows = ladder(readings)
    widest = max((len(says) for _, _, says, _ in rows), default=0)
    place = max((len(name) + 1 for name, *_ in rows), default=0)
    for name, ok, says, took in rows:
        mark = Text("✓ ", "green") if ok else Text("✗ ", "red")
        yield Text(f"{name:<{max(place, 13)}}") + mark + Text(f"{plain(says):<{widest}}  {took:>8}")


def _changes(report: Report) -> Iterator[str]:
    for change in report.timeline:
        yield f"• {change.at:%Y-%m-%d %H:%M:%S %Z}  {_what(change)}" + (f" ({change.who})" if change.who else "")


def _what(change: Change) -> str:
    return f"{change.says} {between(change)}".rstrip()


def _line(text: str, style: str = "") -> Text:
    """Text that a host may have had a part in: it is no markup, and it stays on its line."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    return Text(indent + plain(text), style)
