"""Of several processes on one store one acts: the row with the highest token says which."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "leaders",
        sa.Column("token", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("life", sa.String(32), nullable=False),
        sa.Column("process", sa.String(255), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_leaders"),
    )
