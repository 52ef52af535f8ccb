"""What was run, in a message: how far it is, how it ended, and what it changed."""

from collections.abc import Iterable, Iterator, Sequence

from bot.incidents.model import AUTO, Offer
from bot.incidents.runs import approvals, helped, runs, undone
from bot.slack.views.blocks import ALWAYS, MUST_BE_SEEN, Part, context, part
from bot.slack.views.markup import code, cut, person, preformatted, prose, valued, when
from bot.slack.views.offers import steps
from bot.text import counted, plain
from bot.wording.changes import Changed, changed, not_restored
from bot.wording.plans import ending, outcome
from checks.commands import typed
from checks.model import Applied, Outcome, StepResult

MARKS = {
    Outcome.FIXED: ":white_check_mark:",
    Outcome.UNDONE: ":leftwards_arrow_with_hook:",
    Outcome.UNKNOWN: ":grey_question:",
}
MOST_RUNS = 5
MOST_APPROVALS = 5
MOST_DONE = 8
MOST_FAILED = 2
MOST_CHANGES = 6
LONGEST_CHANGE = 120  # characters
LONGEST_LINE = 200
LONGEST_SAYS = 600
WORTH_TELLING = 1.0  # seconds
LONGEST_OUTPUT = 600
LONGEST_DIFF = 1500


def running(offers: Iterable[Offer]) -> tuple[list[Part], list[Part]]:
    """What is being carried out: since when and how far, and its steps."""
    for offer in offers:
        if offer.approval is not None and offer.applied is None:
            line = f"*{prose(offer.plan.title, 75)}* is being carried out, {_approved(offer)}"
            progress = f":hourglass_flowing_sand: {prose(offer.progress or 'starting', 300)}"
            return [part("the running fix", ALWAYS, [f"{line}\n{progress}"])], [steps(offer)]
    return [], []


def newest(offers: Sequence[Offer]) -> list[Part]:
    """The newest run: first how it ended, then all that a person must know before anything else is done."""
    done = runs(offers)
    return _run(*done[-1], offers, newest=True) if done else []


def earlier(offers: Sequence[Offer]) -> list[Part]:
    """The runs before that, newest first."""
    before = runs(offers)[-2::-1]
    parts = [each for run in before[: MOST_RUNS - 1] for each in _run(*run, offers, newest=False)]
    rest = len(before) - MOST_RUNS + 1
    return [*parts, part("earlier runs", 5, [f"and {counted(rest, 'earlier run')}"])] if rest > 0 else parts


def _run(offer: Offer, applied: Applied, offers: Sequence[Offer], *, newest: bool) -> list[Part]:
    run, later = offer.id, 0 if newest else 3
    announced, unannounced = (changed(applied.differences, announced=announced) for announced in (True, False))
    noted = f"audit {code(offer.reference, 40)}: " if offer.reference else ""
    reference = Part("the reference of a run", 4 + later, (context(f"{noted}{code(_audit(run))}"),))
    told = [
        part("how a run ended", ALWAYS + later, _ended(offer, applied, unannounced, offers)),
        part("what was not announced, line by line", MUST_BE_SEEN + later, _diff(unannounced, run)),
        part("how a run went", MUST_BE_SEEN + later, _went(offer, applied)),
    ]
    if newest:
        told.append(part("what was run", 3, [*_done(applied), *_changes(announced, run)]))
    return [*(each for each in told if each.blocks), reference]


def _ended(offer: Offer, applied: Applied, unannounced: Sequence[Changed], offers: Sequence[Offer]) -> Iterator[str]:
    plan, taken_back = offer.plan, helped(offer) and undone(offer, offers)
    mark = MARKS.get(Outcome.UNDONE if taken_back else applied.outcome, ":x:")
    words = "Had fixed it, and was taken back" if taken_back else outcome(applied, plan)
    yield f"{mark} *{words}.* {valued(applied.says, LONGEST_SAYS)}"
    yield from _listed(":warning: *Also changed, and not announced:*", unannounced)
    if applied.outcome is not Outcome.UNDONE:
        yield from _listed(":warning: *Not as it was before:*", not_restored(offer))


def _went(offer: Offer, applied: Applied) -> Iterator[str]:
    yield f"*{prose(offer.plan.title, 75)}*, {_approved(offer)}"
    failed = [(number, result) for number, result in enumerate(applied.results, 1) if not result.ok]
    for number, result in failed[:MOST_FAILED]:
        yield f"Step {number} {ending(result)}: {code(typed(result.step))}"
        output = result.output.strip()
        if output and plain(output) not in plain(applied.says)[: LONGEST_SAYS // 2]:  # it is told once
            yield preformatted(output, LONGEST_OUTPUT)
    if len(failed) > MOST_FAILED:
        yield f"and {counted(len(failed) - MOST_FAILED, 'more step')} that did not succeed"


def _approved(offer: Offer) -> str:
    """Who approved it, and when."""
    if offer.approval is not None and offer.approval.who == AUTO:
        so = "the plan said" if offer.plan.undoes else "the configuration allows"
        return f"by itself, as {so}, {when(offer.approval.at)}"
    given = approvals(offer)
    names = ", ".join(f"{person(each.who)} {when(each.at)}" for each in given[:MOST_APPROVALS])
    more = f" and {len(given) - MOST_APPROVALS} more" if len(given) > MOST_APPROVALS else ""
    return f"approved by {names}{more}"


def _done(applied: Applied) -> Iterator[str]:
    """What was done, in a line; what did not succeed is told with the outcome."""
    done = [result for result in applied.results if result.ok]
    if done:
        names = "; ".join(_took(result) for result in done[:MOST_DONE])
        more = f"; and {counted(len(done) - MOST_DONE, 'more step')}" if len(done) > MOST_DONE else ""
        yield f"*Done:* {names}{more}"


def _took(result: StepResult) -> str:
    seconds = f" ({result.seconds:.0f} s)" if result.seconds >= WORTH_TELLING else ""
    return f"{valued(result.step.does, 200)}{seconds}"


def _changes(announced: Sequence[Changed], run: str) -> Iterator[str]:
    short = [each for each in announced if not each.lines]
    if announced:
        yield from _listed("*Changed:*", short) if short else ["*Changed:*"]
    yield from _diff(announced, run)


def _listed(title: str, changes: Sequence[Changed]) -> Iterator[str]:
    if changes:
        names = ", ".join(code(each.says, LONGEST_CHANGE) for each in changes[:MOST_CHANGES])
        more = f" and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
        yield f"{title} {names}{more}"


def _diff(changes: Sequence[Changed], run: str) -> Iterator[str]:
    """The lines that came and went, each under the name of what holds them; what has no room is counted."""
    shown: list[str] = []
    lines = [says for each in changes if each.lines for says in (each.says, *(line.says for line in each.lines))]
    for line in lines:
        short = cut(line, LONGEST_LINE)
        if len("\n".join([*shown, short])) > LONGEST_DIFF:
            shown.append(f"# {counted(len(lines) - len(shown), 'line')} more, all of it: {_audit(run)}")
            break
        shown.append(short)
    if shown:
        yield preformatted("\n".join(shown))


def _audit(run: str) -> str:
    return f"dockerhealth audit --run {run}"
