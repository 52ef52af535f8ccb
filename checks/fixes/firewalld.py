"""Open the service's port in firewalld: now, and after its next start."""

from dataclasses import replace

from checks.causes.cause import Look
from checks.causes.firewalld import ruling_zone
from checks.facts.firewalld import FIREWALLD, Zone
from checks.facts.sockets import SOCKETS
from checks.fixes.fix import Fix, RefusedError
from checks.model import ROOT_HELPER, Finding, Plan, Risk, Step


def _prepare(look: Look, finding: Finding) -> Plan:
    firewalld, port = look.need(FIREWALLD), look.service.port
    interface, zone, _ = ruling_zone(look, firewalld)
    if not any(listening.port == port for listening in look.need(SOCKETS)):
        raise RefusedError(f"nothing on the host listens on port {port}: an open port would lead nowhere")
    permanent = firewalld.permanent.get(zone.name)
    missing = [
        *(() if zone.lists(port) else (False,)),
        *(() if permanent and permanent.lists(port) else (True,)),
    ]
    if not missing:
        raise RefusedError(f"port {port}/tcp is open in zone {zone.name} already")
    return Plan(
        fix=FIX.id,
        title=FIX.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.MEDIUM,
        steps=tuple(_open(zone, port, permanent=permanent) for permanent in missing),
        blast_radius=f"Port {port}/tcp of this host becomes reachable for everyone whom zone {zone.name} rules"
        f" ({interface}). Nothing restarts or reloads.",
        verify="the zone admits the port, and the service answers from outside",
        basis={"zone": zone.name, "ports": " ".join(zone.ports), "interface": interface},
        notes=_stop_gap(finding),
    )


def _open(zone: Zone, port: int, *, permanent: bool) -> Step:
    return replace(
        _change("add", zone, port, permanent=permanent), undo=(_change("remove", zone, port, permanent=permanent),)
    )


def _change(verb: str, zone: Zone, port: int, *, permanent: bool) -> Step:
    when = "for its next starts" if permanent else "now"
    does = f"{'open' if verb == 'add' else 'close'} {port}/tcp in zone {zone.name}, {when}"
    words = (
        "firewall-cmd",
        f"--zone={zone.name}",
        f"--{verb}-port={port}/tcp",
        *(("--permanent",) if permanent else ()),
    )
    return Step(does, (ROOT_HELPER, *words), typed=f"sudo {' '.join(words)}")


def _stop_gap(finding: Finding) -> tuple[str, ...]:
    if finding.cause == "firewalld-port-closed":
        return ()
    return (
        "A stop-gap: it lets clients reach docker-proxy. restart-docker is what mends the cause.",
        "Until then Docker's NAT, the isolation of its networks and the containers' way out stay broken.",
    )


FIX = Fix("open-firewalld-port", "Open the port in firewalld", _prepare)
