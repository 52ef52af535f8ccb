"""Fixes in a message: the buttons, and what each would run."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from bot.approvals.offers import pending, usable
from bot.incidents.model import Offer
from bot.incidents.runs import approvals, helped, still_needed
from bot.slack.message import CONFIRM_TEXT, Block
from bot.slack.views.blocks import ALWAYS, MUST_BE_SEEN, Part, actions, button, confirm, part
from bot.slack.views.diagnosis import risks
from bot.slack.views.markup import code, cut, person, preformatted, prose, valued, when
from bot.text import counted, plain
from bot.wording.plans import LASTS, NO_UNDO, UNASKED, comes_back
from checks.commands import typed
from checks.model import Plan, Report, Risk, Status, Step

APPROVE = "approve:"
ACKNOWLEDGE = "acknowledge"
RISKS = {
    Risk.LOW: "low risk",
    Risk.MEDIUM: "medium risk",
    Risk.HIGH: "*high risk*",
}
MOST_NOTES = 6
MOST_CHECKED = 8
MOST_BY_HAND = 4
MOST_STEPS_TEXT = 2600
MOST_UNDO_TEXT = 1000
CONFIRM_BLAST = 120


def on_offer(offers: Iterable[Offer], now: datetime) -> list[Offer]:
    """The offers that a click can still approve: the newest of each fix, and of each undo."""
    return list({(offer.plan.fix, offer.plan.undoes): offer for offer in offers if usable(offer, now)}.values())


def apart(offers: Sequence[Offer], report: Report | None) -> tuple[list[Offer], list[Offer]]:
    """The offers that mend what is broken now, and those that only keep something from breaking later.

    There are none of the latter while the service is down, where they would read as advice about that.
    """
    risks = {risk.cause for risk in report.diagnosis.risks} if report else set()
    order = [plan.fix for plan in report.plans] if report else []
    fixes = [offer for offer in offers if not offer.plan.undoes]
    # The newest diagnosis says which fix comes first; an offer may be older than the one before it.
    ordered = sorted(fixes, key=lambda offer: order.index(offer.plan.fix) if offer.plan.fix in order else len(order))
    session = [offer for offer in ordered if offer.plan.cause not in risks]
    is_well = report is not None and report.status is Status.HEALTHY
    return session, [offer for offer in ordered if is_well and offer.plan.cause in risks]


def prevention(report: Report, offers: Sequence[Offer]) -> list[Part]:
    """The risks, and the fixes for them: one part, as no button may stand without its steps."""
    parts = risks(report)
    for offer in offers:
        parts += [Part("", ALWAYS, actions([_button(offer, stands_out=False)])), steps(offer)]
    parts += by_hand(report, preventing=True)
    blocks = tuple(block for each in parts for block in each.blocks)
    return [Part("risks", parts[0].rank, blocks)] if parts else []


def buttons(offers: Sequence[Offer], *more: Block) -> list[Part]:
    """The smallest fix stands first and stands out. What waits for another person says so above."""
    agreed = [_waits(offer, offer.plan.title) for offer in offers if offer.agreed]
    made = [_button(offer, stands_out=number == 0) for number, offer in enumerate(offers)]
    blocks = actions([*made, *more])
    waiting = [part("who approved so far", MUST_BE_SEEN, agreed)] if agreed else []
    return [*waiting, Part("buttons", ALWAYS, blocks)] if blocks else []


def undo_buttons(undos: Sequence[Offer], offers: Sequence[Offer]) -> list[Part]:
    """The way back from what was run."""
    blocks = actions([_undo_button(undo, offers) for undo in undos])
    return [Part("undo buttons", ALWAYS, blocks)] if blocks else []


def acknowledge(incident_id: str) -> Block:
    return button("I take care of it", ACKNOWLEDGE, incident_id)


def plans(offers: Sequence[Offer]) -> list[Part]:
    """All that each button would do; the last part of a message to be left out."""
    return [steps(offer) for offer in offers]


def steps(offer: Offer) -> Part:
    return part(f"the steps of {offer.plan.name}", MUST_BE_SEEN, _offered(offer))


def by_hand(report: Report | None, *, preventing: bool = False) -> list[Part]:
    """Plans that only a person can run: why, and the commands to copy."""
    if report is None:
        return []
    at_risk = {risk.cause for risk in report.diagnosis.risks}
    left = [plan for plan in report.proposed if plan.by_hand and (plan.cause in at_risk) is preventing]
    parts = [part(f"{plan.fix} by hand", MUST_BE_SEEN + 1, _by_hand(plan)) for plan in left[:MOST_BY_HAND]]
    if len(left) > MOST_BY_HAND:
        names = prose(", ".join(plan.fix for plan in left[MOST_BY_HAND:]), 300)
        more = f"Also by hand: {names}, all in {code(f'dockerhealth check {report.host} {report.service}')}"
        parts.append(part("more by hand", MUST_BE_SEEN + 1, [more]))
    return parts


def expired(offers: Iterable[Offer], now: datetime) -> list[Part]:
    """What can be said of buttons that are gone."""
    gone = [offer for offer in offers if pending(offer) and not usable(offer, now)]
    lines = [f"The offer {prose(offer.plan.title, 75)} expired {when(offer.expires_at)}." for offer in gone[-3:]]
    return [part("expired offers", 4, lines)] if lines else []


# --- a plan ----------------------------------------------------------------------------------------------------


def _offered(offer: Offer) -> Iterator[str]:
    plan = offer.plan
    until = f" · can be approved until {when(offer.expires_at)}" if pending(offer) else ""
    yield f"{_headline(plan)}{until}"
    if offer.people > 1 and not offer.agreed:
        yield f":busts_in_silhouette: {offer.people} people have to approve it."
    yield from _undo(plan) if plan.undoes else _plan(plan)


def _by_hand(plan: Plan) -> Iterator[str]:
    yield f"*By hand:* {_headline(plan)}"
    yield f":hand: {valued(plan.by_hand, 500)}"
    yield from _plan(plan)


def _headline(plan: Plan) -> str:
    mends = "" if plan.undoes else f" · {LASTS[plan.lasts]} · mends {code(plan.cause, 60)}"
    return f"*{prose(plan.title, 75)}* · {RISKS[plan.risk]}{mends}"


def _undo(plan: Plan) -> Iterator[str]:
    """The way back is told shortly: what it is verified by is what comes back."""
    yield from _notes(plan)
    if plan.restores:
        yield f"*Comes back:* {valued(comes_back(plan), 500)}"
    yield f"*Touches:* {valued(plan.blast_radius, 500)}"
    yield preformatted(_script(plan.steps, MOST_STEPS_TEXT, plan), MOST_STEPS_TEXT + 300)


def _plan(plan: Plan) -> Iterator[str]:
    yield from _notes(plan)
    yield f"*Touches:* {valued(plan.blast_radius, 500)}"
    if plan.preflight:
        yield f"*Checked first:* {' · '.join(valued(each, 200) for each in plan.preflight[:MOST_CHECKED])}"
        yield from _more(len(plan.preflight) - MOST_CHECKED, "check", plan)
    yield "*To run*" if plan.by_hand else "*Runs*"
    yield preformatted(_script(plan.steps, MOST_STEPS_TEXT, plan), MOST_STEPS_TEXT + 300)
    yield f"*Verified by:* {valued(plan.verify, 300)}"
    if plan.undo:
        yield f"*Undo*{f' · {UNASKED}' if plan.undo_unasked and not plan.by_hand else ''}"
        yield preformatted(_script(plan.undo, MOST_UNDO_TEXT, plan), MOST_UNDO_TEXT + 300)
    else:
        yield f"*Undo:* none, {NO_UNDO}"


def _notes(plan: Plan) -> Iterator[str]:
    for note in plan.notes[:MOST_NOTES]:
        yield f":information_source: {valued(note, 300)}"
    yield from _more(len(plan.notes) - MOST_NOTES, "note", plan)


def _more(count: int, noun: str, plan: Plan) -> Iterator[str]:
    if count > 0:
        yield f"and {counted(count, f'more {noun}')}, all in {code(_dry_run(plan))}"


def _script(steps: Sequence[Step], limit: int, plan: Plan) -> str:
    """The steps as typed, each under what it does; those that do not fit are counted, none is cut in silence."""
    lines: list[str] = []
    for number, step in enumerate(steps):
        lines.append(f"# {number + 1}. {plain(step.does)}\n{typed(step)}")
        if len("\n".join(lines)) > limit:
            shown = cut("\n".join(lines), limit)
            rest = f"{counted(len(steps) - number - 1, 'step')} more; " if number + 1 < len(steps) else ""
            return f"{shown}\n# cut, {rest}all of it: {_dry_run(plan)}"
    return "\n".join(lines)


def _dry_run(plan: Plan) -> str:
    how = f"undo {plan.host} --run {plan.undoes}" if plan.undoes else f"fix {plan.host} {plan.fix}"
    return f"dockerhealth {how} --dry-run"


def _waits(offer: Offer, name: str) -> str:
    """Who approved so far, and that it takes more."""
    given = approvals(offer)
    names = ", ".join(f"{person(each.who)} {when(each.at)}" for each in given[:5])
    more = still_needed(offer)
    others = "another person has" if more == 1 else f"{more} more people have"
    return f":busts_in_silhouette: *{prose(name, 75)}*: {len(given)} of {offer.people} approved: {names}; {others} to."


# --- buttons ---------------------------------------------------------------------------------------------------


def _button(offer: Offer, *, stands_out: bool) -> Block:
    plan = offer.plan
    style = "danger" if plan.risk is Risk.HIGH else "primary"
    return button(
        plan.title,
        f"{APPROVE}{plan.fix}",
        offer.id,
        style=style if stands_out or style == "danger" else None,
        confirm=_confirm(offer, f"Run this on {plan.host}?", _touches(plan), "Run it", style),
    )


def _undo_button(undo: Offer, offers: Sequence[Offer]) -> Block:
    """Red where the fix had helped: the fault may come back with the values."""
    plan = undo.plan
    mended = any(offer.id == plan.undoes and helped(offer) for offer in offers)
    style = "danger" if mended or plan.risk is Risk.HIGH else "primary"
    back = f"Comes back: {cut(comes_back(plan), CONFIRM_BLAST)}" if plan.restores else _touches(plan)
    end = f"It had helped: the fault may come back.\n{back}" if mended else back
    return button(
        plan.title,
        f"{APPROVE}undo:{plan.undoes}",
        undo.id,
        style=style,
        confirm=_confirm(undo, f"Take this back on {plan.host}?", end, "Take it back", style),
    )


def _touches(plan: Plan) -> str:
    return f"Touches: {cut(plain(plan.blast_radius), CONFIRM_BLAST)}"


def _confirm(offer: Offer, question: str, end: str, yes: str, style: str) -> Block:
    """Whoever is not the last one to approve runs nothing yet."""
    if still_needed(offer) > 1:
        question, yes = f"Approve this on {offer.plan.host}?", "Approve"
        end = f"Runs when {offer.people} people have approved.\n{end}"
    return confirm(question, _confirm_text(offer.plan, end), yes, style)


def _confirm_text(plan: Plan, end: str) -> str:
    """What will run, and the ``end``, in the room of a confirm dialog; what has none is counted."""
    commands = [f"{number}. {plain(typed(step))}" for number, step in enumerate(plan.steps, 1)]
    for shown in range(len(commands), 0, -1):
        hidden = len(commands) - shown
        more = [f"and {counted(hidden, 'more step')}, all in the message"] if hidden else []
        text = "\n".join([*commands[:shown], *more, end])
        if len(text) <= CONFIRM_TEXT:
            return text
    end = f"\nAll of it ({counted(len(commands), 'step')}) is in the message.\n{end}"
    return cut(commands[0] if commands else "", CONFIRM_TEXT - len(end)) + end
