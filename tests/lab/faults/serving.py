"""What is served, and how: the registry with other options, another program in its place, another dockerd."""

import json
from typing import Any

from tests.lab.command import wait_for
from tests.lab.host import LabHost
from tests.lab.scenario import Act, write

PUBLISHED = "-p 5000:5000"
PYTHON = "-v /usr:/usr:ro -v /usr/bin:/bin:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro -v /etc/app.py:/app.py:ro"
"""The registry image holds nothing but the registry; with these mounts it runs a program in the host's python."""


def registry(options: str = PUBLISHED, command: str = "", policy: str = "always") -> Act:
    """The registry's container anew, with other options of `docker run`, or another command."""

    def act(host: LabHost) -> None:
        host.run("docker", "rm", "--force", "registry")
        host.sh(f"docker run -d --restart={policy} --name registry {options} registry:2 {command}")

    return act


def on_host_network(host: LabHost) -> None:
    registry("--network host")(host)
    wait_for(f"{host.name}: the registry listens", lambda: ":5000" in host.sh("ss -Hltn sport = :5000"), timeout=20)


def python(program: str, options: str = PUBLISHED) -> Act:
    """A python program as the service's container, in the registry's place."""

    def act(host: LabHost) -> None:
        write(host, "/etc/app.py", program)
        registry(f"{options} {PYTHON} --entrypoint /usr/bin/python3", "/app.py")(host)

    return act


def process(program: str, shown: str = "ss -Hltnp sport = :5000") -> Act:
    """A python program as a service of the host itself. ``shown`` is the command that names it once it is ready."""

    def act(host: LabHost) -> None:
        write(host, "/etc/app.py", program)
        host.run("systemd-run", "--quiet", "--unit=app.service", "/usr/bin/python3", "/etc/app.py", host.address)
        wait_for(f"{host.name}: the program is ready", lambda: "python" in host.sh(shown), timeout=10)

    return act


def listening(address: str = "0.0.0.0", port: int = 5000) -> str:
    """A program that accepts and never answers."""
    return (
        "import socket, time\n"
        f"server = socket.create_server(('{address}', {port}))\n"
        "held = []\n"
        "while True:\n"
        "    held.append(server.accept())\n"
    )


def holding(*, connected: bool) -> str:
    """A program that has port 5000 and does not listen: connected from it to the host's own sshd, or only bound."""
    connect = "held.connect((sys.argv[1], 22))\n" if connected else ""
    return f"import socket, sys, time\nheld = socket.socket()\nheld.bind(('', 5000))\n{connect}time.sleep(3600)\n"


def proxying(upstream: str) -> str:
    """A reverse proxy for plain GETs. It answers 502 where its upstream cannot be reached, as nginx does."""
    return (
        "import http.client, http.server\n"
        "class Proxy(http.server.BaseHTTPRequestHandler):\n"
        "    server_version, sys_version = 'nginx/1.24.0', ''\n"
        "    def do_GET(self):\n"
        "        try:\n"
        f"            upstream = http.client.HTTPConnection('{upstream}', timeout=1)\n"
        "            upstream.request('GET', self.path)\n"
        "            answer = upstream.getresponse()\n"
        "            status, body = answer.status, answer.read()\n"
        "            headers = [('Docker-Distribution-Api-Version', 'registry/2.0')]\n"
        "        except OSError:\n"
        "            status, body, headers = 502, b'<h1>502 Bad Gateway</h1>', []\n"
        "        self.send_response(status)\n"
        "        for header in headers:\n"
        "            self.send_header(*header)\n"
        "        self.end_headers()\n"
        "        self.wfile.write(body)\n"
        "http.server.ThreadingHTTPServer(('', 5000), Proxy).serve_forever()\n"
    )


def in_front(upstream: str, name: str = "proxy") -> Act:
    """A reverse proxy in a container of its own has the service's port."""

    def act(host: LabHost) -> None:
        write(host, "/etc/proxy.py", proxying(upstream))
        python = PYTHON.replace("/etc/app.py", "/etc/proxy.py")
        host.sh(
            f"docker run -d --restart=always --name {name} {PUBLISHED} {python}"
            " --entrypoint /usr/bin/python3 registry:2 /app.py"
        )

    return act


def answering(status: int = 200, body: str = "it works") -> str:
    """A web server that is no registry: every path has the same answer."""
    return (
        "import http.server\n"
        "class Page(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        f"        self.send_response({status})\n"
        "        self.end_headers()\n"
        f"        self.wfile.write({body.encode()!r})\n"
        "http.server.ThreadingHTTPServer(('', 5000), Page).serve_forever()\n"
    )


def daemon(**settings: Any) -> Act:
    """Restart dockerd with these settings; underscores stand for the hyphens of their names."""

    def act(host: LabHost) -> None:
        keys = {name.replace("_", "-"): value for name, value in settings.items()}
        write(host, "/etc/docker/daemon.json", json.dumps(keys, indent=2) + "\n")
        restart_docker(host)

    return act


def restart_docker(host: LabHost) -> None:
    host.run("systemctl", "restart", "docker.service")
    wait_for(f"{host.name}: the registry is up", lambda: is_up(host), timeout=20)


def is_up(host: LabHost) -> bool:
    return host.sh("docker inspect -f '{{.State.Running}}' registry", check=False).strip() == "true"


def until_served(host: LabHost) -> None:
    wait_for(f"{host.name}: the registry is reachable", lambda: host.outside() == "200", timeout=20)
