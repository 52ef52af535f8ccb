"""Where logs go and how they look. Standard output belongs to what was asked for."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from checks.masking import masked, without_secrets

QUIET_BELOW = {"asyncssh": logging.WARNING, "apscheduler": logging.WARNING, "slack_bolt": logging.INFO}


class _Masking(logging.Formatter):
    """Writes what libraries log, without secrets that hosts printed."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _without_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Each value masked by itself, before it is a line of JSON: of a line the numbers would be masked too."""
    return {name: _plainly(value) for name, value in event.items()}


def _plainly(value: object) -> object:
    """What JSON has no form for, an error say, is written as its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_secrets(value) if isinstance(value, str | list | tuple | dict) else masked(repr(value))


def _masked_line(_logger: object, _method: str, line: Any) -> str:
    return masked(line)


def configure(level: int) -> None:
    """Log to standard error: for people on a terminal, as JSON lines elsewhere."""
    terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without local variables: those of the Slack client hold tokens.
    traceback = structlog.dev.plain_traceback if terminal else structlog.processors.format_exc_info
    render: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback), _masked_line]
        if terminal
        else [traceback, _without_secrets, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then: others may replace it
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masking("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler])
    for name, least in QUIET_BELOW.items():
        logging.getLogger(name).setLevel(max(level, least))
