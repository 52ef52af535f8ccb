"""The tables. What is searched for is a column; what is only read back as a whole is JSON text."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Utc(TypeDecorator[datetime]):
    """An aware datetime. It is stored in UTC, as SQLite keeps no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the signature is SQLAlchemy's
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


def without_nul(text: str) -> str:
    """What hosts printed, as both databases keep it: PostgreSQL takes no NUL in a text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


class Words(TypeDecorator[str]):
    """Text for people, in which there may be words of a host. JSON has other letters for a NUL and needs none of it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # the signature is SQLAlchemy's
        return None if value is None else without_nul(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("host", String(63), nullable=False),
    Column("service", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", Utc, nullable=False),
    Column("resolved_at", Utc),
    Column("recurs", Words, nullable=False, server_default=""),
    Column("stopped", Text),  # why it is no longer mended by itself, as JSON
    Column("kind", String(16), nullable=False, server_default="outage"),
    Column("risk", Words, nullable=False, server_default=""),  # the title of what it was opened to prevent
)
Index("ix_incidents_newest", incidents.c.host, incidents.c.service, incidents.c.opened_at)
# Two processes that see the same fault at once must not both open an incident for it.
Index(
    "ix_incidents_one_live",
    incidents.c.host,
    incidents.c.service,
    unique=True,
    sqlite_where=incidents.c.state != "resolved",
    postgresql_where=incidents.c.state != "resolved",
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False, index=True),
    Column("old", String(16)),
    Column("new", String(16), nullable=False),
    Column("reason", Words, nullable=False),
    Column("at", Utc, nullable=False),
    Column("who", String(255), nullable=False),
    Column("kind", String(16)),  # what the incident is about from then on; null: that stays
    Column("since", Utc),  # when what it tells began; null: at that time
)

# The reports of an incident, one a distinct diagnosis; without an incident, the newest look at a service.
reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), index=True),
    Column("host", String(63), nullable=False),
    Column("service", String(63), nullable=False),
    Column("at", Utc, nullable=False),
    Column("status", String(16), nullable=False),
    Column("cause", String(63), nullable=False),
    Column("body", Text, nullable=False),
)
Index("ix_reports_newest", reports.c.host, reports.c.service, reports.c.at)

# How each service was at the newest look that found it healthy. Looks that find it broken do not touch it.
baselines = Table(
    "baselines",
    metadata,
    Column("host", String(63), primary_key=True),
    Column("service", String(63), primary_key=True),
    Column("at", Utc, nullable=False),
    Column("body", Text, nullable=False),
)

# Hosts of which the newest look did not see all, though a service of theirs answers.
blind_hosts = Table(
    "blind_hosts",
    metadata,
    Column("host", String(63), primary_key=True),
    Column("looks", Integer, nullable=False),  # in a row
    Column("since", Utc, nullable=False),
    Column("body", Text, nullable=False),  # what could not be seen, as JSON
)

# A plan, who approved it, and what came of it: one row, as an offer is approved once and ends once.
offers = Table(
    "offers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False, index=True),
    Column("fix", String(63), nullable=False),
    Column("undoes", String(32), nullable=False, server_default=""),  # the run that it takes back
    Column("position", Integer, nullable=False),  # smallest fix first, as in the report
    Column("fingerprint", String(64), nullable=False),
    Column("plan", Text, nullable=False),
    Column("offered_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("approved_by", String(255)),
    Column("approved_at", Utc),
    Column("people", Integer, nullable=False, server_default="1"),  # how many have to approve it
    Column("progress", Words, nullable=False),
    Column("before", Text),  # the host just before the first step
    Column("outcome", String(16)),
    Column("reference", String(32), nullable=False, server_default=""),  # of its end in the audit log
    Column("applied", Text),
    Column("ended_at", Utc),
)

# Who approved an offer for which one is not enough: each person once.
agreements = Table(
    "agreements",
    metadata,
    Column("offer_id", ForeignKey("offers.id"), primary_key=True),
    Column("who", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("at", Utc, nullable=False),
)

# One fix at a time a host, whichever process carries it out: the row is there while the offer runs.
host_locks = Table(
    "host_locks",
    metadata,
    Column("host", String(63), primary_key=True),
    Column("offer_id", ForeignKey("offers.id"), nullable=False),
    Column("owner", String(64), nullable=False),  # the life of the process that carries it out
    Column("lease_until", Utc, nullable=False),  # an owner that is alive keeps this in the future
)

# What was done to hosts, by whom: only ever added to, each row with the hash of the one before it.
audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("actor", String(255), nullable=False),  # as in an approval; empty for dockerhealth itself
    Column("host", String(63), nullable=False),
    Column("service", String(63), nullable=False),
    Column("run", String(32), nullable=False),  # the offer; empty where there is none
    Column("event", String(32), nullable=False),
    Column("says", Words, nullable=False),
    Column("data", Text, nullable=False),  # JSON: exact commands, output, values
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
Index("ix_audit_run", audit.c.run, audit.c.number)
Index("ix_audit_host", audit.c.host, audit.c.number)

# What each incident's message must show, and what it shows: the outbox.
messages = Table(
    "messages",
    metadata,
    Column("incident_id", ForeignKey("incidents.id"), primary_key=True),
    Column("channel", String(255), nullable=False),  # as configured until it is posted, then the channel's id
    Column("ts", String(32), nullable=False),  # empty until it is posted
    Column(
        "superseded", String(32), nullable=False, server_default=""
    ),  # ts of the message whose place this one took; empty: of none
    Column("shown", String(64), nullable=False),  # hash of what was sent last
    Column("version", Integer, nullable=False),  # counts the changes of the incident
    Column("due_at", Utc, index=True),  # when it wants sending; null: it shows all there is
    Column("sent_at", Utc),
    Column("attempts", Integer, nullable=False),  # failed ones in a row
    Column("problem", Words, nullable=False),  # why the last attempt failed
    # The id that Slack knows a post by: of one that is being made, or whose answer was lost; empty: of none.
    Column("post_id", String(36), nullable=False, server_default=""),
    Column("claimed_by", String(32), nullable=False, server_default=""),  # the life of the process that posts it
    Column("claimed_until", Utc),
    Column("configured", String(255), nullable=False, server_default=""),  # the channel as it was asked for
    Column("superseded_in", String(255), nullable=False, server_default=""),  # its channel, where that is another one
    Column("elsewhere", String(16), nullable=False, server_default=""),  # the state that was told past Slack
)

# Deliveries that were taken on: Slack may deliver a click or a command more than once.
seen = Table(
    "seen",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("run", String(32), nullable=False),  # the life of the process that took it on
    Column("at", Utc, nullable=False, index=True),
)

# The processes that act, or acted, on this store. The one with the highest token does, and counts on.
leaders = Table(
    "leaders",
    metadata,
    Column("token", Integer, primary_key=True, autoincrement=False),
    Column("life", String(32), nullable=False),
    Column("process", String(255), nullable=False),  # for people
    Column("beats", Integer, nullable=False),
    Column("over", Boolean, nullable=False),  # it has given up
)

# The bots that live on this store, so that a terminal finds the one to tell that its configuration has changed.
lives = Table(
    "lives",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("machine", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("born", String(32), nullable=False),  # when the kernel says that the process began: a pid is used again
    Column("at", Utc, nullable=False),  # when it began
    Column("reloads", Integer, nullable=False, server_default="0"),  # that have ended
    Column("state", String(16), nullable=False, server_default=""),  # of the newest reload
    Column("says", Text, nullable=False, server_default="[]"),  # why it was not taken, as JSON
)
