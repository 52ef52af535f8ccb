"""An incident as people see it: forwarding went off at 03:01 on host1, and its registry stopped answering."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.demo.local_slack.block_kit import MOST_CHARACTERS_IN_MESSAGE, block_problems
from bot.incidents.model import Approval, Incident, IncidentState, Offer, Transition
from bot.slack.message import Message
from checks.model import (
    Applied,
    Change,
    ChangeKind,
    Diagnosis,
    Difference,
    Evidence,
    Family,
    Finding,
    FixId,
    Lacking,
    Lasts,
    Outcome,
    Passage,
    Phase,
    Plan,
    ReachOutcome,
    Reading,
    Report,
    Risk,
    Segment,
    Spot,
    Status,
    Step,
    StepResult,
    Stretch,
    Vantage,
    Verdict,
)

NOW = datetime(2026, 3, 4, 3, 12, 40, tzinfo=UTC)
LATER = NOW + timedelta(minutes=2)
APPROVER = "U012ABCDEF"


def reading(vantage: Vantage, ended: ReachOutcome = ReachOutcome.ANSWERED, ms: float = 3.0) -> Reading:
    if ended is ReachOutcome.ANSWERED:
        return Reading(vantage, Phase.HTTP, ended, ms, NOW, 200)
    return Reading(vantage, Phase.CONNECT, ended, ms, NOW)


CAUSE = Finding(
    "ip-forward-off",
    "registry",
    Verdict.FAIL,
    "IPv4 forwarding is switched off",
    (Evidence("sysctl", "net.ipv4.ip_forward = 0"), Evidence("reach", "container answers 200, outside times out")),
    fixes=(FixId.ENABLE_IP_FORWARD, FixId.RESTART_DOCKER),
)
PLAN = Plan(
    fix=FixId.ENABLE_IP_FORWARD,
    title="Switch forwarding on, lastingly",
    host="host1",
    service="registry",
    cause="ip-forward-off",
    risk=Risk.LOW,
    steps=(
        Step(
            "write the file",
            ("sudo-write", "/etc/sysctl.d/99-zz-dockerhealth.conf"),
            undo=(Step("remove the file", ("rm", "/etc/sysctl.d/99-zz-dockerhealth.conf")),),
        ),
        Step("load it", ("sysctl", "-p", "/etc/sysctl.d/99-zz-dockerhealth.conf")),
    ),
    blast_radius="host1 routes between its interfaces; no container stops",
    verify="the registry answers from outside and net.ipv4.ip_forward is 1",
    basis={"net.ipv4.ip_forward": "0"},
    notes=("/etc/sysctl.d/99-hardening.conf says 0 and is overridden",),
    preflight=("no file sets it to 0 after that", "no container is restarted"),
    changes=("sysctl net.ipv4.ip_forward", "file /etc/sysctl.d/99-zz-dockerhealth.conf"),
    undo_unasked=True,
)
RESTART = replace(
    PLAN,
    fix=FixId.RESTART_DOCKER,
    title="Restart dockerd",
    risk=Risk.HIGH,
    steps=tuple(Step(f"step {number}", ("docker", "start", f"container-{number}")) for number in range(9)),
    blast_radius="9 containers stop for about 10 s",
    notes=(),
    preflight=(),
    lasts=Lasts.STOP_GAP,
    undo_unasked=False,
)
BY_HAND = replace(PLAN, by_hand="dockerhealth may only look on host1: its sudoers file has no line for this")
DIED = Segment(
    Stretch.INTO_HOST,
    Spot(Passage.ENTERING, "eth0"),
    Spot(Passage.LEAVING, "docker0"),
    "the kernel dropped 3 of 3",
    "NETFILTER_DROP",
)
REPORT = Report(
    host="host1",
    service="registry",
    at=NOW,
    status=Status.UNHEALTHY,
    readings=(
        reading(Vantage.CONTAINER, ms=1),
        reading(Vantage.OUTSIDE, ReachOutcome.TIMED_OUT, 2000),
        reading(Vantage.LOOPBACK, ms=2),
    ),
    diagnosis=Diagnosis(
        causes=(CAUSE,),
        risks=(Finding("restart-policy-missing", "registry", Verdict.RISK, "The container would stay down"),),
        ruled_out=(Finding("dockerd-down", "registry", Verdict.PASS, "", why="docker.service is active"),),
        not_told=(Finding("blocked-before-host", "registry", Verdict.SKIP, "", why="no second host to try from"),),
    ),
    plans=(PLAN, RESTART),
    timeline=(
        Change(
            ChangeKind.UNIT,
            ("network.service", "restarted"),
            NOW - timedelta(minutes=11),
            "network.service restarted",
            "root via webadmin",
            asked=True,
        ),
    ),
    took_ms=812,
)
HEALTHY = replace(
    REPORT, status=Status.HEALTHY, diagnosis=Diagnosis(), plans=(), timeline=(), readings=(reading(Vantage.OUTSIDE),)
)
HALF_BLIND = replace(
    HEALTHY,
    unavailable=(
        Lacking("units", "systemctl ended with 1"),
        Lacking("D-Bus", "systemctl ended with 1"),
        Lacking("path: port 5000, own", "curl ended with 2"),
    ),
)
"""A healthy service of a host that cannot tell everything."""

OFFER = Offer("offer-1", PLAN, PLAN.fingerprint, NOW, NOW + timedelta(minutes=30))
RESTART_OFFER = Offer("offer-2", RESTART, RESTART.fingerprint, NOW, NOW + timedelta(minutes=30))
OPENED = Transition(None, IncidentState.OPEN, "2 readings in a row from outside failed: timed out at connect", NOW)
OPEN = Incident("inc-1", "host1", "registry", IncidentState.OPEN, NOW, (OPENED,), REPORT, (OFFER, RESTART_OFFER))


def moved(incident: Incident, new: IncidentState, who: str = "", reason: str = "") -> Incident:
    transition = Transition(incident.state, new, reason, LATER, who)
    return replace(
        incident,
        state=new,
        transitions=(*incident.transitions, transition),
        resolved_at=LATER if new is IncidentState.RESOLVED else None,
    )


def approved(offer: Offer = OFFER, progress: str = "") -> Offer:
    return replace(offer, approval=Approval(APPROVER, LATER, offer.plan.fingerprint), progress=progress)


def applied(outcome: Outcome, says: str = "That is how it ended.", output: str = "", status: int = 0) -> Applied:
    results = (StepResult(PLAN.steps[0], status, output),)
    return Applied(outcome, says, results, (reading(Vantage.OUTSIDE, ms=4),))


FORWARDING = Difference(Family.SYSCTL, "sysctl net.ipv4.ip_forward", "0", "1", announced=True)
FILE = Difference(
    Family.FILE, "file /etc/sysctl.d/99-zz-dockerhealth.conf", None, "net.ipv4.ip_forward = 1", announced=True
)
RULES = Difference(
    Family.RULES, "rules nat DOCKER", "-A DOCKER -i docker0 -j RETURN\n-A DOCKER -j DNAT", "", announced=False
)

ACKNOWLEDGED = moved(OPEN, IncidentState.ACKNOWLEDGED, "U0CARES")
FIXING = moved(
    replace(OPEN, offers=(approved(progress="step 2 of 2: load it"), RESTART_OFFER)), IncidentState.FIXING, APPROVER
)
RESOLVED = moved(
    replace(
        FIXING, offers=(replace(approved(), applied=applied(Outcome.FIXED)), replace(RESTART_OFFER, withdrawn=True))
    ),
    IncidentState.RESOLVED,
)


# --- the way back ---

UNDO = replace(
    PLAN,
    title=f"Undo: {PLAN.title}",
    steps=PLAN.undo,
    undoes="offer-1",
    restores=(FORWARDING, FILE),
    blast_radius="host1 routes no more",
    verify="the host is as it was before",
    undo_unasked=False,
)
UNDO_OFFER = Offer("offer-3", UNDO, UNDO.fingerprint, LATER, LATER + timedelta(minutes=30))


def ran(outcome: Outcome, *differences: Difference, **more: Any) -> Offer:
    """The first offer, carried out."""
    return replace(approved(), applied=replace(applied(outcome, **more), differences=differences))


def undone(outcome: Outcome, *differences: Difference) -> Offer:
    """Its undo, carried out a minute later."""
    approval = Approval(APPROVER, LATER + timedelta(minutes=1), UNDO.fingerprint)
    return replace(UNDO_OFFER, approval=approval, applied=Applied(outcome, "", differences=differences))


# --- what a message holds ---


def blocks(message: Message) -> list[dict[str, Any]]:
    payload = message.payload()
    return [*payload["blocks"], *(block for card in payload["attachments"] for block in card["blocks"])]


def strings(value: Any) -> Iterator[str]:
    """Every text that a reader could see."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            else:
                yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def body(message: Message) -> str:
    return "\n".join(strings(blocks(message)))


def buttons(message: Message) -> dict[str, dict[str, Any]]:
    return {
        element["action_id"]: element
        for block in blocks(message)
        if block["type"] == "actions"
        for element in block["elements"]
    }


def problems(message: Message) -> list[str]:
    """What Slack would refuse."""
    payload = message.payload()
    found = block_problems(payload["blocks"])
    for card in payload["attachments"]:
        found += block_problems(card["blocks"])
    everything = blocks(message)
    if len(everything) > 50:
        found.append(f"{len(everything)} blocks")
    characters = sum(map(len, strings(everything)))
    if characters > MOST_CHARACTERS_IN_MESSAGE:
        found.append(f"{characters} characters")
    return found
