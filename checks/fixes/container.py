"""Start, restart or unpause the service's container."""

import re
from dataclasses import replace

from checks.causes.container_network import SHARED_NETWORK_LOST, left_behind, owner_of
from checks.causes.docker_rules import DNAT_TARGET_STALE, stale_rules
from checks.commands import typed
from checks.evidence.state import port_refused, start_may_help
from checks.facts.engine import CONTAINERS, Container
from checks.fixes import preflight
from checks.fixes.fix import Fix, RefusedError, Remedy
from checks.look import Look
from checks.model import Finding, FixId, Lasts, Risk, Step

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")  # moby: daemon/names RestrictedNameChars
_LONG = 60
"""Seconds: a container has 10 of them to stop, or as many as it was made with, and then its program has to start."""

_ITS_RULES = ("rules nat DOCKER", "rules nat POSTROUTING", "rules filter DOCKER*", "rules raw PREROUTING", "nft ip6 *")


def start(container: Container) -> Step:
    name = _checked(container)
    return Step(f"start container {name}", ("docker", "start", name), root=False, timeout=_LONG)


def stop(container: Container) -> Step:
    name = _checked(container)
    return Step(f"stop container {name}", ("docker", "stop", name), root=False, timeout=_LONG)


def changes(container: Container) -> tuple[str, ...]:
    """What a start or a stop may change: Docker writes its rules anew, maybe for another address."""
    return (f"container {container.name}*", *_ITS_RULES)


def _checked(container: Container) -> str:
    """The container's name, which comes from a host, as a word of a command. Raises RefusedError."""
    if not _NAME.fullmatch(container.name):
        raise RefusedError(f"a container has a name that Docker would not allow: {container.name!r}")
    return container.name


def _prepare(look: Look, _: Finding) -> Remedy:
    container = look.container
    if container is None or container.running:
        raise RefusedError("there is no stopped container")
    if container.error and not start_may_help(look, container):
        raise RefusedError(f"Docker would say it again, for all that is known: {container.error}")
    return Remedy(
        steps=(replace(start(container), undo=(stop(container),)),),
        risk=Risk.LOW,
        blast_radius=f"Only container {container.name}.",
        verify="the container is running, and the service answers from outside",
        basis={container.name: f"{container.status}, exit status {container.exit_code}"},
        lasts=Lasts.UNTIL_CHANGED if container.returns(live_restore=False) else Lasts.UNTIL_REBOOT,
        changes=changes(container),
        preflight=(preflight.chains(look),),
        notes=(*_port_was_taken(look, container), *_notes(container)),
    )


def _prepare_restart(look: Look, finding: Finding) -> Remedy:
    container = _left_behind(look) if finding.cause == SHARED_NETWORK_LOST.id else look.container
    if container is None or not container.running:
        raise RefusedError("there is no running container")
    holds = preflight.chains(look)
    if finding.cause == DNAT_TARGET_STALE.id:
        _refuse_behind_stale_rule(look, container)
    if container.auto_remove:
        raise RefusedError(f"container {container.name} was run with --rm: stopping it would remove it")
    name = _checked(container)
    restart = Step(f"restart container {name}", ("docker", "restart", name), root=False, timeout=_LONG)
    seconds = look.before.experience.get(typed(restart))
    usual = "it stops, within 10 s or by force, and starts again"
    return Remedy(
        steps=(restart,),
        risk=Risk.LOW,
        blast_radius=f"Only container {name}: {usual}."
        if seconds is None
        else f"Only container {name}: {usual}; that took {seconds:.0f} s the last time on this host.",
        verify="the container is running, and the service answers from outside",
        basis={name: f"{container.status} since {container.started_at}"},
        lasts=Lasts.UNTIL_CHANGED,
        changes=changes(container),
        preflight=(holds, f"container {name} was not run with --rm: a stop does not remove it"),
        notes=("A restart cannot be undone. What the program holds in memory alone is lost.",),
    )


def _left_behind(look: Look) -> Container | None:
    container = left_behind(look)
    if container is not None and owner_of(look.need(CONTAINERS), container) is None:
        raise RefusedError(f"container {container.name} has to be made anew: whose network it shares is gone")
    return container


def _refuse_behind_stale_rule(look: Look, container: Container) -> None:
    """Docker takes only the rule away that it wrote itself, and adds the new one behind all others.

    Seen with 20.10 and 26.1: after a restart of the container the port still leads where it led before.
    """
    wrong = stale_rules(look.rules_for_clients, look.service.port, container.by_ipv6 if look.by_ipv6 else container)
    if wrong:
        raise RefusedError(
            f"the wrong rule `{wrong[0].says}` would stay, ahead of the one that Docker adds when the container starts:"
            " restart-docker writes them all anew"
        )


def _prepare_unpause(look: Look, _: Finding) -> Remedy:
    container = look.container
    if container is None or container.status != "paused":
        raise RefusedError("there is no paused container")
    name = _checked(container)
    pause = Step(f"pause container {name}", ("docker", "pause", name), root=False)
    return Remedy(
        steps=(Step(f"unpause container {name}", ("docker", "unpause", name), root=False, undo=(pause,)),),
        risk=Risk.LOW,
        blast_radius=f"Only container {name}, whose processes go on where they were frozen.",
        verify="the container is running, and the service answers from outside",
        basis={name: container.status},
        lasts=Lasts.UNTIL_CHANGED,
        changes=(f"container {name}*",),
        notes=("Somebody, or a backup, paused it: ask whether that is still under way.",),
    )


def _port_was_taken(look: Look, container: Container) -> tuple[str, ...]:
    if port_refused(look, container) is None:
        return ()
    return (f"Its last start was refused, because port {look.service.port} was taken. Nobody is seen there now.",)


def _notes(container: Container) -> tuple[str, ...]:
    if container.restart_policy in {"always", "unless-stopped"}:
        return ("It stopped in spite of its restart policy: somebody stopped it, or it cannot run. See its log.",)
    says = f"Its restart policy is {container.restart_policy!r}: it stays down after the next stop."
    return (says, f"To change that: docker update --restart=unless-stopped {container.name}")


FIX = Fix(FixId.START_CONTAINER, "Start the container", _prepare)
RESTART = Fix(FixId.RESTART_CONTAINER, "Restart the container", _prepare_restart)
UNPAUSE = Fix(FixId.UNPAUSE_CONTAINER, "Unpause the container", _prepare_unpause)
