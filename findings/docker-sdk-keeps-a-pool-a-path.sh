#!/bin/sh
# docker 7.2.0 (the SDK for Python): over a Unix socket it keeps a connection open for each URL path that it asked.
#
# Guess before: one client is one connection, which is kept alive.
# Seen: `UnixHTTPAdapter.get_connection` keys its pools by the whole URL, where requests' own adapter keys them by host.
# So each container that is inspected opens a connection of its own, and the last 25 stay open until the client is closed.
# Seen on Debian 12 with CPython 3.11: 40 questions, 40 connections, 25 of them open at the end.
# Who is hurt: whoever keeps clients of many Engines. 70 hosts took 837 of the 1,024 descriptors that systemd gives.
#
# Fails (exit 1) if one connection was enough.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'docker==7.2.0'
"$folder/venv/bin/python" - "$folder/docker.sock" <<'PYTHON'
import http.server
import socketserver
import sys
import threading

import docker

made, opened = [], set()


class Engine(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        made.append(self)
        opened.add(self)
        super().setup()

    def finish(self):
        opened.discard(self)
        super().finish()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_request(self, *_):
        pass

    def address_string(self):
        return "client"


server = socketserver.ThreadingUnixStreamServer(sys.argv[1], Engine)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
client = docker.DockerClient(f"unix://{sys.argv[1]}", version="1.41")
for number in range(40):
    client.api.inspect_container(f"c{number}")
print(f"docker {docker.__version__}: 40 questions, {len(made)} connections, {len(opened)} open at the end")
sys.exit(0 if len(made) > 1 else 1)
PYTHON
