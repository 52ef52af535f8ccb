"""The first door: survey, diagnose, plan. One call, one report a service."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from checks.baseline import baseline
from checks.collect.descriptors import Budget
from checks.collect.ssh import Connection, offered_host_key
from checks.collect.survey import Survey
from checks.diagnose import diagnose
from checks.doctor import NEEDED, Requirement, examine
from checks.evidence.journey import segment
from checks.facts import ALL_FACTS
from checks.facts.engine import ENGINE
from checks.facts.root_session import ROOT_SESSION
from checks.fixes import ALL_FIXES
from checks.intervals import continued
from checks.look import Look
from checks.masking import without_secrets
from checks.model import (
    UNDETERMINED,
    Baseline,
    Blindness,
    Diagnosis,
    FixId,
    Hidden,
    Host,
    NoChange,
    Plan,
    Reading,
    Report,
    Service,
    Status,
    Verdict,
)
from checks.rights import missing
from checks.rungs import as_reading
from checks.source import Facts
from checks.timeline import timeline

_FIXES = {fix.id: fix for fix in ALL_FIXES}

_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="diagnose")
"""In which looks are diagnosed: 45,000 rules of a packet filter take seconds, in which others are to be read.

Two, so that such a host does not hold up the next one. Of Python's threads one runs at a time: more of them would leave
less for the event loop, and diagnose no sooner.
"""


class Checker:
    """Checks hosts over SSH connections that stay warm between calls."""

    def __init__(self, hosts: Iterable[Host], *, clock: Callable[[], datetime], concurrency: int = 20) -> None:
        """Know the hosts. Nothing is connected to before it is asked.

        Args:
            hosts: All that may be asked about; the others are each one's peers.
            clock: What time it is, with its zone.
            concurrency: Hosts that are looked at at the same time, if there are descriptors for so many.
        """
        self._clock = clock
        self._survey = Survey(hosts, clock, concurrency)
        self._newest: dict[tuple[str, str], Report] = {}  # as far as the next one needs it

    @property
    def hosts(self) -> Mapping[str, Host]:
        return self._survey.hosts

    @property
    def budget(self) -> Budget:
        """How many file descriptors there are for all hosts, and how many it takes."""
        return self._survey.budget

    async def reach(self, host: Host, service: Service) -> Reading:
        """Try to reach a service once from outside, without SSH. Never raises.

        Returns:
            How far the attempt got and how it ended. It takes 3 s at most.
        """
        return await self._survey.reach(host, service)

    async def check(self, host: Host, service: Service | None = None) -> tuple[Report, ...]:
        """Take one look at a host, diagnose it, and plan what would mend it.

        Args:
            host: One of ``hosts``.
            service: Only this one of it; None for each.

        Returns:
            A report for each service, in the order of the configuration. A host that cannot be looked at is no error:
            it is the report's ``trouble``.
        """
        return tuple([found for found, _ in await self._examine(host, (service,) if service else host.services)])

    async def examine(self, host: Host, service: Service) -> tuple[Report, Facts | None]:
        """Check one service.

        Returns:
            Its report, and the facts that it rests on: None where the host could not be looked at.
        """
        [examined] = await self._examine(host, (service,))
        return examined

    async def _examine(self, host: Host, services: Sequence[Service]) -> list[tuple[Report, Facts | None]]:
        started = time.perf_counter()
        looks = await self._survey.look(host, services)
        took = (time.perf_counter() - started) * 1000
        thinking = asyncio.get_running_loop().run_in_executor(_THREADS, _reports, looks, self._clock(), took)
        found = [(self._following(made), look.facts) for made, look in zip(await thinking, looks, strict=True)]
        for one, _ in found:
            if one.status is Status.HEALTHY and one.baseline is not None:
                self.remember(one.host, one.service, one.baseline)
        return found

    def _following(self, found: Report) -> Report:
        """The report, as the one that follows the newest of its service, whose place it takes."""
        key = found.host, found.service
        following = continued(found, self._newest.get(key))
        self._newest[key] = replace(following, readings=(), diagnosis=Diagnosis(), plans=(), refused=())
        return following

    async def doctor(self, host: Host) -> tuple[Requirement, ...]:
        """Find out what dockerhealth needs of a host, and what of it is there.

        Raises:
            LookError: The host could not be looked at.
        """
        return examine(await self._survey.ask(host, NEEDED))

    def remember(self, host: str, service: str, good: Baseline) -> None:
        """Compare the next looks at a service with this one, which found it healthy."""
        self._survey.remember(host, service, good)

    def clock_set(self, by: timedelta) -> None:
        """Hold what is known of earlier looks against a clock that was set by so much since."""
        self._survey.clock_set(by)

    def learn(self, host: str, experience: Mapping[str, float]) -> None:
        """Let plans say how long their steps took on a host the last time: the command of each, to its seconds."""
        self._survey.learn(host, experience)

    def connection(self, host: Host) -> Connection:
        """The warm connection to a host, over which plans are carried out."""
        return self._survey.connections[host.name]

    async def offered_host_key(self, host: Host) -> tuple[str, str]:
        """Ask a host for its key, without logging in and without trusting it.

        Returns:
            A line for known_hosts, and the key's fingerprint as ``ssh-keygen -l`` prints it.

        Raises:
            LookError: The host did not show one.
        """
        return await offered_host_key(host)

    async def close(self) -> None:
        """End every connection."""
        await self._survey.close()


def _reports(looks: Sequence[Look], at: datetime, took_ms: float) -> list[Report]:
    return without_secrets([report(look, at, took_ms) for look in looks])


def report(look: Look, at: datetime, took_ms: float) -> Report:
    """All that follows from one look. Pure."""
    diagnosis = diagnose(look)
    plans, refused = _plans(look, diagnosis)
    return Report(
        host=look.host.name,
        service=look.service.name,
        at=at,
        status=_status(look, diagnosis),
        readings=(
            look.outside,
            *(peer.seen for peer in look.peers if peer.seen is not None),
            *(as_reading(rung, look.service.kind, at) for rung in look.way.rungs),
        ),
        diagnosis=diagnosis,
        plans=plans,
        refused=refused,
        timeline=timeline(look),
        trouble=look.trouble,
        took_ms=took_ms,
        baseline=baseline(look),
        stands_in=look.stands_in,
        segment=segment(look),
        unavailable=look.facts.unavailable(ALL_FACTS) if look.facts is not None else (),
        blind=_blind(look),
    )


def _blind(look: Look) -> tuple[Blindness, ...]:
    """What of the host nobody could see: all of it, what its Engine tells, or what only root sees."""
    if look.facts is None:
        return (Blindness(Hidden.HOST, look.trouble.says),) if look.trouble else ()
    hidden = {ENGINE.name: Hidden.ENGINE, ROOT_SESSION.name: Hidden.ROOT}
    lacking = look.facts.unavailable((ENGINE, ROOT_SESSION))
    return tuple(Blindness(hidden[one.fact], one.why) for one in lacking if one.fact in hidden)


def _status(look: Look, diagnosis: Diagnosis) -> Status:
    """A host that could not be looked at is neither healthy nor unhealthy, but where the outside alone tells why.

    Nor is a service that this machine could not even try to reach.
    """
    if look.outside.unsound is not None:
        return Status.UNKNOWN
    if look.facts is None:
        told = diagnosis.root is not None and diagnosis.root.cause != UNDETERMINED
        return Status.UNHEALTHY if told else Status.UNKNOWN
    return Status.HEALTHY if look.outside.ok else Status.UNHEALTHY


def _plans(look: Look, diagnosis: Diagnosis) -> tuple[tuple[Plan, ...], tuple[NoChange, ...]]:
    """A plan for each fix of what is wrong, or will be, in that order; one fix once.

    Why a fix of what will be wrong has no plan is not told while the service is down: see Report.proposed.
    """
    plans: dict[FixId, Plan] = {}
    refused: dict[FixId, NoChange] = {}
    for finding in (*diagnosis.causes, *diagnosis.risks):
        for fix in finding.fixes:
            if fix in plans or fix in refused:
                continue
            match _FIXES[fix].plan(look, finding):
                case Plan() as plan:
                    plans[fix] = _within_rights(plan, look)
                case NoChange() as no_change if look.outside.ok or finding.verdict is Verdict.FAIL:
                    refused[fix] = no_change
    return tuple(plans.values()), tuple(refused.values())


def _within_rights(plan: Plan, look: Look) -> Plan:
    """The plan, left to a person where sudo would refuse a step of it or of its undo."""
    lacking = missing(plan, look)
    if not lacking or plan.by_hand:
        return plan
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    host = look.host.name
    says = f"dockerhealth may only look on {host}: it lacks `{lacking[0]}`{more}; see `dockerhealth doctor {host}`"
    return replace(plan, by_hand=says)
