"""What the Docker Engine believes: about itself, and about every container."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker.errors

from checks.source import EngineProbe, Outputs, Source, UnparsableError

_INSPECTED = 200
"""Containers that are inspected at most: one API call each."""


@dataclass(frozen=True)
class EngineInfo:
    version: str
    live_restore: bool
    swarm: bool
    rootless: bool
    firewall_backend: str | None  # iptables, iptables+firewalld, nftables; None before API 1.49


@dataclass(frozen=True)
class Binding:
    """One published port: ``host_ip`` is 0.0.0.0 where every address is meant."""

    host_ip: str
    host_port: int
    container_port: int


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
    restart_policy: str  # no, always, unless-stopped, on-failure
    auto_remove: bool
    network_mode: str
    bindings: tuple[Binding, ...]
    published: tuple[Binding, ...]
    addresses: tuple[str, ...]

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

    def binds(self, port: int) -> Binding | None:
        """The binding of a host port, whether it is in force or only asked for."""
        return next((binding for binding in (*self.published, *self.bindings) if binding.host_port == port), None)


Containers = tuple[Container, ...]


def parse_info(outputs: Outputs) -> EngineInfo:
    info = _load(outputs["engine-info"].stdout)
    return EngineInfo(
        version=info["ServerVersion"],
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm=(info.get("Swarm") or {}).get("LocalNodeState", "inactive") != "inactive",
        rootless="name=rootless" in (info.get("SecurityOptions") or ()),
        firewall_backend=(info.get("FirewallBackend") or {}).get("Driver"),
    )


def parse_containers(outputs: Outputs) -> Containers:
    return tuple(_container(one) for one in _load(outputs["engine-containers"].stdout))


def find(containers: Containers, port: int, name: str | None) -> Container | None:
    """The container of a service: the one of that name, or else the one that publishes its port."""
    if name is not None:
        return next((container for container in containers if container.name == name), None)
    candidates = [container for container in containers if container.binds(port)]
    return next((one for one in candidates if one.running), candidates[0] if candidates else None)


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
        restart_policy=(wanted.get("RestartPolicy") or {}).get("Name") or "no",
        auto_remove=bool(wanted.get("AutoRemove")),
        network_mode=wanted.get("NetworkMode", ""),
        bindings=_bindings(wanted.get("PortBindings")),
        published=_bindings(network.get("Ports")),
        addresses=tuple(net["IPAddress"] for net in (network.get("Networks") or {}).values() if net.get("IPAddress")),
    )


def _bindings(ports: Mapping[str, Any] | None) -> tuple[Binding, ...]:
    """``{"5000/tcp": [{"HostIp": "", "HostPort": "5000"}]}``; null where a port is exposed but not published."""
    return tuple(
        Binding(bound.get("HostIp") or "0.0.0.0", int(bound["HostPort"]), int(port.split("/")[0]))  # noqa: S104  # Docker's word for every address
        for port, bounds in (ports or {}).items()
        if port.endswith("/tcp")
        for bound in bounds or ()
        if bound.get("HostPort")
    )


def _ask_containers(client: Any) -> list[Any]:
    inspected = []
    for one in client.api.containers(all=True, limit=_INSPECTED):
        try:
            inspected.append(client.api.inspect_container(one["Id"]))
        except docker.errors.NotFound:
            continue  # it went between the two calls
    return inspected


ENGINE = Source("Docker Engine", (EngineProbe("engine-info", lambda client: client.info()),), parse_info)
CONTAINERS = Source("containers", (EngineProbe("engine-containers", _ask_containers),), parse_containers)
