"""What can be configured: the shape of the file, its defaults, and the hosts that come of it."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic.json_schema import GenerateJsonSchema, SkipJsonSchema

from bot.config.approvals import ApprovalSettings
from bot.config.section import Section
from bot.config.values import (
    Address,
    ApiUrl,
    Channel,
    Container,
    Count,
    Database,
    Duration,
    FilePath,
    Port,
    ProxyJump,
    ServiceUrl,
    Slug,
    User,
    written,
)
from checks.model import Host, Login, Service, ServiceKind

ENV_PREFIX = "DOCKERHEALTH_"
ENV_NESTING = "__"
KNOWN_HOSTS = Path("~/.ssh/known_hosts")


class SlackSettings(Section):
    alert_channel: Channel = Field(default="#docker-health", description="Where alerts are posted.")


class FallbackSettings(Section):
    """The second way out. Where it leads is a secret: DOCKERHEALTH_FALLBACK_URLS, or the file that ..._FILE names."""

    after: Duration = Field(
        default=timedelta(minutes=5), description="How long an alert waits for Slack before it is told otherwise."
    )


class SshSettings(Section):
    """How to log in. What is left out is decided by ~/.ssh/config and the agent of the user who runs dockerhealth."""

    user: User | None = None
    port: Port | None = None
    identity_file: FilePath | None = None
    known_hosts: FilePath | None = Field(default=None, description=f"Default: {KNOWN_HOSTS}")
    proxy_jump: ProxyJump | None = None

    def over(self, defaults: Self) -> Login:
        """The login of a host whose own settings are these."""
        known_hosts = self.known_hosts or defaults.known_hosts or KNOWN_HOSTS.expanduser()
        return Login(
            user=self.user or defaults.user,
            port=self.port or defaults.port,
            identity_file=self.identity_file or defaults.identity_file,
            known_hosts=known_hosts,
            proxy_jump=self.proxy_jump or defaults.proxy_jump,
        )


class CheckSettings(Section):
    reach_every: Duration = Field(
        default=timedelta(seconds=5), description="How often each service is reached from outside."
    )
    look_every: Duration = Field(default=timedelta(minutes=5), description="How often each host is looked at over SSH.")
    open_after: Count = Field(default=2, description="Failed readings in a row that open an incident.")
    resolve_after: Count = Field(default=2, description="Good readings in a row that resolve it.")


class ServiceSettings(Section):
    url: ServiceUrl
    container: Container | None = None
    kind: ServiceKind | None = Field(
        default=None, description="Default: tcp for tcp://, http for a path, else registry."
    )

    @field_validator("kind")
    @classmethod
    def _kind_fits_url(cls, kind: ServiceKind | None, info: ValidationInfo) -> ServiceKind | None:
        url = info.data.get("url")  # absent when the URL itself is a mistake
        if kind is None or url is None:
            return kind
        if (kind is ServiceKind.TCP) != (urlsplit(url).scheme == "tcp"):
            raise ValueError("tcp for a tcp:// URL, registry or http for the others")
        if kind is ServiceKind.REGISTRY and kind_of(url) is not ServiceKind.REGISTRY:
            raise ValueError("http for a URL with a path of its own: a registry is always asked for /v2/")
        return kind

    def service(self, name: str) -> Service:
        return Service(name=name, url=self.url, kind=self.kind or kind_of(self.url), container=self.container)


class HostSettings(Section):
    address: Address
    ssh: SshSettings = SshSettings()
    services: Annotated[dict[Slug, ServiceSettings], Field(min_length=1)]

    def host(self, name: str, ssh: SshSettings) -> Host:
        services = tuple(service.service(service_name) for service_name, service in self.services.items())
        return Host(name=name, address=self.address, services=services, login=self.ssh.over(ssh))


class _FileSchema(GenerateJsonSchema):
    """Defaults as they are written in the file."""

    def encode_default(self, dft: Any) -> Any:
        return written(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


class Settings(Section):
    """Everything that dockerhealth is told. It reads nothing itself: ``load`` executor it what it is made of."""

    model_config = ConfigDict(title="dockerhealth")

    slack: SlackSettings = SlackSettings()
    fallback: FallbackSettings = FallbackSettings()
    ssh: SshSettings = SshSettings()
    checks: CheckSettings = CheckSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    store: Database = Field(
        default="sqlite:///dockerhealth.db", repr=False, description="Where incidents are remembered."
    )
    hosts: Annotated[dict[Slug, HostSettings], Field(min_length=1)]

    # From the environment only.
    slack_bot_token: SkipJsonSchema[SecretStr | None] = None
    slack_app_token: SkipJsonSchema[SecretStr | None] = None
    slack_api_url: SkipJsonSchema[ApiUrl] = "https://slack.com/api/"
    fallback_urls: SkipJsonSchema[SecretStr | None] = None  # of apprise, with white space between them

    @classmethod
    def file_schema(cls) -> dict[str, Any]:
        """The JSON Schema of the file."""
        return {"$schema": _FileSchema.schema_dialect} | cls.model_json_schema(schema_generator=_FileSchema)

    def host_list(self) -> tuple[Host, ...]:
        """The hosts, in the order of the file."""
        return tuple(host.host(name, self.ssh) for name, host in self.hosts.items())


def kind_of(url: str) -> ServiceKind:
    """What a URL alone says about the service behind it."""
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        return ServiceKind.TCP
    own_path = parts.path not in {"", "/", "/v2"} and not parts.path.startswith("/v2/")
    return ServiceKind.HTTP if own_path else ServiceKind.REGISTRY
