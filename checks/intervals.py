"""When a difference came about: told once, and the same at each later look. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from checks.model import Change, ChangeKind, Report, Status


def continued(report: Report, earlier: Report | None) -> Report:
    """The report, as one that follows an earlier one of the same service: what both find came about before that one.

    A value that went back in between is found anew. One that could not be had this time is told as it was found.
    """
    if earlier is None:
        return report
    timeline = [_continued(change, earlier) for change in report.timeline]
    timeline += _still_unknown(report, earlier)
    return replace(report, timeline=tuple(sorted(timeline, key=lambda change: change.at)))


def _continued(change: Change, earlier: Report) -> Change:
    if change.kind is not ChangeKind.DIFFERENCE or change.since is None:
        return change
    known = next((one for one in earlier.timeline if (one.kind, one.of) == (change.kind, change.of)), None)
    if known is not None and change.since < known.at <= change.at:
        return replace(change, at=known.at, since=known.since)
    name, was, _ = change.of
    seen = earlier.baseline.values.get(name) if earlier.baseline else None
    if seen is not None and earlier.baseline and seen.says == was and change.since < earlier.baseline.at < change.at:
        return replace(change, since=earlier.baseline.at)
    return change


def _still_unknown(report: Report, earlier: Report) -> Iterator[Change]:
    """Earlier differences of values that this look could not have; a healthy look is compared with from then on."""
    if Status.HEALTHY in {report.status, earlier.status}:
        return
    had = report.baseline.values if report.baseline else {}
    found = {change.of for change in report.timeline if change.kind is ChangeKind.DIFFERENCE}
    for one in earlier.timeline:
        if one.kind is ChangeKind.DIFFERENCE and one.of not in found and one.of[0] not in had:
            yield one
