"""Tables, columns and keys are called what they are: a healthy look is a baseline, a plan as shown a fingerprint."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_reports = sa.table("reports", *map(sa.column, ("id", "body")))


def upgrade() -> None:
    # In SQL of their own: Alembic would copy whole tables to rename a column in SQLite, which can do that itself.
    op.execute("ALTER TABLE offers RENAME COLUMN digest TO fingerprint")
    op.execute("ALTER TABLE agreements RENAME COLUMN digest TO fingerprint")
    op.execute("ALTER TABLE good_looks RENAME COLUMN digest TO body")
    op.rename_table("good_looks", "baselines")
    connection = op.get_bind()
    for row in connection.execute(sa.select(_reports.c.id, _reports.c.body)).all():
        report = json.loads(row.body)
        report["baseline"] = report.pop("digest", None)
        of_this = sa.update(_reports).where(_reports.c.id == row.id)
        connection.execute(of_this.values(body=json.dumps(report, ensure_ascii=False)))
