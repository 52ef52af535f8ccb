"""What the tests of the bot's heart are made of: a clock, things of the model, and stand-ins for the world."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.approvals.decision import Click, Place
from bot.incidents.model import Incident, IncidentState, Offer, Transition, opened
from bot.remediation.runner import Executor
from bot.slack.message import Message
from bot.slack.outbox import RetryLaterError, SendError
from checks.execution.order import Event, Happened, OnEvent, Order
from checks.model import (
    Applied,
    Baseline,
    Diagnosis,
    Evidence,
    Family,
    Finding,
    FixId,
    Host,
    Outcome,
    Phase,
    Plan,
    ReachOutcome,
    Reading,
    Report,
    Risk,
    Service,
    Snapshot,
    Status,
    Step,
    StepResult,
    Trouble,
    Values,
    Vantage,
    Verdict,
)

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOST = Host("host1", "10.0.0.11", (Service("registry", "http://10.0.0.11:5000/v2/", container="registry"),))
SERVICE = HOST.services[0]
HOME = Place("T1", "A1", "C1", "100.1")
APPROVER = "U0APPROVER"
STRANGER = "U0STRANGER"


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def good(at: datetime = T0, vantage: Vantage = Vantage.OUTSIDE) -> Reading:
    return Reading(
        vantage, Phase.HTTP, ReachOutcome.ANSWERED, 3.5, at, 200, "10.0.0.11", phases_ms={Phase.CONNECT: 0.5}
    )


def failed(at: datetime = T0) -> Reading:
    return Reading(Vantage.OUTSIDE, Phase.CONNECT, ReachOutcome.TIMED_OUT, 1500.0, at, address="10.0.0.11")


def plan(fix: str = "enable-ip-forward", basis: str = "0") -> Plan:
    return Plan(
        fix=FixId(fix),
        title="Switch IP forwarding on, for good",
        host=HOST.name,
        service=SERVICE.name,
        cause="ip-forward-off",
        risk=Risk.LOW,
        steps=(
            Step(
                "switch it on",
                ("sysctl", "-w", "net.ipv4.ip_forward=1", "ä\n<&>"),
                undo=(Step("switch it off", ("sysctl", "-w", "net.ipv4.ip_forward=0")),),
            ),
        ),
        blast_radius="this host routes between its networks",
        verify="the service answers from outside",
        basis={"net.ipv4.ip_forward": basis},
        notes=("a note",),
    )


def broken(*plans: Plan, at: datetime = T0) -> Report:
    """A look that found the cause."""
    cause = Finding(
        "ip-forward-off",
        SERVICE.name,
        Verdict.FAIL,
        "IP forwarding is off",
        (Evidence("sysctl", "net.ipv4.ip_forward = 0"),),
        fixes=tuple(one.fix for one in plans),
    )
    readings = (failed(at), good(at, Vantage.LOOPBACK))
    return Report(HOST.name, SERVICE.name, at, Status.UNHEALTHY, readings, Diagnosis((cause,)), plans)


def healthy(at: datetime = T0) -> Report:
    return Report(HOST.name, SERVICE.name, at, Status.HEALTHY, (good(at),), Diagnosis())


def not_looked_at(at: datetime = T0) -> Report:
    trouble = Trouble("ssh-refused", "host1 refused the SSH connection")
    return Report(HOST.name, SERVICE.name, at, Status.UNKNOWN, (failed(at),), Diagnosis(), trouble=trouble)


def offer(offer_id: str = "offer-1", of: Plan | None = None, at: datetime = T0) -> Offer:
    of = of or plan()
    return Offer(offer_id, of, of.fingerprint, at, at + timedelta(minutes=30))


def incident(*offers: Offer, incident_id: str = "inc-1") -> Incident:
    transition = Transition(None, IncidentState.OPEN, "2 readings in a row from outside failed", T0)
    return replace(opened(incident_id, HOST.name, SERVICE.name, transition), offers=offers)


def fixed(at: datetime = T0) -> Applied:
    step = plan().steps[0]
    return Applied(Outcome.FIXED, "Verified", (StepResult(step, 0, "net.ipv4.ip_forward = 1"),), (good(at), good(at)))


def click(user: str = APPROVER, target: str = "offer-1", place: Place = HOME, click_id: str = "click-1") -> Click:
    return Click(click_id, user, target, place)


def shown(incident: Incident, _now: datetime) -> Message:
    """A message that shows what tests ask about."""
    report = incident.report.status if incident.report else "no report"
    progress = " ".join(offer.progress for offer in incident.offers)
    return Message(f"{incident.id} {incident.state} {report} {progress}".strip(), ({"type": "divider"},))


class FakeChecker:
    """Hosts that are as a test says. ``reports`` makes what a look finds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.reading: Callable[[datetime], Reading] = good
        self.report: Callable[[datetime], Report] = healthy
        self.looks = 0
        self.remembered: dict[tuple[str, str], Baseline] = {}
        self.before_look: Callable[[], None] = lambda: None

    async def reach(self, host: Host, service: Service) -> Reading:  # noqa: ARG002  # the protocol's
        return self.reading(self.clock())

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:  # noqa: ARG002
        self.looks += 1
        self.before_look()
        return (self.report(self.clock()),)

    def remember(self, host: str, service: str, good: Baseline) -> None:
        self.remembered[host, service] = good

    def clock_set(self, by: timedelta) -> None:
        self.remembered = {of: good.moved(by) for of, good in self.remembered.items()}

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Nothing here plans."""


BEFORE = Snapshot({Family.SYSCTL: Values({"sysctl net.ipv4.ip_forward": "0"})})


class FakeExecutor:
    """Applies plans as a test says."""

    def __init__(self, applied: Applied | None = None) -> None:
        self.applied = applied or fixed()
        self.ran: list[Plan] = []
        self.resumed: list[Order] = []
        self.error: Exception | None = None

    @property
    def executor(self) -> Executor:
        return Executor(self.apply, self.resume)

    async def apply(self, order: Order, tell: OnEvent) -> Applied:
        self.ran.append(order.plan)
        await tell(Event(Happened.UNCHANGED, "as planned", before=BEFORE))
        await tell(Event(Happened.STEP_STARTED, "step 1 of 1: switch it on"))
        if self.error:
            raise self.error
        return self.applied

    async def resume(self, order: Order, before: Snapshot | None, tell: OnEvent) -> Applied:  # noqa: ARG002  # the protocol's
        self.resumed.append(order)
        if self.error:
            raise self.error
        return replace(self.applied, says="found out afterwards")


class SlowExecutor(FakeExecutor):
    """Stops ``halfway``, and goes on when it is let ``on``."""

    def __init__(self) -> None:
        super().__init__()
        self.halfway, self.on = asyncio.Event(), asyncio.Event()

    async def apply(self, order: Order, tell: OnEvent) -> Applied:
        applied = await super().apply(order, tell)
        self.halfway.set()
        await self.on.wait()
        return applied


class FakeSlack:
    """A channel that takes messages, or fails as a test says."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.calls: list[tuple[str, str]] = []
        self.errors: list[SendError | None] = []  # of the next calls; None passes
        self.called = asyncio.Event()
        self.posted: dict[str, str] = {}  # ts by the id of the post
        self.channels: list[str] = []  # of each post that was taken
        self.answers_lost = 0

    async def post(self, channel: str, message: Message, post_id: str) -> tuple[str, str]:
        self._take("post", message)
        if post_id not in self.posted:
            ts = self.posted[post_id] = f"{len(self.messages) + 1}.0"
            self.messages[ts] = message
            self.channels.append(channel)
        if self.answers_lost:
            self.answers_lost -= 1
            raise RetryLaterError("chat.postMessage: no answer from Slack")
        return f"id of {channel.removeprefix('id of ')}", self.posted[post_id]

    async def update(self, channel: str, ts: str, message: Message) -> None:
        assert channel.startswith("id of ")
        self._take("update", message)
        self.messages[ts] = message

    def _take(self, call: str, message: Message) -> None:
        self.calls.append((call, message.text))
        self.called.set()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages.values()]
