"""A client's packet in the rules of the host: which of them blocks it, whose it is, and whether the counters agree."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from checks.evidence.arrival import arrives_at
from checks.evidence.firewall_owner import bans
from checks.facts.addresses import ADDRESSES, Addresses
from checks.facts.firewalld import FIREWALLD
from checks.facts.legacy import LEGACY, LEGACY_IPV6
from checks.facts.netfilter import NETFILTER, NETFILTER_IPV6, Netfilter, Variant, read, read_ipv6
from checks.facts.nftables import DOCKER_TABLE, NFTABLES, PODMAN_TABLE
from checks.facts.path import PATH
from checks.look import Look, MissingError
from checks.model import Evidence
from checks.source import Outputs, Source, Unavailable
from checks.walk import Backend, Hook, Packet, Place, Ruleset, Stop, Trace, rises, ruleset, walk

_MOST = 6
"""Stops in a row that are looked for: each is found by lifting the one before it."""

_STRANGER, _ELSEWHERE = "192.0.2.7", "198.51.100.7"
"""Addresses of nobody's (RFC 5737)."""

_DISCARD = 9
"""A port that nobody publishes (RFC 863)."""

_OF_ENGINES = {DOCKER_TABLE, PODMAN_TABLE}
_OF_IPTABLES = {"filter", "nat", "mangle", "raw", "security"}
FAIL2BAN_CHAIN = "f2b-"
"""How every chain of fail2ban begins, then the jail's name, or `chain` in a table of nftables (its config/action.d)."""

_OF_DOCKER = re.compile(r"-A DOCKER\S*( -[io] \S+| ! -[dios] \S+)* -j DROP")
"""All that dockerd writes to end a packet: between networks, or for a port that is not published (libnetwork, moby).

Any other rule that does, in one of its chains, is somebody else's.
"""

_OF_FIREWALLD = re.compile(
    r"(IN|FWD|FWDI|FWDO|PRE|OUT|POST)_\w+|\w+_(direct|ZONES|ZONES_SOURCE|POLICIES|POLICIES_pre|POLICIES_post)"
)
_ENDS_OF_FIREWALLD = re.compile(
    r"-A (INPUT|FORWARD) (-j REJECT --reject-with \S+|-m conntrack --ctstate INVALID -j DROP)"
)


class Owner(StrEnum):
    """Whose a rule is."""

    DOCKER = "docker"  # its own chains, or the policy that it sets
    DOCKER_USER = "docker-user"  # the chain that it leaves to the admin
    FIREWALLD = "firewalld"
    OTHER_ENGINE = "other-engine"  # the table of an engine whose rules are elsewhere, see Look.rules_elsewhere
    OTHER_BACKEND = "other-backend"  # iptables tables beside those that Docker's rules are in
    FAIL2BAN = "fail2ban"  # a ban of addresses: in DOCKER-USER, in INPUT, or in a table of its own
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Blocker:
    """A rule or policy that ends a client's packet, or may.

    ``rise`` is by how much it counted during the known attempts; None where it has no counter, or was read once.
    """

    stop: Stop
    owner: Owner
    rise: int | None
    attempts: int | None

    @property
    def counted(self) -> bool:
        """Whether it ate what was sent, by its own counter."""
        return self.rise is not None and self.attempts is not None and self.rise >= self.attempts

    @property
    def flat(self) -> bool:
        """Whether its counter says that it ate nothing of what was sent."""
        return self.rise is not None and self.attempts is not None and self.rise < self.attempts

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        rule = Evidence("rules", self.stop.says)
        if self.rise is None or self.attempts is None:
            return (rule,)
        rise = f"rose by {self.rise}" if self.rise else "did not rise"
        rose = f"its counter {rise} while {self.attempts} attempts were made from outside"
        return (rule, Evidence("rules", rose))


def _parse(outputs: Outputs) -> Ruleset | Unavailable:
    """A table that iptables cannot say is taken from nft, which is why this reads what NETFILTER refuses."""
    legacy, nftables = LEGACY.parse(outputs), NFTABLES.parse(outputs)
    if isinstance(legacy, Unavailable):
        return legacy
    if isinstance(nftables, Unavailable):
        return nftables
    return ruleset(read(outputs["iptables"]), legacy, nftables)


def _parse_ipv6(outputs: Outputs) -> Ruleset | Unavailable:
    legacy, nftables = LEGACY_IPV6.parse(outputs), NFTABLES.parse(outputs)
    if isinstance(legacy, Unavailable):
        return legacy
    if isinstance(nftables, Unavailable):
        return nftables
    return ruleset(read_ipv6(outputs["ip6tables"]), legacy, nftables, "ip6")


RULES = Source("rules", (*NETFILTER.probes, *LEGACY.probes, *NFTABLES.probes), _parse)
"""All rules of the host in one: a fact made of others, so that it is made once for all who ask."""

_RULES_IPV6 = Source("rules of IPv6", (*NETFILTER_IPV6.probes, *LEGACY_IPV6.probes, *NFTABLES.probes), _parse_ipv6)


def rules_for(look: Look) -> Source[Ruleset]:
    """All that the packets of these clients can meet."""
    return _RULES_IPV6 if look.by_ipv6 else RULES


def packet_of(look: Look) -> Packet:
    """What a client sends, as it comes in on the host. Raises MissingError where that is not known."""
    addresses = look.need(look.of_clients(ADDRESSES))
    look.need(PATH)
    if look.way.client is None:
        raise MissingError(PATH.name, "the address from which clients come is not known")
    destination = arrives_at(look)
    interface = addresses.owner_of(destination) or ""
    packet = _packet(addresses, look.way.client, destination, look.service.port, interface)
    back = look.way.back

    def route(address: str) -> str | None:
        """To the client itself by the kernel's own word."""
        return back.device if back is not None and address == packet.source else packet.route(address)

    return replace(packet, route=route)


def strangers_packet(look: Look) -> Packet:
    """What somebody else sends by way of the host: to no address of it or of its containers. Raises MissingError."""
    addresses = look.need(ADDRESSES)
    interface = addresses.interface_of(look.service.target)
    if interface is None:
        raise MissingError(ADDRESSES.name, "by which interface others reach the host is not known")
    return _packet(addresses, _STRANGER, _ELSEWHERE, _DISCARD, interface)


def _packet(addresses: Addresses, source: str, destination: str, port: int, interface: str) -> Packet:
    def route(address: str) -> str | None:
        found = addresses.route_to(address)
        return found.device if found else None

    return Packet(source, destination, port, interface, addresses.every_address, route, addresses.bridges)


def followed(look: Look) -> Trace:
    """The way of a client's packet. Raises MissingError where the host was not looked at."""
    return walk(look.need(rules_for(look)), packet_of(look))


def blockers(look: Look) -> tuple[Blocker, ...]:
    """Every rule in a row that ends a client's packet: the first one, then what would once that one is lifted.

    Raises MissingError where rules or the way of packets are not known.
    """
    return _in_a_row(look, packet_of(look))


def waiting(look: Look) -> tuple[Blocker, ...]:
    """What would end a client's packet on its way to the container, once Docker's rules translate it again.

    Only rules of other firewalls, which a restart of dockerd leaves as they are, and none of table filter of iptables:
    there Docker puts its own first. None where it is translated now, or where that cannot be known.
    """
    try:
        packet, container = packet_of(look), look.forwarded
        if container is None or not container.addresses or followed(look).translated is not None:
            return ()
        binding = container.binds(look.service.port)
        port = binding.container_port if binding else look.service.port
        there = replace(packet, destination=container.addresses[0], port=port)
        return tuple(
            one
            for one in _in_a_row(look, there)
            if one.stop.hook is Hook.FORWARD and one.stop.certain and one.owner is Owner.FOREIGN
            if one.stop.place.backend is Backend.NFTABLES or one.stop.place.table != "filter"
        )
    except MissingError:
        return ()


def _in_a_row(look: Look, packet: Packet) -> tuple[Blocker, ...]:
    rules, rise = look.need(rules_for(look)), risen(look)
    attempts = look.recount.attempts if look.recount else None
    found: list[Blocker] = []
    for _ in range(_MOST):
        stops = walk(rules, packet).stops
        if not stops:
            break
        found += [Blocker(stop, _owner(look, stop), rise.get(stop.place), attempts) for stop in stops]
        rules = rules.without(frozenset(stop.place for stop in stops))
    return tuple(found)


def known_blockers(look: Look) -> tuple[Blocker, ...]:
    """The same for evidence that only refines: none where they cannot be known."""
    try:
        return blockers(look)
    except MissingError:
        return ()


def agrees(look: Look, blocker: Blocker) -> bool:
    """Whether the way in which the attempt ended, and the rule's counter where it has one, say the same as the rule."""
    return (blocker.stop.certain or blocker.counted) and not blocker.flat and blocker.stop.ended is look.outside.ended


def risen(look: Look) -> dict[Place, int]:
    """By how much each rule and policy that counts rose during the known attempts; empty without such."""
    again = look.recounted(rules_for(look))
    return rises(look.need(rules_for(look)), again) if again else {}


def _owner(look: Look, stop: Stop) -> Owner:  # noqa: PLR0911  # one return an owner
    place, netfilter = stop.place, look.may(look.of_clients(NETFILTER))
    docker_s = docker_backend(look)
    if place.chain.startswith(FAIL2BAN_CHAIN):
        return Owner.FAIL2BAN
    if bans(place):  # also below DOCKER-USER: it is about one address, and no policy of the host's
        return Owner.FOREIGN
    if place.backend is Backend.NFTABLES:
        return _owner_of_table(look, place)
    if place.chain in below(netfilter, "filter", "DOCKER-USER"):
        return Owner.DOCKER_USER
    if _is_firewalld_s(look, place):
        return Owner.FIREWALLD
    if docker_s is not None and place.backend is not docker_s:
        return Owner.OTHER_BACKEND
    of_docker = _OF_DOCKER.fullmatch(place.text) or (place.chain == "FORWARD" and place.is_policy)
    return Owner.DOCKER if of_docker and place.table == "filter" and docker_s is not None else Owner.FOREIGN


def _owner_of_table(look: Look, place: Place) -> Owner:
    if place.table in _OF_ENGINES and look.rules_elsewhere:
        return Owner.OTHER_ENGINE
    if place.family in {"ip", "ip6"} and place.table in _OF_IPTABLES and docker_backend(look) is Backend.LEGACY:
        return Owner.OTHER_BACKEND
    return Owner.FIREWALLD if place.table.startswith("firewalld") else Owner.FOREIGN


def _is_firewalld_s(look: Look, place: Place) -> bool:
    firewalld = look.may(FIREWALLD)
    if firewalld is None or not firewalld.running:
        return False
    return bool(_OF_FIREWALLD.fullmatch(place.chain) or _ENDS_OF_FIREWALLD.fullmatch(place.text))


def docker_backend(look: Look) -> Backend | None:
    """The variant of iptables that Docker's rules are in; None where they are in none, or in both."""
    netfilter, legacy = look.may(look.of_clients(NETFILTER)), look.may(look.of_clients(LEGACY))
    holding = {
        Backend.LEGACY if one.variant is Variant.LEGACY else Backend.IPTABLES
        for one in (netfilter, legacy)
        if one is not None and one.chain("nat", "DOCKER") is not None
    }
    return holding.pop() if len(holding) == 1 else None


def below(netfilter: Netfilter | None, table: str, chain: str) -> frozenset[str]:
    """A chain and all that it jumps to."""
    found, coming = set(), [chain]
    while netfilter is not None and coming:
        name = coming.pop()
        if name not in found and netfilter.chain(table, name) is not None:
            found.add(name)
            coming += [rule.target for rule in netfilter.rules(table, name) if rule.target]
    return frozenset(found)
