"""Incidents, their reports and their offers.

Every change also marks the incident's message as due, in the same transaction: what was decided and what must be shown
cannot come apart.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, case, delete, insert, select, update

from bot.incidents.audit import Entry, planned
from bot.incidents.model import Approval, Incident, IncidentKind, IncidentState, Offer, Stopped, Transition
from bot.store.announcements import DiagnosisStored, MessageDue
from bot.store.audit import append
from bot.store.database import ConflictError, Database, Transaction
from bot.store.mapping import (
    incident_from,
    incident_values,
    offer_values,
    report_from,
    report_values,
    stopped_json,
    transition_values,
)
from bot.store.tables import agreements, incidents, messages, offers, reports, transitions
from checks.model import Report


class Incidents:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- reading ---

    async def get(self, incident_id: str) -> Incident | None:
        """The incident as it is to be shown now: ahead of what is only read to be judged."""
        this = incidents.c.id == incident_id
        return await self._database.query(lambda connection: _first(connection, this), ahead=True)

    async def with_offer(self, offer_id: str) -> Incident | None:
        """The incident that an offer belongs to."""
        return await self._database.query(lambda connection: with_offer(connection, offer_id), ahead=True)

    async def newest(self, host: str, service: str) -> Incident | None:
        of_this = incidents.c.host == host, incidents.c.service == service
        return await self._database.query(lambda connection: _first(connection, *of_this))

    async def past(self, incident: Incident, since: datetime) -> tuple[Incident, ...]:
        """The earlier incidents of the same service that were opened since then, oldest first."""
        same = incidents.c.host == incident.host, incidents.c.service == incident.service
        earlier = incidents.c.opened_at >= since, incidents.c.opened_at < incident.opened_at
        return await self._all(select(incidents).where(*same, *earlier).order_by(incidents.c.opened_at))

    async def live(self) -> tuple[Incident, ...]:
        """All that are not resolved, oldest first."""
        return await self._all(
            select(incidents).where(incidents.c.state != IncidentState.RESOLVED).order_by(incidents.c.opened_at)
        )

    async def last_reports(self) -> tuple[Report, ...]:
        """The newest report of each service that was ever looked at."""
        newer = reports.alias()
        same = newer.c.host == reports.c.host, newer.c.service == reports.c.service, newer.c.at > reports.c.at
        newest = select(reports.c.body).where(~select(newer.c.id).where(*same).exists())

        def read(connection: Transaction) -> tuple[Report, ...]:
            return tuple(report_from(body) for body in connection.execute(newest).scalars())

        return await self._database.query(read)

    async def _all(self, wanted: Select[Any]) -> tuple[Incident, ...]:
        def read(connection: Transaction) -> tuple[Incident, ...]:
            return tuple(_load(connection, row) for row in connection.execute(wanted).all())

        return await self._database.query(read)

    # --- changing ---

    async def add(self, incident: Incident, channel: str, due_at: datetime) -> bool:
        """Store a new incident, whose message is to be posted at ``due_at``. False if its service has a live one."""

        def add(connection: Transaction) -> None:
            connection.execute(insert(incidents).values(incident_values(incident)))
            for transition in incident.transitions:
                connection.execute(insert(transitions).values(transition_values(incident.id, transition)))
            connection.execute(insert(messages).values(_unposted(incident.id, channel, due_at)))
            connection.announce(MessageDue())

        try:
            await self._database.change(add)
        except ConflictError:
            return False
        return True

    async def move(self, incident_id: str, transition: Transition) -> bool:
        """Store a transition. False if the incident is no longer in the state that it starts from."""

        def moved(connection: Transaction) -> bool:
            if not move(connection, incident_id, transition):
                return False
            if transition.new is IncidentState.RESOLVED:
                withdraw(connection, incident_id)
            return True

        return await self._database.change(moved)

    async def save_report(self, incident_id: str, report: Report, changed: Iterable[Offer], now: datetime) -> None:
        """Store what a look found, and the offers that it changes. Offers that were approved meanwhile stay."""

        def save(connection: Transaction) -> None:
            _save_report(connection, incident_id, report)
            for position, offer in enumerate(changed):
                untouched = offers.c.id == offer.id, offers.c.approved_by.is_(None)
                updated = connection.execute(
                    update(offers).where(*untouched).values(expires_at=offer.expires_at, withdrawn=offer.withdrawn)
                )
                known = connection.execute(select(offers.c.id).where(offers.c.id == offer.id))
                if not updated.rowcount and not known.first():
                    connection.execute(insert(offers).values(offer_values(incident_id, offer, position)))
                    append(connection, planned(offer, now))
            due(connection, incident_id, now)
            connection.announce(DiagnosisStored(incident_id))

        await self._database.change(save)

    async def note(
        self, incident_id: str, recurs: str, stopped: Stopped | None, now: datetime, entry: Entry | None
    ) -> None:
        """Store what is known of the same fault before, and an entry of the log about that, where there is one."""
        values = {"recurs": recurs, "stopped": stopped_json(stopped)}

        def note(connection: Transaction) -> None:
            connection.execute(update(incidents).where(incidents.c.id == incident_id).values(values))
            if entry is not None:
                append(connection, entry)
            due(connection, incident_id, now)

        await self._database.change(note)

    async def save_look(self, report: Report) -> None:
        """Store the newest look at a service that has no incident, in place of the one before."""
        before = reports.c.incident_id.is_(None), reports.c.host == report.host, reports.c.service == report.service

        def replace(connection: Transaction) -> None:
            connection.execute(delete(reports).where(*before))
            connection.execute(insert(reports).values(report_values(None, report)))

        await self._database.change(replace)

    async def agree(self, offer: Offer, approval: Approval, entry: Entry) -> bool:
        """Store an approval of an offer that takes more than one. False if the offer is not as it was decided upon."""
        # Two people may agree at once, each as the first of two. The lock on the offer's row lets one of them through;
        # the other finds an agreement that was not decided upon, and decides again.
        unclaimed = (
            offers.c.id == offer.id,
            offers.c.fingerprint == approval.fingerprint,
            offers.c.approved_by.is_(None),
            offers.c.withdrawn.is_(False),
            offers.c.expires_at > approval.at,
        )

        def agreed(connection: Transaction) -> bool:
            locked = connection.execute(update(offers).where(*unclaimed).values(progress=offers.c.progress))
            to_this = agreements.c.offer_id == offer.id
            others = connection.execute(select(agreements.c.who, agreements.c.at).where(to_this))
            decided_upon = {(each.who, each.at) for each in offer.agreed}
            if locked.rowcount != 1 or {(row.who, row.at) for row in others} != decided_upon:
                return False
            connection.execute(delete(agreements).where(to_this, agreements.c.who == approval.who))
            agreement = {
                "offer_id": offer.id,
                "who": approval.who,
                "fingerprint": approval.fingerprint,
                "at": approval.at,
            }
            connection.execute(insert(agreements).values(agreement))
            append(connection, entry)
            due(connection, of_offer(offer.id), approval.at)
            return True

        return await self._database.change(agreed, ahead=True)


def of_offer(offer_id: str) -> ScalarSelect[str]:
    """The id of the incident that an offer belongs to."""
    return select(offers.c.incident_id).where(offers.c.id == offer_id).scalar_subquery()


def with_offer(connection: Transaction, offer_id: str) -> Incident | None:
    """The incident that an offer belongs to."""
    return _first(connection, incidents.c.id == of_offer(offer_id))


def _first(connection: Transaction, *where: ColumnElement[bool]) -> Incident | None:
    # One that is live is the newest, whatever the clock said when others were opened: it may be put back.
    newest = incidents.c.state == IncidentState.RESOLVED, incidents.c.opened_at.desc()
    row = connection.execute(select(incidents).where(*where).order_by(*newest).limit(1)).first()
    return _load(connection, row) if row else None


def _load(connection: Transaction, row: Any) -> Incident:
    of_this = connection.execute(
        select(transitions).where(transitions.c.incident_id == row.id).order_by(transitions.c.id)
    )
    body = connection.execute(
        select(reports.c.body).where(reports.c.incident_id == row.id).order_by(reports.c.id.desc()).limit(1)
    )
    # Of two of one moment an undo is the second.
    in_order = offers.c.offered_at, offers.c.position, offers.c.undoes
    offered = connection.execute(select(offers).where(offers.c.incident_id == row.id).order_by(*in_order))
    agreed = connection.execute(
        select(agreements).join(offers).where(offers.c.incident_id == row.id).order_by(agreements.c.at)
    )
    return incident_from(row, of_this.all(), body.scalar(), offered.all(), agreed.all())


def move(connection: Transaction, incident_id: str, transition: Transition) -> bool:
    values = {
        "state": transition.new,
        "resolved_at": transition.at if transition.new is IncidentState.RESOLVED else None,
        "kind": transition.kind or incidents.c.kind,
    }
    starts_there = incidents.c.id == incident_id, incidents.c.state == transition.old
    was = connection.execute(select(incidents.c.kind).where(*starts_there)).scalar()
    moved = connection.execute(update(incidents).where(*starts_there).values(values))
    if moved.rowcount != 1:
        return False
    connection.execute(insert(transitions).values(transition_values(incident_id, transition)))
    if (was, transition.kind) == (IncidentKind.PREVENTION, IncidentKind.OUTAGE):
        # Slack notifies nobody of a message that is edited, and the one that stands there was no alarm.
        of_this = messages.c.incident_id == incident_id
        connection.execute(update(messages).where(of_this).values(superseded=messages.c.ts, ts="", shown=""))
    due(connection, incident_id, transition.at)
    return True


def withdraw(connection: Transaction, incident_id: str) -> None:
    pending = offers.c.incident_id == incident_id, offers.c.approved_by.is_(None), offers.c.undoes == ""
    connection.execute(update(offers).where(*pending).values(withdrawn=True))


def _save_report(connection: Transaction, incident_id: str, report: Report) -> None:
    """Add a report to an incident's, or replace the last one if it says the same: hours of looks are no history."""
    values = report_values(incident_id, report)
    rows = connection.execute(
        select(reports).where(reports.c.incident_id == incident_id).order_by(reports.c.id.desc()).limit(1)
    )
    last = rows.first()
    if last and (last.status, last.cause) == (values["status"], values["cause"]):
        connection.execute(update(reports).where(reports.c.id == last.id).values(values))
    else:
        connection.execute(insert(reports).values(values))


def due(connection: Transaction, incident_id: str | ScalarSelect[str], at: datetime) -> None:
    """The incident's message must be looked at by the outbox. An attempt that waits for later is not made sooner."""
    connection.announce(MessageDue())
    waits = messages.c.attempts > 0
    connection.execute(
        update(messages)
        .where(messages.c.incident_id == incident_id)
        .values(version=messages.c.version + 1, due_at=case((waits, messages.c.due_at), else_=at))
    )


def _unposted(incident_id: str, channel: str, due_at: datetime) -> dict[str, Any]:
    row = {"incident_id": incident_id, "channel": channel, "ts": "", "superseded": "", "shown": "", "version": 1}
    return row | {"due_at": due_at, "attempts": 0, "problem": ""}
