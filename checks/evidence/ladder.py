"""The reach ladder as the first classifier: from where it answers, and how the rest ends, tells the broken layer."""

from checks.look import Look
from checks.model import Phase, ReachOutcome, Vantage

_BY_ENDING = {
    ReachOutcome.TIMED_OUT: "dropped without a word: forwarding, a DROP rule, or something before the host",
    ReachOutcome.NO_ROUTE: "rejected on its way: a firewall's REJECT, here or before the host",
    ReachOutcome.REFUSED: "turned away: a REJECT with port-unreachable or a reset, or nobody listens where it arrives",
    ReachOutcome.NETWORK_UNREACHABLE: "without a way: the client's own machine, or a router, knows none",
}


def layer(look: Look) -> str:
    """Which layer is broken, in words; empty for a service that answers, or where the ladder was not tried.

    The pattern of CAUSES part 3, section 1: the container's own address proves the application, the host's own
    address proves what Docker publishes on the host, the outside all of the way.
    """
    if look.outside.ok:
        return ""
    if look.outside.phase in {Phase.TLS, Phase.HTTP}:
        return "what answers the connection, or what carries the answer: the connection itself is made"
    if any(peer.seen is not None and peer.seen.ok for peer in look.peers):
        return "the way from this machine to the host, or a rule about this client: another host reaches it"
    return _on_the_host(look)


def _on_the_host(look: Look) -> str:
    container, own = look.answers_at(Vantage.CONTAINER), look.answers_at(Vantage.HOST)
    if container is False:
        return "the application, or the way to its container: it does not answer by the container's own address either"
    if own is False and container and look.answers_at(Vantage.LOOPBACK):
        return (
            "between the container and whoever is not on its own network: it answers its bridge's address, which"
            " docker-proxy and the host ask from, and no other: its own routes or firewall, or a rule by the source"
        )
    if own is False:
        where = "the container answers by its own address" if container else "it does not answer on the host itself"
        return f"what publishes the port on the host: {where}, and not by the host's"
    if own:
        return f"the way from clients to it: on the host it answers; from outside it is {_ending(look)}"
    return ""


def _ending(look: Look) -> str:
    return _BY_ENDING.get(look.outside.ended, look.outside.says)
