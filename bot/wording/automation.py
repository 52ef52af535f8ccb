"""Why a fix is no longer carried out by itself, in words that Slack and the audit log share."""

from bot.incidents.model import CameBack, LastEnded, RanOften, Stopped, Why
from bot.text import counted, length
from checks.model import Outcome

ENDED = {
    Outcome.NOT_FIXED: "the last one ran, and the service was still not well",
    Outcome.FAILED: "a step of the last one failed",
    Outcome.STALE: "the last one was not run, as the host had changed since it was planned",
    Outcome.UNKNOWN: "contact was lost during the last one",
    Outcome.UNDONE: "the last one was taken back",
}


def no_longer_by_itself(stopped: Stopped, host: str) -> str:
    """That automatic fixing of a cause on a host has stopped, and why."""
    return f"Automatic fixing of {stopped.cause} on {host} has stopped: {_why(stopped.why)}. A person has to decide."


def _why(why: Why) -> str:
    match why:
        case LastEnded(outcome):
            return ENDED[outcome]
        case CameBack(after):
            return f"it came back {length(after)} after the last one"
        case RanOften(times):
            return f"it ran {counted(times, 'time')} within 24 hours"
