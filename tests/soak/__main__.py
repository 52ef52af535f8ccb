"""``python -m tests.soak --minutes 45 --seed N``: exits 0 if nothing was wrong."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.judge import wrong
from tests.soak.run import soak
from tests.soak.schedule import LONG, SHORT, Fault
from tests.soak.table import table

_LONG_FROM = 10.0  # minutes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=45.0, help="below 10 all is told faster")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hosts", type=int, default=150)
    parser.add_argument("--alone", action="store_true", help="without a standby")
    parser.add_argument("--into", type=Path, help="where logs, faults, messages and the table are left")
    parser.add_argument("--without", type=Fault, nargs="*", default=(), metavar="FAULT", help="faults to leave out")
    asked = parser.parse_args()
    pace = LONG if asked.minutes >= _LONG_FROM else SHORT
    names = [f"host{number}" for number in range(asked.hosts)]
    with tempfile.TemporaryDirectory(prefix="dockerhealth-soak-") as made:
        folder = asked.into or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        running = soak(
            folder,
            asked.minutes * 60,
            asked.seed,
            names,
            pace,
            standby=not asked.alone,
            without=asked.without,
        )
        run = asyncio.run(running)
        found = wrong(run)
        shown = table(run, found)
        (folder / "table.md").write_text(f"{shown}\n", encoding="utf-8")
        print(shown)  # noqa: T201  # what was asked for
    return 1 if found else 0


sys.exit(main())
