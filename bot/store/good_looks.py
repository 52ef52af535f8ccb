"""How each service was when it was last seen well. A look at a broken one is compared with that, restart or not."""

from pydantic import TypeAdapter
from sqlalchemy import delete, insert, select

from bot.store.database import Database
from bot.store.tables import good_looks
from checks.model import Digest, Report, Status

_DIGEST = TypeAdapter(Digest)

GoodLook = tuple[str, str, Digest]  # host, service


class GoodLooks:
    """One a service, the newest. Looks that find it broken leave it as it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, report: Report) -> None:
        """Take a look that found its service healthy; any other is passed over."""
        if report.status is not Status.HEALTHY or report.digest is None:
            return
        body = _DIGEST.dump_json(report.digest).decode()
        async with self._database.writing() as connection:
            before = good_looks.c.host == report.host, good_looks.c.service == report.service
            await connection.execute(delete(good_looks).where(*before))
            await connection.execute(
                insert(good_looks).values(host=report.host, service=report.service, at=report.digest.at, digest=body)
            )

    async def all(self) -> tuple[GoodLook, ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(good_looks.c.host, good_looks.c.service, good_looks.c.digest))
            return tuple((row.host, row.service, _DIGEST.validate_json(row.digest)) for row in rows)
