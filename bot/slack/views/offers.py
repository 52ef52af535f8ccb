"""Fixes in a message: the buttons, what each would run, and what came of those that ran."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from bot.incidents import Offer
from bot.offers import pending, usable
from bot.slack.message import CONFIRM_TEXT, Block
from bot.slack.views.blocks import ALWAYS, MUST_BE_SEEN, Part, actions, button, confirm, part
from bot.slack.views.diagnosis import risks
from bot.slack.views.markup import code, cut, person, preformatted, prose, valued, when
from bot.words import OUTCOMES, counted, plain
from checks.model import Applied, Outcome, Plan, Report, Risk, Step

APPROVE = "approve:"
ACKNOWLEDGE = "acknowledge"
RISKS = {
    Risk.LOW: "low risk",
    Risk.MEDIUM: "medium risk",
    Risk.HIGH: "*high risk*",
}
MOST_STEPS_TEXT = 2600
MOST_UNDO_TEXT = 1000
MOST_OUTPUT = 600
CONFIRM_BLAST = 120


def on_offer(offers: Iterable[Offer], now: datetime) -> list[Offer]:
    """The offers that a click can still approve: the newest of each fix."""
    return list({offer.plan.fix: offer for offer in offers if usable(offer, now)}.values())


def apart(offers: Sequence[Offer], report: Report | None) -> tuple[list[Offer], list[Offer]]:
    """The offers that mend what is broken now, and those that only keep something from breaking later."""
    risks = {risk.cause for risk in report.diagnosis.risks} if report else set()
    order = [plan.fix for plan in report.plans] if report else []
    # The newest diagnosis says which fix comes first; an offer may be older than the one before it.
    ordered = sorted(offers, key=lambda offer: order.index(offer.plan.fix) if offer.plan.fix in order else len(order))
    mending = [offer for offer in ordered if offer.plan.cause not in risks]
    return mending, [offer for offer in ordered if offer.plan.cause in risks]


def prevention(report: Report, offers: Sequence[Offer]) -> list[Part]:
    """The risks, and the fixes for them: one part, as no button may stand without its steps."""
    parts = risks(report)
    for offer in offers:
        parts += [Part("", ALWAYS, actions([_button(offer, stands_out=False)])), _steps(offer)]
    blocks = tuple(block for each in parts for block in each.blocks)
    return [Part("risks", parts[0].rank, blocks)] if parts else []


def buttons(offers: Sequence[Offer], *more: Block) -> list[Part]:
    """The smallest fix stands first and stands out."""
    made = [_button(offer, stands_out=number == 0) for number, offer in enumerate(offers)]
    blocks = actions([*made, *more])
    return [Part("buttons", ALWAYS, blocks)] if blocks else []


def acknowledge(incident_id: str) -> Block:
    return button("I take care of it", ACKNOWLEDGE, incident_id)


def plans(offers: Sequence[Offer]) -> list[Part]:
    """All that each button would do; the last part of a message to be left out."""
    return [_steps(offer) for offer in offers]


def _steps(offer: Offer) -> Part:
    return part(f"the steps of {offer.plan.fix}", MUST_BE_SEEN, _plan(offer))


def expired(offers: Iterable[Offer], now: datetime) -> list[Part]:
    """What can be said of buttons that are gone."""
    gone = [offer for offer in offers if pending(offer) and not usable(offer, now)]
    lines = [f"The offer {prose(offer.plan.title, 75)} expired {when(offer.expires_at)}." for offer in gone[-3:]]
    return [part("expired offers", 4, lines)] if lines else []


def running(offers: Iterable[Offer]) -> tuple[list[Part], list[Part]]:
    """The fix that is being carried out: how far it is, and its steps."""
    for offer in offers:
        if offer.approval is not None and offer.applied is None:
            approved = f"{person(offer.approval.who)} approved {when(offer.approval.at)}"
            progress = f"\n:hourglass_flowing_sand: {prose(offer.progress or 'starting', 300)}"
            line = f"*{prose(offer.plan.title, 75)}*: {approved}{progress}"
            return [part("the running fix", ALWAYS, [line])], [_steps(offer)]
    return [], []


def attempts(offers: Iterable[Offer]) -> list[Part]:
    """The fixes that were carried out, newest first, and how each ended."""
    done = [(offer, offer.applied) for offer in offers if offer.applied is not None]
    parts = [
        part("an attempt", ALWAYS if number == 0 else 4, _attempt(*each)) for number, each in enumerate(done[::-1])
    ]
    return parts[:5]


def _attempt(offer: Offer, applied: Applied) -> Iterator[str]:
    mark = ":white_check_mark:" if applied.outcome is Outcome.FIXED else ":x:"
    approved = f", approved by {person(offer.approval.who)} {when(offer.approval.at)}" if offer.approval else ""
    yield f"{mark} *{prose(offer.plan.title, 75)}*{approved}"
    yield f"{OUTCOMES[applied.outcome]}. {valued(applied.says, 500)}"
    if applied.outcome in {Outcome.FAILED, Outcome.UNKNOWN} and applied.results:
        last = applied.results[-1]
        place = f"Step {len(applied.results)} of {len(offer.plan.steps)}"
        yield f"{place}, exit status {last.status}: {code(last.step.command)}"
        if last.output.strip():
            yield preformatted(last.output.strip(), MOST_OUTPUT)


def _plan(offer: Offer) -> Iterator[str]:
    plan = offer.plan
    until = f" · can be approved until {when(offer.expires_at)}" if pending(offer) else ""
    yield f"*{prose(plan.title, 75)}* · {RISKS[plan.risk]} · mends {code(plan.cause, 60)}{until}"
    for note in plan.notes[:6]:
        yield f":information_source: {valued(note, 300)}"
    yield f"*Touches:* {valued(plan.blast_radius, 500)}"
    yield "*Runs*"
    yield preformatted(_script(plan.steps, MOST_STEPS_TEXT, plan), MOST_STEPS_TEXT + 300)
    yield f"*Verified by:* {valued(plan.verify, 300)}"
    if plan.undo:
        yield "*Undo*"
        yield preformatted(_script(plan.undo, MOST_UNDO_TEXT, plan), MOST_UNDO_TEXT + 300)


def _script(steps: Sequence[Step], limit: int, plan: Plan) -> str:
    """The steps as typed, each under what it does; those that do not fit are counted, none is cut in silence."""
    lines: list[str] = []
    for number, step in enumerate(steps):
        lines.append(f"# {number + 1}. {plain(step.does)}\n{step.command}")
        if len("\n".join(lines)) > limit:
            shown = cut("\n".join(lines), limit)
            rest = f"{counted(len(steps) - number - 1, 'step')} more; " if number + 1 < len(steps) else ""
            return f"{shown}\n# cut, {rest}all of it: dockerhealth fix {plan.host} {plan.fix} --dry-run"
    return "\n".join(lines)


def _button(offer: Offer, *, stands_out: bool) -> Block:
    style = "danger" if offer.plan.risk is Risk.HIGH else "primary"
    return button(
        offer.plan.title,
        f"{APPROVE}{offer.plan.fix}",
        offer.id,
        style=style if stands_out or style == "danger" else None,
        confirm=confirm(f"Run this on {offer.plan.host}?", _confirm_text(offer.plan), "Run it", style),
    )


def _confirm_text(plan: Plan) -> str:
    """What will run and what it touches, in the room of a confirm dialog; what has none is counted."""
    blast = f"Touches: {cut(plain(plan.blast_radius), CONFIRM_BLAST)}"
    commands = [f"{number}. {plain(step.command)}" for number, step in enumerate(plan.steps, 1)]
    for shown in range(len(commands), 0, -1):
        hidden = len(commands) - shown
        more = [f"and {counted(hidden, 'more step')}, all in the message"] if hidden else []
        text = "\n".join([*commands[:shown], *more, blast])
        if len(text) <= CONFIRM_TEXT:
            return text
    end = f"\nAll of it ({counted(len(commands), 'step')}) is in the message.\n{blast}"
    return cut(commands[0] if commands else "", CONFIRM_TEXT - len(end)) + end
