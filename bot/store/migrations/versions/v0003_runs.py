"""Fixes that several people approve, one at a time a host, and the log of all that was done."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import Utc

revision = "0003"
down_revision = "0002"

_APPEND_ONLY = "the audit log is only ever added to"


def upgrade() -> None:
    op.add_column("incidents", sa.Column("recurs", sa.Text(), nullable=False, server_default=""))
    op.add_column("offers", sa.Column("people", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("offers", sa.Column("reference", sa.String(length=32), nullable=False, server_default=""))
    op.add_column("offers", sa.Column("before", sa.Text(), nullable=True))
    op.create_table(
        "agreements",
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_agreements_offer_id")),
        sa.PrimaryKeyConstraint("offer_id", "who", name=op.f("pk_agreements")),
    )
    op.create_table(
        "host_locks",
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("lease_until", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_host_locks_offer_id")),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_locks")),
    )
    # What an older version left running is found like any other run whose process is gone.
    op.execute(
        "INSERT INTO host_locks (host, offer_id, owner, lease_until) "
        "SELECT incidents.host, min(offers.id), '', min(offers.lease_until) "
        "FROM offers JOIN incidents ON incidents.id = offers.incident_id "
        "WHERE offers.approved_by IS NOT NULL AND offers.outcome IS NULL GROUP BY incidents.host"
    )
    op.drop_column("offers", "lease_until")
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_run", "audit", ["run", "number"], unique=False)
    op.create_index("ix_audit_host", "audit", ["host", "number"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
            )
