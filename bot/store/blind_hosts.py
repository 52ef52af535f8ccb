"""The hosts that the newest look did not see all of."""

from pydantic import TypeAdapter
from sqlalchemy import delete, insert, select

from bot.incidents.blindness import BlindHost
from bot.store.database import Database, Transaction
from bot.store.tables import blind_hosts
from checks.model import Blindness

_HIDDEN = TypeAdapter(tuple[Blindness, ...])


class BlindHosts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[BlindHost, ...]:
        rows = await self._database.query(lambda connection: connection.execute(select(blind_hosts)).all())
        return tuple(BlindHost(row.host, row.looks, row.since, _HIDDEN.validate_json(row.body)) for row in rows)

    async def keep(self, host: str, blind: BlindHost | None) -> None:
        """Store how blind a host is; None where all of it is seen."""

        def replace(connection: Transaction) -> None:
            connection.execute(delete(blind_hosts).where(blind_hosts.c.host == host))
            if blind is not None:
                body = _HIDDEN.dump_json(blind.hidden).decode()
                row = {"host": host, "looks": blind.looks, "since": blind.since, "body": body}
                connection.execute(insert(blind_hosts).values(row))

        await self._database.change(replace)
