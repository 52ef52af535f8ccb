"""Carries approved offers out. Each is claimed once, recorded step by step, and ends in the store with what was seen.

A process may die at any point. The next one, or another that shares the store, takes the run over once its lease is
over; it starts no step, it looks at what took effect (checks/execution/apply.py, ``resume``).
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.approvals.offers import offered
from bot.approvals.policy import Policies
from bot.incidents.audit import Entry
from bot.incidents.model import AUTO, Approval, Incident, Offer, begin_run, end_run, seen_outside
from bot.store import LeaseLostError, OutbidError, Store, StoreError
from bot.store.runs import Claim, RunEnd
from bot.tasks import Tasks
from checks.execution.order import Event, OnEvent, Order
from checks.execution.undo import undo
from checks.model import Applied, NoUndo, Outcome, Snapshot

LEASE = timedelta(seconds=15)
"""A runner that has given no sign of life for this long is dead."""

STORE_PATIENCE = 300.0
"""Seconds that a run waits for a store that cannot be written. Nothing is done on its host meanwhile."""

TRIED_AGAIN_AFTER = 1.0  # seconds

log = structlog.get_logger()


@dataclass(frozen=True)
class Executor:
    """The doors of checks through which hosts are changed, behind the checker that they need."""

    apply: Callable[[Order, OnEvent], Awaitable[Applied]]
    resume: Callable[[Order, Snapshot | None, OnEvent], Awaitable[Applied]]


@dataclass(frozen=True)
class Run:
    """An offer that was approved, on its way to its end."""

    incident: Incident
    offer: Offer
    approval: Approval

    @property
    def order(self) -> Order:
        return Order(self.offer.id, self.offer.plan, self.approval.who)

    def entry(self, event: str, says: str, data: Mapping[str, object], at: datetime) -> Entry:
        """A row of the audit log."""
        incident = self.incident
        return Entry(
            at=at,
            actor=self.approval.who,
            host=incident.host,
            service=incident.service,
            event=event,
            says=says,
            run=self.offer.id,
            data=dict(data),
        )


class Runner:
    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        policies: Policies,
        clock: Callable[[], datetime],
        lease: timedelta | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._policies = policies
        self._clock = clock
        self._lease = lease or LEASE
        self._tasks = Tasks()
        self._carried_here: set[str] = set()  # runs, by their ids

    async def begin(self, incident: Incident, offer: Offer, approval: Approval) -> bool:
        """Claim the offer and start to carry it out. False, and nothing runs, if anything changed meanwhile."""
        run = Run(incident, offer, approval)
        if not await self.claim(run):
            return False
        self._tasks.start(self._carry_out(run), f"fix {offer.plan.name} on {incident.host}")
        return True

    async def claim(self, run: Run) -> bool:
        """Make the approval count and lock the host. False, if anything changed since it was decided."""
        incident, offer, approval = run.incident, run.offer, run.approval
        transition = begin_run(incident, offer.plan, approval.who, approval.at)
        data = {"fingerprint": approval.fingerprint, "with": [each.who for each in offer.agreed]}
        entry = run.entry("approved", offer.plan.title, data, approval.at)
        claimed = transition is not None and await self._store.runs.claim(
            Claim(incident, offer, approval, transition), entry, self._lease, self._clock
        )
        log.info("approval", host=incident.host, fix=offer.plan.name, offer=offer.id, who=approval.who, counts=claimed)
        return claimed

    async def _carry_out(self, run: Run) -> None:
        """Run a claimed offer's plan to its end, whatever that is, and store it."""

        async def work(on_event: OnEvent) -> Applied:
            try:
                return await self._executor.apply(run.order, on_event)
            except (LeaseLostError, StoreError):
                raise
            except Exception:  # an error of ours must not leave a host half mended, and nobody told
                log.exception("fix: an error in dockerhealth", host=run.incident.host, fix=run.offer.plan.name)
            return await self._resumed(run, on_event)

        await self._run(run, work)

    async def recover(self, host: str | None = None) -> None:
        """Take over what dead processes left running, to end it with the truth."""
        now = self._clock()
        for incident, offer in await self._store.runs.abandoned(now, host):
            if offer.id in self._carried_here:
                continue  # its lease is over only as the store was locked: no sign of life could be written
            if offer.approval and await self._store.runs.take_over(offer, self._until(), now):
                log.warning("fix: its runner is gone", host=incident.host, fix=offer.plan.name, offer=offer.id)
                run = Run(incident, offer, offer.approval)
                self._tasks.start(self._take_over(run), f"recover {offer.plan.name} on {incident.host}")

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return self._tasks.busy

    async def settled(self) -> None:
        """Wait for all that runs."""
        await self._tasks.join()

    async def close(self, grace: float) -> None:
        """Let running fixes end for ``grace`` seconds; those that do not are left to the next process."""
        await self._tasks.close(grace)

    # --- one run ---

    async def _take_over(self, run: Run) -> None:
        await self._run(run, lambda on_event: self._resumed(run, on_event))

    async def _resumed(self, run: Run, on_event: OnEvent) -> Applied:
        order = run.order
        try:
            return await self._executor.resume(order, await self._before(run), on_event)
        except (LeaseLostError, StoreError):
            raise
        except Exception as error:
            log.exception("fix: what came of it cannot be told because of an error in dockerhealth", run=order.run)
            return Applied(
                Outcome.UNKNOWN,
                f'"{order.plan.title}" broke off: an error in dockerhealth ({type(error).__name__}: {error}). '
                f"How far it got on {order.plan.host} is not known; the log has the details.",
            )

    async def _before(self, run: Run) -> Snapshot | None:
        """The host as it was before the first step, as it was kept then."""
        incident = await self._store.incidents.get(run.incident.id)
        stored = incident.offer(run.offer.id) if incident is not None else None
        return stored.before if stored is not None else None

    async def _run(self, run: Run, work: Callable[[OnEvent], Awaitable[Applied]]) -> None:
        incident, offer = run.incident, run.offer

        async def on_event(event: Event) -> None:
            log.info("fix", host=incident.host, fix=offer.plan.name, what=event.what, says=event.says)
            entry = run.entry(event.what, event.says, event.data, self._clock())
            await self._patiently(
                lambda: self._store.runs.record(incident, offer, entry, self._until(), before=event.before)
            )

        self._carried_here.add(offer.id)
        try:
            async with self._alive(offer):
                applied = await work(on_event)
            await self._end(run, applied)
        except LeaseLostError as error:
            log.warning("fix: left to another process", host=incident.host, offer=offer.id, why=str(error))
        except StoreError:
            log.exception("fix: the store fails; what came of it is found out when it is back", offer=offer.id)
        except asyncio.CancelledError:
            # The process is being stopped. The next one finds out what the host did by then.
            with suppress(StoreError):  # then its lease ends by itself
                await asyncio.shield(self._store.runs.let_go(offer, self._clock()))
            raise
        finally:
            self._carried_here.discard(offer.id)

    async def _patiently(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write what is due before a run goes on, as soon as the store can be written. Raises what it raises at last.

        No step starts that was not noted before: a store that is locked for a while delays a run, and breaks none off.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + STORE_PATIENCE
        while True:
            try:
                return await write()
            except OutbidError:
                raise
            except StoreError as error:
                if loop.time() >= until:
                    raise
                log.warning("fix: it waits for the store", why=str(error))
            await asyncio.sleep(TRIED_AGAIN_AFTER)

    async def _end(self, run: Run, applied: Applied) -> None:
        incident, offer = run.incident, run.offer
        log.info("fix: ended", host=incident.host, fix=offer.plan.name, outcome=applied.outcome, says=applied.says)
        back = self._undo_of(offer, applied)
        await self._patiently(lambda: self._finish(run, applied, back))
        if back is not None and offer.plan.undo_unasked and _did_nothing_for_it(applied):
            fresh = await self._store.incidents.get(incident.id)
            if fresh is not None:
                await self.begin(fresh, back, Approval(AUTO, self._clock(), back.fingerprint))

    async def _finish(self, run: Run, applied: Applied, back: Offer | None) -> None:
        now = self._clock()
        fresh = await self._store.incidents.get(run.incident.id)
        if fresh is None:
            raise LookupError(f"incident {run.incident.id} is gone from the store")
        entry = run.entry("ended", applied.says, _of_end(applied), now)
        await self._store.runs.finish(RunEnd(fresh, run.offer, applied, end_run(fresh, applied, now), back), entry)

    def _undo_of(self, offer: Offer, applied: Applied) -> Offer | None:
        plan = undo(offer.plan, offer.id, applied)
        if isinstance(plan, NoUndo):
            return None
        return offered(plan, self._policies, self._clock(), secrets.token_urlsafe(15))

    # --- signs of life ---

    def _until(self) -> datetime:
        return self._clock() + self._lease

    @asynccontextmanager
    async def _alive(self, offer: Offer) -> AsyncIterator[None]:
        """Give signs of life while the offer is carried out."""
        over = asyncio.Event()

        async def signs() -> None:
            while not await _happens(over, within=self._lease.total_seconds() / 3):
                try:
                    if not await self._store.runs.renew(offer, self._until()):
                        return  # the next event tells the run so
                except StoreError as error:
                    says = "fix: its lease could not be renewed; the next sign of life follows"
                    log.warning(says, offer=offer.id, why=str(error))

        task = asyncio.create_task(signs(), name=f"lease of {offer.id}")
        try:
            yield
        finally:
            over.set()
            await task


def _did_nothing_for_it(applied: Applied) -> bool:
    """Whether what the plan was to mend is as wrong as before. Another fault beside it is no reason to take it back.

    Nor is a service that answers now: who takes back what it may owe that to, takes it down.
    """
    answers, _ = seen_outside(applied)
    return applied.outcome is Outcome.NOT_FIXED and applied.cause_gone is False and not answers


def _of_end(applied: Applied) -> dict[str, object]:
    """How a run ended, for the record."""
    changed: dict[bool, dict[str, object]] = {True: {}, False: {}}
    for each in applied.differences:
        changed[each.announced][each.name] = [each.before, each.after]
    return {
        "outcome": applied.outcome,
        "changed": changed[True],
        "changed and not announced": changed[False],
        "outside": [reading.says for reading in applied.readings],
    }


async def _happens(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            return await event.wait()
    except TimeoutError:
        return False
