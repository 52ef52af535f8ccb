"""Restart or start dockerd."""

from checks.causes.cause import Look
from checks.causes.docker_rules import missing_parts
from checks.facts.engine import CONTAINERS, ENGINE, Container, EngineInfo
from checks.facts.netfilter import NETFILTER
from checks.facts.system import SYSTEM
from checks.facts.units import UNITS
from checks.fixes.container import start
from checks.fixes.fix import Fix, RefusedError
from checks.model import Finding, Plan, Risk, Step

_SYSTEMCTL = "/usr/bin/systemctl"
_FORGET_FAILURES = Step(
    "clear systemd's count of starts, so that its start limit does not refuse",
    (_SYSTEMCTL, "reset-failed", "docker.service"),
)
_RESTART = Step("restart dockerd, which writes its rules anew", (_SYSTEMCTL, "restart", "docker.service"), timeout=120)
_STOP = Step("stop dockerd", (_SYSTEMCTL, "stop", "docker.service", "docker.socket"), timeout=120)
_START = Step("start dockerd", (_SYSTEMCTL, "start", "docker.service"), timeout=120, undo=(_STOP,))


def _prepare_restart(look: Look, finding: Finding) -> Plan:
    _refuse_without_modules(look)
    engine, containers, netfilter = look.need(ENGINE), look.need(CONTAINERS), look.need(NETFILTER)
    running = [container for container in containers if container.running]
    lost = [] if engine.live_restore else [container for container in running if container.auto_remove]
    if look.container in lost:
        raise RefusedError(f"container {look.service.container} was run with --rm: stopping it would remove it")
    down = [one for one in running if one not in lost and not one.returns(live_restore=engine.live_restore)]
    return Plan(
        fix=RESTART.id,
        title=RESTART.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.HIGH if lost else Risk.LOW if engine.live_restore else Risk.MEDIUM,
        steps=(_FORGET_FAILURES, _RESTART, *(start(container) for container in down)),
        blast_radius=_blast_radius(engine, running, down, lost),
        verify="Docker's chains and the port's DNAT rule are there, and the service answers from outside",
        basis={
            "running containers": ", ".join(sorted(f"{one.name} ({one.restart_policy})" for one in running)),
            "missing": "; ".join(missing_parts(netfilter, look.service.port)) or "nothing",
        },
        notes=("A restart cannot be undone.", *_swarm(engine)),
    )


def _blast_radius(engine: EngineInfo, running: list[Container], down: list[Container], lost: list[Container]) -> str:
    if engine.live_restore:
        return "live-restore is on: containers keep running; docker-proxy and the API are away for some seconds."
    says = f"Every container stops, usually for some seconds: {_names(running)}."
    if down:
        says += f" No restart policy brings back {_names(down)}: started again as part of this plan."
    if lost:
        says += f" Run with --rm, so LOST for good: {_names(lost)}."
    return says


def _names(containers: list[Container]) -> str:
    return ", ".join(sorted(container.name for container in containers)) or "none is running"


def _swarm(engine: EngineInfo) -> tuple[str, ...]:
    return ("This host is part of a swarm: its tasks may move to other hosts meanwhile.",) if engine.swarm else ()


def _refuse_without_modules(look: Look) -> None:
    """With the modules gone dockerd could not load what it needs: a half outage would become a whole one."""
    system = look.may(SYSTEM)
    if system is not None and system.modules_gone:
        raise RefusedError(f"the modules of the running kernel {system.kernel} are gone: reboot the host instead")


def _prepare_start(look: Look, finding: Finding) -> Plan:
    _refuse_without_modules(look)
    docker = look.need(UNITS)["docker.service"]
    if docker.is_active:
        raise RefusedError("docker.service is active already")
    if docker.enabled == "masked":
        raise RefusedError("docker.service is masked: somebody does not want it started")
    return Plan(
        fix=START.id,
        title=START.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.LOW,
        steps=(_FORGET_FAILURES, _START),
        blast_radius="Containers with a restart policy start again; others stay as they are.",
        verify="dockerd is active, and the service answers from outside",
        basis={"docker.service": f"{docker.active}, {docker.enabled}"},
    )


RESTART = Fix("restart-docker", "Restart dockerd", _prepare_restart)
START = Fix("start-docker", "Start dockerd", _prepare_start)
