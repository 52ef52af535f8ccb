"""The last good looks that a bot's store keeps, for a command that only looks: nothing is made, nothing is written."""

import functools
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import TypeAdapter

from checks.model import Digest

_PATIENCE = 1.0  # seconds, for a lock of the bot's


def good_looks(url: str) -> tuple[tuple[str, str, Digest], ...]:
    """Host, service and digest; nothing where there is no store in a file, or it cannot be read."""
    parts = urlsplit(url)
    path = Path(parts.path[1:])
    if parts.scheme.partition("+")[0] != "sqlite" or not path.is_file():
        return ()
    try:
        # Without SQLAlchemy, whose import alone takes as long as a check.
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            rows = connection.execute("SELECT host, service, digest FROM good_looks").fetchall()
        return tuple((host, service, _reader().validate_json(digest)) for host, service, digest in rows)
    except (sqlite3.Error, ValueError):
        return ()


@functools.cache
def _reader() -> TypeAdapter[Digest]:
    """Made only where there is a look to read."""
    return TypeAdapter(Digest)
