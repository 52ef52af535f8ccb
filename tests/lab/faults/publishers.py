"""The port is published by another container than the one that the configuration names: a proxy, a new name, a new one.

After public reports: a registry behind a proxy container of the same Compose project, which alone publishes; Compose v2
that names containers with hyphens where v1 had underscores; blue and green, the old one left stopped.
"""

from tests.lab.command import wait_for
from tests.lab.faults.docker_rules import dnat_rule_deleted_behind_firewalld
from tests.lab.faults.firewalld import REJECTED, firewalld_running_port_not_listed_but_dnat_healthy
from tests.lab.faults.forwarding import forwarding_switched_off
from tests.lab.faults.serving import PYTHON, registry
from tests.lab.host import LabHost
from tests.lab.scenario import fault, healthy, one_after_the_other, typed, write

OFF, STOPPED, START_FAILED = "ip-forward-off", "container-stopped", "container-start-failed"
NAT_RULE, MISSING_NAME = "docker-nat-rule-missing", "configured-container-missing"

_FORWARDER = """\
import socket, threading

def pour(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)

def serve(client):
    server = socket.create_connection(("registry", 5000), 5)
    threading.Thread(target=pour, args=(client, server), daemon=True).start()
    pour(server, client)

door = socket.create_server(("", 5000))
while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
"""
"""All of a proxy that matters here: it has the port, and hands on what comes to a container that has none."""


def front(host: LabHost) -> None:
    """A proxy container publishes the port, and the registry itself publishes none."""
    write(host, "/etc/app.py", _FORWARDER)
    host.sh("docker network create back >/dev/null")
    registry("--network back")(host)
    host.sh(
        f"docker run -d --restart=always --name front --network back -p 5000:5000 {PYTHON}"
        " --entrypoint /usr/bin/python3 registry:2 /app.py >/dev/null"
    )
    answers = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5000/v2/ || true"
    wait_for(f"{host.name}: the proxy answers", lambda: host.sh(answers).strip() == "200", timeout=20)


renamed = typed("docker rename registry reg-registry-1")

green = typed(
    "docker stop registry >/dev/null\n"
    "docker run -d --restart=always --name registry-green -p 5000:5000 registry:2 >/dev/null\n"
    "timeout 10 sh -c 'until curl -sf -o /dev/null http://127.0.0.1:5000/v2/; do sleep 0.1; done'"
)
"""A new container has taken the place of the old one, which is left stopped."""

_NEVER_STARTED = typed("docker rm -f registry >/dev/null; docker create --name reg-registry-1 -p 5000:5000 registry:2")

SCENARIOS = (
    fault("forwarding-off-behind-a-front", one_after_the_other(front, forwarding_switched_off), OFF),
    fault("forwarding-off-and-renamed", one_after_the_other(renamed, forwarding_switched_off), OFF),
    fault("forwarding-off-and-green", one_after_the_other(green, forwarding_switched_off), OFF),
    fault(
        "forwarding-off-renamed-and-firewalld",
        one_after_the_other(firewalld_running_port_not_listed_but_dnat_healthy, renamed, forwarding_switched_off),
        OFF,
    ),
    fault(
        "nat-rule-missing-and-renamed",
        one_after_the_other(renamed, dnat_rule_deleted_behind_firewalld),
        NAT_RULE,
        outside=REJECTED,
    ),
    fault(
        "front-stopped", one_after_the_other(front, typed("docker stop front >/dev/null")), STOPPED, outside="refused"
    ),
    fault(
        "renamed-and-stopped",
        one_after_the_other(renamed, typed("docker stop reg-registry-1")),
        STOPPED,
        outside="refused",
    ),
    fault("created-under-another-name-and-never-started", _NEVER_STARTED, START_FAILED, outside="refused"),
    healthy("front", front),
    healthy("renamed", renamed, risks=(MISSING_NAME,)),
    healthy("green", green),
)
