"""The processes that act, or acted, on this store: a row each, and the one with the highest token acts."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from bot.store.database import ConflictError, Database, Transaction
from bot.store.signs_of_life import SignsOfLife
from bot.store.tables import leaders

REMEMBERED = 100  # leaders of the past


@dataclass(frozen=True)
class Leader:
    """The row of one that acts, or acted."""

    token: int
    life: str
    process: str  # for people: which machine, which pid
    beats: int = 0  # of which it counts on
    over: bool = False  # it has given up


class Leaders:
    """``life`` is this process's."""

    def __init__(self, database: Database, life: str) -> None:
        self._database = database
        self._life = life
        self.signs = SignsOfLife(_beside(database))

    async def newest(self) -> Leader | None:
        return await self._database.query(_newest, ahead=True)

    async def outbid(self, seen: Leader | None, process: str, within: float | None = None) -> Leader | None:
        """Add a row for this process, with a higher token than the newest one. None if that is not the one seen.

        None also if the wait for the turn to write took longer than ``within`` seconds, where they are given.
        """
        leader = Leader(1 + (seen.token if seen else 0), self._life, process)
        asked = time.monotonic()

        def bid(connection: Transaction) -> Leader | None:
            if within is not None and time.monotonic() - asked > within:
                return None
            if _newest(connection) != seen:
                return None
            connection.execute(insert(leaders).values(asdict(leader)))
            connection.execute(delete(leaders).where(leaders.c.token < leader.token - REMEMBERED))
            return leader

        try:
            return await self._database.change(bid)
        except ConflictError:
            return None

    def act(self, token: int | None) -> None:
        """Have every change refused that is made once a higher token is there. None: have none refused any more."""
        self._database.token = token

    async def beat(self, token: int) -> Leader | None:
        """Give a sign of life. Returns the one that acts instead, where another one does.

        What looks have to write may wait, and is much where hosts fail together: a sign of life does not wait with it.
        """

        def count_on(connection: Transaction) -> Leader | None:
            newest = _newest(connection)
            if newest is not None and newest.token != token:
                return newest
            connection.execute(update(leaders).where(leaders.c.token == token).values(beats=leaders.c.beats + 1))
            return None

        return await self._database.change(count_on, whoever_acts=True, ahead=True)

    async def give_up(self, token: int) -> None:
        """Let another process act at once."""
        over = update(leaders).where(leaders.c.token == token).values(over=True)
        await self._database.change(lambda connection: connection.execute(over), whoever_acts=True)


def _newest(connection: Transaction) -> Leader | None:
    row = connection.execute(select(leaders).order_by(leaders.c.token.desc()).limit(1)).first()
    return Leader(**row._asdict()) if row else None


def _beside(database: Database) -> Path | None:
    """A file beside the database, where that is a file."""
    name = database.url.database
    if database.url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return None
    return Path(f"{name}-leader").absolute()
