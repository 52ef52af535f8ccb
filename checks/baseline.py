"""A look in short, for comparing it with a later one."""

from collections.abc import Iterator

from checks.causes.docker_rules import missing_chains
from checks.facts.addresses import ADDRESSES
from checks.facts.bus import BUS
from checks.facts.config_files import CONFIG_FILES
from checks.facts.engine import ENGINE
from checks.facts.firewalld import FIREWALLD
from checks.facts.forwarding import FORWARDING
from checks.facts.netfilter import NETFILTER
from checks.facts.network_service import NETWORK_SERVICE
from checks.facts.nftables import NFTABLES
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.facts.sysctl_order import IP_FORWARD, interface_key
from checks.facts.system import SYSTEM
from checks.facts.units import NETWORK_UNITS, UNITS, known
from checks.look import Look, MissingError
from checks.model import Aspect, Baseline, Value

_OTHERS = ("veth", "br-", "virbr", "tap", "lo")  # interfaces that come and go with containers, or lead nowhere
_UNITS = ("docker.service", "firewalld.service", "nftables.service", "iptables.service", "ufw.service", *NETWORK_UNITS)
_VERDICTS = {"DROP", "REJECT"}
_ENTRANCES = (("filter", "INPUT"), ("filter", "FORWARD"), ("filter", "DOCKER-USER"), ("raw", "PREROUTING"))

_Values = Iterator[tuple[str, Value]]


def baseline(look: Look) -> Baseline | None:
    """The values of a look that matter to its service; None where the host could not be looked at.

    Only what stays the same on a host on which nothing changes: no counters, no time of day. A value whose fact could
    not be had is not in it, so that it differs from nothing.
    """
    if look.facts is None:
        return None
    values: dict[str, Value] = {}
    for part in (_kernel, _interfaces, _rules, _docker_rules, _native, _firewalld, _units, _docker, _container, _files):
        try:
            values |= dict(part(look))
        except MissingError:
            continue
    return Baseline(look.facts.at, values)


def _value(text: str | None, aspect: Aspect = Aspect.OTHER) -> Value:
    """What stands for nothing, an empty text, is no value."""
    return Value(aspect, text or None)


def _kernel(look: Look) -> _Values:
    forwarding = look.need(FORWARDING)
    yield IP_FORWARD, _switch(Aspect.HOST_FORWARDING, on=forwarding.ip_forward)
    for name, on in forwarding.interfaces.items():
        if not name.startswith(_OTHERS) and name not in {"all", "default"}:
            yield interface_key(name, "forwarding"), _switch(Aspect.INTERFACE_FORWARDING, on=on)
            if name in forwarding.rp_filter:
                strictness = str(forwarding.rp_filter[name])
                yield interface_key(name, "rp_filter"), _value(strictness, Aspect.REVERSE_PATH_FILTER)
    system, files, network = look.may(SYSTEM), look.may(SYSCTL_FILES), look.may(NETWORK_SERVICE)
    if system is not None:
        yield "running kernel", _value(system.kernel)
    if files is not None:
        line = files.at_boot()
        yield f"{IP_FORWARD} by sysctl files", _value(line.says if line else None)
    if network is not None and network.resets:
        yield "network service", _value(network.resets[0].says)


def _switch(aspect: Aspect, *, on: bool) -> Value:
    return Value(aspect, "1" if on else "0")


def _interfaces(look: Look) -> _Values:
    addresses = look.need(ADDRESSES)
    for name, owned in addresses.addresses.items():
        if not name.startswith(_OTHERS):
            yield f"address of {name}", _value(" ".join(owned))
    default = next((one.says for one in addresses.routes if one.network.prefixlen == 0), None)
    yield "default route", _value(default)


def _rules(look: Look) -> _Values:
    netfilter = look.need(NETFILTER)
    for table, name in _ENTRANCES:
        chain = netfilter.chain(table, name)
        if chain is None:
            continue
        if chain.policy != "-":
            yield f"policy of {table} {name}", _value(chain.policy)
        drops = [rule.spec for rule in chain.rules if rule.target in _VERDICTS]
        yield f"what {table} {name} drops", _value("; ".join(drops))


def _docker_rules(look: Look) -> _Values:
    netfilter = look.docker_rules
    yield "chain DOCKER", _value("missing" if missing_chains(netfilter) else "there", Aspect.DOCKER_CHAINS)
    rule = next(netfilter.dnat(look.service.port), None)
    yield f"DNAT rule of port {look.service.port}", _value(rule.spec if rule else None, Aspect.DNAT_RULE)


def _native(look: Look) -> _Values:
    foreign = [chain for chain in look.need(NFTABLES) if chain.foreign]
    tables = sorted({f"{chain.family} {chain.table}" for chain in foreign})
    drops = sorted(chain.says for chain in foreign if chain.policy == "drop")
    yield "nftables besides iptables", _value(", ".join(tables))
    yield "what nftables besides iptables drops", _value("; ".join(drops) or "by no policy")


def _firewalld(look: Look) -> _Values:
    for zone in look.need(FIREWALLD).zones.values():
        if zone.active:
            admits = " ".join(sorted((*zone.services, *zone.ports)))
            bound = " ".join(sorted(name for name in zone.interfaces if not name.startswith(_OTHERS)))
            rich = f", {len(zone.rich_rules)} rich rules" if zone.rich_rules else ""
            says = f"{bound or 'no interface'}: target {zone.target}, admits {admits}{rich}"
            yield f"zone {zone.name}", _value(says)


def _units(look: Look) -> _Values:
    for name, unit in known(look.need(UNITS)).items():
        if name in _UNITS and unit.installed:
            yield name, _value(f"{unit.active}, {unit.enabled or 'not enabled'}", Aspect.UNIT)


def _docker(look: Look) -> _Values:
    docker, bus, engine = look.unit("docker.service"), look.may(BUS), look.may(ENGINE)
    yield "dockerd's process", _value(str(docker.main_pid))
    if bus is not None:
        yield "dockerd is on D-Bus", _value("yes" if docker.main_pid in bus.pids else "no")
    if engine is not None:
        yield "Docker", _value(engine.version)


def _container(look: Look) -> _Values:
    container = look.container
    if container is None:
        yield "container", Value(Aspect.CONTAINER, None)
        return
    yield "container", _value(f"{container.name} {container.id[:12]}", Aspect.CONTAINER)
    yield "container's state", _value(container.status, Aspect.CONTAINER_STATE)
    yield "container started", _value(container.started_at[:19], Aspect.CONTAINER_START)
    yield "address of the container", _value(" ".join(container.addresses), Aspect.CONTAINER_START)
    yield "container's restart policy", _value(container.restart_policy)


def _files(look: Look) -> _Values:
    for file in look.need(CONFIG_FILES):
        yield file.path, _value(f"{file.written:%Y-%m-%d %H:%M:%S}", Aspect.FILE)
