"""What an incident is about and since when, why it is no longer mended by itself, and which run an offer takes back.

Until then sentences said so, and how the id of a fix begins.
"""

import json
import re

import sqlalchemy as sa
from alembic import op

from bot.store.tables import Utc

revision = "0004"
down_revision = "0003"

_TO_PREVENT = "to prevent: "
_ALL_HOSTS = "all hosts"
_ENDED = {
    "the last one ran, and the service was still not well": "not-fixed",
    "a step of the last one failed": "failed",
    "the last one was not run, as the host had changed since it was planned": "stale",
    "contact was lost during the last one": "unknown",
    "the last one was taken back": "undone",
}
_STOPPED = re.compile(
    r" ?Automatic fixing of (?P<cause>\S+) on \S+ has stopped: "
    r"(?:it came back (?P<after>[\d a-z]+) after the last one|it ran (?P<times>\d+) times? within 24 hours"
    rf"|(?P<ended>{'|'.join(_ENDED)}))\. A person has to decide\.$"
)
_UNDO = "undo-"
_SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1}

_incidents = sa.table("incidents", *map(sa.column, ("id", "host", "opened_at", "recurs", "stopped", "kind", "risk")))
_transitions = sa.table("transitions", *map(sa.column, ("id", "incident_id", "old", "new", "reason", "kind", "since")))
_offers = sa.table("offers", *map(sa.column, ("id", "fix", "plan", "undoes")))


def upgrade() -> None:
    op.add_column("incidents", sa.Column("stopped", sa.Text(), nullable=True))
    op.add_column("incidents", sa.Column("kind", sa.String(length=16), nullable=False, server_default="outage"))
    op.add_column("incidents", sa.Column("risk", sa.Text(), nullable=False, server_default=""))
    op.add_column("transitions", sa.Column("kind", sa.String(length=16), nullable=True))
    op.add_column("transitions", sa.Column("since", Utc(), nullable=True))
    op.add_column("offers", sa.Column("undoes", sa.String(length=32), nullable=False, server_default=""))
    _say_kinds(op.get_bind())
    _say_since_when(op.get_bind())
    _say_why_stopped(op.get_bind())
    _say_what_is_taken_back(op.get_bind())


def _say_kinds(connection: sa.Connection) -> None:
    """The transitions that open an incident say what it is about; the last of them is right."""
    begins = sa.or_(_transitions.c.old.is_(None), _transitions.c.old == "resolved")
    openings = connection.execute(
        sa.select(_transitions.c.id, _transitions.c.incident_id, _transitions.c.reason, _incidents.c.host)
        .join(_incidents, _incidents.c.id == _transitions.c.incident_id)
        .where(begins, _transitions.c.new == "open")
        .order_by(_transitions.c.id)
    )
    for opening in openings.all():
        values = {"kind": "watcher-offline" if opening.host == _ALL_HOSTS else "outage"}
        risk = opening.reason.removeprefix(_TO_PREVENT)
        if risk != opening.reason:
            values["kind"] = "prevention"
            connection.execute(sa.update(_incidents).where(_incidents.c.id == opening.incident_id).values(risk=risk))
        connection.execute(sa.update(_transitions).where(_transitions.c.id == opening.id).values(values))
        connection.execute(sa.update(_incidents).where(_incidents.c.id == opening.incident_id).values(values))


def _say_since_when(connection: sa.Connection) -> None:
    """An incident began with its first failed reading. Of what came back, and of recoveries, no more is known."""
    began = sa.select(_incidents.c.opened_at).where(_incidents.c.id == _transitions.c.incident_id).scalar_subquery()
    connection.execute(sa.update(_transitions).where(_transitions.c.old.is_(None)).values(since=began))


def _say_why_stopped(connection: sa.Connection) -> None:
    """It stood at the end of what is known of the same fault before."""
    known = connection.execute(sa.select(_incidents.c.id, _incidents.c.recurs).where(_incidents.c.recurs != ""))
    for incident in known.all():
        stopped = _STOPPED.search(incident.recurs)
        if stopped is not None:
            values = {"recurs": incident.recurs[: stopped.start()], "stopped": _stopped(stopped)}
            connection.execute(sa.update(_incidents).where(_incidents.c.id == incident.id).values(values))


def _stopped(says: re.Match[str]) -> str:
    if says["after"] is not None:
        units = re.findall(r"(\d+) (d|h|min|s)\b", says["after"])
        why: dict[str, object] = {"after": f"PT{sum(int(count) * _SECONDS[unit] for count, unit in units)}S"}
    elif says["times"] is not None:
        why = {"times": int(says["times"])}
    else:
        why = {"outcome": _ENDED[says["ended"]]}
    return json.dumps({"cause": says["cause"], "why": why})


def _say_what_is_taken_back(connection: sa.Connection) -> None:
    """The plan of an undo names the fix that it takes back.

    Its digest stays: it is that of what was shown and approved, and of what the audit log says of it.
    """
    undos = sa.select(_offers.c.id, _offers.c.fix, _offers.c.plan).where(_offers.c.fix.like(f"{_UNDO}%"))
    for offer in connection.execute(undos).all():
        fix = offer.fix.removeprefix(_UNDO)
        plan = json.loads(offer.plan) | {"fix": fix}
        values = {"fix": fix, "undoes": plan["undoes"], "plan": json.dumps(plan, ensure_ascii=False)}
        connection.execute(sa.update(_offers).where(_offers.c.id == offer.id).values(values))
