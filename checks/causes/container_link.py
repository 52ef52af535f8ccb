"""The last yard: the host's link to the container."""

import shlex
from collections.abc import Iterator

from checks.causes.cause import IN_HOST, Cause, Judgement, died, fail, passed
from checks.causes.container_network import interface_off, twins_of
from checks.causes.network import bridge_of, wrong_with
from checks.evidence.inside import in_its_network, rung, shown, was_accepted
from checks.facts.addresses import ADDRESSES, Addresses, Neighbour
from checks.facts.engine import CONTAINERS, Container, Network
from checks.facts.nftables import NFTABLES, Nftables
from checks.facts.path import PATH, Rung
from checks.look import Look, MissingError
from checks.model import Evidence, ReachOutcome, Stretch, Vantage
from checks.walk.nft_text import rule_text

_NOT_FOUND = {ReachOutcome.TIMED_OUT, ReachOutcome.NO_ROUTE}
_SET_BY_HAND = {"PERMANENT", "NOARP"}


def _container_neighbour_wrong(look: Look) -> Judgement:  # noqa: PLR0911  # one return a way to be wrong, or right
    """What the host sends to the container goes to another hardware address, or port of the bridge, or to none.

    Docker says which hardware address the container has, and the kernel which one it sends to.
    """
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port through a bridge")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    addresses, bridge = look.need(look.of_clients(ADDRESSES)), bridge_of(look, container)
    tried, network = _by_its_own_address(look), _network(container)
    if bridge is None or network is None:
        return passed(f"container {container.name} is in no network")
    if was_accepted(look, tried):
        return passed(f"the host reaches container {container.name} at {tried.address}")
    if before := wrong_with(addresses, bridge) or interface_off(look, container):
        return passed(f"{before}: that comes before")
    if twins_of(look, container):
        return passed("another container has its hardware address: see hardware-address-twice")
    if not addresses.links[bridge].asks:
        return fail(
            Evidence("addresses", f"{bridge} does not ask who has an address (NOARP): nobody on it is found"),
            *shown(look, Vantage.CONTAINER),
            sure=tried.ended in _NOT_FOUND,
            advice=(f"sudo ip link set {bridge} arp on",),
        )
    neighbour = next((one for one in addresses.neighbours.get(network.address, ()) if one.device == bridge), None)
    if neighbour is not None and not neighbour.hardware:
        return _silent(look, container, network, neighbour, tried)
    if neighbour is not None and network.hardware and neighbour.hardware != network.hardware:
        return _another(look, container, network, neighbour)
    return _by_another_port(look, addresses, container, network, tried)


def _by_its_own_address(look: Look) -> Rung:
    look.need(PATH)
    found = rung(look, Vantage.CONTAINER)
    if found is None:
        raise MissingError(PATH.name, "the container was not tried by its own address")
    return found


def _network(container: Container) -> Network | None:
    return next((one for one in container.networks if one.address), None)


def _another(look: Look, container: Container, network: Network, neighbour: Neighbour) -> Judgement:
    """A hardware address that Docker did not give to the container."""
    bridge, address = neighbour.device, network.address
    others = look.may(CONTAINERS) or ()
    whose = next((one.name for one in others for joined in one.networks if joined.hardware == neighbour.hardware), None)
    has = f", which container {whose} has" if whose else ""
    return fail(
        Evidence("addresses", f"`ip neigh` on the host: {address} {neighbour.says}{has}"),
        Evidence("containers", f"Docker gave container {container.name} the hardware address {network.hardware}"),
        *shown(look, Vantage.CONTAINER),
        advice=(
            f"sudo ip neigh del {address} dev {bridge}   # it was set by hand; the host then asks who has the address",
            "# whoever set it sets it again: a script, [Neighbor] of systemd-networkd",
        )
        if neighbour.state in _SET_BY_HAND
        else (
            f"sudo tcpdump -eni {bridge} arp   # who answers for {address}: two have the address",
            f"docker network inspect {shlex.quote(network.name)}   # the containers in it, with both addresses",
            f"sudo ip neigh flush to {address} dev {bridge}   # once the other one is gone",
        ),
    )


def _silent(look: Look, container: Container, network: Network, neighbour: Neighbour, tried: Rung) -> Judgement:
    """Nobody answers for the container's address. Why is not known, but for a rule, which is a cause of its own."""
    bridge = neighbour.device
    return fail(
        Evidence("addresses", f"`ip neigh` on the host: {network.address} {neighbour.says}: nobody answers for it"),
        Evidence("containers", f"Docker believes that container {container.name} has it, behind {bridge}"),
        *(
            Evidence("nftables", f"what may keep the question or the answer back: {rule}")
            for rule in _rules_of_arp(look)
        ),
        *shown(look, Vantage.CONTAINER),
        sure=tried.ended in _NOT_FOUND,
        advice=(
            f"sudo tcpdump -eni {bridge} arp   # is the question seen, and an answer?",
            in_its_network(container, "ip address"),
            "sudo nft list tables arp; sudo arptables -L; bridge -d link   # what may keep ARP from it",
        ),
    )


def _rules_of_arp(look: Look) -> Iterator[str]:
    """The rules that drop ARP, whichever of it: what they ask is not followed."""
    nftables = look.may(NFTABLES) or Nftables()
    for (family, table, chain), rules in nftables.chains.items():
        for rule in rules if family == "arp" else ():
            if any("drop" in statement for statement in rule.statements):
                yield f"nft table arp {table}, chain {chain}: {rule_text(rule.statements, rule.comment)}"
    yield from (one.says for one in nftables if one.family == "arp" and one.policy == "drop")


def _by_another_port(
    look: Look, addresses: Addresses, container: Container, network: Network, tried: Rung
) -> Judgement:
    bridge = bridge_of(look, container) or ""
    inside = look.way.inside
    indexes = {index for name, index in inside.links.items() if name != "lo"} if inside else set()
    own = [port.name for port in addresses.ports_of(bridge) if port.peer in indexes]
    learned = next((one for one in addresses.forwarding if one.hardware == network.hardware), None)
    gateway = inside.neighbours.get(network.gateway) if inside else None
    if gateway is not None and gateway != addresses.links[bridge].hardware:
        return fail(
            Evidence(
                "container's network", f"container {container.name} takes {gateway} for {network.gateway}, its gateway"
            ),
            Evidence(
                "addresses", f"{bridge} of the host has {network.gateway}, and {addresses.links[bridge].hardware}"
            ),
            *shown(look, Vantage.CONTAINER),
            sure=tried.ended is ReachOutcome.TIMED_OUT,
            advice=(
                f"sudo tcpdump -eni {bridge} arp   # who else answers for {network.gateway}",
                f"docker restart {shlex.quote(container.name)}   # it then asks anew who has that address",
            ),
        )
    if len(own) != 1 or learned is None:
        return passed(f"{network.address} has the hardware address that Docker gave it, as far as the host has asked")
    if learned.port == own[0]:
        return passed(f"{bridge} forwards {learned.hardware} to {learned.port}, the container's own cable")
    return fail(
        Evidence("addresses", f"`bridge fdb` on the host: {learned.hardware} is behind {learned.port}"),
        Evidence("containers", f"it is container {container.name}'s, whose cable is {own[0]}"),
        *shown(look, Vantage.CONTAINER),
        sure=learned.fixed and tried.ended in _NOT_FOUND,
        advice=(
            f"sudo bridge fdb del {learned.hardware} dev {learned.port} master   # the bridge then learns it anew",
        ),
    )


CONTAINER_NEIGHBOUR_WRONG = Cause(
    "container-neighbour-wrong",
    "the host and the container do not find each other on their link",
    _container_neighbour_wrong,
    rank=36,
    death=died(Stretch.TO_CONTAINER, Stretch.IN_CONTAINER, Stretch.ELSEWHERE, *IN_HOST),
)
