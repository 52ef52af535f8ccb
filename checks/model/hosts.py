"""What is watched: hosts, their services, and how they are logged in to."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit


class ServiceKind(StrEnum):
    """What a healthy answer looks like."""

    REGISTRY = "registry"  # GET /v2/ answers 200, or 401 where a login is asked for
    HTTP = "http"  # any answer below 500
    TCP = "tcp"  # the connection is accepted


@dataclass(frozen=True)
class Service:
    """One published endpoint on a host. ``url`` is ``http://``, ``https://`` or ``tcp://``.

    What the URL says is taken from it once: every reading asks for it.
    """

    name: str
    url: str
    kind: ServiceKind = ServiceKind.REGISTRY
    container: str | None = None

    @cached_property
    def target(self) -> str:
        """The host part of the URL: a name or an address, IPv6 without its brackets."""
        return urlsplit(self.url).hostname or ""

    @cached_property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @cached_property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @cached_property
    def path(self) -> str:
        return "/v2/" if self.kind is ServiceKind.REGISTRY else urlsplit(self.url).path or "/"


@dataclass(frozen=True)
class Login:
    """How a host is logged in to. ``None`` leaves the choice to the user's ``~/.ssh/config`` and agent."""

    user: str | None = None
    port: int | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    proxy_jump: str | None = None
    connect_timeout: float = 5.0  # seconds for the host to answer; a login that it keeps waiting gets more
    command_timeout: float = 20.0  # seconds, one remote command
    keepalive: float = 15.0  # seconds between keepalives; three missed ones end the connection


@dataclass(frozen=True)
class Host:
    """A machine reached over SSH, under the name that people use for it."""

    name: str
    address: str
    services: tuple[Service, ...]
    login: Login = field(default_factory=Login)

    def service(self, name: str) -> Service:
        """The service of that name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
