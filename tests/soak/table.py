"""What a run shows, for people. Pure."""

from collections import Counter
from collections.abc import Iterator
from statistics import median

from tests.soak.bots import Life
from tests.soak.judge import Run, about, not_judged, thirds
from tests.soak.schedule import Fault

_FEWEST = 6
_SHOWN = 300  # characters


def table(run: Run, wrong: list[str]) -> str:
    """The whole of it as Markdown."""
    return "\n".join([*_injected(run), "", *_times(run), *_ourselves(run), "", *_processes(run), "", *_verdict(wrong)])


def _injected(run: Run) -> Iterator[str]:
    yield "| fault | times | seconds each | to be told | told |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    messages = Counter(message.about for message in run.told)
    for fault in Fault:
        these = [each for each in run.injected if each.fault is fault]
        if these:
            lasted = f"{min(e.until - e.at for e in these):.0f} to {max(e.until - e.at for e in these):.0f}"
            whom = {about(each) for each in these} - {None}
            told = sum(messages[each] for each in whom if each) if whom else 0
            yield f"| {fault} | {len(these)} | {lasted} | {len(these) if whom else 0} | {told} |"


def _times(run: Run) -> Iterator[str]:
    """From the beginning of a fault to its message, whatever else went wrong meanwhile."""
    first = {message.about: message.at for message in reversed(run.told)}
    waited = sorted(first[whom] - each.at for each in run.injected if (whom := about(each)) and whom in first)
    if waited:
        yield f"Seconds to the message: median {median(waited):.1f}, worst {waited[-1]:.1f}, of {len(waited)}."


def _ourselves(run: Run) -> Iterator[str]:
    if run.late:
        worst, excused = max(late for _, late in run.late), not_judged(run)
        busy = f"This machine was too busy {len(run.late)} times, for up to {worst:.1f} s"
        yield f"{busy}: {len(excused)} messages are not judged."
        yield from (f"- {message.about} at {message.at:.0f} s: {message.said[:_SHOWN]!r}" for message in excused)


def _processes(run: Run) -> Iterator[str]:
    yield "| bot | began at | lived s | MB, then | descriptors, then | ended with |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for life in run.lives:
        yield _life(life)


def _life(life: Life) -> str:
    end = "SIGKILL" if life.status is None else str(life.status)
    if life.stopped is not None:
        end = f"stopped in {life.stopped:.1f} s"
    if len(life.samples) < _FEWEST:
        return f"| {life.bot} | {life.began:.0f} | | | | {end} |"
    first, last = thirds(life.samples[len(life.samples) // 4 :])
    held = f"{first.rss:.0f}, {last.rss:.0f} | {first.descriptors}, {last.descriptors}"
    return f"| {life.bot} | {life.began:.0f} | {life.samples[-1].age:.0f} | {held} | {end} |"


def _verdict(wrong: list[str]) -> Iterator[str]:
    yield f"{len(wrong)} things were wrong." if wrong else "Nothing was wrong."
    yield from (f"- {each}" for each in wrong)
