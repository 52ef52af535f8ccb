"""firewalld: whether it runs, and what its zones admit now and after its next restart."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from checks.model import Output
from checks.source import Outputs, Probe, Source, UnparsableError

_NOT_RUNNING = 252  # firewall-cmd's exit status (firewalld: src/firewall/errors.py NOT_RUNNING)
_NOT_INSTALLED = 127
_NOTHING_FOUND = 1  # grep's
_ZONE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+)(?: \((?P<flags>[a-z, ]+)\))?$")
_PORT = re.compile(r"^(?P<first>\d+)(?:-(?P<last>\d+))?/(?P<protocol>\w+)$")
_SERVICE_PORT = re.compile(r"^(?P<path>/[^:]+)/(?P<service>[^/:]+)\.xml:.*<port\b(?P<attributes>[^>]*)")
_DEFAULTS = {"DefaultZone": "public", "FirewallBackend": "nftables"}


@dataclass(frozen=True)
class Zone:
    name: str
    active: bool
    target: str  # default, ACCEPT, DROP, %%REJECT%%
    interfaces: tuple[str, ...]
    sources: tuple[str, ...]
    services: tuple[str, ...]
    ports: tuple[str, ...]  # as firewalld writes them: 5000/tcp, 8000-8010/tcp
    rich_rules: tuple[str, ...]

    def lists(self, port: int) -> bool:
        """Whether a TCP port is among the listed ports."""
        return any(_covers(listed, port) for listed in self.ports)


@dataclass(frozen=True)
class Firewalld:
    """``zones`` are those in force, ``permanent`` those of the next start. Both are empty where it does not run."""

    installed: bool
    running: bool
    default_zone: str = "public"
    backend: str = "nftables"  # or iptables
    strict_forward_ports: bool = False
    zones: Mapping[str, Zone] = field(default_factory=dict)
    permanent: Mapping[str, Zone] = field(default_factory=dict)
    service_ports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def zone_of(self, interface: str) -> Zone | None:
        """The zone that rules what comes in by an interface: the one it is bound to, else the default one."""
        bound = (zone for zone in self.zones.values() if interface in zone.interfaces)
        return next(bound, self.zones.get(self.default_zone))

    def admits(self, zone: Zone, port: int) -> str | None:
        """What of a zone lets a TCP port in: the port, a service or the zone's target. None where nothing does."""
        if zone.target == "ACCEPT":
            return f"target ACCEPT of zone {zone.name}"
        if zone.lists(port):
            return f"port {port}/tcp in zone {zone.name}"
        for service in zone.services:
            if any(_covers(listed, port) for listed in self.service_ports.get(service, ())):
                return f"service {service} in zone {zone.name}"
        return None


def _covers(listed: str, port: int) -> bool:
    match = _PORT.match(listed)
    return bool(
        match and match["protocol"] == "tcp" and int(match["first"]) <= port <= int(match["last"] or match["first"])
    )


def parse(outputs: Outputs) -> Firewalld:
    now, permanent = outputs["firewalld-zones"], outputs["firewalld-permanent"]
    if now.status == _NOT_INSTALLED:
        return Firewalld(installed=False, running=False)
    if now.status == _NOT_RUNNING:
        return Firewalld(installed=True, running=False)
    settings = _settings(outputs["firewalld-conf"])
    own = outputs["firewalld-own-services"]
    if own.status not in {0, _NOTHING_FOUND}:
        raise UnparsableError(f"cannot read /etc/firewalld/services: {own.stderr.strip()[:200]}")
    shipped = outputs["firewalld-services"]
    if shipped.status not in {0, _NOTHING_FOUND}:
        raise UnparsableError(f"cannot read the services that firewalld ships: {shipped.stderr.strip()[:200]}")
    return Firewalld(
        installed=True,
        running=True,
        default_zone=settings["DefaultZone"],
        backend=settings["FirewallBackend"],
        strict_forward_ports=settings.get("StrictForwardPorts", "no") == "yes",
        zones=_zones(now),
        permanent=_zones(permanent),
        service_ports=_service_ports(f"{own.stdout}\n{shipped.stdout}"),
    )


def _zones(output: Output) -> dict[str, Zone]:
    """Blocks of ``--list-all-zones``: a name at the margin, ``  key: value`` below, rich rules one more level in."""
    if output.status != 0:
        raise UnparsableError(f"firewall-cmd ended with {output.status}: {output.stderr.strip()[:200]}")
    zones = {}
    for block in re.split(r"\n(?=\S)", output.stdout.strip("\n")):  # 2.5 prints no empty line between them
        head, *lines = block.splitlines()
        match = _ZONE.match(head)
        if match is None:
            raise UnparsableError(f"{head!r} is no zone of firewall-cmd --list-all-zones")
        values = dict(line.strip().split(":", 1) for line in lines if re.match(r"  \S[^:]*:", line))
        if "target" not in values or "ports" not in values:
            raise UnparsableError(f"zone {match['name']} has no target or no ports")
        zones[match["name"]] = Zone(
            name=match["name"],
            active="active" in (match["flags"] or ""),
            target=values["target"].strip(),
            interfaces=tuple(values.get("interfaces", "").split()),
            sources=tuple(values.get("sources", "").split()),
            services=tuple(values.get("services", "").split()),
            ports=tuple(values["ports"].split()),
            rich_rules=tuple(line.strip() for line in lines if line.startswith(("\t", "   ")) and "rule" in line),
        )
    return zones


def _settings(output: Output) -> dict[str, str]:
    """firewalld.conf's lines; what is not set there has firewalld's own default.

    A release that ships no line for the backend, RHEL 7's among them, has none but iptables.
    """
    if output.status != 0:
        raise UnparsableError(f"cannot read firewalld.conf: {output.stderr.strip()[:200]}")
    defaults = _DEFAULTS if "FirewallBackend" in output.stdout else {**_DEFAULTS, "FirewallBackend": "iptables"}
    return defaults | dict(re.findall(r"^([A-Z]\w*)[ \t]*=[ \t]*(\S+)", output.stdout, flags=re.MULTILINE))


def _service_ports(text: str) -> dict[str, tuple[str, ...]]:
    """The ports of each service by its XML files; a file in /etc replaces the one that firewalld ships."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if match := _SERVICE_PORT.match(line):
            attributes = dict(re.findall(r"(\w+)=[\"']([^\"']*)[\"']", match["attributes"]))
            listed = f"{attributes.get('port', '')}/{attributes.get('protocol', '')}"
            found.setdefault(match["service"], {}).setdefault(match["path"], []).append(listed)
    return {
        service: tuple(files.get("/etc/firewalld/services") or next(iter(files.values())))
        for service, files in found.items()
    }


# Of the 200 services that firewalld ships, those with a port that is watched or with a range of ports.
_SHIPPED_SERVICES = """\
ports=
while read -r port rest; do ports="$ports$port|"; done <<END
$SERVICES
END
grep -HE "port=\\"($ports[0-9]+-[0-9]+)\\"" /usr/lib/firewalld/services/*.xml
"""

# firewall-cmd takes 150 ms of CPU to find out that nobody has firewalld's name on the bus (firewall/client.py: it is
# connected where get_object succeeds). It is asked all the same unless the bus says so.
_UNLESS_OFF_THE_BUS = f"""\
[ -x /usr/bin/firewall-cmd ] || exit 0
owned=$(busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \\
  NameHasOwner s org.fedoraproject.FirewallD1)
[ "$owned" != "b false" ] || exit {_NOT_RUNNING}
"""

FIREWALLD = Source(
    "firewalld",
    (
        Probe("firewalld-zones", "/usr/bin/firewall-cmd --list-all-zones", root=True, before=_UNLESS_OFF_THE_BUS),
        Probe(
            "firewalld-permanent",
            "/usr/bin/firewall-cmd --permanent --list-all-zones",
            root=True,
            before=_UNLESS_OFF_THE_BUS,
        ),
        Probe("firewalld-conf", "/usr/bin/cat /etc/firewalld/firewalld.conf", root=True),
        Probe("firewalld-own-services", "/usr/bin/grep -rH port= /etc/firewalld/services", root=True),
        Probe("firewalld-services", _SHIPPED_SERVICES),
    ),
    parse,
)
