"""The log. Its library is imported when there is something to say: a command that only reads the store says nothing."""

from typing import Any


def __getattr__(name: str) -> Any:
    """``log.info`` and the others."""
    from structlog import get_logger  # noqa: PLC0415  # that is the point of this module

    return getattr(get_logger(), name)
