"""What the host's routing does with a client's packet and with the container's answer, by the kernel's own word.

Rules of the packet filter may mark either, and routing rules may ask for the mark: the kernel is asked about each mark
that a rule knows, and what it says of the mark that the packet has is what counts.
"""

from collections.abc import Iterable, Mapping

from checks.evidence.packet import followed
from checks.facts.engine import Container
from checks.facts.path import PATH, Route
from checks.facts.routing import ROUTING, Decision, Flow
from checks.look import Look, MissingError
from checks.model import Evidence
from checks.walk import Trace

_OF_TAILSCALE = "52"
"""Its routing table (tailscale: wgengine/router/osrouter/router_linux.go)."""


def inbound(look: Look) -> Route:
    """Where the kernel sends what a client sends on to the container. Raises MissingError where it was not asked."""
    look.need(PATH)
    if look.way.inbound is None:
        raise MissingError(PATH.name, "where clients come from is not known")
    trace = _trace(look)
    return _of_mark(look, look.way.inbound, look.way.inbound_marked, None if trace is None else trace.marks)


def outbound(look: Look) -> Route:
    """Where it sends the container's answer. Raises MissingError where it was not asked."""
    look.need(PATH)
    if look.way.outbound is None:
        raise MissingError(PATH.name, "the way of the container's answers could not be asked")
    return answer_of_mark(look, look.way.outbound)


def answer_of_mark(look: Look, route: Route) -> Route:
    """The same for an answer of which the unmarked one's way is known. Raises MissingError for one of another mark."""
    trace = _trace(look)
    asked = look.way.outbound_marked if route == look.way.outbound else {}
    return _of_mark(look, route, asked, None if trace is None else trace.answer_marks)


def _trace(look: Look) -> Trace | None:
    try:
        return followed(look)
    except MissingError:
        return None


def _of_mark(look: Look, plain: Route, marked: Mapping[int, Route], marks: Iterable[int | None] | None) -> Route:
    """The route of the mark that a packet has: of another one that every rule takes alike, too."""
    routing = look.may(look.of_clients(ROUTING))
    if routing is not None and not routing.marks:
        return plain
    if marks is None:
        raise MissingError(PATH.name, "whether rules mark the packets is not known")
    wanted = routing.marks if routing else ()

    def taken(mark: int) -> tuple[bool, ...]:
        return tuple(one.fits(mark) for one in wanted)

    asked = {0: plain, **marked}
    found: set[Route] = set()
    for mark in marks:
        alike = (
            known for known in asked if known == mark or (routing and mark is not None and taken(known) == taken(mark))
        )
        known = next(alike, None)
        if known is None:
            raise MissingError(PATH.name, "rules mark the packets, and the kernel was asked for the way of other marks")
        found.add(asked[known])
    if len(found) != 1:
        raise MissingError(PATH.name, "rules mark some of the packets, and those go another way")
    return found.pop()


def decision(look: Look, route: Route, container: Container) -> Decision | None:
    """The rule and the route that decide: None where all that is known of them does not lead to the kernel's answer."""
    routing = look.may(look.of_clients(ROUTING))
    words = route.question.split()[3:]
    asked = dict(zip(words[1::2], words[2::2], strict=False))
    if routing is None:
        return None
    towards_client = words[0] == look.way.client
    binding = container.binds(look.service.port)
    port = binding.container_port if binding else None
    found = routing.decide(
        Flow(
            source=asked.get("from", ""),
            destination=words[0],
            interface=route.interface,
            mark=route.mark,
            source_port=port if towards_client else None,
            port=None if towards_client else port,
        )
    )
    return found if found is not None and found.device == route.device else None


def shown(found: Decision | None) -> tuple[Evidence, ...]:
    """A rule of the host's own, as evidence: the one of the main table is on every host."""
    return (Evidence(ROUTING.name, f"decided by {found.says}"),) if found and not found.is_common else ()


def mended(found: Decision | None, network: str) -> tuple[str, ...]:
    """Where to look, and what lets packets for a network go by the main table, in the terms of who made the rule."""
    six = "-6 " if ":" in network else ""
    look_at = f"ip {six}rule show; ip {six}route show table all   # which rule and which table decide"
    if found is None or found.is_common:
        return (
            look_at,
            f"# the rule, or the table's route, is its owner's to mend: ip {six}rule del, ip {six}route replace",
        )
    before = max(found.rule.priority - 1, 1)
    return (
        look_at,
        f"sudo ip {six}rule add to {network} lookup main priority {before}   # now, if the main table's route is right",
        _owner(found),
    )


def _owner(found: Decision) -> str:
    device = found.device or ""
    if device.startswith("tailscale") or found.rule.target == _OF_TAILSCALE:
        return "# Tailscale makes it: tailscale set --exit-node=   # or keep it: --exit-node-allow-lan-access=true"
    if device.startswith("wg"):
        return (
            f"# wg-quick makes it: AllowedIPs without these addresses, or Table = off, in /etc/wireguard/{device}.conf"
        )
    return "# whoever made it makes it again: a VPN client, a script, [RoutingPolicyRule] of networkd, nmcli"
