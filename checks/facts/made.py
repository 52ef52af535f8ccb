"""How a container was made: what `docker run` or compose was told, as far as making it again needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COMPOSE = "com.docker.compose"


@dataclass(frozen=True)
class Compose:
    """Where compose has the container from: its project's files, and the service in them."""

    project: str
    service: str
    files: str  # paths with commas between; empty where that compose did not say


@dataclass(frozen=True)
class Made:
    """``environment`` holds names alone: values may be secrets. ``volumes`` are words of ``-v``, ``run`` other options.

    Anonymous volumes are among ``volumes`` by their real names, because a container made again would get new ones.
    """

    image: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    environment: tuple[str, ...]
    volumes: tuple[str, ...]
    run: tuple[str, ...]
    compose: Compose | None
    swarm: bool  # a task of a swarm's service, which publishes by itself
    service: str = ""  # that service's name


def parse_made(one: Mapping[str, Any]) -> Made:
    """From the Engine's answer to an inspect."""
    config, host = one["Config"], one["HostConfig"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    return Made(
        image=config["Image"],
        command=tuple(config.get("Cmd") or ()),
        entrypoint=_words(config.get("Entrypoint")),
        environment=tuple(name for pair in config.get("Env") or () if (name := pair.partition("=")[0]) != "PATH"),
        volumes=tuple(_volume(mount) for mount in one.get("Mounts") or () if mount.get("Type") in {"bind", "volume"}),
        run=tuple(_run_options(host, config)),
        compose=_compose(labels),
        swarm="com.docker.swarm.service.id" in labels,
        service=labels.get("com.docker.swarm.service.name", ""),
    )


def _words(entrypoint: Any) -> tuple[str, ...]:
    return (entrypoint,) if isinstance(entrypoint, str) else tuple(entrypoint or ())


def _volume(mount: Mapping[str, Any]) -> str:
    source = mount.get("Name") if mount["Type"] == "volume" else mount.get("Source")
    return f"{source}:{mount['Destination']}{'' if mount.get('RW', True) else ':ro'}"


def _run_options(host: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """The options of `docker run` that change what the container may do, other than its ports, volumes and network."""
    options = []
    if host.get("Privileged"):
        options.append("--privileged")
    if host.get("Memory"):
        options.append(f"--memory={host['Memory']}")
    if config.get("User"):
        options.append(f"--user={config['User']}")
    options += [f"--cap-add={one}" for one in host.get("CapAdd") or ()]
    options += [f"--cap-drop={one}" for one in host.get("CapDrop") or ()]
    options += [f"--add-host={one}" for one in host.get("ExtraHosts") or ()]
    return options


def _compose(labels: Mapping[str, str]) -> Compose | None:
    project, service = labels.get(f"{_COMPOSE}.project"), labels.get(f"{_COMPOSE}.service")
    if not project or not service:
        return None
    return Compose(project, service, labels.get(f"{_COMPOSE}.project.config_files", ""))
