"""What the one who clicked is told. Pure."""

from collections.abc import Callable

from bot.approvals import No, Refusal
from bot.clicks import Acknowledged, Approved, Repeated
from bot.incidents import Incident, Offer
from bot.slack.message import Message
from bot.slack.views.blocks import sections
from bot.slack.views.markup import person, prose, when
from bot.words import OUTCOMES

Answer = Approved | Acknowledged | Refusal | Repeated

NOTHING_RUN = "Nothing was run."


def reply(answer: Answer) -> Message | None:
    """The words for an answer; None where the clicker has been told already."""
    if isinstance(answer, Repeated):
        return None
    words = _words(answer)
    return Message(words, sections([words]))


def _words(answer: Approved | Acknowledged | Refusal) -> str:
    match answer:
        case Approved(incident, offer, _):
            return f"Approved. *{prose(offer.plan.title, 75)}* runs on {_name(incident)}; the alert shows how it goes."
        case Acknowledged(incident):
            return f"{_name(incident)} is yours. Everyone can see it in the alert."
        case Refusal():
            return REFUSALS[answer.reason](answer)


def _name(incident: Incident | None) -> str:
    return prose(incident.name, 140) if incident else "It"


def _people(no: Refusal) -> str:
    """Approvers as mentions. Only the reader sees them, nobody is called."""
    return ", ".join(f"<!subteam^{name}>" if name.startswith("S") else person(name) for name in no.names)


def _claimed(offer: Offer | None) -> str:
    if offer is None or offer.approval is None:
        return "This was approved already. It is not run again."
    words = f"{person(offer.approval.who)} approved this already, {when(offer.approval.at)}. It is not run again."
    return words if offer.applied is None else f"{words} {OUTCOMES[offer.applied.outcome]}."


def _running(offer: Offer | None) -> str:
    if offer is None or offer.approval is None:
        return ""
    return f": *{prose(offer.plan.title, 75)}*, approved by {person(offer.approval.who)}"


def _expired(offer: Offer | None) -> str:
    until = f" {when(offer.expires_at)}" if offer else ""
    return f"This offer expired{until}. {NOTHING_RUN} I look again now; the alert then has fresh buttons."


REFUSALS: dict[No, Callable[[Refusal], str]] = {
    No.ELSEWHERE: lambda _: f"This button is not in the incident's own message. {NOTHING_RUN} Use the alert itself.",
    No.GONE: lambda _: f"I do not know this button any more. {NOTHING_RUN} Use the alert as it is now.",
    No.NO_APPROVERS: lambda _: (
        f"Nobody may approve fixes: `approvals.approvers` in the configuration is empty. {NOTHING_RUN}"
    ),
    No.NOT_AN_APPROVER: lambda no: f"You may not approve fixes. {NOTHING_RUN} Ask one of these: {_people(no)}.",
    No.GROUP_UNKNOWN: lambda no: (
        f"Slack did not tell who is in {_people(no)}, so I cannot tell whether you may approve. {NOTHING_RUN} "
        "Try again in a minute, or ask someone whom the configuration names."
    ),
    No.CLAIMED: lambda no: _claimed(no.offer),
    No.BUSY: lambda no: f"Another fix runs just now{_running(no.offer)}. This one was not run.",
    No.RESOLVED: lambda no: f"{_name(no.incident)} is well again. {NOTHING_RUN}",
    No.WITHDRAWN: lambda _: (
        f"The host has changed since this was offered. {NOTHING_RUN} Use the buttons that the alert has now."
    ),
    No.EXPIRED: lambda no: _expired(no.offer),
    No.NOT_OPEN: lambda no: f"{_name(no.incident)} has been taken care of already.",
}
