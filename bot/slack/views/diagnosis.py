"""A report as parts of a message: the proof first, then what else a person may want to check."""

from collections.abc import Iterable, Iterator, Sequence

from bot.slack.views.blocks import ALWAYS, Part, part
from bot.slack.views.markup import code, preformatted, prose, valued, when
from bot.text import counted
from bot.wording.reports import (
    brief,
    by_reason,
    evidence,
    ladder,
    telling,
    trouble,
    unasked,
    undetermined,
    weight,
    where_it_died,
)
from checks.model import Confidence, Evidence, Finding, NoChange, Reading, Report, Status, Trouble

MOST_EVIDENCE = 10
MOST_RISKS = 20
MOST_REASONS = 20
NEAREST = 5  # reasons that are shown where the cause is known
MOST_IN_A_REASON = 6
MOST_CHANGES = 12
LONGEST_EVIDENCE = 400  # characters
MOST_READINGS = 12


def proof(report: Report) -> list[Part]:
    """What a person needs before they decide: what is wrong, why that is certain, what to do by hand."""
    parts = []
    if (untold := trouble(report)) is not None:
        parts.append(part("the trouble with the host", ALWAYS, _trouble(untold)))
    if died := where_it_died(report):
        parts.append(part("where the packet died", ALWAYS, [f"*Where the packet died:* {valued(died, 500)}"]))
    for number, cause in enumerate(report.diagnosis.causes, 1):
        parts.append(
            part("proof", ALWAYS, _proof(cause, report))
            if number == 1
            else part("more causes", 2, _also(number, cause, report))
        )
    if report.stands_in:
        parts.append(part("whom it is about", 3, [f"*Looked at:* {valued(report.stands_in, 400)}"]))
    parts += readings(report.readings)
    if undetermined(report) and report.status is not Status.HEALTHY:  # then what it is not is all that is known
        parts += [*_ruled_out(report, 3), *_not_told(report, 3), *not_asked(report, 3)]
    return parts


def details(report: Report) -> list[Part]:
    """What backs the proof, in the order of use; the last ones go first when a message is too long."""
    parts = refused(report.refused)
    if not undetermined(report):
        parts += [*_ruled_out(report, 8), *_not_told(report, 7), *not_asked(report, 7)]
    return parts


def not_asked(report: Report, rank: int) -> list[Part]:
    """What nobody could look at, in a line: also a healthy host is not known to be well in it."""
    facts = unasked(report)
    if not facts:
        return []
    return [part("what could not be asked", rank, [f"*Could not be asked:* {valued(brief(facts), 600)}"])]


def timeline(report: Report) -> list[Part]:
    return [part("timeline", 9, _timeline(report))] if report.timeline else []


def was(report: Report) -> list[Part]:
    """What was wrong, once it is over."""
    root = report.diagnosis.root
    if root is None:
        return []
    return [part("the cause", 2, [f"*It was:* {prose(root.title, 300)}", *_evidence(evidence(root), MOST_EVIDENCE)])]


def risks(report: Report) -> list[Part]:
    if not report.diagnosis.risks:
        return []
    lines = ["*Works now, will break*"]
    for risk in report.diagnosis.risks[:MOST_RISKS]:
        lines += [f":warning: {prose(risk.title, 200)}", *_evidence(evidence(risk), 3)]
    return [part("risks", 6, lines)]


def readings(made: Sequence[Reading], title: str = "Reached from") -> list[Part]:
    if not made:
        return []
    rows = [(name, "✓" if ok else "✗", says, took) for name, ok, says, took in ladder(made)[:MOST_READINGS]]
    widest = max(len(row[2]) for row in rows)
    place = max(13, *(len(row[0]) + 1 for row in rows))
    table = "\n".join(f"{name:<{place}}{mark} {says:<{min(widest, 40)}}  {took:>8}" for name, mark, says, took in rows)
    return [part("readings", 5, [f"*{title}*", preformatted(table)])]


def refused(no_changes: Iterable[NoChange]) -> list[Part]:
    lines = [f"• {code(no_change.fix, 60)}: {valued(no_change.why, 300)}" for no_change in no_changes]
    return [part("fixes that are not offered", 4, ["*Not offered*", *lines])] if lines else []


def _trouble(trouble: Trouble) -> list[str]:
    return [f"*Could not look at the host* ({code(trouble.id, 60)})", valued(trouble.says, 800)]


def _proof(finding: Finding, report: Report) -> Iterator[str]:
    yield f"*{weight(finding).capitalize()}*"
    yield from _evidence(evidence(finding, report), MOST_EVIDENCE)
    yield from _advice(finding)


def _also(number: int, finding: Finding, report: Report) -> Iterator[str]:
    likely = "" if finding.confidence is Confidence.PROVEN else " (likely, not proven)"
    yield f"*{number}. Also wrong, to mend after that:* {prose(finding.title, 200)}{likely}"
    yield from _evidence(evidence(finding, report), MOST_EVIDENCE)
    yield from _advice(finding)


def _evidence(shown: Sequence[Evidence], most: int) -> Iterator[str]:
    for each in shown[:most]:
        yield f"• {valued(brief(each.says), LONGEST_EVIDENCE)}"
    if len(shown) > most:
        yield f"• and {len(shown) - most} more"


def _advice(finding: Finding) -> Iterator[str]:
    if finding.advice:
        yield "*To do by hand*"
        yield preformatted("\n".join(finding.advice), 1500)


def _ruled_out(report: Report, rank: int) -> list[Part]:
    """All of it where that is all that is known, else a few: the rest is for whoever doubts the cause."""
    most = MOST_REASONS if undetermined(report) else NEAREST
    lines = _listed(by_reason(report.diagnosis.ruled_out), most, report)
    return [part("ruled out", rank, ["*Ruled out*", *lines])] if lines else []


def _not_told(report: Report, rank: int) -> list[Part]:
    lines = _listed(by_reason(report.diagnosis.not_told), MOST_REASONS, report)
    return [part("what could not be told", rank, ["*Could not be told*", *lines])] if lines else []


def _listed(groups: Sequence[tuple[str, tuple[str, ...]]], most: int, report: Report) -> list[str]:
    lines = [f"• {_ids(ids)} {valued(brief(why), 200)}" for why, ids in groups[:most]]
    return [*lines, *_more(sum(len(ids) for _, ids in groups[most:]), report)]


def _more(count: int, report: Report) -> list[str]:
    return [f"• and {count} more, all in {code(f'dockerhealth check {report.host} {report.service}')}"] if count else []


def _ids(ids: Sequence[str]) -> str:
    shown = " ".join(code(ident, 60) for ident in ids[:MOST_IN_A_REASON])
    rest = len(ids) - MOST_IN_A_REASON
    return f"{shown} and {counted(rest, 'more suspect')}:" if rest > 0 else shown


def _timeline(report: Report) -> Iterator[str]:
    """The changes that tell most, oldest first."""
    yield "*What changed before*"
    for change in telling(report.timeline, MOST_CHANGES):
        by = f" ({valued(change.who, 200)})" if change.who else ""
        between = f" between {when(change.since)} and {when(change.at)}" if change.since else ""
        yield f"• {when(change.at)} {valued(change.says, 300)}{between}{by}"
    yield from _more(max(len(report.timeline) - MOST_CHANGES, 0), report)
