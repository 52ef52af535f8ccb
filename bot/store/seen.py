"""Which deliveries were taken on already: Slack may deliver a click or a command more than once."""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from bot.store.database import Database, Transaction
from bot.store.tables import seen

REMEMBER = timedelta(minutes=15)  # Slack retries for about five


class Seen:
    """``run`` names this life of the process.

    A delivery that an earlier life took on may never have been answered: it is taken on once more. That is safe, as
    whatever it asks for is decided on what the store knows.
    """

    def __init__(self, database: Database, run: str) -> None:
        self._database = database
        self._run = run

    async def first(self, delivery: str, now: datetime) -> bool:
        """Whether this delivery is new to this life of the process. It is not from then on."""

        def take_on(connection: Transaction) -> bool:
            connection.execute(delete(seen).where(seen.c.at < now - REMEMBER))
            known = seen.c.id == delivery
            run = connection.execute(select(seen.c.run).where(known)).scalar()
            if run is None:
                connection.execute(insert(seen).values(id=delivery, run=self._run, at=now))
            elif run != self._run:
                connection.execute(update(seen).where(known).values(run=self._run, at=now))
            return run != self._run

        return await self._database.change(take_on, ahead=True)
