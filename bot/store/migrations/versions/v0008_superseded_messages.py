"""A message that was posted anew knows the one whose place it took."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("messages", sa.Column("superseded", sa.String(32), nullable=False, server_default=""))
