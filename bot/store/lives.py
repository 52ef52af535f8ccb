"""The bots that live on this store, each with what came of the newest reload of its configuration."""

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from bot.store.database import Database, Transaction
from bot.store.tables import lives

REMEMBERED = timedelta(days=7)  # of another machine, where nobody can tell whether it lives


class ReloadState(StrEnum):
    NONE = ""  # nobody has asked for one
    WAITING = "waiting"  # the new configuration is right; a fix runs, and ends first
    TAKEN = "taken"
    KEPT = "kept"  # the old one is: the new one has mistakes


@dataclass(frozen=True)
class Living:
    """One bot. ``born`` is when the kernel says that its process began, as a pid is used again."""

    id: str
    machine: str
    pid: int
    born: str
    reloads: int  # that have ended
    state: ReloadState
    says: tuple[str, ...]

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, now."""
        return self.machine == socket.gethostname() and born(self.pid) == self.born != ""


class Lives:
    """``life`` is this process's."""

    def __init__(self, database: Database, life: str) -> None:
        self._database = database
        self._life = life

    async def begin(self, now: datetime) -> None:
        """Let terminals find this process, and no more those that ended without a word."""
        here, me = socket.gethostname(), os.getpid()

        def begin(connection: Transaction) -> None:
            for row in connection.execute(select(lives)).all():
                gone = row.pid == me or not _exists(row.pid) if row.machine == here else now - row.at > REMEMBERED
                if gone:
                    connection.execute(delete(lives).where(lives.c.id == row.id))
            mine = {"id": self._life, "machine": here, "pid": me, "born": born(me), "at": now}
            connection.execute(insert(lives).values(mine))

        await self._database.change(begin, whoever_acts=True)

    async def reloading(self, state: ReloadState, says: Sequence[str] = ()) -> None:
        """Tell how far a reload is."""
        ended = int(state in {ReloadState.TAKEN, ReloadState.KEPT})
        values = {"reloads": lives.c.reloads + ended, "state": state, "says": json.dumps(list(says))}
        told = update(lives).where(lives.c.id == self._life).values(values)
        await self._database.change(lambda connection: connection.execute(told), whoever_acts=True)

    async def end(self) -> None:
        mine = delete(lives).where(lives.c.id == self._life)
        await self._database.change(lambda connection: connection.execute(mine), whoever_acts=True)

    async def all(self) -> tuple[Living, ...]:
        oldest_first = select(lives).order_by(lives.c.at)
        rows = await self._database.query(lambda connection: connection.execute(oldest_first).all())
        return tuple(
            Living(
                row.id, row.machine, row.pid, row.born, row.reloads, ReloadState(row.state), tuple(json.loads(row.says))
            )
            for row in rows
        )


def born(pid: int) -> str:
    """When a process began, in the kernel's own count (proc(5), ``starttime``); empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # the name of the process, in brackets, may hold anything


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
