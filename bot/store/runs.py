"""Offers that were approved, on their way to their end: claimed once, carried out by one process at a time.

Every change is a row of the audit log in the same transaction: what was done and what the log says cannot come apart.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, select, update

from bot.approvals.auto import History, PastFault
from bot.incidents.audit import Entry
from bot.incidents.model import Approval, Incident, IncidentKind, IncidentState, Offer, Transition
from bot.store.announcements import RunEnded
from bot.store.audit import append
from bot.store.database import ConflictError, Database, Transaction
from bot.store.incidents import due, move, with_offer, withdraw
from bot.store.mapping import applied_values, offer_values, past_run, seconds_of_steps, snapshot_json
from bot.store.tables import host_locks, incidents, leaders, offers, reports, transitions
from checks.execution.order import Happened
from checks.model import Applied, Snapshot

DECISION_HOLDS = timedelta(seconds=30)
"""How old a decision may be that starts a run. An older one rests on who may approve, and when, as it was then."""

MOST_DONE = 50
"""Runs of a host that are looked through: for one to take back, for how long things take there."""


class LeaseLostError(Exception):
    """Another process carries the run on: this one must not do anything more."""


@dataclass(frozen=True)
class Claim:
    """An approval that the policy allowed, and what it makes of the incident."""

    incident: Incident
    offer: Offer
    approval: Approval
    transition: Transition


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, what that makes of its incident, and what takes it back, where anything does."""

    incident: Incident
    offer: Offer
    applied: Applied
    transition: Transition
    undo: Offer | None


class Runs:
    """``owner`` is the life of this process: what it holds, no other one touches until its lease is over."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._experience: dict[str, tuple[datetime, Mapping[str, float]]] = {}  # and when the newest run had ended

    async def claim(self, claim: Claim, entry: Entry, lease: timedelta, clock: Callable[[], datetime]) -> bool:
        """Make an approval the one that counts, and lock the host. False if anything changed since it was decided.

        That includes the time: the process, or its whole machine, may have stood still since then.
        """
        # A compare-and-set. Two clicks, in this process or in two, may both have been allowed by the policy, each
        # on what it had read a moment before. The conditions are therefore asked once more in the very statement
        # that writes: the database lets one such statement through, and the others then match no row.
        incident, offer, approval = claim.incident, claim.offer, claim.approval
        newer = incidents.alias()
        unclaimed = (
            offers.c.id == offer.id,
            offers.c.incident_id == incident.id,
            offers.c.fingerprint == approval.fingerprint,
            offers.c.approved_by.is_(None),
            offers.c.withdrawn.is_(False),
            ~exists().where(
                newer.c.host == incident.host,
                newer.c.service == incident.service,
                newer.c.id != incident.id,
                # Of two that are over the clock tells which is newer; it may have been put back before this one began.
                (newer.c.state != IncidentState.RESOLVED)
                | ((newer.c.opened_at > incident.opened_at) & (incident.state is IncidentState.RESOLVED)),
            ),
        )

        def claimed(connection: Transaction) -> bool:
            now = clock()  # not before: the wait for the turn to write may be long
            if now - approval.at > DECISION_HOLDS:
                return False
            won = connection.execute(
                update(offers)
                .where(*unclaimed, offers.c.expires_at > now)
                .values(approved_by=approval.who, approved_at=approval.at)
            )
            # The move is the second half of the condition: one fix an incident, and none once it is resolved.
            # The lock is the third: one fix a host.
            if won.rowcount != 1 or not move(connection, incident.id, claim.transition):
                connection.rollback()
                return False
            lock = {"host": incident.host, "offer_id": offer.id, "owner": self._owner, "lease_until": now + lease}
            connection.execute(insert(host_locks).values(lock))
            append(connection, entry)
            return True

        try:
            return await self._database.change(claimed, ahead=True)
        except ConflictError:
            return False

    async def record(
        self, incident: Incident, offer: Offer, entry: Entry, lease_until: datetime, *, before: Snapshot | None = None
    ) -> None:
        """Keep what happened, and show it, but for a step's end: what follows says so. Raises LeaseLostError."""
        shown = {"progress": entry.says} if entry.event != Happened.STEP_ENDED else {}
        values = shown | ({"before": snapshot_json(before)} if before is not None else {})

        def record(connection: Transaction) -> None:
            if not self._renew(connection, offer, lease_until):
                raise LeaseLostError(f"the run {offer.id} on {incident.host} is another process's now")
            if values:
                connection.execute(update(offers).where(offers.c.id == offer.id).values(values))
            append(connection, entry)
            due(connection, incident.id, entry.at)

        await self._database.change(record, ahead=True)

    async def renew(self, offer: Offer, lease_until: datetime) -> bool:
        """A sign of life from the one who carries an offer out. False if another process has taken it over."""
        return await self._database.change(lambda connection: self._renew(connection, offer, lease_until), ahead=True)

    def _renew(self, connection: Transaction, offer: Offer, lease_until: datetime) -> bool:
        ours = host_locks.c.offer_id == offer.id, host_locks.c.owner == self._owner
        renewed = connection.execute(update(host_locks).where(*ours).values(lease_until=lease_until))
        return renewed.rowcount == 1

    async def abandoned(self, now: datetime, host: str | None = None) -> tuple[tuple[Incident, Offer], ...]:
        """Approved offers that have not ended, and that no living process carries out."""
        held = exists().where(host_locks.c.offer_id == offers.c.id, host_locks.c.lease_until > now, ~_of_the_past())
        lost = offers.c.approved_by.is_not(None), offers.c.outcome.is_(None), ~held
        loaded = await self._with_incidents(select(offers.c.id).where(*lost))
        return tuple((incident, offer) for incident, offer in loaded if host in {None, incident.host})

    async def running(self, host: str) -> tuple[Incident, Offer] | None:
        """What is being carried out on a host, if anything is."""
        locked = select(host_locks.c.offer_id).where(host_locks.c.host == host)
        return next(iter(await self._with_incidents(locked)), None)

    async def _with_incidents(self, offer_ids: Select[tuple[str]]) -> tuple[tuple[Incident, Offer], ...]:
        def read(connection: Transaction) -> Iterator[tuple[Incident, Offer]]:
            for offer_id in connection.execute(offer_ids).scalars().all():
                incident = with_offer(connection, offer_id)
                if incident is not None:
                    yield incident, next(offer for offer in incident.offers if offer.id == offer_id)

        return await self._database.query(lambda connection: tuple(read(connection)))

    async def done(self, host: str) -> tuple[tuple[Incident, Offer], ...]:
        """The runs on a host that have ended, newest first."""
        ended = (
            select(offers.c.id)
            .join(incidents)
            .where(incidents.c.host == host, offers.c.outcome.is_not(None))
            .order_by(offers.c.ended_at.desc())
            .limit(MOST_DONE)
        )
        return await self._with_incidents(ended)

    async def history(self, host: str) -> History:
        """Every run on a host, and every time that a cause was there."""
        ran = (
            select(offers, incidents.c.service)
            .join(incidents)
            .where(incidents.c.host == host, offers.c.approved_by.is_not(None))
        )
        opened = (
            select(transitions.c.at, reports.c.cause)
            .distinct()
            .select_from(transitions.join(incidents).join(reports, reports.c.incident_id == incidents.c.id))
            .where(incidents.c.host == host, transitions.c.kind == IncidentKind.OUTAGE, reports.c.cause != "")
        )

        def read(connection: Transaction) -> History:
            runs = tuple(past_run(host, row) for row in connection.execute(ran))
            return History(runs, tuple(PastFault(host, row.cause, row.at) for row in connection.execute(opened)))

        return await self._database.query(read)

    async def experience(self, host: str) -> Mapping[str, float]:
        """How long each step that succeeded took on a host the last time: what it does, to its seconds."""
        ended = select(offers.c.applied, offers.c.ended_at).join(incidents).where(incidents.c.host == host)
        newest = ended.where(offers.c.outcome.is_not(None)).order_by(offers.c.ended_at.desc())

        def read(connection: Transaction) -> Mapping[str, float]:
            last = connection.execute(newest.limit(1)).first()
            if last is None:
                return {}
            if host not in self._experience or self._experience[host][0] != last.ended_at:
                rows = connection.execute(newest.limit(MOST_DONE)).all()
                self._experience[host] = last.ended_at, seconds_of_steps(row.applied for row in reversed(rows))
            return self._experience[host][1]

        return await self._database.query(read)

    async def take_over(self, offer: Offer, lease_until: datetime, now: datetime) -> bool:
        """Carry on with an abandoned run. False if another process was faster, or its own one is alive after all."""
        expired = host_locks.c.offer_id == offer.id, (host_locks.c.lease_until <= now) | _of_the_past()
        taken = update(host_locks).where(*expired).values(owner=self._owner, lease_until=lease_until)
        return await self._database.change(lambda connection: connection.execute(taken).rowcount == 1, ahead=True)

    async def let_go(self, offer: Offer, now: datetime) -> None:
        """End this process's lease: another one may carry the run on at once."""
        await self.renew(offer, now)

    async def finish(self, end: RunEnd, entry: Entry) -> None:
        """Store how a run ended, unlock its host, and put up what takes it back. Raises LeaseLostError.

        The other offers rest on facts from before the fix and are withdrawn.
        """
        incident, offer = end.incident, end.offer

        def finish(connection: Transaction) -> None:
            ours = host_locks.c.offer_id == offer.id, host_locks.c.owner == self._owner
            unlocked = connection.execute(delete(host_locks).where(*ours))
            if unlocked.rowcount != 1:
                raise LeaseLostError(f"the run {offer.id} on {incident.host} is another process's now")
            move(connection, incident.id, end.transition)
            row = append(connection, entry)
            values = applied_values(end.applied) | {"ended_at": entry.at, "progress": "", "reference": row.reference}
            connection.execute(update(offers).where(offers.c.id == offer.id).values(values))
            withdraw(connection, incident.id)
            if end.undo is not None:
                connection.execute(insert(offers).values(offer_values(incident.id, end.undo, 0)))
            due(connection, incident.id, entry.at)
            connection.announce(RunEnded(incident.host, incident.service))

        await self._database.change(finish, ahead=True)

    async def put_up(self, incident: Incident, offer: Offer, entry: Entry) -> None:
        """Offer a plan that no look found: what takes a run back, or what somebody at a terminal asks for."""

        def put_up(connection: Transaction) -> None:
            connection.execute(insert(offers).values(offer_values(incident.id, offer, 0)))
            append(connection, entry)
            due(connection, incident.id, entry.at)

        await self._database.change(put_up, ahead=True)


def _of_the_past() -> ColumnElement[bool]:
    """Whether the one who holds a lock acted on this store before another process did: it can do nothing more."""
    highest = select(func.max(leaders.c.token)).scalar_subquery()
    acting = select(leaders.c.life).where(leaders.c.token == highest).scalar_subquery()
    return exists().where(leaders.c.life == host_locks.c.owner, leaders.c.life != acting)
