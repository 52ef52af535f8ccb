"""A proxy in front of the service: it answers itself, with an error, and hands nothing on."""

import shlex

from checks.causes.cause import Cause, Judgement, fail, passed
from checks.evidence.front import front
from checks.evidence.inside import ending, innermost, says, shown
from checks.evidence.state import ContainerState, state_of
from checks.facts.engine import Container
from checks.facts.path import PATH
from checks.look import Look, MissingError
from checks.model import Evidence, Phase, ReachOutcome, ServiceKind, Vantage

OF_A_GATEWAY = {502: "Bad Gateway", 504: "Gateway Timeout"}
"""What a server answers that has no good answer of another one, which it asked for it (RFC 9110, 15.6.3 and 15.6.5)."""


def _proxy_fails(look: Look) -> Judgement:
    """What has the port answers itself, while the service behind it is well; or says that it has no answer from it."""
    innocent = _nothing_of_a_proxy(look)
    if innocent:
        return passed(innocent)
    who, container = front(look), look.behind or look.container
    if not who:
        return _by_itself(look)
    if look.way.inner is None:
        if look.outside.status not in OF_A_GATEWAY:
            raise MissingError(PATH.name, f"{who} has port {look.service.port}, and what is behind was not reached")
        return fail(*_answered_by(look, who), advice=_advice(look, container), sure=False)
    if ending(look, look.way.inner) is not ReachOutcome.ANSWERED:
        return passed(f"what is behind {who} is no better: at {look.way.inner.address} it {says(look, look.way.inner)}")
    return fail(
        *_answered_by(look, who),
        Evidence("path", f"the service itself, at {_place(look)}, {says(look, look.way.inner)}"),
        *_apart(look, container),
        advice=_advice(look, container),
    )


def _nothing_of_a_proxy(look: Look) -> str:
    """Why there is no answer that a proxy could have given; empty where there may be."""
    if look.service.kind is ServiceKind.TCP:
        return "nothing but a connection is asked for"
    if look.outside.ok:
        return f"it {look.outside.says} from outside"
    if look.outside.phase is not Phase.HTTP:
        return f"there is no answer: {look.outside.says}"
    container = look.behind or look.container
    if container is None and look.service.container is not None:
        return f"there is no container {look.service.container} behind it"
    if container is not None and (state := state_of(look, container)) is not ContainerState.WELL:
        return f"container {container.name} is {container.status} ({state}): nothing could hand on to it"
    return ""


def _by_itself(look: Look) -> Judgement:
    """No proxy is known: then only a registry's port can tell, as no registry gives the answer of a gateway."""
    nearest = innermost(look)
    if look.service.kind is not ServiceKind.REGISTRY or nearest.status not in OF_A_GATEWAY or nearest.registry:
        return passed(f"nothing is known to be in front of it, and it {look.outside.says}")
    container = look.container
    who = f"container {container.name} ({container.made.image})" if container else "what listens there"
    return fail(*_answered_by(look, who), advice=_advice(look, None), sure=False)


def _answered_by(look: Look, who: str) -> tuple[Evidence, ...]:
    server = next((rung.server for rung in look.way.rungs if rung.vantage is Vantage.HOST and rung.server), "")
    named = f", which calls itself {server}" if server else ""
    status = look.outside.status or 0
    meaning = f"{status} ({OF_A_GATEWAY.get(status)}) is what a proxy says of its upstream; no registry says it"
    return (
        Evidence("containers", f"port {look.service.port} is answered by {who}{named}"),
        *((Evidence("reading", meaning),) if status in OF_A_GATEWAY else ()),
        *shown(look, Vantage.HOST),
    )


def _apart(look: Look, container: Container | None) -> tuple[Evidence, ...]:
    """That the two containers share no network, by which the one could reach the other."""
    proxy = _proxy(look)
    if proxy is None or container is None:
        return ()
    theirs, ours = ({network.name for network in one.networks} for one in (proxy, container))
    if theirs & ours or proxy.on_host_network:
        return ()
    apart = f"they share no network: {proxy.name} is in {_list(theirs)}, {container.name} in {_list(ours)}"
    return (Evidence("containers", apart),)


def _advice(look: Look, container: Container | None) -> tuple[str, ...]:
    proxy = _proxy(look) or (look.container if container is None else None)
    where = f"; it answers at {_place(look)}" if look.way.inner else ""
    if proxy is None:
        return (
            f"sudo ss -ltnp 'sport = :{look.service.port}'   # the proxy; its log names the upstream that it tries",
            f"# let its upstream be where the service is{where}",
        )
    name = shlex.quote(proxy.name)
    return (
        f"docker logs --tail 30 {name}   # the upstream that it tries{where}",
        f"docker restart {name}   # nginx asks for the address of its upstream only when it starts",
    )


def _proxy(look: Look) -> Container | None:
    """The container in front of the service's own, where it is one."""
    return look.container if look.behind is not None else None


def _place(look: Look) -> str:
    return look.way.inner.address if look.way.inner else "its own address"


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


PROXY_IN_FRONT_FAILS = Cause(
    "proxy-in-front-fails", "what stands in front of the service answers in its place", _proxy_fails, rank=69
)
