"""What variables of the environment say, in the shape of the file: ``DOCKERHEALTH_CHECKS__REACH_EVERY=10s``.

In a module of its own because pydantic-settings takes longer to import than all the rest of the configuration.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from bot.config.settings import ENV_NESTING, ENV_PREFIX, Settings


class _Variables(Settings, BaseSettings):
    model_config = SettingsConfigDict(
        defer_build=True,  # it only names the variables; what they say is checked with the file
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_NESTING,
        env_ignore_empty=True,  # compose files pass unset variables on as empty ones
        enable_decoding=False,  # values are written as in the file, never as JSON
    )


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return ``{"checks": {"reach_every": "10s"}}`` for that variable."""
    source = EnvSettingsSource(_Variables)
    source.env_vars = {name.lower(): value for name, value in environ.items() if value}
    return source()
