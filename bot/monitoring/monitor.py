"""Turns readings into incidents, incidents into looks, and looks into reports and offers. All of it goes to the store.

The outbox shows what the store says; nothing here talks to Slack.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

import structlog

from bot.approvals.offers import renewed
from bot.approvals.policy import Policies
from bot.config import Settings
from bot.incidents.blindness import BlindHost
from bot.incidents.model import (
    Incident,
    IncidentKind,
    IncidentState,
    Key,
    Streak,
    Thresholds,
    Transition,
    left_unwatched,
    opening,
    predates_a_fix,
    step,
)
from bot.monitoring.blindness import Blindness
from bot.monitoring.shared_checks import Reports, SharedChecks
from bot.monitoring.tracker import IncidentTracker
from bot.monitoring.watchdog import Silence
from bot.monitoring.watcher_blind import WatcherBlind
from bot.monitoring.watcher_offline import WatcherOffline
from bot.monitoring.watcher_offline_rules import offline_report
from bot.store import RunEnded, Store, UnwritableError
from bot.tasks import Tasks
from checks.intervals import continued
from checks.model import Baseline, Host, Plan, Reading, Report, Service, Status

UNEXPLAINED_FOR = timedelta(seconds=15)
"""How old a look that does not explain an outage gets before the outage is looked at again."""

EXPLAINED_FOR = timedelta(minutes=1)
"""The same for one that does: it may have caught the host halfway, and the fault may have become another since."""

KNOWN_FOR = timedelta(seconds=15)
"""How long what goes on is not asked of the store again: another process may have changed it."""

STORE_TRIED_EVERY = 2.0  # seconds

log = structlog.get_logger()


class HostChecker(Protocol):
    """What finds out how a host is: checks.check.Checker."""

    async def reach(self, host: Host, service: Service) -> Reading: ...

    async def check(self, host: Host, service: Service | None = None) -> Reports: ...

    def remember(self, host: str, service: str, good: Baseline) -> None: ...

    def learn(self, host: str, experience: Mapping[str, float]) -> None: ...

    def clock_set(self, by: timedelta) -> None: ...


@dataclass(frozen=True)
class MonitorSettings:
    """How it is watched."""

    rules: Thresholds
    policies: Policies  # of what it offers
    channel: str  # where alerts are posted

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the configuration says of it."""
        rules = Thresholds(settings.checks.open_after, settings.checks.resolve_after)
        return cls(rules, settings.approvals.policies(), settings.slack.alert_channel)


@dataclass(frozen=True)
class CheckResult:
    """What a check found out about one service, and the incident whose offers fit it."""

    report: Report
    incident: Incident | None


@dataclass(frozen=True)
class ServiceOverview:
    """How one service is, as far as is known without asking it now."""

    host: str
    service: str
    reading: Reading | None  # the newest from outside; None until the first one has ended
    incident: Incident | None  # if one is live
    report: Report | None  # of the newest look
    blind: BlindHost | None = None  # where that did not see all of the host


class Monitor:
    def __init__(
        self,
        hosts: Iterable[Host],
        checker: HostChecker,
        store: Store,
        monitor_settings: MonitorSettings,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self._checker = checker
        self._store = store
        self._watching = monitor_settings
        self._clock = clock
        self._shared_checks = SharedChecks(self._check, clock)
        self._tasks = Tasks()
        self._renewing: set[str] = set()  # hosts
        self._known: dict[Key, tuple[datetime | None, datetime]] = {}  # outages of which nothing is asked before then
        self._no_more: Callable[[], None] = lambda: None  # ends that the ends of fixes are told here
        self._tracker = IncidentTracker(store, monitor_settings.channel)
        self._watcher_offline = WatcherOffline(
            self.hosts.values(),
            self._tracker,
            self._shared_checks,
            store,
            self._tasks,
            rules=monitor_settings.rules,
            open_after_all=self._open_after_all,
            clock=clock,
        )
        self._blindness = Blindness(self.hosts, self._tracker, store, clock=clock)
        keys = [(host.name, service.name) for host in self.hosts.values() for service in host.services]
        self._watcher_blind = WatcherBlind(keys, self._tracker, store, self._tasks, clock=clock)

    async def start(self) -> None:
        """Take up what the last process knew: how services were when all was well, and incidents that were live.

        Each of those gets a fresh look, and so does what a fix ended for from now on.
        """
        self._no_more = self._store.announcements.on(RunEnded, self._fix_ended)
        for host, service, good in await self._store.baselines.all():
            self._checker.remember(host, service, good)
        await self._end_unwatched()
        for incident in await self._store.incidents.live():
            self._tracker.know((incident.host, incident.service), incident.state)
            self.look_again(incident.host)
        await self._blindness.start()

    async def _end_unwatched(self) -> None:
        """End the incidents of services that left the configuration: no reading would ever end them.

        Those of no service see to their ends themselves.
        """
        watched = {(host.name, service.name) for host in self.hosts.values() for service in host.services}
        for incident in await self._store.incidents.live():
            key = incident.host, incident.service
            ending = None if key in watched or not incident.service else left_unwatched(incident, self._clock())
            if ending is not None:
                await self._tracker.move(key, incident, ending)

    async def close(self) -> None:
        """End every look, and begin no other."""
        self._no_more()
        await self._shared_checks.close()
        await self._tasks.close(grace=2)

    # --- readings ---

    async def read(self, host: Host, service: Service) -> None:
        """Reach a service from outside once, and draw the consequences."""
        with suppress(UnwritableError):  # it says so itself, once; the next reading draws them when it can be written
            await self.take(host, service, await self._checker.reach(host, service))

    async def take(self, host: Host, service: Service, reading: Reading) -> None:
        """Draw the consequences of a reading from outside. One that failed because of dockerhealth itself has none."""
        key = host.name, service.name
        self._watcher_blind.took(key, reading)
        if self._tracker.spoiled(key, reading):
            return
        async with self._tracker.locks[key]:
            streak = self._tracker.count(key, reading)
            if reading.ok:
                await self._watcher_offline.reached(streak, reading)
            if key not in self._tracker.live:
                if reading.ok:
                    return
                if streak.failed < self._watching.rules.open_after:
                    self._suspect(host, service, streak)
                    return
            elif self._is_known(key, streak):
                return
            await self._conclude(host, service, reading, held=False)

    def fell_silent(self, silence: Silence) -> None:
        """Draw the consequences of readings that have stopped."""
        self._watcher_blind.fell_silent(silence)

    async def _open_after_all(self, host: Host, service: Service) -> None:
        """It was held to be the watcher's fault, and is an incident of its own, if it has not come back meanwhile."""
        key = host.name, service.name
        async with self._tracker.locks[key]:
            await self._conclude(host, service, self._tracker.readings[key], held=True)

    async def _conclude(self, host: Host, service: Service, reading: Reading, *, held: bool) -> None:
        """Move the incident of a service on, as its newest reading says. One that was ``held`` is not held again."""
        key = host.name, service.name
        incident = await self._tracker.newest(key)
        streak, now = self._tracker.streaks[key], self._clock()  # the failures may have been forgotten meanwhile
        transition = step(incident, streak, reading, self._watching.rules, now)
        if transition is None:
            if incident and streak.failed >= self._watching.rules.open_after:
                self._goes_on(host, key, incident, now)
            return
        since = streak.since or reading.at
        if transition.new is IncidentState.OPEN and not held and self._watcher_offline.may_be(key, streak):
            self._watcher_offline.hold(host, service, since)
        elif await self._tracker.move(key, incident, transition) and transition.new is IncidentState.OPEN:
            self._diagnose(host, service, since)

    def _goes_on(self, host: Host, key: Key, incident: Incident, now: datetime) -> None:
        """Look at an outage again if that is due; else ask nothing of it until it is."""
        report = incident.report
        if outdated(incident, now):
            if not self._watcher_offline.is_told:
                self._renew(host)
        elif report is not None and incident.state in {IncidentState.OPEN, IncidentState.ACKNOWLEDGED}:
            until = now + min(_holds_for(report) - abs(now - report.at), KNOWN_FOR)
            self._known[key] = self._tracker.streaks[key].since, until

    def _is_known(self, key: Key, streak: Streak) -> bool:
        """Whether one more failed reading changes nothing: its outage has been told, and was looked at a moment ago.

        What another process makes of it meanwhile is seen some seconds later. To load each incident for each reading
        is what a storm would otherwise spend most of its time on.
        """
        since, until = self._known.get(key, (None, None))
        now = self._clock()
        going_on = bool(streak.failed) and streak.since == since
        return going_on and until is not None and until - KNOWN_FOR <= now < until  # the clock may be put back

    def _suspect(self, host: Host, service: Service, streak: Streak) -> None:
        """One failed reading is nothing; but should more follow, the diagnosis is there at once."""
        if streak.failed == 1 and streak.since:
            self._tasks.start(self._look_at_fault(host, service, streak.since), f"first look at {host.name}")

    def _look_at_fault(self, host: Host, service: Service, since: datetime) -> Coroutine[Any, Any, Reports]:
        well = self._tracker.well.get((host.name, service.name))
        return self._shared_checks.look_at_fault(host, service.name, since, well)

    # --- fixes ---

    def _fix_ended(self, run: RunEnded) -> None:
        """Readings from before the end count for nothing, and a fresh look makes fresh offers."""
        self._tracker.forget((run.host, run.service))
        self.look_again(run.host)
        if run.host not in self.hosts:
            self._tasks.start(self._end_unwatched(), f"end what is watched no more on {run.host}")

    # --- looks ---

    async def _check(self, host: Host) -> Reports:
        """A look, with what is known of earlier fixes of any process: plans say how long they take."""
        self._checker.learn(host.name, await self._store.runs.experience(host.name))
        reports = await self._checker.check(host)
        self._tasks.start(self._blindness.looked(host.name, reports), f"look at {host.name}: was all of it seen")
        return reports

    async def look(self, host: Host) -> None:
        """The deeper look of every few minutes: risks while all is well, a fresh diagnosis while it is not."""
        reports = await self._shared_checks.look(host, self._clock())
        with suppress(UnwritableError):
            for report in reports:
                await self._absorb(report)

    def look_again(self, host: str) -> None:
        """A fresh look soon: what is known of the host may have changed."""
        if host in self.hosts:
            self._tasks.start(self.look(self.hosts[host]), f"look again at {host}")

    def _renew(self, host: Host) -> None:
        """Look afresh at what an old look says: once, however many services of the host are broken."""
        if host.name not in self._renewing:
            self._renewing.add(host.name)
            self._tasks.start(self._renewed(host), f"look afresh at {host.name}")

    async def _renewed(self, host: Host) -> None:
        try:
            await self.look(host)
        finally:
            self._renewing.discard(host.name)

    async def check(self, host: Host, service: Service | None = None, who: str = "") -> tuple[CheckResult, ...]:
        """Look now, because ``who`` asked. A fault that can be mended becomes an incident without further readings."""
        reports = await self._shared_checks.look(host, self._clock())
        wanted = [report for report in reports if service is None or report.service == service.name]
        return tuple([await self._absorb(report, asked_by=who) for report in wanted])

    async def prevent(self, report: Report, plan: Plan, who: str) -> Incident | None:
        """Make an incident of a risk of a service that is well, because ``who`` wants it mended. None if it has one."""
        key = report.host, report.service
        risk = next((risk.title for risk in report.diagnosis.risks if risk.cause == plan.cause), plan.title)
        async with self._tracker.locks[key]:
            reason = f"a risk is to be mended: {risk}"
            transition = Transition(None, IncidentState.OPEN, reason, self._clock(), who, IncidentKind.PREVENTION)
            if not await self._tracker.move(key, None, transition, risk):
                return None
            incident = await self._tracker.newest(key)
            if incident is not None:
                offers = renewed((), report, self._watching.policies, self._clock(), _offer_id)
                await self._store.incidents.save_report(incident.id, report, offers, self._clock())
            return await self._tracker.newest(key)

    def _diagnose(self, host: Host, service: Service, since: datetime) -> None:
        self._tasks.start(self._opening_look(host, service, since), f"diagnose {host.name}")

    async def _opening_look(self, host: Host, service: Service, since: datetime) -> None:
        """The look that an incident opens with."""
        reports = await self._look_at_fault(host, service, since)
        well = any(report.service == service.name and report.status is Status.HEALTHY for report in reports)
        if well or offline_report(reports) is not None:
            # When the look that began on suspicion came by, it was well, or not to be seen; it has failed since then.
            reports = await self._shared_checks.look(host, self._clock())
        for report in reports:
            if report.service == service.name:  # others that fail have looks that they open with
                await self._absorb_in_the_end(report)

    async def _absorb_in_the_end(self, report: Report) -> None:
        """Store what a look found, when the store can be written: no other look is due before some minutes."""
        while True:
            try:
                await self._absorb(report)
            except UnwritableError:
                await asyncio.sleep(STORE_TRIED_EVERY)
            else:
                return

    async def _absorb(self, report: Report, asked_by: str | None = None) -> CheckResult:
        """Store what a look found. Returns it as stored, and the live incident: as it is then, where somebody asked."""
        key = report.host, report.service
        async with self._tracker.locks[key]:
            await self._store.baselines.keep(report)
            incident = await self._tracker.newest(key)
            blind = offline_report((report,)) is not None  # it tells of the watcher, and nothing of the service
            told = blind and self._watcher_offline.is_told and incident is not None and incident.report is not None
            if asked_by is not None and report.status is Status.UNHEALTHY and report.proposed and not blind:
                found = report.diagnosis.root.title if report.diagnosis.root else "not healthy"
                streak = self._tracker.streaks[key]
                since = streak.since if streak.failed else None
                transition = opening(incident, f"found by a check: {found}", self._clock(), asked_by, since=since)
                if transition and await self._tracker.move(key, incident, transition):
                    incident = await self._tracker.newest(key)
            if incident is None or incident.state is IncidentState.RESOLVED:
                await self._store.incidents.save_look(report)
                return CheckResult(report, None)
            report = continued(report, incident.report)
            if incident.state is IncidentState.FIXING or predates_a_fix(incident, report, self._clock()) or told:
                return CheckResult(report, incident)
            now = self._clock()
            changed = renewed(incident.offers, report, self._watching.policies, now, _offer_id)
            await self._store.incidents.save_report(incident.id, report, changed, now)
            if asked_by is None:
                return CheckResult(report, incident)
            return CheckResult(report, await self._store.incidents.get(incident.id))

    # --- what is known ---

    def clock_set(self, by: timedelta) -> None:
        """Let what goes on last as long as it does, by a clock that was set."""
        self._checker.clock_set(by)
        self._tracker.clock_set(by)
        self._blindness.clock_set(by)

    @property
    def own_trouble(self) -> str:
        """What makes readings fail on this machine itself at the moment; empty where nothing does."""
        return self._watcher_blind.trouble

    async def overview(self) -> tuple[ServiceOverview, ...]:
        """All services, in the order of the configuration."""
        live = {(incident.host, incident.service): incident for incident in await self._store.incidents.live()}
        reports = {(report.host, report.service): report for report in await self._store.incidents.last_reports()}
        keys = [(host.name, service.name) for host in self.hosts.values() for service in host.services]
        return tuple(
            ServiceOverview(
                *key,
                self._tracker.readings.get(key),
                live.get(key),
                reports.get(key),
                self._blindness.hosts.get(key[0]),
            )
            for key in keys
        )


def outdated(incident: Incident, now: datetime) -> bool:
    """Whether it is time to look again at what is broken. A look may not explain it: it was well just then, say."""
    report = incident.report
    if report is None or incident.state not in {IncidentState.OPEN, IncidentState.ACKNOWLEDGED}:
        return False
    return abs(now - report.at) >= _holds_for(report)  # one of the future is as old: the clock was put back since


def _holds_for(report: Report) -> timedelta:
    return EXPLAINED_FOR if report.status is Status.UNHEALTHY else UNEXPLAINED_FOR


def _offer_id() -> str:
    return secrets.token_urlsafe(15)  # not to be guessed: it is all that a button carries
