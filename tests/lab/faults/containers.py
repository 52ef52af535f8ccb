"""The container and the daemon: stopped, restarting, paused, hung, gone."""

from dataclasses import replace

from checks.model import ServiceKind
from tests.lab.command import wait_for
from tests.lab.faults.serving import PUBLISHED, daemon, listening, python, registry
from tests.lab.host import LabHost
from tests.lab.scenario import REGISTRY, fault, healthy, one_after_the_other, typed, write

STOPPED, RESTARTING, PAUSED = "container-stopped", "container-restarting", "container-paused"
START_FAILED, MISSING, UNHEALTHY = "container-start-failed", "container-missing", "container-unhealthy"
DOWN, HUNG, PROXY = "dockerd-down", "dockerd-hung", "docker-proxy-gone"

_PID = "$(docker inspect -f '{{.State.Pid}}' registry)"
_STOP_DOCKERD = "systemctl stop docker.socket docker.service"
_LOOP = 4  # restarts
_KILL_PROXIES = "kill -9 $(pgrep -x docker-proxy)"
_BROKEN_CONFIG = """
mkdir -p /etc/docker; echo '{"iptables": true,}' > /etc/docker/daemon.json
systemctl restart docker.service || true
"""
_CRASHED = """
mkdir -p /run/systemd/system/docker.service.d
printf '[Service]\\nRestart=no\\n' > /run/systemd/system/docker.service.d/once.conf
systemctl daemon-reload; systemctl stop docker.socket
systemctl kill --signal=KILL docker.service
"""


def container_stopped(host: LabHost) -> None:
    """Someone stopped it; `--restart=always` respects that until dockerd starts anew."""
    host.run("docker", "stop", "registry")


def container_removed(host: LabHost) -> None:
    """Someone removed it: the service's container does not exist."""
    host.run("docker", "rm", "--force", "registry")


def dockerd_stopped(host: LabHost) -> None:
    """The daemon is down, with its socket, which would start it again at the first question."""
    host.run("systemctl", "stop", "docker.socket", "docker.service")


def restarting(host: LabHost) -> None:
    """It ends at once, and Docker starts it again, ever more seldom."""
    write(host, "/etc/broken.yml", "version: 0.1\nstorage: nowhere\n")
    registry(f"{PUBLISHED} -v /etc/broken.yml:/etc/registry.yml:ro")(host)
    restarts = "docker inspect -f '{{.RestartCount}}' registry"
    wait_for(f"{host.name}: it restarts", lambda: int(host.sh(restarts)) >= _LOOP, timeout=20)


SCENARIOS = (
    fault("container-stopped", container_stopped, STOPPED, outside="refused", core=True),
    fault("container-killed", typed("docker kill registry >/dev/null"), STOPPED, outside="refused"),
    fault(
        "container-ended-with-no-policy",
        one_after_the_other(registry(policy="no"), typed(f"kill -9 {_PID}; docker wait registry >/dev/null")),
        STOPPED,
        outside="refused",
    ),
    fault(
        "container-down-since-dockerd-restarted",
        one_after_the_other(registry(policy="no"), typed("systemctl restart docker.service")),
        STOPPED,
        outside="refused",
    ),
    fault("container-restarting", restarting, RESTARTING, outside="refused|timed out"),
    fault("container-paused", typed("docker pause registry >/dev/null"), PAUSED),
    fault(
        "container-program-missing",
        typed(
            "docker rm -f registry >/dev/null\n"
            "docker run -d -p 5000:5000 --restart=always --name registry registry:2 /bin/nothing 2>/dev/null || true"
        ),
        START_FAILED,
        outside="refused",
    ),
    fault(
        "container-mount-gone",
        typed(
            "docker rm -f registry >/dev/null; mkdir -p /etc/data\n"
            "docker run -d -p 5000:5000 --name registry"
            " --mount type=bind,src=/etc/data,dst=/var/lib/registry registry:2 >/dev/null\n"
            "docker stop registry >/dev/null; rmdir /etc/data; docker start registry 2>/dev/null || true"
        ),
        STOPPED,  # the Engine refuses that start before it looks at the state: it keeps no word of it
        outside="refused",
    ),
    fault("container-missing", container_removed, MISSING, outside="refused"),
    fault(
        "container-removed-itself",
        typed(
            "docker rm -f registry >/dev/null; docker run -d --rm -p 5000:5000 --name registry registry:2 >/dev/null\n"
            "docker stop registry >/dev/null\n"
            "timeout 10 sh -c 'while docker inspect registry >/dev/null 2>&1; do sleep 0.1; done'"
        ),
        MISSING,
        outside="refused",
    ),
    fault("container-hangs", typed(f"kill -STOP {_PID}"), UNHEALTHY, core=True),
    fault("container-accepts-and-is-silent", python(listening()), UNHEALTHY),
    fault("dockerd-down", dockerd_stopped, DOWN, outside="refused"),
    fault(
        "dockerd-crashed",
        typed(f"docker update --restart=no registry >/dev/null\n{_CRASHED}pkill -9 -x registry || true"),
        DOWN,
        outside="refused",
    ),
    fault("dockerd-config-broken", typed(_BROKEN_CONFIG), DOWN, outside="refused"),
    fault(
        "dockerd-hung-and-container-dead",
        typed(f"pid={_PID}; kill -STOP $(pgrep -x dockerd); kill -9 $pid; pkill -x docker-proxy"),
        HUNG,
        outside="refused|timed out|no route",
    ),
    fault(
        "docker-proxies-killed-where-only-they-serve",
        one_after_the_other(daemon(iptables=False), typed(_KILL_PROXIES)),
        PROXY,
        outside="refused",
    ),
    healthy("dockerd-hung-but-served", typed("kill -STOP $(pgrep -x dockerd)"), core=True),
    healthy("dockerd-down-with-live-restore", one_after_the_other(daemon(live_restore=True), typed(_STOP_DOCKERD))),
    healthy(
        "dockerd-restarted-with-live-restore",
        one_after_the_other(daemon(live_restore=True), typed("systemctl restart docker.service")),
    ),
    healthy("docker-proxies-killed-behind-dnat", typed(_KILL_PROXIES)),
    healthy("other-containers-stopped", typed("docker create --name other -p 5000:5000 registry:2 >/dev/null")),
    healthy("no-restart-policy", registry(policy="no"), risks=("restart-policy-missing",)),
    healthy(
        "sleeping-container-accepts",
        python(listening()),
        outside=("accepted",),
        service=replace(REGISTRY, url="tcp://{address}:5000", kind=ServiceKind.TCP),
    ),
)
