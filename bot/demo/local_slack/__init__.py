"""A strict Slack on this machine: for tests, and for trying dockerhealth without a workspace."""

from bot.demo.local_slack.content import Button, Confirm, Json
from bot.demo.local_slack.core import BOT_SCOPES, ApiCall
from bot.demo.local_slack.errors import CannotDoError, NeverHappenedError
from bot.demo.local_slack.faults import Faults
from bot.demo.local_slack.people import ClickResult, CommandResult, SubmitResult
from bot.demo.local_slack.server import LocalSlack
from bot.demo.local_slack.socket_mode import Ack, Delivery, Envelope, Timings
from bot.demo.local_slack.state import Channel, Identity, Message, Revision, User, UserGroup, View

__all__ = [
    "BOT_SCOPES",
    "Ack",
    "ApiCall",
    "Button",
    "CannotDoError",
    "Channel",
    "ClickResult",
    "CommandResult",
    "Confirm",
    "Delivery",
    "Envelope",
    "Faults",
    "Identity",
    "Json",
    "LocalSlack",
    "Message",
    "NeverHappenedError",
    "Revision",
    "SubmitResult",
    "Timings",
    "User",
    "UserGroup",
    "View",
]
