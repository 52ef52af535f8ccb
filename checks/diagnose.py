"""From findings to a diagnosis: what is wrong, in the order to mend it, what is not, and what could not be told."""

from collections.abc import Sequence

from checks.causes import ALL_CAUSES, ALL_RISKS
from checks.causes.cause import Look, examine
from checks.facts.nftables import NFTABLES
from checks.model import Confidence, Diagnosis, Evidence, Finding, Vantage, Verdict

UNDETERMINED = "undetermined"
_RANKS = {cause.id: cause.rank for cause in ALL_CAUSES}


def diagnose(look: Look) -> Diagnosis:
    """Judge every cause and every risk on one service."""
    suspects = [examine(cause, look) for cause in ALL_CAUSES]
    risks = [examine(risk, look) for risk in ALL_RISKS]
    failing = sorted(_with(suspects, Verdict.FAIL), key=_order)
    not_told = _with(suspects, Verdict.SKIP)
    if not failing and not look.outside.ok:
        failing = [_undetermined(look, not_told)]
    return Diagnosis(
        causes=tuple(failing),
        risks=tuple(_with(risks, Verdict.RISK)),
        ruled_out=tuple(_with(suspects, Verdict.PASS)),
        not_told=(*not_told, *_with(risks, Verdict.SKIP)),
    )


def _with(findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    return [finding for finding in findings if finding.verdict is verdict]


def _order(finding: Finding) -> tuple[bool, int]:
    """What is proven goes before what is likely; then what the mending of the next one needs."""
    return finding.confidence is not Confidence.PROVEN, _RANKS[finding.cause]


def _undetermined(look: Look, not_told: Sequence[Finding]) -> Finding:
    """The honest answer: it does not answer, and nothing that is known here explains it."""
    evidence = [Evidence("reading", f"{look.outside.vantage}: {look.outside.says}")]
    evidence += [
        Evidence(
            "path", f"{rung.vantage}: {rung.ended.value.replace('-', ' ')}{f' {rung.status}' if rung.status else ''}"
        )
        for rung in look.way.rungs
    ]
    dropping = [one.says for one in look.may(NFTABLES) or () if one.foreign and one.policy == "drop"]
    evidence += [Evidence("nftables", says) for says in dropping]
    missing = f"{len(not_told)} suspects could not be told" if not_told else "every known suspect is ruled out"
    title = "could not look inside" if look.facts is None else "cause not determined"
    inside = look.answers_at(Vantage.CONTAINER)
    where = "" if inside is None else f"; the container itself {'answers' if inside else 'does not answer'}"
    return Finding(
        cause=UNDETERMINED,
        service=look.service.name,
        verdict=Verdict.FAIL,
        title=title,
        evidence=(*evidence, Evidence("diagnosis", missing + where)),
        confidence=Confidence.LIKELY,
    )
