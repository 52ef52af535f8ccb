"""What a cause is: what it is called, how it is recognised, and which fixes mend it."""

from collections.abc import Callable
from dataclasses import dataclass

from checks.look import Look, MissingError
from checks.model import (
    Confidence,
    Evidence,
    Finding,
    FixId,
    Missing,
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
class Cause:
    """``title`` is the first line of an alert. ``rank`` orders what to mend first where several are wrong."""

    id: str
    title: str
    judge: Callable[[Look], Judgement]
    rank: int = 0
    fixes: tuple[FixId, ...] = ()


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
