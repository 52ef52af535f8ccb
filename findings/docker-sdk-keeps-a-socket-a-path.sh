#!/bin/sh
# docker 7.2.0 (the SDK for Python): a client of a unix socket keeps a connection open for each path it has asked.
#
# Guess before: one client, one host, requests one after the other: one connection that is kept alive, as requests does
# for TCP, where its pools are kept by scheme, host and port.
# Seen: docker.transport.UnixHTTPAdapter keeps its pools by the whole URL, so /containers/a/json and
# /containers/b/json are two hosts to it. 20 containers inspected in turn are 20 open descriptors, up to the 25 pools
# that it keeps, and they stay until the client is closed.
# Who is hurt: whoever holds a client each for many Engines: 100 of them with 20 paths each are 2,000 descriptors, where
# systemd gives a service 1,024; what then fails with EMFILE is whatever opens a socket next.
#
# Fails (exit 1) if they share a connection.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'docker==7.2.0' 'requests==2.34.2'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer

import docker

PATHS = 20


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"Id": self.path.split("/")[-2], "ApiVersion": "1.41"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        pass


accepted = []


class Server(ThreadingUnixStreamServer):
    daemon_threads = True

    def process_request(self, request, address):
        accepted.append(request)
        super().process_request(request, address)


server = Server("engine.sock", Engine)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = docker.DockerClient(base_url=f"unix://{os.getcwd()}/engine.sock", version="1.41")
for number in range(PATHS):
    client.containers.get(f"container{number}")
    client.containers.get(f"container{number}")
print(f"docker {docker.__version__}: {2 * PATHS} requests in turn, {PATHS} paths, {len(accepted)} connections")
client.close()
server.shutdown()
sys.exit(0 if len(accepted) == PATHS else 1)
PYTHON
