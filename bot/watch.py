"""The conductor: readings to incidents, incidents to looks, looks to reports and offers, all of it to the store.

The outbox shows what the store says; nothing here talks to Slack.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bot.incidents import (
    LIVE,
    TO_PREVENT,
    Incident,
    Rules,
    State,
    Streak,
    Transition,
    opened,
    opening,
    predates_a_fix,
    step,
)
from bot.looks import Looks, Reports
from bot.offers import renewed
from bot.offline import EVERYWHERE, cut_off, may_be_cut_off, not_cut_off
from bot.policy import Policies
from bot.store import Store
from bot.tasks import Tasks
from checks.model import Digest, Host, Plan, Reading, Report, Service, Status

DIAGNOSIS_GRACE = timedelta(seconds=2)
"""How long an alert waits for its diagnosis before it is posted without one."""

UNEXPLAINED_FOR = timedelta(seconds=15)
"""How old a look that does not explain an outage gets before the outage is looked at again."""

EXPLAINED_FOR = timedelta(minutes=1)
"""The same for one that does: it may have caught the host halfway, and the fault may have become another since."""

HELD_FOR_MOST = 10.0
"""Seconds that an incident waits for the look that tells whether the watcher itself is cut off."""

Key = tuple[str, str]  # host, service

log = structlog.get_logger()


class Looker(Protocol):
    """What finds out how a host is: checks.check.Checker."""

    async def reach(self, host: Host, service: Service) -> Reading: ...

    async def check(self, host: Host, service: Service | None = None) -> Reports: ...

    def remember(self, host: str, service: str, good: Digest) -> None: ...

    def learn(self, host: str, experience: Mapping[str, float]) -> None: ...


@dataclass(frozen=True)
class Watching:
    """How it is watched."""

    rules: Rules
    policies: Policies  # of what it offers
    channel: str  # where alerts are posted


@dataclass(frozen=True)
class Checked:
    """What a check found out about one service, and the incident whose offers fit it."""

    report: Report
    incident: Incident | None


@dataclass(frozen=True)
class Standing:
    """How one service is, as far as is known without asking it now."""

    host: str
    service: str
    reading: Reading | None  # the newest from outside; None until the first one has ended
    incident: Incident | None  # if one is live
    report: Report | None  # of the newest look


class Watch:
    def __init__(  # noqa: PLR0913  # each is a thing of its own; app.py names them
        self,
        hosts: Iterable[Host],
        looker: Looker,
        store: Store,
        watching: Watching,
        *,
        consider: Callable[[Incident], Awaitable[None]],
        wake_outbox: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.hosts: Mapping[str, Host] = {host.name: host for host in hosts}
        self._looker = looker
        self._store = store
        self._watching = watching
        self._consider = consider
        self._wake_outbox = wake_outbox
        self._clock = clock
        self._looks = Looks(self._check, clock)
        self._tasks = Tasks()
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._streaks: defaultdict[Key, Streak] = defaultdict(Streak)
        self._readings: dict[Key, Reading] = {}
        self._held: set[Key] = set()  # services whose incident waits for a look
        self._cut_off_at: datetime | None = None  # when that was last seen
        self._live: set[Key] = set()  # services with a live incident: good readings of others need no question

    async def start(self) -> None:
        """Take up what the last process knew: how services were when all was well, and incidents that were live.

        Each of those gets a fresh look.
        """
        for host, service, good in await self._store.good_looks.all():
            self._looker.remember(host, service, good)
        for incident in await self._store.incidents.live():
            self._live.add((incident.host, incident.service))
            self.look_again(incident.host)

    async def close(self) -> None:
        await self._looks.close()
        await self._tasks.close(grace=2)

    # --- readings ---

    async def read(self, host: Host, service: Service) -> None:
        """Reach a service from outside once, and draw the consequences."""
        await self.take(host, service, await self._looker.reach(host, service))

    async def take(self, host: Host, service: Service, reading: Reading) -> None:
        """Draw the consequences of a reading from outside."""
        key = host.name, service.name
        async with self._locks[key]:
            streak = self._streaks[key] = self._streaks[key].after(reading)
            self._readings[key] = reading
            if reading.ok and EVERYWHERE in self._live:
                await self._reached_again(streak, reading)
            if key not in self._live:
                if reading.ok:
                    return
                if streak.failed < self._watching.rules.open_after:
                    self._suspect(host, streak)
                    return
            incident = await self._store.incidents.newest(*key)
            self._know(key, incident.state if incident else None)
            now = self._clock()
            transition = step(incident, streak, reading, self._watching.rules, now)
            blind = EVERYWHERE in self._live
            if incident and not transition and not reading.ok and not blind and outdated(incident, now):
                self.look_again(host.name)
            if transition and transition.new is State.OPEN and self._may_be_cut_off(key, streak):
                self._hold(host, service, streak.since or reading.at)
                return
            if transition and await self._moved(key, incident, transition) and transition.new is State.OPEN:
                self._tasks.start(self._diagnose(host, service, streak.since or reading.at), f"diagnose {host.name}")

    # --- when nothing at all is reached ---

    def _may_be_cut_off(self, key: Key, streak: Streak) -> bool:
        newest = {
            (host.name, service.name): self._readings.get((host.name, service.name))
            for host in self.hosts.values()
            for service in host.services
        }
        return may_be_cut_off(key, streak.since or self._clock(), newest, self._live)

    def _hold(self, host: Host, service: Service, since: datetime) -> None:
        """Let the look that began on suspicion say whether this is one incident or one of many."""
        key = host.name, service.name
        if EVERYWHERE in self._live:
            since = self._clock()
            if self._cut_off_at is not None and since - self._cut_off_at < EXPLAINED_FOR:
                return
        if key not in self._held:
            self._held.add(key)
            self._tasks.start(self._decide(host, service, since), f"diagnose {host.name}, or all hosts")

    async def _decide(self, host: Host, service: Service, since: datetime) -> None:
        try:
            reports = await self._look_within(host, since)
        finally:
            self._held.discard((host.name, service.name))
        notice = cut_off(reports)
        if notice is not None:
            await self._cut_off(notice, since)
        elif EVERYWHERE not in self._live:
            await self._open_held(host, service)
        elif why := not_cut_off(reports):
            await self._reached_after_all(f"{host.name}: {why}")

    async def _look_within(self, host: Host, since: datetime) -> Reports:
        """A look, or nothing: whatever becomes of it, an alert must follow."""
        try:
            async with asyncio.timeout(HELD_FOR_MOST):
                return await self._looks.look(host, since)
        except Exception:
            log.exception("no look told whether the watcher is cut off", host=host.name)
            return ()

    async def _open_held(self, host: Host, service: Service) -> None:
        """It is an incident of its own, if the service has not come back meanwhile."""
        key = host.name, service.name
        async with self._locks[key]:
            streak = self._streaks[key]
            incident = await self._store.incidents.newest(*key)
            transition = step(incident, streak, self._readings[key], self._watching.rules, self._clock())
            if transition and await self._moved(key, incident, transition) and transition.new is State.OPEN:
                since = streak.since or transition.at
                self._tasks.start(self._diagnose(host, service, since), f"diagnose {host.name}")

    async def _cut_off(self, notice: Report, since: datetime) -> None:
        """One incident for all services, with the newest look that says so."""
        async with self._locks[EVERYWHERE]:
            now = self._cut_off_at = self._clock()
            incident = await self._store.incidents.newest(*EVERYWHERE)
            transition = opening(incident, "no host is reached from outside", now)
            if transition and await self._moved(EVERYWHERE, incident, transition, since):
                incident = await self._store.incidents.newest(*EVERYWHERE)
            if incident is not None:
                await self._store.incidents.save_report(incident.id, notice, (), now)
                self._wake_outbox()

    async def _reached_again(self, streak: Streak, reading: Reading) -> None:
        async with self._locks[EVERYWHERE]:
            incident = await self._store.incidents.newest(*EVERYWHERE)
            transition = step(incident, streak, reading, self._watching.rules, self._clock())
            if transition and await self._moved(EVERYWHERE, incident, transition):
                self._forget_failures()

    async def _reached_after_all(self, why: str) -> None:
        async with self._locks[EVERYWHERE]:
            incident = await self._store.incidents.newest(*EVERYWHERE)
            if incident is not None and incident.state in LIVE:
                transition = Transition(incident.state, State.RESOLVED, why, self._clock())
                if await self._moved(EVERYWHERE, incident, transition):
                    self._forget_failures()

    def _forget_failures(self) -> None:
        """What failed while nothing was reached shows nothing: who is really broken fails again."""
        for key, streak in self._streaks.items():
            if streak.failed and key not in self._live:
                self._streaks[key] = Streak()

    # --- fixes ---

    def fix_ended(self, host: str, service: str) -> None:
        """A fix ended: readings from before it count for nothing, and a fresh look makes fresh offers."""
        self._streaks[host, service] = Streak()
        self.look_again(host)

    def _suspect(self, host: Host, streak: Streak) -> None:
        """One failed reading is nothing; but should more follow, the diagnosis is there at once."""
        if streak.failed == 1 and streak.since:
            self._tasks.start(self._looks.look(host, streak.since), f"first look at {host.name}")

    async def _moved(
        self, key: Key, incident: Incident | None, transition: Transition, since: datetime | None = None
    ) -> bool:
        """Store a transition, of a new incident (that began ``since``) or of the given one. False if late."""
        if transition.old is None or incident is None:
            began = since or self._streaks[key].since or transition.at
            new = opened(f"inc-{secrets.token_hex(6)}", *key, transition, began)
            stored = await self._store.incidents.add(new, self._watching.channel, transition.at + DIAGNOSIS_GRACE)
        else:
            stored = await self._store.incidents.move(incident.id, transition)
        if not stored:
            return False
        self._know(key, transition.new)
        log.info("incident", host=key[0], service=key[1], state=transition.new, reason=transition.reason)
        self._wake_outbox()
        return True

    def _know(self, key: Key, state: State | None) -> None:
        (self._live.add if state in LIVE else self._live.discard)(key)

    # --- looks ---

    async def _check(self, host: Host) -> Reports:
        """A look, with what is known of earlier fixes of any process: plans say how long they take."""
        self._looker.learn(host.name, await self._store.runs.experience(host.name))
        return await self._looker.check(host)

    async def look(self, host: Host) -> None:
        """The deeper look of every few minutes: risks while all is well, a fresh diagnosis while it is not."""
        reports = await self._looks.look(host, self._clock())
        for report in reports:
            await self._absorb(report)

    def look_again(self, host: str) -> None:
        """A fresh look soon: what is known of the host may have changed."""
        if host in self.hosts:
            self._tasks.start(self.look(self.hosts[host]), f"look again at {host}")

    async def check(self, host: Host, service: Service | None = None, who: str = "") -> tuple[Checked, ...]:
        """Look now, because ``who`` asked. A fault that can be mended becomes an incident without further readings."""
        reports = await self._looks.look(host, self._clock())
        wanted = [report for report in reports if service is None or report.service == service.name]
        return tuple([Checked(report, await self._absorb(report, asked_by=who)) for report in wanted])

    async def prevent(self, report: Report, plan: Plan, who: str) -> Incident | None:
        """Make an incident of a risk of a service that is well, because ``who`` wants it mended. None if it has one."""
        key = report.host, report.service
        risk = next((risk.title for risk in report.diagnosis.risks if risk.cause == plan.cause), plan.title)
        async with self._locks[key]:
            transition = Transition(None, State.OPEN, f"{TO_PREVENT}{risk}", self._clock(), who)
            if not await self._moved(key, None, transition):
                return None
            incident = await self._store.incidents.newest(*key)
            if incident is not None:
                offers = renewed((), report, self._watching.policies, self._clock(), _offer_id)
                await self._store.incidents.save_report(incident.id, report, offers, self._clock())
        return await self._store.incidents.newest(*key)

    async def _diagnose(self, host: Host, service: Service, since: datetime) -> None:
        """The look that an incident opens with."""
        reports = await self._looks.look(host, since)
        well = any(report.service == service.name and report.status is Status.HEALTHY for report in reports)
        if well or cut_off(reports) is not None:
            # When the look that began on suspicion came by, it was well, or not to be seen; it has failed since then.
            reports = await self._looks.look(host, self._clock())
        for report in reports:
            await self._absorb(report)

    async def _absorb(self, report: Report, asked_by: str | None = None) -> Incident | None:
        """Store what a look found, and draw the conclusions. Returns the live incident of the service, if any."""
        incident, news = await self._keep(report, asked_by)
        if incident is not None and news:
            await self._consider(incident)
        return incident

    async def _keep(self, report: Report, asked_by: str | None) -> tuple[Incident | None, bool]:
        """Returns the live incident of the service, and whether the look says anything new of it."""
        key = report.host, report.service
        async with self._locks[key]:
            await self._store.good_looks.keep(report)
            incident = await self._store.incidents.newest(*key)
            blind = cut_off((report,)) is not None  # it tells of the watcher, and nothing of the service
            told = blind and EVERYWHERE in self._live and incident is not None and incident.report is not None
            if asked_by is not None and report.status is Status.UNHEALTHY and report.plans and not blind:
                found = report.diagnosis.root.title if report.diagnosis.root else "not healthy"
                transition = opening(incident, f"found by a check: {found}", self._clock(), asked_by)
                if transition and await self._moved(key, incident, transition):
                    incident = await self._store.incidents.newest(*key)
            if incident is None or incident.state is State.RESOLVED:
                await self._store.incidents.save_look(report)
                return None, False
            if incident.state is State.FIXING or predates_a_fix(incident, report) or told:
                return incident, False
            now = self._clock()
            changed = renewed(incident.offers, report, self._watching.policies, now, _offer_id)
            await self._store.incidents.save_report(incident.id, report, changed, now)
            self._wake_outbox()
            return await self._store.incidents.get(incident.id), True

    # --- what is known ---

    async def overview(self) -> tuple[Standing, ...]:
        """All services, in the order of the configuration."""
        live = {(incident.host, incident.service): incident for incident in await self._store.incidents.live()}
        reports = {(report.host, report.service): report for report in await self._store.incidents.last_reports()}
        keys = [(host.name, service.name) for host in self.hosts.values() for service in host.services]
        return tuple(Standing(*key, self._readings.get(key), live.get(key), reports.get(key)) for key in keys)


def outdated(incident: Incident, now: datetime) -> bool:
    """Whether it is time to look again at what is broken. A look may not explain it: it was well just then, say."""
    report = incident.report
    if report is None or incident.state not in {State.OPEN, State.ACKNOWLEDGED}:
        return False
    return now - report.at >= (EXPLAINED_FOR if report.status is Status.UNHEALTHY else UNEXPLAINED_FOR)


def _offer_id() -> str:
    return secrets.token_urlsafe(15)  # not to be guessed: it is all that a button carries
