"""What a cause is: what it is called, how it is recognised, and which fixes mend it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from checks.evidence.family import by_family
from checks.evidence.journey import may_journey
from checks.facts.capture import CAPTURE
from checks.look import Look, MissingError
from checks.model import (
    Confidence,
    Evidence,
    Finding,
    FixId,
    Missing,
    Segment,
    Stretch,
    Verdict,
)


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()
    why: str = ""
    confidence: Confidence = Confidence.PROVEN
    advice: tuple[str, ...] = ()
    missing: Missing | None = None


@dataclass(frozen=True)
class Death:
    """Where a packet dies of a cause, and the kernel's reasons there: any where none is named."""

    stretches: frozenset[Stretch]
    reasons: frozenset[str]

    def fits(self, segment: Segment) -> bool:
        """Whether that is where a packet was seen to die. A kernel that gives no reason contradicts none."""
        told = bool(segment.reason and self.reasons)
        return segment.stretch in self.stretches and (not told or segment.reason in self.reasons)


@dataclass(frozen=True)
class Cause:
    """``title`` is the first line of an alert. ``rank`` orders what to mend first where several are wrong.

    ``death`` is where a packet is seen to die of it; None for what kills no packet, or none in a way of its own.
    """

    id: str
    title: str
    judge: Callable[[Look], Judgement]
    rank: int = 0
    fixes: tuple[FixId, ...] = ()
    death: Death | None = None


def died(*stretches: Stretch, of: tuple[str, ...] = ()) -> Death:
    """On one of these stretches, and of one of these reasons where any is named."""
    return Death(frozenset(stretches), frozenset(of))


IN_HOST = (Stretch.INTO_HOST, Stretch.REFUSED_BY_HOST)
BY_A_RULE = died(*IN_HOST, Stretch.TO_CONTAINER, Stretch.BACK_INTO_HOST, of=("NETFILTER_DROP",))
UNTRANSLATED = died(*IN_HOST, Stretch.TAKEN_BY_HOST)


def fail(*evidence: Evidence, sure: bool = True, advice: tuple[str, ...] = ()) -> Judgement:
    """It is wrong and breaks the service; ``sure`` unless a confirming fact is missing or one contradicts."""
    confidence = Confidence.PROVEN if sure else Confidence.LIKELY
    return Judgement(Verdict.FAIL, evidence, confidence=confidence, advice=advice)


def risk(*evidence: Evidence) -> Judgement:
    return Judgement(Verdict.RISK, evidence)


def passed(why: str) -> Judgement:
    """It is not wrong; ``why`` quotes the value that rules it out."""
    return Judgement(Verdict.PASS, why=why)


def examine(cause: Cause, look: Look) -> Finding:
    """A cause's verdict on one service."""
    try:
        judgement = cause.judge(look)
    except MissingError as error:
        judgement = Judgement(Verdict.SKIP, why=error.missing.says, missing=error.missing)
    judgement = _held_against_the_watch(cause, judgement, look)
    if judgement.verdict is Verdict.FAIL and cause.death is not None:
        judgement = replace(judgement, evidence=(*judgement.evidence, *by_family(look)))
    return Finding(
        cause=cause.id,
        service=look.service.name,
        verdict=judgement.verdict,
        title=cause.title,
        evidence=judgement.evidence,
        why=judgement.why,
        confidence=judgement.confidence,
        fixes=cause.fixes,
        advice=judgement.advice,
        missing=judgement.missing,
    )


def _held_against_the_watch(cause: Cause, judgement: Judgement, look: Look) -> Judgement:
    """It is proven only where the packet was seen to die of it. Where nobody watched, the other facts are the proof."""
    if judgement.verdict is not Verdict.FAIL or cause.death is None:
        return judgement
    watched = may_journey(look)
    if watched is None:
        return judgement
    if watched.segment is not None and cause.death.fits(watched.segment):
        return replace(judgement, evidence=(*judgement.evidence, *watched.evidence[:1]))
    where = watched.segment.says if watched.segment else f"the connection was made: {watched.says}"
    contradiction = Evidence(CAPTURE.name, f"yet that is not where the packet was seen to die: {where}")
    return replace(judgement, confidence=Confidence.LIKELY, evidence=(*judgement.evidence, contradiction))
