"""Words that the Slack messages and the terminal share."""

from collections.abc import Sequence
from datetime import timedelta

from bot.incidents import Offer
from checks.model import Finding, Outcome, Reading, Report, Status, Vantage

VANTAGES = {
    Vantage.OUTSIDE: "outside",
    Vantage.PEER: "another host",
    Vantage.HOST: "own address",
    Vantage.LOOPBACK: "loopback",
    Vantage.CONTAINER: "container",
}
OUTCOMES = {
    Outcome.FIXED: "Fixed",
    Outcome.NOT_FIXED: "Ran, but the service is still not well",
    Outcome.FAILED: "A step failed",
    Outcome.STALE: "Not run: the host has changed since this was offered",
    Outcome.UNKNOWN: "Contact was lost midway; nobody knows how far it got",
}
UNDETERMINED = "undetermined"


def title(report: Report) -> str:
    """One line that says how a service is."""
    if report.diagnosis.root is not None:
        return report.diagnosis.root.title
    if report.trouble is not None:
        return "the host could not be looked at"
    if report.status is Status.HEALTHY:
        return "healthy"
    return "not healthy, and no cause was found"


def undetermined(report: Report) -> bool:
    return report.diagnosis.root is None or report.diagnosis.root.cause == UNDETERMINED


def ladder(readings: Sequence[Reading]) -> list[tuple[str, bool, str, str]]:
    """Readings from the outside inwards: vantage, whether it is good, what it says, how long it took."""
    order = list(VANTAGES)
    rows = sorted(readings, key=lambda reading: order.index(reading.vantage))
    return [(VANTAGES[reading.vantage], reading.ok, reading.says, f"{reading.ms:.0f} ms") for reading in rows]


def length(span: timedelta) -> str:
    """``4 min 12 s``; the two largest units are enough."""
    seconds = max(int(span.total_seconds()), 0)
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    parts = [f"{count} {unit}" for unit, count in units if count]
    return " ".join(parts[:2]) or "0 s"


def plain(text: str) -> str:
    """One line of printable characters: what a host printed moves no cursor and turns no text around."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ruled_out_by(finding: Finding) -> str:
    return finding.why or "; ".join(evidence.says for evidence in finding.evidence)


def fixed_by(offers: Sequence[Offer]) -> Offer | None:
    """The newest offer whose fix brought the service back."""
    fixed = [offer for offer in offers if offer.applied is not None and offer.applied.outcome is Outcome.FIXED]
    return fixed[-1] if fixed else None
