"""Words that the Slack messages and the terminal share."""

import re
from collections.abc import Sequence
from datetime import timedelta

from bot.incidents.model import AUTO, TERMINAL, Approval, Incident, Offer, State
from checks.model import (
    Applied,
    Change,
    Confidence,
    Evidence,
    Finding,
    Lasts,
    Outcome,
    Plan,
    Reading,
    Report,
    Status,
    StepResult,
    Trouble,
    Vantage,
)

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
    Outcome.UNDONE: "Taken back: the host is as it was before",
}
UNDO_OUTCOMES = OUTCOMES | {
    Outcome.NOT_FIXED: "Ran, but the host is not as it was before",
    Outcome.FAILED: "A step of taking it back failed",
}
LASTS = {
    Lasts.FOR_GOOD: "holds for good",
    Lasts.UNTIL_CHANGED: "holds until something changes it again",
    Lasts.UNTIL_REBOOT: "holds until the next reboot or restart",
    Lasts.STOP_GAP: "a stop-gap: the cause stays",
}
UNDO = "Undo: "
NO_UNDO = "what it does cannot be taken back"
UNASKED = "taken back by itself if it does not help"
TO_PREVENT = re.compile(r"(?:back again: )?to prevent: (?P<what>.+)", re.DOTALL)
"""The reason of an incident that was opened for a risk: its service is well."""

OUTSIDE_LIFE = (None, State.RESOLVED)  # the states from which an incident is opened
RAN_OUT = 124  # the exit status of a step that its deadline ended
UNDETERMINED = "undetermined"
NOT_LOOKED_AT = "the host could not be looked at"
LADDER = "ladder"  # the fact of the evidence that says in words what the table of readings shows
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


def weight(finding: Finding) -> str:
    """What the evidence of a finding amounts to."""
    if finding.cause == UNDETERMINED:
        return "what is known"
    return "proof" if finding.confidence is Confidence.PROVEN else "likely, not proven"


def evidence(finding: Finding, readings: Sequence[Reading] = ()) -> tuple[Evidence, ...]:
    """What is shown as proof beside a table of readings: not once more in words what stands there."""
    told = tuple(each for each in finding.evidence if each.fact != LADDER or not readings)
    return told or finding.evidence


def trouble(report: Report) -> Trouble | None:
    """Why the host could not be looked at, unless the proof says it already."""
    told = {each.says for cause in report.diagnosis.causes for each in cause.evidence}
    return None if report.trouble is None or report.trouble.says in told else report.trouble


def telling(changes: Sequence[Change], most: int) -> list[Change]:
    """As many changes as there is room for, oldest first: the newest, of which half are kept for who did something."""
    newest = range(len(changes))[::-1]
    named = [place for place in newest if changes[place].who][: most // 2]
    others = [place for place in newest if place not in named][: most - len(named)]
    return [changes[place] for place in sorted([*named, *others])]


def brief(text: str) -> str:
    """Ids of containers as ``docker ps`` shows them: what an error says at its end is not pushed out by its middle."""
    return LONG_ID.sub(r"\1", text)


def by_reason(findings: Sequence[Finding], trouble: Trouble | None = None) -> list[tuple[str, tuple[str, ...]]]:
    """Findings that share their reason in one: the reason, and their ids, in the order in which they come.

    Whatever fact was missing, a ``trouble`` with the host as a whole is one reason.
    """
    groups: dict[str, list[str]] = {}
    for finding in findings:
        why = ruled_out_by(finding)
        of_host = trouble is not None and why.endswith(trouble.says)
        groups.setdefault(NOT_LOOKED_AT if of_host else why, []).append(finding.cause)
    return [(why, tuple(ids)) for why, ids in groups.items()]


def ruled_out_by(finding: Finding) -> str:
    return finding.why or "; ".join(evidence.says for evidence in finding.evidence)


# --- people, plans and runs ------------------------------------------------------------------------------------


def who(name: str) -> str:
    """Who approved or did something, in words; a user of Slack by id."""
    if name == AUTO:
        return "dockerhealth itself, as the configuration allows"
    if name.startswith(TERMINAL):
        return f"{plain(name.removeprefix(TERMINAL))} at a terminal"
    return plain(name) or "dockerhealth"


def heading(plan: Plan) -> str:
    """What a plan is called: on its button, and wherever it is told of."""
    return f"{UNDO}{plan.title.removeprefix(UNDO)}" if plan.undoes else plan.title


def comes_back(undo: Plan) -> str:
    """The values that an undo brings back, in a line."""
    return ", ".join(_restored(name, value.splitlines()) for name, value in undo.restores.items())


def _restored(name: str, lines: Sequence[str]) -> str:
    if not lines:
        return f"no {plain(name)}"
    return f"{plain(name)} = {plain(lines[0])}" if len(lines) == 1 else f"{plain(name)} ({len(lines)} lines)"


def approvals(offer: Offer) -> list[Approval]:
    """Everyone who approved, the first one first."""
    started = [offer.approval] if offer.approval else []
    return list({approval.who: approval for approval in (*started, *offer.agreed)}.values())[::-1]


def still_needed(offer: Offer) -> int:
    """How many more people have to approve."""
    return max(offer.people - len(approvals(offer)), 0)


def outcome(applied: Applied, plan: Plan | None = None) -> str:
    """How a run ended. What does not mend a service may still be all that an undo is for."""
    return (UNDO_OUTCOMES if plan is not None and plan.undoes else OUTCOMES)[applied.outcome]


def ending(result: StepResult) -> str:
    """How a step ended that did not succeed."""
    if result.status is None:
        return "began, nobody knows how it ended"
    if result.status == RAN_OUT:
        return f"did not end within {result.step.timeout} s"
    return f"ended with exit status {result.status}"


def runs(offers: Sequence[Offer]) -> list[tuple[Offer, Applied]]:
    """The plans that were carried out, or would have been had nothing changed, the newest last."""
    done = [(offer, offer.applied) for offer in offers if offer.applied is not None]
    return sorted(done, key=lambda run: run[0].approval.at if run[0].approval else run[0].offered_at)


def newest_run(offers: Sequence[Offer]) -> Offer | None:
    """The newest plan that was begun."""
    begun = [offer for offer, applied in runs(offers) if applied.outcome is not Outcome.STALE]
    return begun[-1] if begun else None


def helped(offer: Offer) -> bool:
    """Whether a fix brought the service back."""
    return offer.applied is not None and offer.applied.outcome is Outcome.FIXED and not offer.plan.undoes


def fixed_by(offers: Sequence[Offer]) -> Offer | None:
    """The newest run, where it brought the service back. What has been taken back since fixed nothing."""
    newest = newest_run(offers)
    return newest if newest is not None and helped(newest) else None


def undone(run: Offer, offers: Sequence[Offer]) -> bool:
    """Whether a run has been taken back."""
    return any(
        offer.plan.undoes == run.id and offer.applied is not None and offer.applied.outcome is Outcome.UNDONE
        for offer in offers
    )


def prevents(incident: Incident) -> str:
    """What an incident is to prevent that was opened for a risk of a healthy service; empty where something is ill."""
    opened = [change for change in incident.transitions if change.new is State.OPEN and change.old in OUTSIDE_LIFE]
    reason = TO_PREVENT.fullmatch(opened[-1].reason) if opened else None
    well = incident.report is None or incident.report.status is Status.HEALTHY
    return plain(reason["what"]) if reason and well else ""
