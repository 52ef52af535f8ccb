"""A message is claimed before it is posted; where it belongs is known; which bots live on this store is known."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("messages", sa.Column("post_id", sa.String(36), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("claimed_by", sa.String(32), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("claimed_until", sa.DateTime()))
    op.add_column("messages", sa.Column("configured", sa.String(255), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("superseded_in", sa.String(255), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("elsewhere", sa.String(16), nullable=False, server_default=""))
    op.create_table(
        "lives",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("born", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("reloads", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("state", sa.String(16), nullable=False, server_default=""),
        sa.Column("says", sa.Text(), nullable=False, server_default="[]"),
        sa.PrimaryKeyConstraint("id", name="pk_lives"),
    )
