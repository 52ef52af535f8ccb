#!/bin/sh
# asyncssh 2.24.1: `import asyncssh` starts other programs, a compiler among them.
#
# Guess before: importing an SSH library reads files and starts nothing.
# Seen: it looks for liboqs (post-quantum key exchange) and for nettle's library by ctypes.util.find_library, which on
# Linux runs `ldconfig -p`, and where that does not know the library `gcc` (or `cc`) and `ld` as well. Where liboqs is
# not installed, which is the usual case, each import costs several processes (0.03 s of CPU here), writes temporary
# files for the compiler, and shows up in an audit of what a service that runs as another user starts.
# Seen on Debian 12 with CPython 3.11: 7 processes with gcc and ld installed, fewer without.
# Who is hurt: whoever runs a bot under a system-call filter or without a writable /tmp, and whoever counts start-up time.
#
# Fails (exit 1) if an import starts no program any more.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'asyncssh==2.24.1'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

started = []
sys.addaudithook(lambda event, arguments: started.append(arguments[1]) if event == "subprocess.Popen" else None)
import asyncssh

for words in started:
    print("started:", *words)
print(f"asyncssh {asyncssh.__version__}: the import started {len(started)} programs")
sys.exit(0 if started else 1)
PYTHON
