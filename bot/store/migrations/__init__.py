"""The history of the tables, as Alembic migrations that travel with the package and run at start."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

_HERE = Path(__file__).parent
_REVISION = text("SELECT version_num FROM alembic_version")


def upgrade(connection: Connection) -> None:
    """Bring the database behind an open transaction up to date.

    Alembic's environment is the whole process's. A database that is up to date is therefore left alone, so that a
    process can open several at once; new ones it has to open one after the other.
    """
    if revision(connection) == head():
        return
    from alembic import command  # noqa: PLC0415  # 9 MB, which a bot would hold for as long as it watches
    from alembic.config import Config  # noqa: PLC0415  # the same

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def head() -> str:
    """The newest revision, which the name of its file begins with, as Alembic would find it by importing them all."""
    return max(path.name for path in (_HERE / "versions").glob("v*.py"))[1:5]


def revision(connection: Connection) -> str | None:
    """The revision that the database is at; None for a new one."""
    return connection.scalar(_REVISION) if inspect(connection).has_table("alembic_version") else None
