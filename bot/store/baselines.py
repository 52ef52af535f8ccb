"""How each service was when it was last seen well. A look at a broken one is compared with that, restart or not."""

from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import bindparam, delete, insert, select, update

from bot.store.database import Database, Transaction
from bot.store.tables import baselines
from checks.model import Baseline, Report, Status

_BASELINE = TypeAdapter(Baseline)

OfService = tuple[str, str, Baseline]  # host, service


class Baselines:
    """One a service, the newest. Looks that find it broken leave it as it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, report: Report) -> None:
        """Take a look that found its service healthy; any other is passed over."""
        if report.status is not Status.HEALTHY or report.baseline is None:
            return
        row = {"host": report.host, "service": report.service, "at": report.baseline.at}
        body = _BASELINE.dump_json(report.baseline).decode()

        def replace(connection: Transaction) -> None:
            before = baselines.c.host == report.host, baselines.c.service == report.service
            connection.execute(delete(baselines).where(*before))
            connection.execute(insert(baselines).values(row | {"body": body}))

        await self._database.change(replace)

    @staticmethod
    def move(connection: Transaction, by: timedelta, now: datetime) -> None:
        """Date those of the past by a clock that was set by so much."""
        of_this = baselines.c.host == bindparam("of_host"), baselines.c.service == bindparam("of_service")
        moved = []
        for row in connection.execute(select(baselines).where(baselines.c.at <= now)):
            good = _BASELINE.validate_json(row.body).moved(by)
            body = _BASELINE.dump_json(good).decode()
            moved.append({"of_host": row.host, "of_service": row.service, "moved_at": good.at, "moved_body": body})
        if moved:
            both = update(baselines).values(at=bindparam("moved_at"), body=bindparam("moved_body"))
            connection.execute(both.where(*of_this), moved)

    async def all(self) -> tuple[OfService, ...]:
        def read(connection: Transaction) -> tuple[OfService, ...]:
            rows = connection.execute(select(baselines.c.host, baselines.c.service, baselines.c.body))
            return tuple((row.host, row.service, _BASELINE.validate_json(row.body)) for row in rows)

        return await self._database.query(read)
