"""What dockerhealth remembers: SQLAlchemy on SQLite by default."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from bot.store.announcements import Announcements, DiagnosisStored, MessageDue, RunEnded
from bot.store.audit import Audit
from bot.store.baselines import Baselines
from bot.store.blind_hosts import BlindHosts
from bot.store.clock_set import clock_set
from bot.store.database import Database, OutbidError, StoreError, UnwritableError
from bot.store.incidents import Incidents
from bot.store.leaders import Leader, Leaders
from bot.store.lives import Lives, Living, ReloadState
from bot.store.messages import Messages, Posted
from bot.store.runs import LeaseLostError, Runs
from bot.store.seen import Seen

__all__ = [
    "Announcements",
    "Audit",
    "Baselines",
    "BlindHosts",
    "DiagnosisStored",
    "Incidents",
    "Leader",
    "Leaders",
    "LeaseLostError",
    "Lives",
    "Living",
    "MessageDue",
    "Messages",
    "OutbidError",
    "Posted",
    "ReloadState",
    "RunEnded",
    "Runs",
    "Seen",
    "Store",
    "StoreError",
    "UnwritableError",
]


@dataclass(frozen=True)
class Store:
    """One open database, seen from its sides.

    Each method is one transaction, and raises StoreError where the database fails.
    """

    database: Database
    incidents: Incidents
    runs: Runs
    audit: Audit
    messages: Messages
    seen: Seen
    blind_hosts: BlindHosts
    baselines: Baselines
    leaders: Leaders
    lives: Lives

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database and bring its tables up to date.

        Args:
            url: As the configuration has it: ``sqlite:///FILE``, or a PostgreSQL URL of SQLAlchemy's.

        Returns:
            The store, with a new life: what an earlier one of this process or another left running is found as such.

        Raises:
            StoreError: It cannot be opened or brought up to date. The text says what to check.
        """
        return cls._of(await Database.open(url))

    @classmethod
    async def read(cls, url: str) -> Self:
        """Open the database for a command that only reads: none is made, and nothing is changed. Raises StoreError."""
        return cls._of(await Database.read(url))

    @classmethod
    def _of(cls, database: Database) -> Self:
        life = secrets.token_hex(8)
        return cls(
            database=database,
            incidents=Incidents(database),
            runs=Runs(database, owner=life),
            audit=Audit(database),
            messages=Messages(database, owner=life),
            seen=Seen(database, run=life),
            blind_hosts=BlindHosts(database),
            baselines=Baselines(database),
            leaders=Leaders(database, life),
            lives=Lives(database, life),
        )

    @property
    def announcements(self) -> Announcements:
        """What is stored through this object, told to whoever acts on it."""
        return self.database.announcements

    async def clock_set(self, by: timedelta, now: datetime) -> None:
        """Let durations and waits be what they are although the clock was set. ``now`` is by the old one."""
        await clock_set(self.database, by, now)

    async def close(self) -> None:
        await self.database.close()
