"""The networks that Docker has, as far as they tell whether a port of a container in them can be published."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checks.source import EngineProbe, Outputs, Source

_DIRECT = {"macvlan", "ipvlan"}
"""Drivers whose containers have addresses of their own beside the host's: nothing is translated for them."""


@dataclass(frozen=True)
class DockerNetwork:
    """``internal``: made with ``--internal``, which leaves its containers without a way out, and in."""

    name: str
    driver: str  # bridge, overlay, macvlan, ipvlan, null, host, or a plug-in's
    internal: bool

    @property
    def is_direct(self) -> bool:
        return self.driver in _DIRECT

    @property
    def why_silent(self) -> str:
        """Why Docker publishes no port of a container that is in this network alone; empty where it does, or may.

        Seen with 20.10 and 26.1: the container starts, ``-p`` is kept with it, and is silently without effect.
        """
        if self.internal:
            return f"network {self.name} is internal"
        if self.is_direct:
            return f"network {self.name} is of driver {self.driver}, which gives containers addresses of their own"
        return f"network {self.name} leads nowhere" if self.driver == "null" else ""


def parse(outputs: Outputs) -> Mapping[str, DockerNetwork]:
    """``{id: network}`` from the Engine's list of networks."""
    found = json.loads(outputs["engine-networks"].stdout)
    return {one["Id"]: DockerNetwork(one["Name"], one["Driver"], bool(one["Internal"])) for one in found}


def _ask(client: Any) -> list[dict[str, Any]]:
    return [{key: one.get(key) for key in ("Name", "Id", "Driver", "Internal")} for one in client.api.networks()]


DOCKER_NETWORKS = Source("Docker's networks", (EngineProbe("engine-networks", _ask),), parse)
