"""The container itself: there and running, or not. Whatever state it is in, one cause alone is to blame."""

import shlex

from checks.causes.cause import Cause, Judgement, fail, passed, risk
from checks.evidence.history import by_our_clock
from checks.evidence.origin import who_stopped
from checks.evidence.state import ContainerState, state_of
from checks.facts.engine import CONTAINERS, ENGINE, LOGS, Container, named_container
from checks.look import Look
from checks.model import Evidence, FixId, Phase

_KILLED = 137  # 128 + SIGKILL
_MOST_NAMED = 10
_ROOT = "/var/lib/docker"


def _container_stopped(look: Look) -> Judgement:
    container = _to_blame(look)
    other = _not_in(ContainerState.STOPPED, look, container)
    if other is not None or container is None:
        return other or passed("there is no container to be stopped")
    evidence = (*_ended(look, container), *who_stopped(look, container.name), _policy(container))
    return fail(*evidence, sure=_is_the_one(look, container), advice=(_log(container),))


def _container_restarting(look: Look) -> Judgement:
    """It starts, ends, and is started again by its policy, with longer and longer pauses."""
    container = _to_blame(look)
    other = _not_in(ContainerState.RESTARTING, look, container)
    if other is not None or container is None:
        return other or passed("there is no container to restart")
    times = f"was restarted {container.restarts} times by its policy {container.restart_policy!r}"
    evidence = [Evidence("containers", f"container {container.name} {times}")]
    if container.running:
        evidence.append(
            Evidence("containers", f"it runs since {by_our_clock(look, container.started_at)}, and does not answer")
        )
    else:
        evidence += _ended(look, container)
    evidence += [Evidence("log", f"its log ends with: {line}") for line in _last_words(look, container)]
    return fail(
        *evidence,
        sure=not container.running,
        advice=(_log(container), f"docker stop {shlex.quote(container.name)}   # ends the loop while you look into it"),
    )


def _container_out_of_memory(look: Look) -> Judgement:
    container = _to_blame(look)
    other = _not_in(ContainerState.OUT_OF_MEMORY, look, container)
    if other is not None or container is None:
        return other or passed("there is no container")
    name = shlex.quote(container.name)
    limit = (
        f"its memory limit is {_megabytes(container.memory_limit)}"
        if container.memory_limit
        else ("it has no memory limit of its own: the host, or a group that it is in, ran out")
    )
    return fail(
        Evidence("containers", f"container {container.name} was killed by the kernel for want of memory (OOMKilled)"),
        *_ended(look, container),
        Evidence("containers", limit),
        _policy(container),
        sure=container.exit_code == _KILLED,
        advice=(
            "journalctl -k --no-pager | grep -iE 'oom-kill|out of memory' | tail   # who was killed, and its size",
            f"docker update --memory=1g --memory-swap=1g {name}   # another limit: as much as it needs",
            f"docker start {name}",
        ),
    )


def _container_paused(look: Look) -> Judgement:
    container = _to_blame(look)
    other = _not_in(ContainerState.PAUSED, look, container)
    if other is not None or container is None:
        return other or passed("there is no container to be paused")
    return fail(
        Evidence("containers", f"container {container.name} is paused: its processes are frozen"),
        Evidence("path", "the kernel still accepts its connections; nobody answers them"),
    )


def _container_start_failed(look: Look) -> Judgement:
    container = _to_blame(look)
    other = _not_in(ContainerState.START_FAILED, look, container)
    if other is not None or container is None:
        return other or passed("there is no container to start")
    if not container.error:
        return fail(
            Evidence("containers", f"container {container.name} was created, and never started"),
            _policy(container),
            sure=_is_the_one(look, container),
        )
    return fail(
        Evidence("containers", f"container {container.name} did not start, it is {container.status}"),
        Evidence("containers", f"Docker says: {container.error}"),
        sure=_is_the_one(look, container),
        advice=(f"docker start {shlex.quote(container.name)}   # says it again",),
    )


def _to_blame(look: Look) -> Container | None:
    """The one that publishes the port; one behind it that does not run where what is in front has no good answer."""
    behind = look.behind
    no_answer = look.outside.phase in {Phase.TLS, Phase.HTTP} and not look.outside.ok
    return behind if behind is not None and not behind.running and no_answer else look.container


def _is_the_one(look: Look, container: Container) -> bool:
    """Whether it is known to be the service's: one that does not run shows only that it would have the port."""
    return look.service.container in {None, container.name}


def _not_in(state: ContainerState, look: Look, container: Container | None) -> Judgement | None:
    """Why the container is not in a state, or not to blame for it; None where it is."""
    if container is None:
        return None
    found = state_of(look, container)
    if found is not state:
        other = f" ({found})" if found not in {ContainerState.WELL, ContainerState.STOPPED} else ""
        return passed(f"container {container.name} is {container.status}{other}")
    if look.outside.ok:
        return passed(f"container {container.name} is {container.status}, and something else answers in its place")
    return None


def _ended(look: Look, container: Container) -> tuple[Evidence, ...]:
    ended = f" at {by_our_clock(look, container.finished_at)}" if container.finished_at > "0002" else ""
    says = f"container {container.name} is {container.status} (exit status {container.exit_code}){ended}"
    return (Evidence("containers", says),)


def _policy(container: Container) -> Evidence:
    return Evidence("containers", f"its restart policy is {container.restart_policy!r}")


def _log(container: Container) -> str:
    return f"docker logs --tail 20 {shlex.quote(container.name)}   # its own last words"


def _last_words(look: Look, container: Container) -> tuple[str, ...]:
    logs = look.may(LOGS)
    return (logs or {}).get(container.id, ())[-3:]


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.0f} MB"


def _container_missing(look: Look) -> Judgement:
    containers = look.need(CONTAINERS)
    name = look.service.container
    if name is None:
        return passed("no container is configured for this service")
    if look.container is not None:
        return passed(look.stands_in or f"container {name} is there")
    if look.outside.ok:
        return passed(f"there is no container {name}, and something else answers in its place")
    others = ", ".join(sorted(container.name for container in containers)[:_MOST_NAMED]) or "none at all"
    engine = look.may(ENGINE)
    moved = engine is not None and engine.is_docker and not containers and engine.root != _ROOT
    if engine is not None and moved:
        return fail(
            Evidence("containers", f"Docker knows no container at all, so none named {name}"),
            Evidence("Docker Engine", f"it keeps its containers in {engine.root}, not in {_ROOT}, where most do"),
            advice=(
                f"sudo ls {_ROOT}/containers   # the old ones, if `data-root` was changed, or Docker came another way",
                "grep -s data-root /etc/docker/daemon.json; snap list docker   # what changed it",
                f"# if they are there: set data-root back to {_ROOT}, or move its content, and restart dockerd",
            ),
        )
    if engine is not None and engine.swarm:
        return fail(
            Evidence("containers", f"Docker knows no container {name}; it has: {others}"),
            Evidence(
                "Docker Engine",
                f"this host is part of a swarm: {name} may be a service, whose tasks are named otherwise",
            ),
            sure=False,
            advice=(
                f"docker service ps --no-trunc {shlex.quote(name)}   # on a manager: what keeps its tasks down",
                f"docker service inspect --pretty {shlex.quote(name)}   # replicas, placement, ports",
            ),
        )
    events = f"docker events --since 24h --until 0s --filter container={shlex.quote(name)} --filter event=destroy"
    return fail(
        Evidence("containers", f"Docker knows no container {name}; it has: {others}"),
        Evidence("containers", f"none of them publishes {look.service.port}, or did"),
        advice=(
            f"{events}   # when it was removed",
            "# start it again the way it was made: its compose file, or its `docker run` line",
        ),
    )


def _configured_container_missing(look: Look) -> Judgement:
    """All is well, and what the configuration names is not what serves: what is said of it would be of nobody."""
    name, container = look.service.container, look.container
    if name is None or container is None or named_container(look.need(CONTAINERS), name) is not None:
        return passed("the container that the configuration names is there, or it names none")
    if not look.outside.ok:
        return passed(look.stands_in)
    rename = f"docker rename {shlex.quote(container.name)} {shlex.quote(name)}"
    return risk(
        Evidence("containers", look.stands_in),
        Evidence("containers", f"name that one in the configuration, or give it its old name back: {rename}"),
    )


def _restart_policy_missing(look: Look) -> Judgement:
    """It runs now, and would not after a restart of dockerd, which any fix of the network may need, or of the host."""
    container = look.container
    if container is None or not container.running:
        return passed("no container of this service runs")
    if container.made.swarm:
        return passed(f"container {container.name} is a task of a swarm, which starts another one")
    if container.returns(live_restore=False):
        return passed(f"the restart policy of container {container.name} is {container.restart_policy!r}")
    engine = look.may(ENGINE)
    live = engine is not None and engine.live_restore
    removed = ", and it was run with --rm: once stopped it is removed" if container.auto_remove else ""
    return risk(
        Evidence(
            "containers", f"the restart policy of container {container.name} is {container.restart_policy!r}{removed}"
        ),
        Evidence(
            "containers",
            f"it stays down after the next {'boot' if live else 'restart of dockerd, or boot'};"
            f" to change that: docker update --restart=unless-stopped {shlex.quote(container.name)}",
        ),
    )


CONTAINER_STOPPED = Cause(
    "container-stopped", "the container is not running", _container_stopped, rank=30, fixes=(FixId.START_CONTAINER,)
)
CONTAINER_RESTARTING = Cause("container-restarting", "the container keeps crashing", _container_restarting, rank=30)
CONTAINER_OUT_OF_MEMORY = Cause(
    "container-out-of-memory",
    "the container was killed for want of memory",
    _container_out_of_memory,
    rank=30,
    fixes=(FixId.START_CONTAINER,),
)
CONTAINER_PAUSED = Cause(
    "container-paused", "the container is paused", _container_paused, rank=30, fixes=(FixId.UNPAUSE_CONTAINER,)
)
CONTAINER_START_FAILED = Cause(
    "container-start-failed",
    "the container could not be started",
    _container_start_failed,
    rank=30,
    fixes=(FixId.START_CONTAINER,),
)
CONTAINER_MISSING = Cause("container-missing", "the container does not exist", _container_missing, rank=30)
CONFIGURED_CONTAINER_MISSING = Cause(
    "configured-container-missing",
    "the container that the configuration names does not exist",
    _configured_container_missing,
)
RESTART_POLICY_MISSING = Cause(
    "restart-policy-missing", "the container would not come back after a restart", _restart_policy_missing
)
