"""From findings to a diagnosis: what is wrong, in the order to mend it, what is not, and what could not be told."""

from collections.abc import Sequence

from checks.causes import ALL_CAUSES
from checks.causes.cause import Cause, Look, examine
from checks.facts.nftables import NFTABLES
from checks.model import Confidence, Diagnosis, Evidence, Finding, Vantage, Verdict

UNDETERMINED = "undetermined"


def diagnose(look: Look, causes: Sequence[Cause] = ALL_CAUSES) -> Diagnosis:
    """Judge every cause on one service."""
    ranks = {cause.id: cause.rank for cause in causes}
    findings = [examine(cause, look) for cause in causes]
    failing = sorted(_with(findings, Verdict.FAIL), key=lambda finding: _order(finding, ranks))
    not_told = _with(findings, Verdict.SKIP)
    if not failing and not look.outside.ok:
        failing = [_undetermined(look, not_told)]
    return Diagnosis(
        causes=tuple(failing),
        risks=tuple(_with(findings, Verdict.RISK)),
        ruled_out=tuple(_with(findings, Verdict.PASS)),
        not_told=tuple(not_told),
    )


def _with(findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    return [finding for finding in findings if finding.verdict is verdict]


def _order(finding: Finding, ranks: dict[str, int]) -> tuple[bool, int]:
    """What is proven goes before what is likely; then what the mending of the next one needs."""
    return finding.confidence is not Confidence.PROVEN, ranks[finding.cause]


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
