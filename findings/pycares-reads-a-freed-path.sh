#!/bin/sh
# pycares 5.2.1: `Channel(resolvconf_path=...)` hands c-ares a path that was freed already.
#
# Guess before: the channel asks the name servers of that file.
# Seen: most channels know no server of it and ask 127.0.0.1:53 instead, c-ares' default where no file can be read. The
# path is put into a struct of cffi by `options.resolvconf_path = _ffi.new("char[]", ...)`: nothing else holds that
# buffer, so it is freed before `ares_init_options` reads it. The options `lookups` and `domains` are made the same way
# (the latter's array too). aiodns passes all of them on.
# Seen on Debian 12 with CPython 3.11: from 1 to 179 of 200 channels, as what stood in that memory before.
# Who is hurt: whoever tests with a resolv.conf of their own, and whoever gives a search list or an order of sources.
#
# Fails (exit 1) if every channel knows the file's server.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'pycares==5.2.1'
echo 'nameserver 192.0.2.53' >"$folder/resolv.conf"
"$folder/venv/bin/python" - "$folder/resolv.conf" <<'PYTHON'
import sys

import pycares

told = [pycares.Channel(resolvconf_path=sys.argv[1]).servers for _ in range(2000)]
wrong = [servers for servers in told if servers != ["192.0.2.53:53"]]
print(f"pycares {pycares.__version__}: {len(wrong)} of {len(told)} channels ask others: {wrong[:1]}")
sys.exit(0 if wrong else 1)
PYTHON
