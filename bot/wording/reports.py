"""Reports in words that Slack and the terminal share."""

import re
from collections.abc import Sequence

from bot.text import plain
from checks.model import (
    LADDER,
    SSH,
    UNDETERMINED,
    Change,
    Confidence,
    Evidence,
    Finding,
    Reading,
    Report,
    Status,
    Trouble,
    Vantage,
    reasons_of,
)

VANTAGES = {
    Vantage.OUTSIDE: "outside",
    Vantage.PEER: "another host",
    Vantage.HOST: "own address",
    Vantage.LOOPBACK: "loopback",
    Vantage.CONTAINER: "container",
}
NOT_LOOKED_AT = "the host could not be looked at"
LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
LONGEST_PLACE = 24  # characters of a peer's name in a table


def title(report: Report) -> str:
    """One line that says how a service is."""
    if report.diagnosis.root is not None:
        return report.diagnosis.root.title
    if report.trouble is not None:
        return NOT_LOOKED_AT
    if report.status is Status.HEALTHY:
        return "healthy"
    return "not healthy, and no cause was found"


def undetermined(report: Report) -> bool:
    return report.diagnosis.root is None or report.diagnosis.root.cause == UNDETERMINED


def ladder(readings: Sequence[Reading]) -> list[tuple[str, bool, str, str]]:
    """Readings from the outside inwards: vantage, whether it is good, what it says, how long it took."""
    order = list(VANTAGES)
    rows = sorted(readings, key=lambda reading: order.index(reading.vantage))
    return [(_place(reading), reading.ok, reading.says, f"{reading.ms:.0f} ms") for reading in rows]


def _place(reading: Reading) -> str:
    return plain(reading.by)[:LONGEST_PLACE] or VANTAGES[reading.vantage]


def weight(finding: Finding) -> str:
    """What the evidence of a finding amounts to."""
    if finding.cause == UNDETERMINED:
        return "what is known"
    return "proof" if finding.confidence is Confidence.PROVEN else "likely, not proven"


def where_it_died(report: Report) -> str:
    """The segment of the packet's way on which it died, in a line; empty where that was not seen."""
    return report.segment.says if report.segment and report.status is not Status.HEALTHY else ""


def evidence(finding: Finding, report: Report | None = None) -> tuple[Evidence, ...]:
    """What is shown as proof beside a report's readings and segment: not once more what stands there."""
    shown = (report.segment.says,) if report and report.segment else ()
    in_table = report is not None and bool(report.readings)
    told = tuple(one for one in finding.evidence if one.says not in shown and not (in_table and one.fact == LADDER))
    return told or finding.evidence


def trouble(report: Report) -> Trouble | None:
    """Why the host could not be looked at, unless the proof says it already."""
    told = {each.fact for cause in report.diagnosis.causes for each in cause.evidence}
    return None if SSH in told else report.trouble


def telling(changes: Sequence[Change], most: int) -> list[Change]:
    """Choose the changes that there is room for: the newest ones. Returns them oldest first.

    Half of the room is for changes of which it is known who made them.
    """
    newest = range(len(changes))[::-1]
    named = [place for place in newest if changes[place].who][: most // 2]
    others = [place for place in newest if place not in named][: most - len(named)]
    return [changes[place] for place in sorted([*named, *others])]


def brief(text: str) -> str:
    """Ids of containers as ``docker ps`` shows them: what an error says at its end is not pushed out by its middle."""
    return LONG_ID.sub(r"\1", text)


def by_reason(findings: Sequence[Finding]) -> list[tuple[str, tuple[str, ...]]]:
    """Findings that share their reason in one: the reason, and their ids, in the order in which they come.

    Whatever fact was missing, that the host as a whole could not be looked at is one reason.
    """
    groups: dict[str, list[str]] = {}
    for finding in findings:
        of_host = finding.missing is not None and finding.missing.of_host
        groups.setdefault(NOT_LOOKED_AT if of_host else ruled_out_by(finding), []).append(finding.cause)
    return [(why, tuple(ids)) for why, ids in groups.items()]


def ruled_out_by(finding: Finding) -> str:
    return finding.why or "; ".join(evidence.says for evidence in finding.evidence)


def unasked(report: Report) -> str:
    """The facts that could not be had, with the reasons, in one line; empty where all were."""
    groups = reasons_of(report.unavailable).items()
    return "; ".join(f"{', '.join(facts)}: {why}" for why, facts in groups)


def between(change: Change) -> str:
    """The interval in which a difference came about; empty for what has a time of its own."""
    if change.since is None:
        return ""
    form = "%H:%M:%S" if change.since.date() == change.at.date() else "%Y-%m-%d %H:%M:%S"
    return f"between {change.since:{form}} and {change.at:{form}} {change.at:%Z}"
