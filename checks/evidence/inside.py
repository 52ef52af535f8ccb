"""How the service answers on its own host: a rung of the reach ladder, judged as the reading from outside is."""

import shlex

from checks.evidence.front import front
from checks.facts.engine import CONTAINERS, Container
from checks.facts.path import PATH, Rung
from checks.look import Look, MissingError
from checks.model import LADDER, Evidence, Phase, ReachOutcome, ServiceKind, Vantage
from checks.rungs import judged

_NAMES = {
    Vantage.LOOPBACK: "at 127.0.0.1",
    Vantage.HOST: "at the host's own address",
    Vantage.CONTAINER: "at the container's own address",
}


def rung(look: Look, vantage: Vantage) -> Rung | None:
    return next((rung for rung in look.way.rungs if rung.vantage is vantage), None)


def innermost(look: Look) -> Rung:
    """The rung nearest to the program: no rule and no proxy is in its way. Raises MissingError where it is not known.

    By the host's own address only where the container was not tried by its own, and nobody else answers in its place.
    """
    look.need(PATH)
    found = look.way.inner or rung(look, Vantage.CONTAINER)
    if found is None and (why := look.way.gaps.get("container")):
        raise MissingError(PATH.name, why)
    known = found is None or look.may(CONTAINERS) is not None
    if look.way.inner is None and known and (who := front(look)):
        raise MissingError(PATH.name, f"{who} has port {look.service.port}, and the container behind was not reached")
    found = found or rung(look, Vantage.HOST)
    if found is None:
        untried = f"nobody tried to reach port {look.service.port} on the host"
        raise MissingError(PATH.name, look.way.gaps.get("own", untried))
    return found


def ending(look: Look, tried: Rung) -> ReachOutcome:
    """How an attempt ended, for a service of this kind."""
    return judged(tried, look.service.kind)[0]


def is_good(look: Look, vantage: Vantage) -> bool | None:
    """Whether the service answers from a vantage as a healthy one does; None where that was not tried."""
    tried = rung(look, vantage)
    return None if tried is None else ending(look, tried) is ReachOutcome.ANSWERED


def was_accepted(look: Look, tried: Rung) -> bool:
    """Whether the connection was made, whatever came of it."""
    return tried.phase is not Phase.CONNECT or (
        look.service.kind is ServiceKind.TCP and tried.ended is ReachOutcome.ANSWERED
    )


def shown(look: Look, *vantages: Vantage) -> tuple[Evidence, ...]:
    """What was seen on the host, beside the reading from outside, in one line."""
    reached = {Vantage.CONTAINER: look.way.inner} | {one.vantage: one for one in look.way.rungs}
    tried = [found for vantage in vantages if (found := reached.get(vantage)) is not None]
    inside = [f"{_NAMES[one.vantage]}: {says(look, one)}" for one in tried]
    return (Evidence(LADDER, "; ".join((f"from outside: {look.outside.says}", *inside))),)


def says(look: Look, tried: Rung) -> str:
    words = ending(look, tried).value.replace("-", " ")
    if tried.status is not None:
        return f"{words} {tried.status}"
    return words if tried.ended is ReachOutcome.ANSWERED else f"{words} at {tried.phase}"


def in_its_network(container: Container, command: str) -> str:
    """The line with which a person runs a command of the host in the network of a container."""
    return f"sudo nsenter -t $(docker inspect -f '{{{{.State.Pid}}}}' {shlex.quote(container.name)}) -n {command}"
