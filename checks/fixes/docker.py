"""Restart or start dockerd."""

from dataclasses import replace

from checks.causes.daemon import DOCKERD_HUNG, why_not_started
from checks.causes.docker_risks import CHAINS_MISSING_BUT_SERVED, DOCKER_DEAF_TO_FIREWALLD
from checks.causes.docker_rules import DOCKER_CHAINS_MISSING, missing_parts
from checks.commands import typed
from checks.evidence.state import ContainerState, state_of
from checks.facts.daemon import DAEMON_CONFIGURATION
from checks.facts.engine import CONTAINERS, ENGINE, Container, EngineInfo
from checks.fixes import preflight
from checks.fixes.container import start
from checks.fixes.fix import Fix, RefusedError, Remedy
from checks.look import Look
from checks.model import Finding, FixId, Lasts, Risk, Step

_SYSTEMCTL = "/usr/bin/systemctl"
_FORGET_FAILURES = Step(
    "clear systemd's count of starts, so that its start limit does not refuse",
    (_SYSTEMCTL, "reset-failed", "docker.service"),
)
_RESTART = Step("restart dockerd, which writes its rules anew", (_SYSTEMCTL, "restart", "docker.service"), timeout=120)
_STOP = Step("stop dockerd", (_SYSTEMCTL, "stop", "docker.service", "docker.socket"), timeout=120)
_START = Step("start dockerd", (_SYSTEMCTL, "start", "docker.service"), timeout=120, undo=(_STOP,))

STARTING = (_FORGET_FAILURES, _START)

_LOOKED_AT_BEFORE = ("ZONE_CONFLICT", "IPv4 forwarding is disabled")
_OF_ITS_FILE = "unable to configure the Docker daemon "

_BY_FIREWALLD = {DOCKER_CHAINS_MISSING.id, CHAINS_MISSING_BUT_SERVED.id, DOCKER_DEAF_TO_FIREWALLD.id}
"""What comes of a firewalld that dockerd does not hear."""

STAYS = (
    *("rules *", "nft ip6 *", "nft ip docker-bridges *", "nft * firewalld *"),
    *("sysctl net.ipv4.ip_forward", "sysctl net.ipv4.conf.*.forwarding"),
    *("zone docker*", "file /etc/firewalld/policies/docker-forwarding.xml*"),
)
"""What dockerd writes when it starts and leaves when it stops: rules, the switch of forwarding, a zone in firewalld."""

CHANGES = (*STAYS, "unit docker.service*", "unit docker.socket*", "unit containerd.service*", "container *")
"""All that a start or a restart of dockerd may change."""


def restart(look: Look, finding: Finding) -> Remedy:
    """Also a part of what another fix does, which may undo what this cannot.

    A dockerd with the nftables backend does not start while forwarding is off (29.7.2): not for engines like that.
    """
    look.need_rules_in_iptables()
    preflight.way_after_restart(look)
    holds, unknown = preflight.start_of_dockerd(look)
    if finding.cause == DOCKERD_HUNG.id and look.may(CONTAINERS) is None:
        return _blindly(look, holds, unknown)
    engine, containers, netfilter = look.need(ENGINE), look.need(CONTAINERS), look.docker_rules
    running = [container for container in containers if container.running]
    lost = [] if engine.live_restore else [container for container in running if container.auto_remove]
    if look.container is not None and look.container in lost:
        raise RefusedError(f"container {look.container.name} was run with --rm: stopping it would remove it")
    down = [one for one in running if one not in lost and _stays_down(one, engine)]
    failed = _failed_for_good(look)
    return Remedy(
        steps=(_FORGET_FAILURES, _RESTART, *map(start, (*down, *failed))),
        risk=Risk.HIGH if lost else Risk.LOW if engine.live_restore else Risk.MEDIUM,
        blast_radius=f"{_who_stops(engine, running)} {_how_long(look)}{_who_does_not_return(down, lost, failed)}",
        verify="Docker's chains and the port's DNAT rule are there, and the service answers from outside",
        basis={
            "running containers": ", ".join(sorted(f"{one.name} ({one.restart_policy})" for one in running)),
            "missing": "; ".join(missing_parts(netfilter, look.service.port)) or "nothing",
        },
        lasts=Lasts.UNTIL_CHANGED,
        changes=CHANGES,
        preflight=(*holds, *(() if lost else ("no container that would stop was run with --rm",))),
        notes=(*_swarm(engine), *_next_start_of_firewalld(look, finding), *unknown),
    )


def _blindly(look: Look, holds: tuple[str, ...], unknown: tuple[str, ...]) -> Remedy:
    """A dockerd that does not answer cannot be asked what a restart does to its containers: two people may dare it."""
    docker = look.unit("docker.service")
    return Remedy(
        steps=(_FORGET_FAILURES, _RESTART),
        risk=Risk.HIGH,
        blast_radius="dockerd does not answer, so what it runs is not known. Every container stops, unless live-restore"
        f" is on. {_how_long(look)} Those with a restart policy come back, others stay down, and those run with --rm"
        " are LOST for good.",
        verify="dockerd answers, and the service answers from outside",
        basis={"docker.service": f"{docker.active} ({docker.sub}), pid {docker.main_pid}"},
        lasts=Lasts.UNTIL_CHANGED,
        changes=CHANGES,
        preflight=holds,
        notes=("A container that stays down afterwards is started with: docker start NAME", *unknown),
    )


def _stays_down(container: Container, engine: EngineInfo) -> bool:
    """Whether it has to be started again afterwards; a task of a swarm is no business of ours."""
    return not container.made.swarm and not container.returns(live_restore=engine.live_restore)


def _failed_for_good(look: Look) -> tuple[Container, ...]:
    """The service's container, where its start failed and a dockerd that starts does not try it again.

    It does for one that has run before and whose policy is ``always``; seen with 20.10 and 26.1.
    """
    container = look.container
    if container is None or container.made.swarm or state_of(look, container) is not ContainerState.START_FAILED:
        return ()
    tried_again = container.status != "created" and container.restart_policy == "always"
    return () if tried_again or not container.error else (container,)


def _who_stops(engine: EngineInfo, running: list[Container]) -> str:
    if engine.live_restore:
        return "live-restore is on: containers keep running; docker-proxy and the API are away meanwhile."
    return f"Every container stops: {_names(running)}."


def _how_long(look: Look) -> str:
    seconds = look.before.experience.get(typed(_RESTART))
    if seconds is None:
        return (
            "Usually for some seconds, 15 and more where a container does not end by itself: never timed on this host."
        )
    return f"The last restart on this host took {seconds:.0f} s."


def _who_does_not_return(down: list[Container], lost: list[Container], failed: tuple[Container, ...]) -> str:
    says = f" No restart policy brings back {_names(down)}: started again as part of this plan." if down else ""
    says += "".join(f" The start of {one.name} failed: it is started as part of this plan." for one in failed)
    return says + (f" Run with --rm, so LOST for good: {_names(lost)}." if lost else "")


def _names(containers: list[Container]) -> str:
    return ", ".join(sorted(container.name for container in containers)) or "none is running"


def _swarm(engine: EngineInfo) -> tuple[str, ...]:
    return ("This host is part of a swarm: its tasks may move to other hosts meanwhile.",) if engine.swarm else ()


def _next_start_of_firewalld(look: Look, finding: Finding) -> tuple[str, ...]:
    """What would make it last: a firewalld that starts before dockerd is one that dockerd hears."""
    unit = look.may_unit("firewalld.service")
    if finding.cause not in _BY_FIREWALLD or unit is None or not unit.is_active or unit.enabled == "enabled":
        return ()
    return (
        "firewalld is not enabled. After the next boot dockerd starts without it, and is deaf to one started by hand.",
        "To have firewalld start at boot, and so before dockerd: sudo systemctl enable firewalld.service",
    )


def _prepare_restart(look: Look, finding: Finding) -> Remedy:
    remedy = restart(look, finding)
    return replace(remedy, notes=("A restart cannot be undone.", *remedy.notes))


def _refuse_what_fails_again(look: Look) -> None:
    """Where dockerd said why it did not start, another start helps only if that is seen to be over."""
    said = why_not_started(look)
    containerd = look.may_unit("containerd.service")
    over = (
        any(words in said for words in _LOOKED_AT_BEFORE)
        or ("containerd" in said and containerd is not None and containerd.is_active)
        or (said.startswith(_OF_ITS_FILE) and look.need(DAEMON_CONFIGURATION).by_dockerd)
    )
    if said and not over:
        raise RefusedError(
            f"dockerd would say it again, for all that is known: {said}. Once that is mended: systemctl start docker"
        )


def _prepare_start(look: Look, _: Finding) -> Remedy:
    docker = look.unit("docker.service")
    if docker.is_active:
        raise RefusedError("docker.service is active already")
    if docker.enabled == "masked":
        raise RefusedError("docker.service is masked: somebody does not want it started")
    preflight.forwarding(look)
    holds, unknown = preflight.start_of_dockerd(look)
    _refuse_what_fails_again(look)
    enabled = docker.enabled in {"enabled", "static", "indirect"}
    return Remedy(
        steps=STARTING,
        risk=Risk.LOW,
        blast_radius="Containers with a restart policy start again; others stay as they are.",
        verify="dockerd is active, and the service answers from outside",
        basis={"docker.service": f"{docker.active}, {docker.enabled}"},
        lasts=Lasts.UNTIL_CHANGED if enabled else Lasts.UNTIL_REBOOT,
        changes=CHANGES,
        stays=STAYS,
        preflight=holds,
        notes=(
            *(
                ()
                if enabled
                else ("It is not enabled. To have it start at boot: sudo systemctl enable docker.service",)
            ),
            *unknown,
        ),
    )


RESTART = Fix(FixId.RESTART_DOCKER, "Restart dockerd", _prepare_restart)
START = Fix(FixId.START_DOCKER, "Start dockerd", _prepare_start)
