"""On PostgreSQL, too, the database refuses to change or remove an entry of the audit log: SQLite does since 0003."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE FUNCTION audit_no_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE 'the audit log is only ever added to' USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_no_change()"
    )
