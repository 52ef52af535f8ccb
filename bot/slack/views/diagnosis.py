"""A report as parts of a message: the proof first, then what else a person may want to check."""

from collections.abc import Iterable, Iterator, Sequence

from bot.slack.views.blocks import ALWAYS, Part, part
from bot.slack.views.markup import code, preformatted, prose, valued, when
from bot.words import ladder, ruled_out_by, undetermined
from checks.model import Change, Confidence, Finding, NoChange, Reading, Report, Trouble

MOST_EVIDENCE = 8
MOST_FINDINGS = 20
MOST_CHANGES = 12
MOST_READINGS = 12


def proof(report: Report) -> list[Part]:
    """What a person needs before they decide: what is wrong, why that is certain, what to do by hand."""
    parts = []
    if report.trouble is not None:
        parts.append(part("the trouble with the host", ALWAYS, _trouble(report.trouble)))
    for number, cause in enumerate(report.diagnosis.causes, 1):
        parts.append(
            part("proof", ALWAYS, _proof(cause)) if number == 1 else part("more causes", 2, _also(number, cause))
        )
    parts += readings(report.readings)
    if undetermined(report):  # then what it is not is all that is known
        parts += [*_ruled_out(report, 3), *_not_told(report, 3)]
    return parts


def details(report: Report) -> list[Part]:
    """What backs the proof, in the order of use; the last ones go first when a message is too long."""
    parts = refused(report.refused)
    if not undetermined(report):
        parts += [*_ruled_out(report, 8), *_not_told(report, 7)]
    return parts


def timeline(report: Report) -> list[Part]:
    return [part("timeline", 9, _timeline(report.timeline))] if report.timeline else []


def was(report: Report) -> list[Part]:
    """What was wrong, once it is over."""
    root = report.diagnosis.root
    if root is None:
        return []
    return [part("the cause", 2, [f"*It was:* {prose(root.title, 300)}", *_evidence(root, MOST_EVIDENCE)])]


def risks(report: Report) -> list[Part]:
    if not report.diagnosis.risks:
        return []
    lines = ["*Works now, will break*"]
    for risk in report.diagnosis.risks[:MOST_FINDINGS]:
        lines += [f":warning: {prose(risk.title, 200)}", *_evidence(risk, 3)]
    return [part("risks", 6, lines)]


def readings(made: Sequence[Reading], title: str = "Reached from") -> list[Part]:
    if not made:
        return []
    rows = [(name, "✓" if ok else "✗", says, took) for name, ok, says, took in ladder(made)[:MOST_READINGS]]
    widest = max(len(row[2]) for row in rows)
    table = "\n".join(f"{name:<13}{mark} {says:<{min(widest, 40)}}  {took:>8}" for name, mark, says, took in rows)
    return [part("readings", 5, [f"*{title}*", preformatted(table)])]


def refused(no_changes: Iterable[NoChange]) -> list[Part]:
    lines = [f"• {code(no_change.fix, 60)}: {valued(no_change.why, 300)}" for no_change in no_changes]
    return [part("fixes that are not offered", 4, ["*Not offered*", *lines])] if lines else []


def _trouble(trouble: Trouble) -> list[str]:
    return [f"*Could not look at the host* ({code(trouble.id, 60)})", valued(trouble.says, 800)]


def _proof(finding: Finding) -> Iterator[str]:
    yield "*Proof*" if finding.confidence is Confidence.PROVEN else "*Likely, not proven*"
    yield from _evidence(finding, MOST_EVIDENCE)
    yield from _advice(finding)


def _also(number: int, finding: Finding) -> Iterator[str]:
    yield f"*{number}. Also wrong, to mend after that:* {prose(finding.title, 200)}"
    yield from _evidence(finding, MOST_EVIDENCE)
    yield from _advice(finding)


def _evidence(finding: Finding, most: int) -> Iterator[str]:
    for evidence in finding.evidence[:most]:
        yield f"• {valued(evidence.says, 300)}"
    if len(finding.evidence) > most:
        yield f"• and {len(finding.evidence) - most} more"


def _advice(finding: Finding) -> Iterator[str]:
    if finding.advice:
        yield "*To do by hand*"
        yield preformatted("\n".join(finding.advice), 1500)


def _ruled_out(report: Report, rank: int) -> list[Part]:
    return _listed("ruled out", "Ruled out", report.diagnosis.ruled_out, rank)


def _not_told(report: Report, rank: int) -> list[Part]:
    return _listed("what could not be told", "Could not be told", report.diagnosis.not_told, rank)


def _listed(name: str, title: str, findings: Sequence[Finding], rank: int) -> list[Part]:
    if not findings:
        return []
    lines = [
        f"• {code(finding.cause, 60)} {valued(ruled_out_by(finding), 200)}" for finding in findings[:MOST_FINDINGS]
    ]
    if len(findings) > MOST_FINDINGS:
        lines.append(f"• and {len(findings) - MOST_FINDINGS} more")
    return [part(name, rank, [f"*{title}*", *lines])]


def _timeline(changes: Sequence[Change]) -> Iterator[str]:
    """The newest changes, oldest first."""
    yield "*What changed before*"
    if len(changes) > MOST_CHANGES:
        yield f"• {len(changes) - MOST_CHANGES} earlier ones"
    for change in changes[-MOST_CHANGES:]:
        by = f" ({prose(change.who, 60)})" if change.who else ""
        yield f"• {when(change.at)} {valued(change.what, 200)}{by}"
