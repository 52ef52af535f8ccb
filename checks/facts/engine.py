"""What the Docker Engine believes: about itself, and about every container."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from checks.facts.made import Made, parse_made
from checks.source import EngineProbe, Outputs, Source, UnparsableError

_INSPECTED = 200
"""Containers that are inspected at most: one API call each."""

_LOGS, _LOG_LINES, _LOG_WIDTH = 5, 5, 300
"""Containers whose log is read at most, its last lines, and characters of each."""

_DOCKERS_OWN_NETWORKS = {"bridge", "host", "none"}

_EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  # Docker's words for every address

_DOCKER, _ITS_COMPONENT = "Docker", "Engine"


class FirewallBackend(StrEnum):
    """In what an engine writes the rules of its published ports."""

    IPTABLES = "iptables"
    NFTABLES = "nftables"
    UNKNOWN = "unknown"


_BACKENDS = {  # by Docker's FirewallBackend.Driver, which an Engine before API 1.49 does not have
    None: FirewallBackend.IPTABLES,
    "iptables": FirewallBackend.IPTABLES,
    "iptables+firewalld": FirewallBackend.IPTABLES,
    "nftables": FirewallBackend.NFTABLES,
    "nftables+firewalld": FirewallBackend.NFTABLES,
}


@dataclass(frozen=True)
class EngineInfo:
    """Who answers on Docker's socket."""

    name: str  # Docker, or as another one calls itself: Podman Engine
    version: str
    root: str  # the folder of images, containers and volumes: /var/lib/docker
    live_restore: bool
    swarm: bool
    rootless: bool
    firewall_backend: FirewallBackend

    @property
    def release(self) -> int:
        """The first number of its version; 0 where it has none."""
        first = self.version.partition(".")[0]
        return int(first) if first.isdigit() else 0

    @property
    def is_docker(self) -> bool:
        return self.name == _DOCKER

    @property
    def says(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Binding:
    """One published port: ``host_ip`` is 0.0.0.0 where every address is meant."""

    host_ip: str
    host_port: int
    container_port: int

    @property
    def says(self) -> str:
        return f"[{self.host_ip}]:{self.host_port}" if ":" in self.host_ip else f"{self.host_ip}:{self.host_port}"

    @property
    def everywhere(self) -> bool:
        return self.host_ip in _EVERY_ADDRESS

    @property
    def on_loopback(self) -> bool:
        return ipaddress.ip_address(self.host_ip).is_loopback


@dataclass(frozen=True)
class Network:
    """A network that a container is in. ``address`` and ``gateway`` are empty while it does not run.

    Those of IPv6 are empty too where the network has none of it.
    """

    name: str
    id: str
    address: str
    gateway: str
    hardware: str = ""  # its address on the link, MAC
    ipv6_address: str = ""
    ipv6_gateway: str = ""

    @property
    def bridge(self) -> str:
        """The bridge of the host that Docker makes for it, unless an option names another one."""
        return "docker0" if self.name == "bridge" else f"br-{self.id[:12]}"


@dataclass(frozen=True)
class Health:
    """What the container's own HEALTHCHECK says: starting, healthy or unhealthy, and the output of its last run."""

    status: str
    failures: int  # in a row
    output: str


@dataclass(frozen=True)
class Container:
    """A container. ``bindings`` is what was asked for; ``published`` is what the running one has."""

    id: str
    name: str
    status: str  # created, running, paused, restarting, removing, exited, dead
    exit_code: int
    error: str
    oom_killed: bool
    started_at: str  # RFC 3339; 0001-01-01... for never
    finished_at: str
    restarts: int  # by its restart policy, since a person started it
    restart_policy: str  # no, always, unless-stopped, on-failure
    auto_remove: bool
    memory_limit: int  # bytes; 0 is none
    health: Health | None  # None where it has no HEALTHCHECK
    network_mode: str
    bindings: tuple[Binding, ...]
    published: tuple[Binding, ...]
    networks: tuple[Network, ...]
    made: Made
    udp_ports: tuple[int, ...] = ()  # of the host, published for UDP

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(network.address for network in self.networks if network.address)

    @property
    def by_ipv6(self) -> "Container":
        """The container as packets of IPv6 meet it: in its networks of that family, by its addresses there."""
        networks = (
            replace(one, address=one.ipv6_address, gateway=one.ipv6_gateway)
            for one in self.networks
            if one.ipv6_address
        )
        return replace(self, networks=tuple(networks))

    @property
    def on_host_network(self) -> bool:
        return self.network_mode == "host"

    @property
    def running(self) -> bool:
        return self.status == "running"

    def returns(self, *, live_restore: bool) -> bool:
        """Whether it is running again after dockerd restarted (dockerd: daemon/daemon.go, restore).

        ``on-failure`` comes back only after an exit status other than 0, which a stopped container may well have.
        """
        return live_restore or (self.restart_policy in {"always", "unless-stopped"} and not self.auto_remove)

    def bindings_of(self, port: int) -> tuple[Binding, ...]:
        """Every binding of a host port: those in force while it runs, those asked for otherwise."""
        bound = self.published if self.running else self.bindings
        return tuple(binding for binding in bound if binding.host_port == port)

    def holds(self, port: int) -> bool:
        """Whether it has a host port now."""
        return any(binding.host_port == port for binding in self.published)

    def shares_network_with(self, other: "Container") -> bool:
        """Whether both are in one network that a person made: in Docker's own one everybody is."""
        networks = {network.name for network in self.networks} & {network.name for network in other.networks}
        return bool(networks - _DOCKERS_OWN_NETWORKS)

    def binds(self, port: int) -> Binding | None:
        """The binding of a host port, whether it is in force or only asked for."""
        return next((binding for binding in (*self.published, *self.bindings) if binding.host_port == port), None)


Containers = tuple[Container, ...]


def parse_info(outputs: Outputs) -> EngineInfo:
    """``GET /info``, with the ``Components`` of ``GET /version``: Podman names itself nowhere else.

    A Docker that is too old to list its components is one all the same.
    """
    info = _load(outputs["engine-info"].stdout)
    names = [component["Name"] for component in info.get("Components") or ()]
    name = _DOCKER if not names or _ITS_COMPONENT in names else names[0]
    driver = (info.get("FirewallBackend") or {}).get("Driver")
    return EngineInfo(
        name=name,
        version=info["ServerVersion"],
        root=info["DockerRootDir"],
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm=(info.get("Swarm") or {}).get("LocalNodeState", "inactive") != "inactive",
        rootless="name=rootless" in (info.get("SecurityOptions") or ()),
        firewall_backend=_BACKENDS.get(driver, FirewallBackend.UNKNOWN) if name == _DOCKER else FirewallBackend.UNKNOWN,
    )


def parse_containers(outputs: Outputs) -> Containers:
    return tuple(_container(one) for one in _load(outputs["engine-containers"].stdout))


def publisher(containers: Containers, port: int, name: str | None, *, answers: bool) -> Container | None:
    """The container that a client of a port meets, or would meet if it ran: the one that publishes the port.

    Args:
        containers: All of the host, also those that do not run.
        port: Of the host.
        name: The one that the configuration names, if any. It may stand behind a proxy that publishes in its stead,
            have another name by now, or have been replaced.
        answers: Whether what has the port serves. A configured one that wants the port and cannot have it is the one
            to look at, but where another one serves in its place.

    Returns:
        The one that has the port, or else the configured one, or the last one that had it. None where nobody did.
    """
    named = named_container(containers, name)
    holding = [one for one in containers if one.holds(port)]
    if named in holding:
        return named
    wants = named is not None and (named.on_host_network or named.binds(port) is not None)
    if wants and not (holding and answers):
        return named
    if holding:
        return holding[0]
    asking = [one for one in containers if one.binds(port) and (named is None or one.shares_network_with(named))]
    return max(asking, key=lambda one: max(one.started_at, one.finished_at), default=named)


def named_container(containers: Containers, name: str | None) -> Container | None:
    """The container of a name, or a running task of the swarm's service of that name."""
    tasks = (one for one in containers if name is not None and one.made.service == name and one.running)
    return next((container for container in containers if container.name == name), next(tasks, None))


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnparsableError(f"the Engine's answer is no JSON: {error}") from error


def _container(one: Mapping[str, Any]) -> Container:
    state, wanted, network = one["State"], one["HostConfig"], one["NetworkSettings"]
    return Container(
        id=one["Id"],
        name=one["Name"].removeprefix("/"),
        status=state["Status"],
        exit_code=int(state["ExitCode"]),
        error=state.get("Error", ""),
        oom_killed=bool(state.get("OOMKilled")),
        started_at=state.get("StartedAt", ""),
        finished_at=state.get("FinishedAt", ""),
        restarts=int(one.get("RestartCount") or 0),
        restart_policy=(wanted.get("RestartPolicy") or {}).get("Name") or "no",
        auto_remove=bool(wanted.get("AutoRemove")),
        memory_limit=int(wanted.get("Memory") or 0),
        health=_health(state.get("Health")),
        network_mode=wanted.get("NetworkMode", ""),
        bindings=_bindings(wanted.get("PortBindings")),
        published=_bindings(network.get("Ports")),
        networks=tuple(
            Network(
                name,
                one.get("NetworkID", ""),
                one.get("IPAddress", ""),
                one.get("Gateway", ""),
                (one.get("MacAddress") or "").lower(),
                one.get("GlobalIPv6Address") or "",
                one.get("IPv6Gateway") or "",
            )
            for name, one in (network.get("Networks") or {}).items()
        ),
        made=parse_made(one),
        udp_ports=tuple(bound.host_port for bound in _bindings(wanted.get("PortBindings"), "udp")),
    )


def _health(health: Mapping[str, Any] | None) -> Health | None:
    if not health or health.get("Status") in {None, "", "none"}:
        return None
    runs = health.get("Log") or [{}]
    return Health(health["Status"], int(health.get("FailingStreak") or 0), runs[-1].get("Output", "").strip())


def _bindings(ports: Mapping[str, Any] | None, protocol: str = "tcp") -> tuple[Binding, ...]:
    """``{"5000/tcp": [{"HostIp": "", "HostPort": "5000"}]}``; null where a port is exposed but not published."""
    return tuple(
        Binding(bound.get("HostIp") or "0.0.0.0", int(bound["HostPort"]), int(port.split("/")[0]))  # noqa: S104  # Docker's word for every address
        for port, bounds in (ports or {}).items()
        if port.endswith(f"/{protocol}")
        for bound in bounds or ()
        if bound.get("HostPort")
    )


def parse_logs(outputs: Outputs) -> Mapping[str, tuple[str, ...]]:
    """``{container id: [line, ...]}``: the last lines of the log of each container that keeps restarting."""
    return {id_: tuple(str(line) for line in lines) for id_, lines in _load(outputs["engine-logs"].stdout).items()}


def _ask_info(client: Any) -> dict[str, Any]:
    return {**client.info(), "Components": client.version().get("Components")}


def _ask_containers(client: Any) -> list[Any]:
    from docker.errors import NotFound  # noqa: PLC0415  # the SDK, only where it is there already

    inspected = []
    for one in client.api.containers(all=True, limit=_INSPECTED):
        try:
            inspected.append(client.api.inspect_container(one["Id"]))
        except NotFound:
            continue  # it went between the two calls
    return inspected


def _ask_logs(client: Any) -> dict[str, list[str]]:
    from docker.errors import APIError  # noqa: PLC0415  # as above

    logs = {}
    for one in client.api.containers(filters={"status": "restarting"}, all=True, limit=_LOGS):
        try:
            log = client.api.logs(one["Id"], tail=_LOG_LINES)
        except APIError:
            continue  # it went, or its log driver cannot be read
        lines = log.decode(errors="replace").splitlines()
        logs[one["Id"]] = [line[:_LOG_WIDTH] for line in lines if line.strip()][-_LOG_LINES:]
    return logs


ENGINE = Source("Docker Engine", (EngineProbe("engine-info", _ask_info),), parse_info)
CONTAINERS = Source("containers", (EngineProbe("engine-containers", _ask_containers),), parse_containers)
LOGS = Source("containers' logs", (EngineProbe("engine-logs", _ask_logs),), parse_logs)
