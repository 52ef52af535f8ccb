"""Where logs go and how they look. Standard output belongs to what was asked for."""

import logging
import sys
from typing import Any

import structlog

QUIET_BELOW = {"asyncssh": logging.WARNING, "apscheduler": logging.WARNING, "slack_bolt": logging.INFO}


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
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [traceback, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then: others may replace it
    )
    logging.basicConfig(level=max(level, logging.INFO), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    for name, least in QUIET_BELOW.items():
        logging.getLogger(name).setLevel(max(level, least))
