"""What dockerhealth remembers: SQLAlchemy on SQLite by default."""

import secrets
from dataclasses import dataclass
from typing import Self

from bot.store.database import Database, StoreError
from bot.store.incidents import Incidents
from bot.store.messages import Messages, Posted
from bot.store.seen import Seen

__all__ = ["Incidents", "Messages", "Posted", "Seen", "Store", "StoreError"]


@dataclass(frozen=True)
class Store:
    """One open database, seen from its three sides."""

    database: Database
    incidents: Incidents
    messages: Messages
    seen: Seen

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database and bring its tables up to date. Raises StoreError."""
        database = await Database.open(url)
        return cls(database, Incidents(database), Messages(database), Seen(database, run=secrets.token_hex(8)))

    async def close(self) -> None:
        await self.database.close()
