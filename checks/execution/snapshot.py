"""All of a host that a fix may change, and what is another one afterwards. Pure."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TypeVar

from checks.facts.config_files import CONFIG_FILES
from checks.facts.counters import COUNTERS
from checks.facts.engine import CONTAINERS
from checks.facts.firewalld import FIREWALLD, Zone
from checks.facts.forwarding import FORWARDING
from checks.facts.legacy import LEGACY
from checks.facts.netfilter import NETFILTER, Netfilter
from checks.facts.nftables import NFTABLES
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.facts.sysctl_order import CONNTRACK_MAX, IP_FORWARD, interface_key
from checks.facts.units import UNITS, Unit, known
from checks.model import Difference, Family, Snapshot, Values
from checks.source import Facts, Source, Unavailable
from checks.walk.nft_text import rule_text

_LONGEST = 4000  # characters of a value that is kept as it is: a longer one is told by its sum
_OF_IPTABLES = {"filter", "nat", "mangle", "raw", "security"}  # in family ip: they are had as rules

T = TypeVar("T")
_Named = Iterator[tuple[str, str]]


class _MissingError(Exception):
    """A family cannot be had: a fact that it needs is not there."""


def snapshot(facts: Facts) -> Snapshot:
    """The values of a host under their names, see Values; without counters, and without what Docker names anew.

    A veth has another name each time a container starts, and goes with it.
    """
    families: dict[Family, Values] = {}
    for family, (states, moments) in _FAMILIES.items():
        try:
            families[family] = Values({name: _short(value) for name, value in states(facts)}, dict(moments(facts)))
        except _MissingError:
            continue
    return Snapshot(families)


def differences(before: Snapshot, after: Snapshot, announced: Sequence[str]) -> tuple[Difference, ...]:
    """What differs, by name. ``announced`` are shell patterns of the names that were to change.

    A value of a family that could not be had one of the two times differs from nothing.
    """
    both = before.families.keys() & after.families.keys()
    found = [one for family in both for one in _differing(family, before, after, announced)]
    return tuple(sorted(found, key=lambda one: one.name))


def _differing(family: Family, before: Snapshot, after: Snapshot, announced: Sequence[str]) -> Iterator[Difference]:
    """What differs of one family.

    A moment cannot be brought back: it is told only where it is news, of what was started anew, is as it was, and was
    not to be touched.
    """
    was, now = before.families[family], after.families[family]
    for name in was.states.keys() | now.states.keys():
        old, new = was.states.get(name), now.states.get(name)
        if old != new:
            yield Difference(family, name, old, new, _is_announced(name, announced))
    for of in was.moments.keys() & now.moments.keys():
        name = f"{of} {family.moment}"
        again = was.moments[of] != now.moments[of] and was.states.get(of) == now.states.get(of)
        if again and not _is_announced(name, announced):
            yield Difference(family, name, was.moments[of], now.moments[of], announced=False)


def _is_announced(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _need(facts: Facts, source: Source[T]) -> T:
    value = facts.get(source)
    if isinstance(value, Unavailable):
        raise _MissingError
    return value


def _short(value: str) -> str:
    if len(value) <= _LONGEST:
        return value
    return f"{value[:200]}... ({len(value)} characters, SHA-256 {hashlib.sha256(value.encode()).hexdigest()[:16]})"


# --- the families ----------------------------------------------------------------------------------------------------

_ZONES = "/etc/firewalld/zones/"


def _sysctls(facts: Facts) -> _Named:
    forwarding = _need(facts, FORWARDING)
    yield f"sysctl {IP_FORWARD}", str(int(forwarding.ip_forward))
    for name, on in forwarding.interfaces.items():
        if not name.startswith("veth"):
            yield f"sysctl {interface_key(name, 'forwarding')}", str(int(on))
    for name, value in forwarding.rp_filter.items():
        if not name.startswith("veth"):
            yield f"sysctl {interface_key(name, 'rp_filter')}", str(value)


def _conntrack(facts: Facts) -> _Named:
    table = _need(facts, COUNTERS).conntrack
    if table is not None:
        yield f"sysctl {CONNTRACK_MAX}", str(table.maximum)


def _files(facts: Facts) -> _Named:
    """Every configuration file, with the lines of it that set what matters; those of zones are told as zones."""
    listed, sysctl = _need(facts, CONFIG_FILES), _need(facts, SYSCTL_FILES)
    for path in sorted({*(file.path for file in listed if not file.path.startswith(_ZONES)), *sysctl.files}):
        lines = [line for line in sysctl.lines if line.path == sysctl.links.get(path, path)]
        yield f"file {path}", "; ".join(f"{line.key} = {line.value}" for line in lines) or "there"


def _written(facts: Facts) -> _Named:
    for file in _need(facts, CONFIG_FILES):
        if not file.path.startswith(_ZONES):
            yield f"file {file.path}", _time(file.written)


def _rules(source: Source[Netfilter], prefix: str) -> Callable[[Facts], _Named]:
    """A built-in chain that accepts and is empty is as good as none: whoever lists a table may have made it."""

    def values(facts: Facts) -> _Named:
        for table, chains in _need(facts, source).tables.items():
            for chain in chains.values():
                rules = "; ".join(rule.spec for rule in chain.rules)
                name = f"{prefix} {table} {chain.name}"
                if chain.policy == "-":
                    yield name, rules or "empty"
                elif rules or chain.policy != "ACCEPT":
                    yield name, f"{chain.policy}: {rules or 'empty'}"

    return values


def _native(facts: Facts) -> _Named:
    """Chains of nftables that iptables does not show, Docker's for IPv6 among them."""
    nftables = _need(facts, NFTABLES)
    heads = {(one.family, one.table, one.name): f"{one.hook} {one.priority}, {one.policy}: " for one in nftables}
    for key, rules in nftables.chains.items():
        family, table, name = key
        if family == "ip" and table in _OF_IPTABLES:
            continue
        texts = "; ".join(rule_text(rule.statements, rule.comment) for rule in rules)
        yield f"nft {family} {table} {name}", heads.get(key, "") + (texts or "empty")


def _zones(facts: Facts) -> _Named:
    """Those that rule something; a firewalld that does not run has none."""
    firewalld = _need(facts, FIREWALLD)
    for zone in firewalld.zones.values():
        if zone.active or zone.name == firewalld.default_zone:
            yield f"zone {zone.name}", _zone(zone)


def _kept_zones(facts: Facts) -> _Named:
    """Those of the next start; a firewalld that does not run does not tell."""
    firewalld = _need(facts, FIREWALLD)
    if firewalld.installed and not firewalld.running:
        raise _MissingError
    for zone in firewalld.permanent.values():
        yield f"zone {zone.name} kept", _zone(zone)


def _zone(zone: Zone) -> str:
    parts = {
        "interfaces": [name for name in zone.interfaces if not name.startswith("veth")],
        "sources": zone.sources,
        "services": zone.services,
        "ports": zone.ports,
        "rich rules": zone.rich_rules,
    }
    said = [f"{part} {' '.join(sorted(values))}" for part, values in parts.items() if values]
    return "; ".join([f"target {zone.target}", *said])


def _containers(facts: Facts) -> _Named:
    """Without their addresses, which Docker gives out anew at each start."""
    for one in _need(facts, CONTAINERS):
        yield f"container {one.name}", f"{one.status}, restart policy {one.restart_policy}, id {one.id[:12]}"


def _started(facts: Facts) -> _Named:
    for one in _need(facts, CONTAINERS):
        yield f"container {one.name}", one.started_at


def _units(facts: Facts) -> _Named:
    """Whether one that is not active has failed or was stopped is no state that a fix could bring back."""
    for name, unit in _every_unit(facts).items():
        if unit.installed:
            yield f"unit {name}", f"{'active' if unit.is_active else 'not active'}, {unit.enabled or 'not enabled'}"


def _every_unit(facts: Facts) -> dict[str, Unit]:
    """All of them or none: one that could not be had is not one that is gone."""
    units = _need(facts, UNITS)
    told = known(units)
    if told.keys() != units.keys():
        raise _MissingError
    return told


def _active_since(facts: Facts) -> _Named:
    for name, unit in _every_unit(facts).items():
        if unit.active_since is not None and unit.is_active:
            yield f"unit {name}", _time(unit.active_since)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _never(_: Facts) -> _Named:
    return iter(())


_FAMILIES: dict[Family, tuple[Callable[[Facts], _Named], Callable[[Facts], _Named]]] = {
    Family.SYSCTL: (_sysctls, _never),
    Family.CONNTRACK: (_conntrack, _never),
    Family.FILE: (_files, _written),
    Family.RULES: (_rules(NETFILTER, "rules"), _never),
    Family.LEGACY_RULES: (_rules(LEGACY, "rules legacy"), _never),
    Family.NFT: (_native, _never),
    Family.ZONE: (_zones, _never),
    Family.KEPT_ZONE: (_kept_zones, _never),
    Family.CONTAINER: (_containers, _started),
    Family.UNIT: (_units, _active_since),
}
"""The states of each family, and the moments of some of them, each by the name of its state."""
