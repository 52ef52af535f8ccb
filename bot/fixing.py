"""Carries approved offers out: claimed once, reported step by step, and always ended in the store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.incidents import Approval, Incident, Offer, ended, fixing
from bot.store import Store
from bot.tasks import Tasks
from checks.apply import OnProgress, Progress
from checks.model import Applied, Outcome, Plan

LEASE = timedelta(seconds=15)
"""A runner that has given no sign of life for this long is dead."""

SIGN_OF_LIFE = 5.0  # seconds
STORE_ATTEMPTS = 5

log = structlog.get_logger()


Apply = Callable[[Plan, OnProgress], Awaitable[Applied]]
"""Runs a plan and verifies it: checks.apply.apply, behind the checker that it needs."""


class Fixing:
    """``after`` is told the host and service of each fix that ended."""

    def __init__(
        self,
        store: Store,
        apply: Apply,
        *,
        wake_outbox: Callable[[], None],
        after: Callable[[str, str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._apply = apply
        self._wake_outbox = wake_outbox
        self._after = after
        self._clock = clock
        self._tasks = Tasks()

    async def begin(self, incident: Incident, offer: Offer, approval: Approval) -> bool:
        """Claim the offer and start to carry it out. False, and nothing runs, if anything changed meanwhile."""
        if not await self.claim(incident, offer, approval):
            return False
        self._tasks.start(self.carry_out(incident, offer), f"fix {offer.plan.fix} on {incident.host}")
        return True

    async def claim(self, incident: Incident, offer: Offer, approval: Approval) -> bool:
        transition = fixing(incident, offer.plan, approval.who, approval.at)
        lease = self._clock() + LEASE
        claimed = transition is not None and await self._store.incidents.claim(
            incident.id, offer.id, approval, transition, lease
        )
        log.info("approval", host=incident.host, fix=offer.plan.fix, offer=offer.id, who=approval.who, counts=claimed)
        self._wake_outbox()
        return claimed

    async def carry_out(self, incident: Incident, offer: Offer) -> Applied:
        """Run a claimed offer's plan to its end, whatever that is, and store it."""

        async def on_progress(progress: Progress) -> None:
            log.info("fix", host=incident.host, fix=offer.plan.fix, progress=progress.says)
            try:
                await self._store.incidents.progress(offer.id, progress.says, self._clock())
            except SQLAlchemyError:
                log.exception("fix: progress could not be stored; the fix goes on", offer=offer.id)
            self._wake_outbox()

        try:
            async with self._alive(offer):
                applied = await self._apply(offer.plan, on_progress)
        except asyncio.CancelledError:
            # The process is being stopped. What the host did by then is not known, and must not look as if it were.
            await asyncio.shield(self._end(incident, offer, _stopped(offer)))
            raise
        except Exception as error:  # an error of ours must not leave the incident FIXING for ever
            log.exception("fix: failed because of an error in dockerhealth", host=incident.host, fix=offer.plan.fix)
            applied = Applied(
                Outcome.UNKNOWN,
                f'"{offer.plan.title}" broke off: an error in dockerhealth ({type(error).__name__}: {error}). '
                f"How far it got on {incident.host} is not known; the log has the details.",
            )
        await self._end(incident, offer, applied)
        return applied

    async def recover(self) -> None:
        """End what a dead process left running: as UNKNOWN, never by running anything again."""
        for incident, offer in await self._store.incidents.abandoned(self._clock()):
            log.warning("fix: its runner is gone", host=incident.host, fix=offer.plan.fix, offer=offer.id)
            await self._end(incident, offer, _stopped(offer))

    async def close(self, grace: float) -> None:
        """Let running fixes end for ``grace`` seconds; those that do not are ended as UNKNOWN."""
        await self._tasks.close(grace)

    async def _end(self, incident: Incident, offer: Offer, applied: Applied) -> None:
        log.info("fix: ended", host=incident.host, fix=offer.plan.fix, outcome=applied.outcome, says=applied.says)
        for _ in range(STORE_ATTEMPTS):
            try:
                if await self._stored(incident.id, offer, applied):
                    break
            except SQLAlchemyError:
                log.exception("fix: its end could not be stored, trying again", offer=offer.id, says=applied.says)
                await asyncio.sleep(1)
        self._wake_outbox()
        self._after(incident.host, incident.service)

    async def _stored(self, incident_id: str, offer: Offer, applied: Applied) -> bool:
        now = self._clock()
        incident = await self._store.incidents.get(incident_id)
        if incident is None:
            raise LookupError(f"incident {incident_id} is gone from the store")
        transition = ended(incident.state, applied, now)
        return await self._store.incidents.finish(incident_id, offer.id, applied, transition, now)

    @asynccontextmanager
    async def _alive(self, offer: Offer) -> AsyncIterator[None]:
        """Give signs of life while the offer is carried out."""
        over = asyncio.Event()

        async def signs() -> None:
            while not await _happens(over, within=SIGN_OF_LIFE):
                try:
                    await self._store.incidents.renew(offer.id, self._clock() + LEASE)
                except SQLAlchemyError:
                    log.exception("fix: its lease could not be renewed; the next sign of life follows", offer=offer.id)

        task = asyncio.create_task(signs(), name=f"lease of {offer.id}")
        try:
            yield
        finally:
            over.set()
            await task


async def _happens(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            return await event.wait()
    except TimeoutError:
        return False


def _stopped(offer: Offer) -> Applied:
    return Applied(
        Outcome.UNKNOWN,
        f'dockerhealth was stopped while "{offer.plan.title}" ran. How far it got is not known. Nothing is run again '
        "by itself: a fresh look says how the host is now.",
    )
