"""What the one who clicked is told. Pure."""

from collections.abc import Callable

from bot.approvals.decision import Acknowledged, Agreed, Approved, Refusal, RefusalReason, Repeated
from bot.approvals.policy import is_group
from bot.incidents.model import Incident, Offer
from bot.slack.message import Message
from bot.slack.views.blocks import sections
from bot.slack.views.markup import code, person, prose, when
from bot.wording.plans import OUTCOMES

Answer = Approved | Agreed | Acknowledged | Refusal | Repeated

NOTHING_RUN = "Nothing was run."


def reply(answer: Answer) -> Message | None:
    """The words for an answer; None where the clicker has been told already."""
    if isinstance(answer, Repeated):
        return None
    words = _words(answer)
    return Message(words, sections([words]))


def _words(answer: Approved | Agreed | Acknowledged | Refusal) -> str:
    match answer:
        case Approved(incident, offer, _):
            return f"Approved. *{_title(offer)}* runs on {_name(incident)}; the alert shows how it goes."
        case Agreed():
            return _agreed(answer)
        case Acknowledged(incident):
            return f"{_name(incident)} is yours. Everyone can see it in the alert."
        case Refusal():
            return REFUSALS[answer.reason](answer)


def _agreed(answer: Agreed) -> str:
    so_far = f"{answer.people - answer.missing} of {answer.people} approved *{_title(answer.offer)}*"
    others = "another person approves" if answer.missing == 1 else f"{answer.missing} more people approve"
    return f"Noted: {so_far} on {_name(answer.incident)}. Nothing runs until {others}, with the same button."


def _title(offer: Offer) -> str:
    return prose(offer.plan.title, 75)


def _name(incident: Incident | None) -> str:
    return prose(incident.name, 140) if incident else "It"


def _people(no: Refusal) -> str:
    """Approvers as mentions. Only the reader sees them, nobody is called."""
    return ", ".join(f"<!subteam^{name}>" if is_group(name) else person(name) for name in no.names)


def _ask(no: Refusal) -> str:
    return f"Ask one of these: {_people(no)}." if no.names else "The configuration names nobody else."


def _withheld(no: Refusal) -> str:
    """The groups by their ids: of one that Slack does not know it shows no name."""
    said = "; ".join(f"{code(group, 30)} ({prose(members.said, 150)})" for group, members in no.withheld.items())
    todo = " ".join(dict.fromkeys(prose(members.todo, 300) for members in no.withheld.values()))
    return (
        f"Slack does not tell who is in {said or 'a group of approvers'}, so I cannot tell whether you may approve. "
        f"{NOTHING_RUN} Trying again does not help. Whoever runs dockerhealth has to do this: {todo or 'see its log.'} "
        "Until then, ask someone whom the configuration names."
    )


def _claimed(offer: Offer | None) -> str:
    if offer is None or offer.approval is None:
        return "This was approved already. It is not run again."
    words = f"{person(offer.approval.who)} approved this already, {when(offer.approval.at)}. It is not run again."
    return words if offer.applied is None else f"{words} {OUTCOMES[offer.applied.outcome]}."


def _running(offer: Offer | None) -> str:
    if offer is None or offer.approval is None:
        return ""
    return f": *{_title(offer)}*, approved by {person(offer.approval.who)}"


def _host_busy(no: Refusal) -> str:
    where = f" for {_name(no.incident)}" if no.incident else " for another service of this host"
    return (
        f"Another fix runs just now{where}{_running(no.offer)}. This one was not run: one at a time on a host. "
        "Press the button again when that one has ended."
    )


def _not_here(no: Refusal) -> str:
    channels = ", ".join(f"<#{name}>" for name in no.names) or "other channels"
    host = f" {prose(no.incident.host, 70)}" if no.incident else ""
    return f"This fix can be approved only in {channels}. {NOTHING_RUN} Type `/dockerhealth{host}` there."


def _not_allowed(no: Refusal) -> str:
    why = f": {prose(no.why, 300)}" if no.why else ""
    return f"Nobody may approve this fix{why}. {NOTHING_RUN} Its commands stand in the message, for a person to run."


def _requester(no: Refusal) -> str:
    return f"You asked for this look, so someone else has to approve what it found. {NOTHING_RUN} {_ask(no)}"


def _quiet(no: Refusal) -> str:
    until = f" until {when(no.until)}" if no.until else ""
    return (
        f"These are quiet hours{until}: nobody may approve this fix. {NOTHING_RUN} If it cannot wait, "
        "its commands stand in the message, for a person to run."
    )


def _same_person(no: Refusal) -> str:
    return f"You approved this already; it takes someone else as well. {NOTHING_RUN} {_ask(no)}"


def _expired(offer: Offer | None) -> str:
    until = f" {when(offer.expires_at)}" if offer else ""
    return f"This offer expired{until}. {NOTHING_RUN} I look again now; the alert then has fresh buttons."


REFUSALS: dict[RefusalReason, Callable[[Refusal], str]] = {
    RefusalReason.ELSEWHERE: lambda _: (
        f"This button is not in the incident's own message. {NOTHING_RUN} Use the alert itself."
    ),
    RefusalReason.CHANNEL: _not_here,
    RefusalReason.GONE: lambda _: f"I do not know this button any more. {NOTHING_RUN} Use the alert as it is now.",
    RefusalReason.OF_ANOTHER: lambda _: (
        "Another dockerhealth is connected as the same Slack app, and this button may be its: Slack hands each click "
        f"to one of us. {NOTHING_RUN} Press it again, and it may reach the right one. Whoever runs them has to give "
        "each an app of its own, or one store to both: then one of them stands by."
    ),
    RefusalReason.NOT_ALLOWED: _not_allowed,
    RefusalReason.NO_APPROVERS: lambda _: (
        f"Nobody may approve this fix: the configuration has no `approvals.approvers` for it. {NOTHING_RUN} "
        "Whoever runs dockerhealth has to name some."
    ),
    RefusalReason.NOT_AN_APPROVER: lambda no: f"You may not approve this fix. {NOTHING_RUN} {_ask(no)}",
    RefusalReason.GROUP_UNKNOWN: lambda no: (
        f"Slack did not tell who is in {_people(no)}, so I cannot tell whether you may approve. {NOTHING_RUN} "
        "Try again in a minute, or ask someone whom the configuration names."
    ),
    RefusalReason.GROUP_WITHHELD: _withheld,
    RefusalReason.REQUESTER: _requester,
    RefusalReason.CLAIMED: lambda no: _claimed(no.offer),
    RefusalReason.BUSY: lambda no: f"Another fix runs just now{_running(no.offer)}. This one was not run.",
    RefusalReason.HOST_BUSY: _host_busy,
    RefusalReason.OVERTAKEN: lambda _: (
        f"Something changed at this very moment. {NOTHING_RUN} Use the newest alert of this service, as it is now."
    ),
    RefusalReason.RESOLVED: lambda no: f"{_name(no.incident)} is well again. {NOTHING_RUN}",
    RefusalReason.WITHDRAWN: lambda _: (
        f"The host has changed since this was offered. {NOTHING_RUN} Use the buttons that the alert has now."
    ),
    RefusalReason.EXPIRED: lambda no: _expired(no.offer),
    RefusalReason.QUIET: _quiet,
    RefusalReason.SAME_PERSON: _same_person,
    RefusalReason.NOT_OPEN: lambda no: f"{_name(no.incident)} has been taken care of already.",
}
