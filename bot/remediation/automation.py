"""What is done about an incident without being asked: it is said if it comes back, and what needs no click begins.

What decides is pure: bot/incidents/recurrence.py and bot/approvals/auto.py.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot.approvals.auto import AutoApproval, Stopped, automatic
from bot.approvals.policy import Policies
from bot.incidents.audit import Entry
from bot.incidents.model import AUTO, Incident
from bot.incidents.recurrence import DAYS, recurrence
from bot.remediation.runner import Fixing
from bot.store import Store

log = structlog.get_logger()


class Automation:
    def __init__(
        self,
        store: Store,
        fixing: Fixing,
        policies: Policies,
        *,
        wake_outbox: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._fixing = fixing
        self._policies = policies
        self._wake_outbox = wake_outbox
        self._clock = clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def consider(self, incident: Incident) -> None:
        """A look at an incident was kept: draw the conclusions that no person has to."""
        async with self._locks[incident.host]:  # two looks at once must not count the same runs
            now = self._clock()
            past = await self._store.incidents.past(incident, since=now - timedelta(days=DAYS))
            history = await self._store.runs.history(incident.host)
            decided = automatic(incident, self._policies, history, now)
            stopped = decided.says if isinstance(decided, Stopped) else ""
            await self._tell(incident, " ".join(filter(None, (recurrence(past, incident, now), stopped))), stopped)
            if isinstance(decided, AutoApproval):
                log.info("fix: without a click", host=incident.host, fix=decided.offer.plan.fix)
                await self._fixing.begin(incident, decided.offer, decided.approval)

    async def _tell(self, incident: Incident, says: str, stopped: str) -> None:
        """Show it in the alert; that automatic fixing has stopped is also for the record, once an incident."""
        if says == incident.recurs:
            return
        now = self._clock()
        entry = Entry(now, AUTO, incident.host, incident.service, "automatic-fixing-stopped", stopped)
        news = bool(stopped) and stopped not in incident.recurs
        await self._store.incidents.note(incident.id, says, now, entry if news else None)
        self._wake_outbox()
