"""Time that passes for what the bot remembers and for what the host has in its journal, without anybody waiting."""

import contextlib
import re
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from tests.lab.host import LabHost

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_REMEMBERED = {
    "incidents": ("opened_at", "resolved_at"),
    "transitions": ("at", "since"),
    "reports": ("at", "body"),
    "offers": ("offered_at", "expires_at", "approved_at", "ended_at", "applied"),
    "baselines": ("at", "body"),
    "messages": ("sent_at",),
}
"""Columns with moments in them; what they say in JSON among them. The audit log is left alone, as nobody may."""


def time_passes(database: Path, host: LabHost, length: timedelta) -> None:
    """Let all that is remembered be older by so much, while no bot runs."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table, columns in _REMEMBERED.items():
            for column in columns:
                rows = connection.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()  # noqa: S608  # names from above
                older = [(_older(text, length), row) for row, text in rows]
                connection.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", older)  # noqa: S608
    host.sh("journalctl --quiet --rotate && journalctl --quiet --vacuum-size=1")


def _older(text: str, length: timedelta) -> str:
    def moved(found: re.Match[str]) -> str:
        return (datetime.fromisoformat(found[0]) - length).isoformat(sep=found[0][10])

    return _MOMENT.sub(moved, text)
