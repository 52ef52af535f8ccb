"""The hosts of a run: addresses, keys, and the command that everybody runs on each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from checks.model import Host, Login, Service

REGISTRY_PORT = 5000


@dataclass(frozen=True)
class Site:
    """One sshd that is ``addresses`` hosts. ``concurrency`` is how many of them may be worked on at a time."""

    folder: Path
    addresses: tuple[str, ...]
    port: int
    user: str
    concurrency: int
    commands: Mapping[str, str] = field(default_factory=dict)  # by address

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / f"known_hosts.{self.port}"

    def host(self, address: str) -> Host:
        login = Login(
            user=self.user,
            port=self.port,
            identity_file=self.key,
            known_hosts=self.known_hosts,
            connect_timeout=60,
            command_timeout=60,
        )
        service = Service("registry", f"http://{address}:{REGISTRY_PORT}/v2/", container="registry")
        return Host(address, address, (service,), login)


def addresses(count: int) -> tuple[str, ...]:
    """So many different addresses of 127.0.0.0/8."""
    return tuple(f"127.77.{number // 250}.{number % 250 + 1}" for number in range(count))
