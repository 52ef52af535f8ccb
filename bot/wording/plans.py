"""Plans, runs and people in words that Slack and the terminal share."""

from collections.abc import Sequence

from bot.incidents.model import AUTO, TERMINAL
from bot.text import plain
from checks.model import Applied, Lasts, Outcome, Plan, StepResult

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
NO_UNDO = "what it does cannot be taken back"
UNASKED = "taken back by itself if it does not help"
RAN_OUT = 124  # the exit status of a step that its deadline ended


def comes_back(undo: Plan) -> str:
    """The values that an undo brings back, in a line."""
    return ", ".join(_restored(each.name, (each.before or "").splitlines()) for each in undo.restores)


def _restored(name: str, lines: Sequence[str]) -> str:
    if not lines:
        return f"no {plain(name)}"
    return f"{plain(name)} = {plain(lines[0])}" if len(lines) == 1 else f"{plain(name)} ({len(lines)} lines)"


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


def who(name: str) -> str:
    """Who approved or did something, in words; a user of Slack by id."""
    if name == AUTO:
        return "dockerhealth itself, as the configuration allows"
    if name.startswith(TERMINAL):
        return f"{plain(name.removeprefix(TERMINAL))} at a terminal"
    return plain(name) or "dockerhealth"
