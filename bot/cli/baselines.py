"""The baselines that a bot's store keeps, for a command that only looks: nothing is made, nothing is written."""

import functools
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import TypeAdapter

from checks.model import Baseline

_PATIENCE = 1.0  # seconds, for a lock of the bot's


def baselines(url: str) -> tuple[tuple[str, str, Baseline], ...]:
    """Host, service and baseline; nothing where there is no store in a file, or it cannot be read."""
    parts = urlsplit(url)
    path = Path(parts.path[1:])
    if parts.scheme.partition("+")[0] != "sqlite" or not path.is_file():
        return ()
    try:
        # Without SQLAlchemy, whose import alone takes as long as a check.
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            rows = connection.execute("SELECT host, service, body FROM baselines").fetchall()
        return tuple((host, service, _reader().validate_json(body)) for host, service, body in rows)
    except (sqlite3.Error, ValueError):
        return ()


@functools.cache
def _reader() -> TypeAdapter[Baseline]:
    """Made only where there is a look to read."""
    return TypeAdapter(Baseline)
