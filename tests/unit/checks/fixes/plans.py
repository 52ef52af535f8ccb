"""The plans that recorded hosts get."""

from checks.check import report
from checks.commands import typed
from checks.look import Look
from checks.model import NoChange, Plan, Report
from tests import recordings

BOOKWORM, TRIXIE = "debian12-docker20.10.24", "debian13-docker26.1.5"


def recorded(platform: str, state: str) -> Look:
    """The whole look of a recording, with the counters that were read again."""
    return recordings.replay(recordings.FOLDER / platform / f"{state}.json")


def reported(seen: Look) -> Report:
    return report(seen, recordings.RECORDED_AT, 1.0)


def plan_of(seen: Look, fix: str) -> Plan:
    [plan] = [plan for plan in reported(seen).plans if plan.fix == fix]
    return plan


def refusal_of(seen: Look, fix: str) -> NoChange:
    [refused] = [refused for refused in reported(seen).refused if refused.fix == fix]
    return refused


def commands(plan: Plan) -> list[str]:
    return [typed(step) for step in plan.steps]


def undo_of(plan: Plan) -> list[str]:
    return [typed(step) for step in plan.undo]


def as_root(plan: Plan) -> list[str]:
    """What is run, without the program: the words of our root helper."""
    return [" ".join(step.argv[1:]) for step in plan.steps]
