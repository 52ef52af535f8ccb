#!/bin/sh
# libfaketime 0.9.10: where it leaves the monotonic clock alone, sleeping for milliseconds fails with EINVAL.
#
# Guess before: a preloaded clock that is not even shifted changes nothing but what time it is.
# Seen: with FAKETIME_DONT_FAKE_MONOTONIC=1, which every event loop needs, `time.sleep(0.01)` of CPython raises OSError 22 (it
# is clock_nanosleep with an absolute time of the monotonic clock). SQLite's wait for a lock, which sleeps for 1 to 100 ms
# until its busy timeout, does not sleep either: of 30 writers with a timeout of 10 s most get "database is locked" at once.
# Seen on Debian 12 with CPython 3.11.
# Who is hurt: whoever tests a program under a clock of its own, and takes what fails for the program's fault.
# Instead: a preloaded clock_gettime of 60 lines that leaves sleeping alone (tests/soak/clock.c).
#
# Fails (exit 1) if the sleep works.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq libfaketime=0.9.10-2.1
dpkg -x libfaketime_*.deb .
library=$(find "$folder" -name libfaketimeMT.so.1)
export FAKETIME="+0" FAKETIME_DONT_FAKE_MONOTONIC=1
LD_PRELOAD=$library python3 - <<'PYTHON'
import sys, time

try:
    for _ in range(100):
        time.sleep(0.01)
except OSError as error:
    print(f"sleeping for 10 ms: {error}")
    sys.exit(0)
sys.exit(1)
PYTHON
