"""firewalld: open the service's port, give Docker its bridge back, or do without firewalld."""

from collections.abc import Iterable
from dataclasses import replace

from checks.causes.docker_bypassed import DOCKER_NAT_RULE_BYPASSED
from checks.causes.firewalld import FIREWALLD_PORT_CLOSED, ruling_zone, taken_bridges
from checks.commands import ROOT_HELPER
from checks.evidence.packet import followed
from checks.facts.addresses import ADDRESSES
from checks.facts.firewalld import FIREWALLD, Firewalld, Zone
from checks.facts.sockets import LISTENERS, SOCKETS, Listening
from checks.fixes import docker, preflight
from checks.fixes.fix import Fix, RefusedError, Remedy
from checks.look import Look, MissingError
from checks.model import Finding, FixId, Lasts, Risk, Step

_RULES_OF_A_PORT = ("rules filter IN_*", "nft ip6 filter IN_*", "nft * firewalld *")


def _change(does: str, zone: str, what: str, *, permanent: bool) -> Step:
    words = ("firewall-cmd", f"--zone={zone}", what, *(("--permanent",) if permanent else ()))
    when = "for its next starts" if permanent else "now"
    return Step(f"{does}, {when}", (ROOT_HELPER, *words), typed=f"sudo {' '.join(words)}")


def _changes(zone: str) -> tuple[str, ...]:
    return f"zone {zone}", f"zone {zone} kept"


# --- the port --------------------------------------------------------------------------------------------------------


def _prepare_port(look: Look, finding: Finding) -> Remedy:
    firewalld, port = look.need(FIREWALLD), look.service.port
    interface, zone, _ = ruling_zone(look, firewalld)
    heard = [listening for listening in look.need(SOCKETS) if listening.port == port]
    if not heard:
        raise RefusedError(f"nothing on the host listens on port {port}: an open port would lead nowhere")
    if finding.cause == DOCKER_NAT_RULE_BYPASSED.id:
        _refuse_what_is_sent_on(look)
    missing = _not_listed(firewalld, zone, port)
    if not missing:
        raise RefusedError(f"port {port}/tcp is open in zone {zone.name} already")
    mends = finding.cause == FIREWALLD_PORT_CLOSED.id
    return Remedy(
        steps=tuple(_open(zone.name, port, permanent=permanent) for permanent in missing),
        risk=Risk.MEDIUM,
        blast_radius=f"Port {port}/tcp of this host ({_who_listens(look, heard)}) becomes reachable for everyone whom"
        f" zone {zone.name} rules: {_ruled_by(look, zone, interface)}. Nothing restarts or reloads.",
        verify="the zone admits the port, and the service answers from outside",
        basis={"zone": zone.name, "ports": " ".join(zone.ports), "interface": interface},
        lasts=Lasts.FOR_GOOD if mends else Lasts.STOP_GAP,
        changes=(*_changes(zone.name), *_RULES_OF_A_PORT),
        preflight=(
            f"port {port} of the host is listened on, by {_who_listens(look, heard)}",
            f"zone {zone.name} rules what the client sends",
        ),
        notes=() if mends else _STOP_GAP,
        undo_unasked=True,
    )


def _refuse_what_is_sent_on(look: Look) -> None:
    """A zone's ports are those of the host: what table nat has sent on never comes to them."""
    try:
        translated = followed(look).translated
    except MissingError:
        return
    if translated is not None:
        raise RefusedError(
            f"a rule sends what comes to port {look.service.port} on to {translated[0]}:{translated[1]}: an open port"
            " of the host changes nothing about that"
        )


def _not_listed(firewalld: Firewalld, zone: Zone, port: int) -> tuple[bool, ...]:
    """Where the port is to be opened: now (False), for the next starts (True)."""
    permanent = firewalld.permanent.get(zone.name)
    kept = permanent is not None and permanent.lists(port)
    return (*(() if zone.lists(port) else (False,)), *(() if kept else (True,)))


def _open(zone: str, port: int, *, permanent: bool) -> Step:
    close = _change(f"close {port}/tcp in zone {zone}", zone, f"--remove-port={port}/tcp", permanent=permanent)
    opened = _change(f"open {port}/tcp in zone {zone}", zone, f"--add-port={port}/tcp", permanent=permanent)
    return replace(opened, undo=(close,))


def _who_listens(look: Look, heard: Iterable[Listening]) -> str:
    """The programs behind a port, where sudo lets us see them."""
    ports = {listening.port for listening in heard}
    named = {
        one.name for listening in look.may(LISTENERS) or () if listening.port in ports for one in listening.processes
    }
    return ", ".join(sorted(named)) or "a program that could not be seen"


def _ruled_by(look: Look, zone: Zone, interface: str) -> str:
    addresses = look.may(ADDRESSES)
    owned = addresses.addresses if addresses else {}
    interfaces = sorted({interface, *zone.interfaces}) if not zone.sources or zone.interfaces else []
    named = [f"{name} ({', '.join(owned.get(name, ())) or 'no address'})" for name in interfaces]
    return ", ".join([*named, *(f"source {source}" for source in zone.sources)])


_STOP_GAP = (
    "A stop-gap: it lets clients reach docker-proxy. restart-docker is what mends the cause.",
    "Until then Docker's NAT, the isolation of its networks and the containers' way out stay broken.",
)

# --- Docker's bridge -------------------------------------------------------------------------------------------------


def _prepare_bridge(look: Look, _: Finding) -> Remedy:
    firewalld, unit = look.need(FIREWALLD), look.unit("docker.service")
    taken = taken_bridges(firewalld)
    if not taken:
        raise RefusedError("no zone but docker has a bridge of Docker")
    if unit.is_active:
        raise RefusedError("dockerd runs in spite of it")
    holds, unknown = preflight.start_of_dockerd(look, preflight.modules, preflight.configuration)
    kept = [pair for pair in taken if pair[1] in _kept_interfaces(firewalld, pair[0])]
    bridges, zones = sorted({bridge for _, bridge in taken}), sorted({zone for zone, _ in taken})
    return Remedy(
        steps=(
            *(_remove(zone, bridge, permanent=False) for zone, bridge in taken),
            *(_remove(zone, bridge, permanent=True) for zone, bridge in kept),
            *docker.STARTING,
        ),
        risk=Risk.MEDIUM,
        blast_radius=f"dockerd puts {', '.join(bridges)} into its own zone, which accepts all that containers send:"
        f" what zone {', '.join(zones)} kept from them is open to them. Containers with a restart policy start again.",
        verify="dockerd is active, and the service answers from outside",
        basis={"zones": ", ".join(f"{zone}: {bridge}" for zone, bridge in taken), "docker.service": unit.active},
        lasts=Lasts.FOR_GOOD,
        changes=(*docker.CHANGES, *(name for zone in zones for name in _changes(zone))),
        stays=docker.STAYS,
        preflight=holds,
        notes=(
            "Somebody bound the bridge to that zone: ask whether it was to keep containers from something.",
            *_REMEMBERED,
            *unknown,
        ),
    )


_REMEMBERED = (
    "A dockerd may remember that it failed (seen with 26.1), and then fails with `networks have same bridge name`.",
    "Only then: sudo mv /var/lib/docker/network/files/local-kv.db /root/ && sudo systemctl start docker.service",
    "After that it knows no network but its own: those of compose files and of people have to be made anew.",
)


def _kept_interfaces(firewalld: Firewalld, zone: str) -> tuple[str, ...]:
    permanent = firewalld.permanent.get(zone)
    return permanent.interfaces if permanent else ()


def _remove(zone: str, bridge: str, *, permanent: bool) -> Step:
    back = _change(f"put {bridge} into zone {zone}", zone, f"--change-interface={bridge}", permanent=permanent)
    away = _change(f"take {bridge} out of zone {zone}", zone, f"--remove-interface={bridge}", permanent=permanent)
    return replace(away, undo=(back,))


# --- without firewalld -----------------------------------------------------------------------------------------------

_SYSTEMCTL, _UNIT = "/usr/bin/systemctl", "firewalld.service"
_START = Step("start firewalld, which wipes Docker's rules again", (_SYSTEMCTL, "start", _UNIT), timeout=60)
_STOP = Step("stop firewalld, which wipes Docker's rules too", (_SYSTEMCTL, "stop", _UNIT), timeout=60)
_ENABLE = Step("have firewalld start at boot", (_SYSTEMCTL, "enable", _UNIT), timeout=60)
_DISABLE = Step("have firewalld not start at boot", (_SYSTEMCTL, "disable", _UNIT), timeout=60, undo=(_ENABLE,))


def _prepare_stop(look: Look, finding: Finding) -> Remedy:
    firewalld, unit = look.need(FIREWALLD), look.unit(_UNIT)
    if finding.cause != FIREWALLD_PORT_CLOSED.id:
        raise RefusedError("it is a way out only where a closed port is all that is wrong")
    if not firewalld.running:
        raise RefusedError("firewalld is not running")
    restart = docker.restart(look, finding)
    enabled = unit.enabled == "enabled"
    stop = replace(_STOP, undo=(_START, *restart.steps))  # a firewalld that starts wipes the chains
    return Remedy(
        steps=(stop, *((_DISABLE,) if enabled else ()), *restart.steps),
        risk=Risk.HIGH,
        blast_radius=f"{_what_opens(look)} {restart.blast_radius}",
        verify="firewalld is not running, Docker's chains are there, and the service answers from outside",
        basis={**restart.basis, _UNIT: f"{unit.active}, {unit.enabled}"},
        lasts=Lasts.FOR_GOOD,
        changes=(*docker.CHANGES, "unit firewalld.service*", "zone *", "nft bridge *", _ALIAS),
        preflight=restart.preflight,
        notes=(
            "Only where nobody needs this firewall: open-firewalld-port is the smaller mend.",
            *restart.notes,
        ),
    )


_ALIAS = "file /etc/systemd/system/dbus-org.fedoraproject.FirewallD1.service"


def _what_opens(look: Look) -> str:
    """All that other machines reach once nothing keeps them out."""
    public = [one for one in look.need(SOCKETS) if not one.address.startswith(("127.", "[::1]"))]
    ports = {one.port: _who_listens(look, [one]) for one in sorted(public, key=lambda one: one.port)}
    named = ", ".join(f"{port}/tcp ({who})" for port, who in ports.items()) or "nothing now"
    return f"Nothing is filtered any more: whoever reaches this host reaches all that listens on it: {named}."


FIX = Fix(FixId.OPEN_FIREWALLD_PORT, "Open the port in firewalld", _prepare_port)
BRIDGE = Fix(FixId.CLEAR_ZONE_CONFLICT, "Take Docker's bridge out of the other zone", _prepare_bridge)
STOP = Fix(FixId.STOP_FIREWALLD, "Stop firewalld for good", _prepare_stop)
