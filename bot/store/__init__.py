"""What dockerhealth remembers: SQLAlchemy on SQLite by default."""

import secrets
from dataclasses import dataclass
from typing import Self

from bot.store.database import Database, StoreError
from bot.store.good_looks import GoodLooks
from bot.store.incidents import Incidents
from bot.store.messages import Messages, Posted
from bot.store.seen import Seen

__all__ = ["GoodLooks", "Incidents", "Messages", "Posted", "Seen", "Store", "StoreError"]


@dataclass(frozen=True)
class Store:
    """One open database, seen from its four sides."""

    database: Database
    incidents: Incidents
    messages: Messages
    seen: Seen
    good_looks: GoodLooks

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database and bring its tables up to date. Raises StoreError."""
        database = await Database.open(url)
        seen = Seen(database, run=secrets.token_hex(8))
        return cls(database, Incidents(database), Messages(database), seen, GoodLooks(database))

    async def close(self) -> None:
        await self.database.close()
