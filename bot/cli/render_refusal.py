"""Says why an approval at a terminal does not count, or is not enough yet."""

from collections.abc import Callable
from datetime import datetime

from rich.console import Console

from bot.approvals.decision import Agreed, Refusal, RefusalReason
from bot.incidents.model import TERMINAL
from bot.text import plain

NOTHING_RUN = "Nothing was run."


def print_agreed(console: Console, agreed: Agreed) -> None:
    _print(
        console,
        f"Noted: {agreed.people - agreed.missing} of {agreed.people} approved. Nothing runs until "
        f"{'another person approves' if agreed.missing == 1 else f'{agreed.missing} other people approve'} it, "
        "with the button in Slack or with this command.",
    )


def print_refusal(console: Console, refusal: Refusal) -> None:
    _print(console, f"{WORDS[refusal.reason](refusal)} {NOTHING_RUN}")


def _print(console: Console, text: str) -> None:
    console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def _ask(no: Refusal) -> str:
    return f"These may: {', '.join(no.names)}." if no.names else "The configuration names nobody else."


def _running(no: Refusal) -> str:
    return f": {no.offer.plan.title}" if no.offer else ""


def _at(moment: datetime | None) -> str:
    return f" until {moment:%Y-%m-%d %H:%M %Z}" if moment else ""


def _withheld(no: Refusal) -> str:
    said = "; ".join(f"{group} ({members.said})" for group, members in no.withheld.items())
    todo = " ".join(dict.fromkeys(members.todo for members in no.withheld.values()))
    return f"Slack does not tell who is in {said or 'a group of approvers'}: trying again will not help. {todo}"


WORDS: dict[RefusalReason, Callable[[Refusal], str]] = {
    RefusalReason.ELSEWHERE: lambda _: "This can be approved only in Slack.",
    RefusalReason.CHANNEL: lambda no: f"This can be approved only in {', '.join(no.names)}.",
    RefusalReason.GONE: lambda _: "There is no such offer any more: check again.",
    RefusalReason.OF_ANOTHER: lambda _: "There is no such offer in this store: another dockerhealth may have it.",
    RefusalReason.NOT_ALLOWED: lambda no: f"Nobody may approve this: {no.why}. A person has to run the commands.",
    RefusalReason.NO_APPROVERS: lambda _: (
        "Nobody may approve this: the configuration has no approvals.approvers for it. Whoever runs dockerhealth has "
        f"to name some; of those at a terminal, as {TERMINAL}LOGIN."
    ),
    RefusalReason.NOT_AN_APPROVER: lambda no: f"You may not approve this. {_ask(no)}",
    RefusalReason.GROUP_UNKNOWN: lambda no: (
        f"Slack did not tell who is in {', '.join(no.names)}: try again in a minute."
    ),
    RefusalReason.GROUP_WITHHELD: _withheld,
    RefusalReason.REQUESTER: lambda no: (
        f"You asked for this look, so someone else has to approve what it found. {_ask(no)}"
    ),
    RefusalReason.CLAIMED: lambda _: "This was approved already, and is not run again.",
    RefusalReason.BUSY: lambda no: f"Another fix runs just now{_running(no)}.",
    RefusalReason.HOST_BUSY: lambda no: f"Another fix runs on this host just now{_running(no)}.",
    RefusalReason.OVERTAKEN: lambda _: "Something changed at this very moment: check again.",
    RefusalReason.RESOLVED: lambda _: "The service is well again.",
    RefusalReason.WITHDRAWN: lambda _: "The host has changed since this was planned: check again.",
    RefusalReason.EXPIRED: lambda _: "This offer has expired: check again.",
    RefusalReason.QUIET: lambda no: f"These are quiet hours{_at(no.until)}: nobody may approve this.",
    RefusalReason.SAME_PERSON: lambda no: f"You approved this already; it takes someone else as well. {_ask(no)}",
    RefusalReason.NOT_OPEN: lambda _: "It has been taken care of already.",
}
