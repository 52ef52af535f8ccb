"""Pure functions from the model to Block Kit."""

from bot.slack.views.alert import alert
from bot.slack.views.answer import answer
from bot.slack.views.overview import Glance, overview
from bot.slack.views.short import (
    help_text,
    looking,
    others_connected,
    store_unwritable,
    store_unwritable_at_the_end,
    store_writable_again,
    unknown_host,
    unknown_service,
)

__all__ = [
    "Glance",
    "alert",
    "answer",
    "help_text",
    "looking",
    "others_connected",
    "overview",
    "store_unwritable",
    "store_unwritable_at_the_end",
    "store_writable_again",
    "unknown_host",
    "unknown_service",
]
