#!/bin/sh
# apscheduler 3.11.3: a clock that is set back for a moment silences every interval job for as long as it was set back.
#
# Guess before: an interval job is late by one interval at the most, since the clock is right again when it is due next.
# Seen: the scheduler takes the seconds until the next due time from the wall clock once, and then sleeps so long by the
# monotonic clock. A job that runs while the clock is an hour behind makes it sleep an hour: nothing wakes it when the
# clock is right again, and no job that is due meanwhile runs, of any trigger. No warning, no missed event.
# Shown with a clock that is an hour behind for 0.3 s: of a job of every 0.1 s not one run in the 3 s afterwards.
# Who is hurt: whoever polls or sends heartbeats by it on a machine whose clock is corrected: a VM that resumes, a first
# NTP step after boot, a host with two time sources that disagree.
#
# Fails (exit 1) if jobs run again after the clock is right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'apscheduler==3.11.3' 'tzlocal==5.3.1' 'time-machine==2.19.0'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys
from datetime import UTC, datetime, timedelta

import apscheduler
import time_machine
from apscheduler.schedulers.asyncio import AsyncIOScheduler

runs = []


async def watch():
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
    scheduler.add_job(lambda: runs.append(0), "interval", seconds=0.1)
    scheduler.start()
    await asyncio.sleep(1)
    before = len(runs)
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1), tick=True):
        await asyncio.sleep(0.3)
    during = len(runs) - before
    await asyncio.sleep(3)
    after = len(runs) - before - during
    scheduler.shutdown(wait=False)
    return before, during, after


before, during, after = asyncio.run(watch())
print(f"apscheduler {apscheduler.version}: {before} runs in 1 s, {during} while the clock was back, {after} in the 3 s since")
sys.exit(0 if before > 5 and not after else 1)
PYTHON
