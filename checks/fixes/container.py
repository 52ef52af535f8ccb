"""Start, restart or unpause the service's container."""

import re

from checks.causes.cause import Look
from checks.causes.docker_rules import missing_chains
from checks.facts.engine import Container
from checks.facts.netfilter import NETFILTER
from checks.fixes.fix import Fix, RefusedError
from checks.model import Finding, Plan, Risk, Step

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")  # moby: daemon/names RestrictedNameChars


def start(container: Container) -> Step:
    name = _checked(container)
    stop = Step(f"stop container {name}", ("docker", "stop", name), root=False)
    return Step(f"start container {name}", ("docker", "start", name), root=False, undo=(stop,))


def _checked(container: Container) -> str:
    """The container's name, which comes from a host, as a word of a command. Raises RefusedError."""
    if not _NAME.fullmatch(container.name):
        raise RefusedError(f"a container has a name that Docker would not allow: {container.name!r}")
    return container.name


def _prepare(look: Look, finding: Finding) -> Plan:
    container = look.container
    if container is None or container.running:
        raise RefusedError("there is no stopped container")
    _refuse_without_chains(look)
    return Plan(
        fix=FIX.id,
        title=FIX.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.LOW,
        steps=(start(container),),
        blast_radius=f"Only container {container.name}.",
        verify="the container is running, and the service answers from outside",
        basis={container.name: f"{container.status}, exit status {container.exit_code}"},
        notes=_notes(container),
    )


def _prepare_restart(look: Look, finding: Finding) -> Plan:
    container = look.container
    if container is None or not container.running:
        raise RefusedError("there is no running container")
    _refuse_without_chains(look)
    return Plan(
        fix=RESTART.id,
        title=RESTART.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.LOW,
        steps=(Step(f"restart container {container.name}", ("docker", "restart", _checked(container)), root=False),),
        blast_radius=f"Only container {container.name}: it stops, within 10 s or by force, and starts again.",
        verify="the container is running, and the service answers from outside",
        basis={container.name: f"{container.status} since {container.started_at}"},
        notes=("A restart cannot be undone. What the program holds in memory alone is lost.",),
    )


def _prepare_unpause(look: Look, finding: Finding) -> Plan:
    container = look.container
    if container is None or container.status != "paused":
        raise RefusedError("there is no paused container")
    return Plan(
        fix=UNPAUSE.id,
        title=UNPAUSE.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.LOW,
        steps=(_unpause(_checked(container)),),
        blast_radius=f"Only container {container.name}, whose processes go on where they were frozen.",
        verify="the container is running, and the service answers from outside",
        basis={container.name: container.status},
        notes=("Somebody, or a backup, paused it: ask whether that is still under way.",),
    )


def _unpause(name: str) -> Step:
    pause = Step(f"pause container {name}", ("docker", "pause", name), root=False)
    return Step(f"unpause container {name}", ("docker", "unpause", name), root=False, undo=(pause,))


def _refuse_without_chains(look: Look) -> None:
    """Docker starts no container whose port it cannot write a rule for: a half outage would become a whole one."""
    if look.bridged is not None and missing_chains(look.need(NETFILTER)):
        raise RefusedError(
            "Docker's chains are missing: the start would fail with `No chain/target/match`; restart-docker goes first"
        )


def _notes(container: Container) -> tuple[str, ...]:
    if container.restart_policy in {"always", "unless-stopped"}:
        return ("It stopped in spite of its restart policy: somebody stopped it, or it cannot run. See its log.",)
    says = f"Its restart policy is {container.restart_policy!r}: it stays down after the next stop."
    return (says, f"To change that: docker update --restart=unless-stopped {container.name}")


FIX = Fix("start-container", "Start the container", _prepare)
RESTART = Fix("restart-container", "Restart the container", _prepare_restart)
UNPAUSE = Fix("unpause-container", "Unpause the container", _prepare_unpause)
