"""Typed settings, checked at start: one YAML file, the environment over it, every mistake reported at once."""

from bot.config.load import find, load
from bot.config.mistakes import ConfigError, Mistake
from bot.config.settings import Settings

__all__ = ["ConfigError", "Mistake", "Settings", "find", "load"]
