"""The container itself: there and running, or not."""

from checks.causes.cause import Cause, Judgement, Look, fail, passed
from checks.facts.engine import CONTAINERS, Container
from checks.model import Evidence

_STOPPED = {"created", "exited", "dead"}


def _container_stopped(look: Look) -> Judgement:
    container = look.container
    if container is None:
        return passed("there is no container to be stopped")
    if container.status not in _STOPPED:
        return passed(f"container {container.name} is {container.status}")
    if look.outside.ok:
        return passed(f"container {container.name} is {container.status}, and something else answers in its place")
    return fail(*_state(container))


def _state(container: Container) -> tuple[Evidence, ...]:
    ended = f" at {container.finished_at[:19].replace('T', ' ')} UTC" if container.finished_at > "0002" else ""
    says = f"container {container.name} is {container.status} (exit status {container.exit_code}){ended}"
    evidence = [Evidence("containers", says)]
    if container.error:
        evidence.append(Evidence("containers", f"Docker says: {container.error}"))
    if container.oom_killed:
        evidence.append(Evidence("containers", "it was killed for want of memory"))
    evidence.append(Evidence("containers", f"its restart policy is {container.restart_policy!r}"))
    return tuple(evidence)


def _container_missing(look: Look) -> Judgement:
    containers = look.need(CONTAINERS)
    name = look.service.container
    if name is None:
        return passed("no container is configured for this service")
    if look.container is not None:
        return passed(f"container {name} is there")
    if look.outside.ok:
        return passed(f"there is no container {name}, and something else answers in its place")
    others = ", ".join(sorted(container.name for container in containers)[:10]) or "none at all"
    return fail(
        Evidence("containers", f"Docker knows no container {name}; it has: {others}"),
        advice=(
            f"docker ps -a --filter name={name}   # was it renamed?",
            f"docker events --since 24h --until 0s --filter container={name} --filter event=destroy   # who removed it",
            "start it again the way it was made: its compose file, or its `docker run` line",
        ),
    )


CONTAINER_STOPPED = Cause(
    "container-stopped", "the container is not running", _container_stopped, rank=30, fixes=("start-container",)
)
CONTAINER_MISSING = Cause("container-missing", "the container does not exist", _container_missing, rank=30)
