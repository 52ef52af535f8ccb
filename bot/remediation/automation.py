"""Does what needs no person: says that a fault has come back, and begins a fix that the configuration allows.

What decides is pure: bot/incidents/recurrence.py and bot/approvals/auto.py.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot.approvals.auto import AutoApproval, automatic
from bot.approvals.policy import Policies
from bot.incidents.audit import Entry
from bot.incidents.model import AUTO, Incident, IncidentKind, Stopped
from bot.incidents.recurrence import DAYS, recurrence
from bot.remediation.runner import Runner
from bot.store import DiagnosisStored, Store
from bot.tasks import Tasks
from bot.wording.automation import no_longer_by_itself

log = structlog.get_logger()


class Automation:
    def __init__(
        self,
        store: Store,
        runner: Runner,
        policies: Policies,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._runner = runner
        self._policies = policies
        self._clock = clock
        self._tasks = Tasks()
        self._no_more: Callable[[], None] = lambda: None  # ends that diagnoses are told here
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def start(self) -> None:
        """Consider every incident that a look says something of, from now on."""
        self._no_more = self._store.announcements.on(DiagnosisStored, self._diagnosed)

    async def close(self) -> None:
        """End what is being considered. What is said from now on is for the next process, which looks afresh."""
        self._no_more()
        await self._tasks.close(grace=2)

    def _diagnosed(self, stored: DiagnosisStored) -> None:
        self._tasks.start(self._consider_stored(stored.incident_id), f"consider {stored.incident_id}")

    async def _consider_stored(self, incident_id: str) -> None:
        incident = await self._store.incidents.get(incident_id)
        if incident is not None and incident.kind is IncidentKind.OUTAGE:
            await self.consider(incident)

    async def consider(self, incident: Incident) -> None:
        """Draw the conclusions from what is known of an outage that no person has to."""
        async with self._locks[incident.host]:  # two looks at once must not count the same runs
            now = self._clock()
            past = await self._store.incidents.past(incident, since=now - timedelta(days=DAYS))
            history = await self._store.runs.history(incident.host)
            decided = automatic(incident, self._policies, history, now)
            stopped = decided if isinstance(decided, Stopped) else None
            await self._tell(incident, recurrence(past, incident, now), stopped)
            if isinstance(decided, AutoApproval):
                log.info("fix: without a click", host=incident.host, fix=decided.offer.plan.fix)
                await self._runner.begin(incident, decided.offer, decided.approval)

    async def _tell(self, incident: Incident, recurs: str, stopped: Stopped | None) -> None:
        """Show it in the alert; that automatic fixing has stopped, and why, is also for the record, once."""
        if (recurs, stopped) == (incident.recurs, incident.stopped):
            return
        now, entry = self._clock(), None
        if stopped is not None and stopped != incident.stopped:
            says = no_longer_by_itself(stopped, incident.host)
            entry = Entry(now, AUTO, incident.host, incident.service, "automatic-fixing-stopped", says)
        await self._store.incidents.note(incident.id, recurs, stopped, now, entry)
