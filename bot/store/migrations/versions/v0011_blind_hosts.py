"""Which hosts could not be looked at, and how many looks in a row: a notice waits for three, also over a restart."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import Utc

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "blind_hosts",
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_blind_hosts"),
    )
