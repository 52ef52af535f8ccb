"""All that is known of one service at one time: what causes judge, and fixes plan on."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from checks.facts.addresses import ADDRESSES, ADDRESSES_IPV6
from checks.facts.daemon import DAEMON
from checks.facts.engine import CONTAINERS, ENGINE, Container, FirewallBackend, named_container, publisher
from checks.facts.forwarding import FORWARDING, FORWARDING_IPV6
from checks.facts.legacy import LEGACY, LEGACY_IPV6
from checks.facts.netfilter import NETFILTER, NETFILTER_IPV6, Netfilter
from checks.facts.nftables import DOCKER_TABLE, NFTABLES
from checks.facts.path import PATH, Way
from checks.facts.routing import ROUTING, ROUTING_IPV6
from checks.facts.units import UNITS, Unit
from checks.model import Baseline, Host, Missing, ReachOutcome, Reading, Service, Trouble, Vantage
from checks.source import Facts, Source, Unavailable

T = TypeVar("T")

_OF_IPV6: Mapping[str, Source[Any]] = {
    ADDRESSES.name: ADDRESSES_IPV6,
    FORWARDING.name: FORWARDING_IPV6,
    LEGACY.name: LEGACY_IPV6,
    NETFILTER.name: NETFILTER_IPV6,
    ROUTING.name: ROUTING_IPV6,
}
_IP6TABLES_BY_ITSELF = 27
"""The release from which Docker writes rules of IPv6 unless it is told not to."""


class MissingError(Exception):
    """A cause needs a fact that could not be had. It becomes the verdict SKIP, which names the fact and the reason."""

    def __init__(self, fact: str, reason: str, *, of_host: bool = False) -> None:
        """``of_host``: because the whole host could not be looked at."""
        self.missing = _missing(fact, reason, of_host)
        super().__init__(self.missing.says)


@lru_cache(maxsize=512)
def _missing(fact: str, reason: str, of_host: bool) -> Missing:  # noqa: FBT001  # a cache takes no keywords
    """The same one each time: of a host that cannot be looked at, each service has a hundred."""
    return Missing(fact, reason, of_host)


@dataclass(frozen=True)
class Recount:
    """The counters once more, after a known number of connection attempts from outside.

    ``facts`` holds only what counts: the rules with their counters, and the kernel's own.
    """

    attempts: int
    facts: Facts


@dataclass(frozen=True)
class Peer:
    """Another configured host: what it sees of the service, and how it is seen itself."""

    host: str
    seen: Reading | None  # the service from there (vantage PEER); None where it could not be asked
    own: Reading | None  # a service of the peer itself, reached from here; None where that was not tried
    trouble: Trouble | None = None  # why it could not be asked
    sshd: Reading | None = None  # the host's sshd from there
    back: Reading | None = None  # the peer's service from the host; asked only where no other one is reached from here
    on_link: bool | None = None  # whether its link knows the host's hardware address; None where they share none


@dataclass(frozen=True)
class Before:
    """What was known of the service before this look. All times are the bot's."""

    good: Baseline | None = None  # of the newest look that found it healthy
    answered_at: datetime | None = None  # the newest reading from outside that was good
    failed_at: datetime | None = None  # the first one after it that was not
    earlier: Baseline | None = None  # of the healthy look before ``good``
    experience: Mapping[str, float] = field(default_factory=dict)  # a step's command to the seconds that it last took

    def moved(self, by: timedelta) -> "Before":
        """The same by the bot's clock after it was set by so much."""
        return replace(
            self,
            good=self.good and self.good.moved(by),
            answered_at=self.answered_at and self.answered_at + by,
            failed_at=self.failed_at and self.failed_at + by,
            earlier=self.earlier and self.earlier.moved(by),
        )


@dataclass(frozen=True)
class Look:
    """One service at one time: all that a cause may know. ``facts`` is None where the host could not be looked at."""

    host: Host
    service: Service
    outside: Reading
    facts: Facts | None
    trouble: Trouble | None = None
    recount: Recount | None = None  # None where nothing was wrong, or it could not be had
    peers: tuple[Peer, ...] = ()  # asked only where the service was not reached
    before: Before = field(default_factory=Before)
    small: Reading | None = None  # the same attempt with small packets, where an accepted one came to nothing
    each: tuple[Reading, ...] = ()  # a connection to each address of a name that has more than one

    def need(self, source: Source[T]) -> T:
        """The value of a fact. Raises MissingError where it could not be had."""
        if self.facts is None:
            reason = self.trouble.says if self.trouble else "the host was not looked at"
            raise MissingError(source.name, reason, of_host=True)
        value = self.facts.get(source)
        if isinstance(value, Unavailable):
            raise MissingError(source.name, value.reason)
        return value

    def may(self, source: Source[T]) -> T | None:
        """The value of a fact that would only confirm or refine, or None."""
        try:
            return self.need(source)
        except MissingError:
            return None

    def unit(self, name: str) -> Unit:
        """One systemd unit. Raises MissingError where its state could not be had."""
        unit = self.need(UNITS)[name]
        if isinstance(unit, Unavailable):
            raise MissingError(f"{UNITS.name}: {name}", unit.reason)
        return unit

    def may_unit(self, name: str) -> Unit | None:
        """One systemd unit that would only confirm or refine, or None."""
        try:
            return self.unit(name)
        except MissingError:
            return None

    def recounted(self, source: Source[T]) -> T | None:
        """The value of a fact that counts, after the known attempts; None where it could not be had again."""
        value = self.recount.facts.get(source) if self.recount else None
        return None if isinstance(value, Unavailable) else value

    @cached_property
    def way(self) -> Way:
        """What the host said of the way to the service; empty where it could not be asked.

        A name is looked at by IPv4 there, while clients may come by IPv6.
        """
        path = self.may(PATH)
        way = path.ways.get(self.service.port, Way()) if path else Way()
        return way if way.client is None or (":" in way.client) == self.by_ipv6 else way.of_another_family

    @cached_property
    def container(self) -> Container | None:
        """The container that publishes the service's port, whatever name the configuration has; None where none does.

        Raises MissingError where Docker could not be asked.
        """
        inside = (self.answers_at(Vantage.CONTAINER), self.answers_at(Vantage.HOST))
        answers = self.outside.ok or True in inside
        return publisher(self.need(CONTAINERS), self.service.port, self.service.container, answers=answers)

    @property
    def behind(self) -> Container | None:
        """The configured container, where another one publishes the port and it wants none; None where it has it.

        Raises MissingError where Docker could not be asked.
        """
        named = named_container(self.need(CONTAINERS), self.service.container)
        if named is None or named == self.container or named.on_host_network or named.binds(self.service.port):
            return None
        return named

    def named(self, *, front: bool = False) -> str:
        """The container whose program answers, as a word of a command; ``front``: the one that publishes the port.

        Where Docker could not be asked it is the configured name, and ``NAME`` where there is none.
        """
        try:
            found = self.container if front else self.behind or self.container
        except MissingError:
            found = None
        return shlex.quote(found.name if found is not None else self.service.container or "NAME")

    @property
    def stands_in(self) -> str:
        """Why another container was looked at than the configured one; empty where none was, or nobody could tell."""
        try:
            container = self.container
        except MissingError:
            return ""
        name, port = self.service.container, self.service.port
        if container is None or name is None or name in {container.name, container.made.service}:
            return ""
        state = "" if container.running else f", which is {container.status},"
        publishes = f"container {container.name}{state} publishes {port}"
        named = named_container(self.need(CONTAINERS), name)
        if named is None:
            return f"Docker knows no container {name}; {publishes}"
        if named.running:
            return f"{publishes} and stands before {name}"
        return f"{publishes} in the place of {name}, which is {named.status}"

    @property
    def bridged(self) -> Container | None:
        """The container behind a published port of a bridge network; None where packets need no forwarding.

        One that runs and whose port Docker itself says it does not publish is behind none, whatever was asked for.
        """
        container = self.container
        if container is None or container.on_host_network or not container.bindings_of(self.service.port):
            return None
        return container.by_ipv6 if self.by_ipv6 and container.by_ipv6.networks else container

    @property
    def forwarded(self) -> Container | None:
        """The container to which Docker's rules take what clients send; None where they are not meant to.

        By IPv6 its docker-proxy may stand in for them: the host then has the connection, and forwards nothing.
        """
        container = self.bridged
        return container if not self.by_ipv6 or (container is not None and not self.why_by_proxy) else None

    @property
    def why_by_proxy(self) -> str:
        """Why Docker has no rule for clients that come by IPv6; empty where it has, and for others."""
        container = self.bridged
        if not self.by_ipv6 or container is None:
            return ""
        if not container.by_ipv6.networks:
            return f"clients come by IPv6, which container {container.name} has not: docker-proxy serves them"
        if not self._ip6tables:
            return (
                "clients come by IPv6, and dockerd writes no rules of it (ip6tables is off): docker-proxy serves them"
            )
        return ""

    @property
    def _ip6tables(self) -> bool:
        settings, engine = self.may(DAEMON), self.may(ENGINE)
        if settings is not None and settings.ip6tables is not None:
            return settings.ip6tables
        if self.need(NETFILTER_IPV6).chain("nat", "DOCKER") is not None:
            return True
        return engine is not None and engine.is_docker and engine.release >= _IP6TABLES_BY_ITSELF

    @property
    def by_ipv6(self) -> bool:
        """Whether it was asked for at an address of IPv6, of which the host's rules and switches are others."""
        return ":" in (self.outside.address or self.service.target)

    def of_clients(self, source: Source[T]) -> Source[T]:
        """The fact of the family by which clients come, of one that there is for either."""
        return _OF_IPV6[source.name] if self.by_ipv6 else source

    def need_ipv4(self, fact: str) -> None:
        """For what a fact of IPv4 decides: raises MissingError where clients come by IPv6."""
        if self.by_ipv6:
            raise MissingError(fact, "clients come by IPv6, and only that of IPv4 is read")

    @property
    def rejected_by_host(self) -> bool:
        """Whether it is the host's own firewall that rejected the attempt from outside: the host is up."""
        by = self.outside.rejected_by
        return by is not None and by in {self.outside.address, self.host.address}

    @property
    def rules_elsewhere(self) -> str:
        """Why the rules of published ports are not those that Docker writes in iptables; empty where they are.

        An Engine that cannot be asked is taken for a Docker with iptables, unless it left tables of the other backend.
        """
        engine, host = self.may(ENGINE), self.host.name
        if engine is not None and not engine.is_docker:
            return f"the engine of {host} is {engine.says}, whose rules dockerhealth does not know yet"
        if self.firewall_backend is FirewallBackend.IPTABLES:
            return ""
        if self.firewall_backend is FirewallBackend.NFTABLES:
            return f"they are in nftables on {host} (its firewall backend), which dockerhealth does not read yet"
        return f"Docker's firewall backend on {host} is one that dockerhealth does not know yet"

    @property
    def firewall_backend(self) -> FirewallBackend:
        """Where the Engine writes its rules, as it says; of one that cannot be asked, by the tables that it left."""
        engine = self.may(ENGINE)
        if engine is not None:
            return engine.firewall_backend
        left = any(chain.table == DOCKER_TABLE for chain in self.may(NFTABLES) or ())
        return FirewallBackend.NFTABLES if left else FirewallBackend.IPTABLES

    def need_rules_in_iptables(self) -> None:
        """For all that rests on Docker's iptables rules: raises MissingError where the engine's are elsewhere."""
        if self.rules_elsewhere:
            raise MissingError("Docker's rules", self.rules_elsewhere)

    @property
    def docker_rules(self) -> Netfilter:
        """The tables of iptables, with Docker's rules in them. Raises MissingError where these are elsewhere."""
        self.need_rules_in_iptables()
        return self.need(NETFILTER)

    @property
    def rules_for_clients(self) -> Netfilter:
        """The same of the family by which clients come: those of ip6tables for who comes by IPv6."""
        self.need_rules_in_iptables()
        return self.need(self.of_clients(NETFILTER))

    def answers_at(self, vantage: Vantage) -> bool | None:
        """Whether the service answers from a vantage on the host; None where that was not tried."""
        rung = next((rung for rung in self.way.rungs if rung.vantage is vantage), None)
        return None if rung is None else rung.ended is ReachOutcome.ANSWERED
