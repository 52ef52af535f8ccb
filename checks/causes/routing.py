"""The host's own routing: rules and routes that send a client's packet elsewhere than to the container."""

from checks.causes.cause import IN_HOST, Cause, Judgement, died, fail, passed
from checks.causes.kernel import taken_for_spoofed
from checks.causes.network import bridge_of, wrong_with
from checks.evidence.routing import decision, mended, shown
from checks.evidence.routing import inbound as routed_in
from checks.facts.addresses import ADDRESSES
from checks.facts.forwarding import FORWARDING
from checks.facts.path import PATH
from checks.look import Look, MissingError
from checks.model import Evidence, ReachOutcome, Stretch


def _container_unroutable(look: Look) -> Judgement:
    """The kernel is asked what it would do with the packet once it is translated: rules and every table decide."""
    container = look.forwarded
    if container is None or not container.running:
        return passed(look.why_by_proxy or "no running container publishes the port through a bridge")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    inbound = routed_in(look)
    bridge, switched_off = bridge_of(look, container), _forwarding_off(look, inbound.interface)
    if inbound.device == bridge or bridge is None:
        return passed(f"`{inbound.question}` answers: {inbound.answer}")
    before = switched_off or wrong_with(look.need(look.of_clients(ADDRESSES)), bridge)
    if before or taken_for_spoofed(look) is not None:
        return passed(before or "the reverse path filter drops it before")
    if inbound.device is None and not inbound.ends:
        raise MissingError(PATH.name, f"`{inbound.question}` answers: {inbound.answer}")
    ends = f"leave by {inbound.device}" if inbound.device else "go nowhere"
    by = decision(look, inbound, container)
    return fail(
        Evidence("route", f"`{inbound.question}` answers: {inbound.answer}"),
        *shown(by),
        Evidence("containers", f"container {container.name} is behind {bridge}: what clients send would {ends}"),
        sure=look.outside.ended in {ReachOutcome.TIMED_OUT, ReachOutcome.NO_ROUTE, ReachOutcome.NETWORK_UNREACHABLE},
        advice=mended(by, f"{container.addresses[0]}/{128 if look.by_ipv6 else 32}"),
    )


def _forwarding_off(look: Look, interface: str) -> str:
    """The kernel answers "No route to host" also where it does not forward."""
    forwarding = look.need(look.of_clients(FORWARDING))
    if not forwarding.ip_forward:
        return f"net.{'ipv6.conf.all.forwarding' if look.by_ipv6 else 'ipv4.ip_forward'} = 0: nothing is forwarded"
    if not forwarding.interfaces.get(interface, True):
        return f"net.ipv4.conf.{interface}.forwarding = 0: nothing that comes in there is forwarded"
    return ""


CONTAINER_UNROUTABLE = Cause(
    "container-unroutable",
    "the host's routing keeps packets from the container",
    _container_unroutable,
    rank=37,
    death=died(Stretch.ELSEWHERE, Stretch.TO_CONTAINER, *IN_HOST),
)
