"""From findings to a diagnosis: what is wrong, in the order to mend it, what is not, and what could not be told."""

from collections.abc import Iterator, Sequence

from checks.causes import ALL_CAUSES, ALL_RISKS
from checks.causes.cause import examine
from checks.causes.host import WATCHER_OFFLINE
from checks.evidence.counting import rising
from checks.evidence.journey import may_journey, segment
from checks.evidence.ladder import layer
from checks.evidence.packet import known_blockers
from checks.evidence.where import where_to_look
from checks.look import Look
from checks.model import LADDER, UNDETERMINED, Confidence, Diagnosis, Evidence, Finding, OwnTrouble, Phase, Verdict

_RANKS = {cause.id: cause.rank for cause in ALL_CAUSES}
_PLACES = {cause.id: place for place, cause in enumerate(ALL_CAUSES)}


def diagnose(look: Look) -> Diagnosis:
    """Judge every cause and every risk on one service."""
    if look.outside.unsound is not None:
        return _spoiled(look, look.outside.unsound)
    suspects = [examine(cause, look) for cause in ALL_CAUSES]
    risks = [examine(risk, look) for risk in ALL_RISKS]
    failing = sorted(_with(suspects, Verdict.FAIL), key=_order)
    not_told = _with(suspects, Verdict.SKIP)
    if not failing and not look.outside.ok:
        failing = [_undetermined(look, not_told)]
    return Diagnosis(
        causes=tuple(failing),
        risks=tuple(_with(risks, Verdict.RISK)),
        ruled_out=tuple(_nearest_first(_with(suspects, Verdict.PASS), failing)),
        not_told=(*not_told, *_with(risks, Verdict.SKIP)),
    )


def _spoiled(look: Look, trouble: OwnTrouble) -> Diagnosis:
    """Where the attempt from here failed because of this machine: that it is cut off can be told, and nothing else."""
    offline = examine(WATCHER_OFFLINE, look)
    if trouble.cuts_off and offline.verdict is Verdict.FAIL:
        return Diagnosis((offline,))
    untold = Finding(
        cause=UNDETERMINED,
        service=look.service.name,
        verdict=Verdict.FAIL,
        title=f"not told: {trouble.says}",
        evidence=(Evidence(LADDER, f"{look.outside.vantage}: {look.outside.says}"),),
        confidence=Confidence.LIKELY,
    )
    return Diagnosis((untold,))


def _with(findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    return [finding for finding in findings if finding.verdict is verdict]


def _order(finding: Finding) -> tuple[bool, int]:
    """What is proven goes before what is likely; then what the mending of the next one needs."""
    return finding.confidence is not Confidence.PROVEN, _RANKS[finding.cause]


def _nearest_first(findings: Sequence[Finding], failing: Sequence[Finding]) -> list[Finding]:
    """What could be mistaken for the root goes first: ALL_CAUSES follows a packet's way, so neighbours are near."""
    root = _PLACES.get(failing[0].cause) if failing else None
    return list(findings) if root is None else sorted(findings, key=lambda one: abs(_PLACES[one.cause] - root))


def _undetermined(look: Look, not_told: Sequence[Finding]) -> Finding:
    """The honest answer: it does not answer, and nothing that is known here explains it."""
    return Finding(
        cause=UNDETERMINED,
        service=look.service.name,
        verdict=Verdict.FAIL,
        title=_no_name(look),
        evidence=tuple(_seen(look, not_told)),
        confidence=Confidence.LIKELY,
        advice=where_to_look(look),
    )


def _no_name(look: Look) -> str:
    """The first line of an answer that has no cause's name: the place, where that was seen."""
    if look.facts is None:
        return "could not look inside"
    died = segment(look)
    return f"cause not determined, but the place: {died.between}" if died else "cause not determined"


def _between(look: Look) -> Iterator[Evidence]:
    """What a host that could not be looked at shows of itself by how it treats this address, and others."""
    host, port = look.host.name, look.service.port
    if look.rejected_by_host:
        yield Evidence("reading", f"{host} is up: it is its own firewall that rejects port {port}, for this address")
    seeing = next((peer.host for peer in look.peers if peer.seen is not None and peer.seen.ok), None)
    if seeing is not None and look.outside.phase is Phase.CONNECT:
        yield Evidence("peers", f"{host} answers {seeing}: a rule about this address, or what lies between, stops it")


def _seen(look: Look, not_told: Sequence[Finding]) -> Iterator[Evidence]:
    """What is known all the same: from where it answers, which layer that leaves, and what may eat the packets."""
    if watched := may_journey(look):
        yield from watched.evidence
    yield from rising(look)
    yield Evidence(LADDER, f"{look.outside.vantage}: {look.outside.says}")
    for peer in look.peers:
        if peer.seen is not None:
            yield Evidence(LADDER, f"from {peer.host}: {peer.seen.says}")
    if look.facts is None:
        yield from _between(look)
    for rung in look.way.rungs:
        status = f" {rung.status}" if rung.status else ""
        yield Evidence(LADDER, f"{rung.vantage}: {rung.ended.value.replace('-', ' ')}{status}")
    where = layer(look)
    if where:
        yield Evidence("path", f"what is broken is {where}")
    for blocker in known_blockers(look):
        yield from blocker.evidence
    untold = f"suspects that could not be told: {len(not_told)}"
    yield Evidence("diagnosis", untold if not_told else "every known suspect is ruled out")
