"""Says what was wrong with a run: by what was injected, and by what stands in the channel at its end. Pure.

It shares no code with what it judges. A message is about whom its header names.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.bots import WRONG_CONFIGURATION, Life, Sample
from tests.soak.schedule import BLIND, OUTAGES, OWN, Fault, Injected

GREEN = "#2eb67d"
ITSELF = "dockerhealth itself"
SAYS = {
    Fault.FORWARDING_OFF: "IPv4 forwarding is switched off",
    Fault.CHAINS_GONE: "chains",
    Fault.SSH_REFUSED: "nobody listens for SSH",
    Fault.KEY_CHANGED: "its SSH host key is NOT the one",
    Fault.ENGINE_GONE: "Docker Engine",
    Fault.SUDO_REFUSED: "sudo-refused",
}
"""What must have stood in the message of a fault at some time."""

LATE = 2.0
"""Seconds without an answer from any of our hosts from which readings may fail. An attempt has 3."""

_NAMED_WITHIN, _RECOVERS_IN = 15.0, 10.0
"""Seconds in which a bot that is well has named a cause, and in which it is well after a trouble of its own."""

_TOLD_WITHIN = 20.0
_WARM = 60.0  # seconds after which a process has all that it keeps: connections, caches
_MOST_GROWTH = 1.15, 8.0  # of RSS: a share, and MB
_MOST_MORE_DESCRIPTORS = 20
_FEWEST_SAMPLES = 30
_STOPS_WITHIN = 10.0


@dataclass(frozen=True)
class Told:
    """One message of the channel: about whom, when it came (seconds of the run), and what it said from then on."""

    about: str
    at: float
    colour: str | None  # at the end
    said: str  # all that it ever said


@dataclass(frozen=True)
class Run:
    """All that is known of a run at its end."""

    injected: Sequence[Injected]
    told: Sequence[Told]
    lives: Sequence[Life]
    steps: Mapping[str, Sequence[tuple[float, str]]]  # of each host: what was carried out there, and when
    late: Sequence[tuple[float, float]] = ()  # when the hosts themselves could not answer, and for how many seconds


def not_judged(run: Run) -> list[Told]:
    """Messages of what we did not inject and may yet have been so: this machine was twice too busy for hosts to answer.

    They are left to a person, with what they say.
    """
    injected = {whom for each in run.injected if (whom := about(each)) is not None}
    return [message for message in run.told if message.about not in injected and _busy_before(message, run) > 1]


def _busy_before(message: Told, run: Run) -> int:
    return sum(at <= message.at <= at + late + _TOLD_WITHIN for at, late in run.late)


def wrong(run: Run) -> list[str]:
    """Each thing that was not as it has to be; empty for a good run."""
    return [*_messages(run), *_steps(run), *_lives(run)]


def about(injected: Injected) -> str | None:
    """Whom the message of a fault has to be about; None where it is to have none."""
    if injected.fault in OUTAGES:
        return f"{injected.where}/registry"
    return injected.where if injected.fault in BLIND else None


def _messages(run: Run) -> Iterator[str]:
    """Each fault once, none invented, none lost, all of them over."""
    faults: defaultdict[str, list[Injected]] = defaultdict(list)
    told: defaultdict[str, list[Told]] = defaultdict(list)
    for injected in run.injected:
        if (whom := about(injected)) is not None:
            faults[whom].append(injected)
    excused = not_judged(run)
    for message in run.told:
        if message in excused:
            continue
        told[message.about].append(message)
        if message.colour != GREEN:
            yield f"not over: {message.about}, told at {message.at:.0f} s, is {message.colour} at the end"
    own = sum(injected.fault in OWN for injected in run.injected)
    if len(told.pop(ITSELF, [])) > own:
        yield f"invented: {ITSELF} was told more often than it had troubles ({own})"
    for whom in sorted(faults.keys() | told.keys()):
        yield from _of_one(whom, faults[whom], told[whom], run.injected)


def _of_one(whom: str, faults: Sequence[Injected], told: Sequence[Told], injected: Sequence[Injected]) -> Iterator[str]:
    """Whoever had so many faults has so many messages: the first is of the first, and came after it began."""
    if len(told) != len(faults):
        kind = "lost" if len(told) < len(faults) else "twice" if faults else "invented"
        at = ", ".join(f"{message.at:.0f} s" for message in told) or "never"
        had = ", ".join(f"{each.fault} at {each.at:.0f} to {each.until:.0f} s" for each in faults) or "nothing"
        yield f"{kind}: {whom} had {had}; told {at}"
        return
    for fault, message in zip(faults, told, strict=True):
        if message.at < fault.at:
            yield f"invented: {whom} was told at {message.at:.0f} s, before {fault.fault} at {fault.at:.0f} s"
        if SAYS.get(fault.fault, "") not in message.said and _undisturbed(fault, injected) >= _NAMED_WITHIN:
            yield f"no cause: {whom} had {fault.fault} at {fault.at:.0f} s, and its message never said so"


def _undisturbed(fault: Injected, injected: Sequence[Injected]) -> float:
    """Seconds of a fault in which no bot was killed or in trouble itself, or had been just before."""
    own = (each for each in injected if each.fault in OWN or each.fault is Fault.KILLED)
    overlaps = (min(fault.until, each.until + _RECOVERS_IN) - max(fault.at, each.at) for each in own)
    return fault.until - fault.at - sum(max(0.0, overlap) for overlap in overlaps)


def _steps(run: Run) -> Iterator[str]:
    """No step of one approved fix ran twice: in one fault, each command was carried out once."""
    for injected in run.injected:
        if injected.fault not in OUTAGES:
            continue
        ran = [line for at, line in run.steps.get(injected.where, ()) if injected.at <= at <= injected.until]
        for line, times in Counter(ran).items():
            if times > 1:
                yield f"ran {times} times on {injected.where} after {injected.at:.0f} s: {line}"
        if ran and not injected.click:
            yield f"ran on {injected.where} after {injected.at:.0f} s, and nobody approved it: {ran[0]}"


def _lives(run: Run) -> Iterator[str]:
    for life in run.lives:
        if life.status == WRONG_CONFIGURATION:
            yield f"bot {life.bot} gave up {life.began:.0f} s after the start, with a configuration that is right"
        if life.stopped is not None and life.stopped > _STOPS_WITHIN:
            yield f"bot {life.bot} took {life.stopped:.1f} s to stop"
        yield from _not_flat(life, [each for each in run.injected if each.fault is Fault.NO_DESCRIPTORS])


def _not_flat(life: Life, starved: Sequence[Injected]) -> Iterator[str]:
    """A bot that stands by holds little: it counts from when it has half of the descriptors that it ever had.

    While it was ``starved`` of them, and in a warm-up after that, it holds fewer.
    """
    acts = max((sample.descriptors for sample in life.samples), default=0) / 2
    since = next((sample.age for sample in life.samples if sample.descriptors >= acts), 0.0)
    warm = [
        sample
        for sample in life.samples
        if sample.age > since + _WARM
        and not any(each.at <= life.began + sample.age <= each.until + _WARM for each in starved)
    ]
    if len(warm) < _FEWEST_SAMPLES:
        return
    first, last = thirds(warm)
    share, more = _MOST_GROWTH
    if last.rss > first.rss * share + more:
        yield f"bot {life.bot} of {life.began:.0f} s grew from {first.rss:.0f} to {last.rss:.0f} MB in {last.age:.0f} s"
    if last.descriptors > first.descriptors + _MOST_MORE_DESCRIPTORS:
        yield f"bot {life.bot} of {life.began:.0f} s went from {first.descriptors} to {last.descriptors} descriptors"


def thirds(samples: Sequence[Sample]) -> tuple[Sample, Sample]:
    """What was held in the first third of a time, and in the last: medians."""
    third = max(len(samples) // 3, 1)
    return _typical(samples[:third]), _typical(samples[-third:])


def _typical(samples: Sequence[Sample]) -> Sample:
    return Sample(
        median(sample.age for sample in samples),
        median(sample.rss for sample in samples),
        int(median(sample.descriptors for sample in samples)),
    )
