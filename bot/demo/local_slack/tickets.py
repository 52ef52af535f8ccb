"""What Slack executor out with an interaction and takes back: trigger ids and response URLs."""

import secrets
from dataclasses import dataclass, field
from typing import Literal

from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.state import Message

URL_LIVES = 30 * 60.0
URL_USES = 5


@dataclass
class Trigger:
    """The right to open one modal before one person."""

    user: str
    view: str | None
    expires: float
    used: bool = False


@dataclass
class Triggers:
    """Trigger ids work once, and for 3 s."""

    lives: float = 3.0
    _issued: dict[str, Trigger] = field(default_factory=dict)

    def issue(self, user: str, now: float, view: str | None = None) -> str:
        """Return a new trigger id, in Slack's form."""
        trigger_id = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**9)}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = Trigger(user, view, now + self.lives)
        return trigger_id

    def exchange(self, trigger_id: str, now: float) -> Trigger:
        """Use a trigger id up, or say in Slack's words why it is no good."""
        trigger = self._issued.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if now > trigger.expires:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger


@dataclass
class ResponseUrl:
    """The right to answer an interaction a few times, without a token and without being in the channel."""

    kind: Literal["commands", "actions"]
    user: str
    channel: str
    source: Message | None
    expires: float
    uses_left: int = URL_USES


@dataclass
class ResponseUrls:
    """Response URLs work five times within 30 minutes."""

    base: str
    team: str
    _issued: dict[str, ResponseUrl] = field(default_factory=dict)

    def issue(
        self, kind: Literal["commands", "actions"], user: str, channel: str, source: Message | None, now: float
    ) -> str:
        """Return a new response URL."""
        path = f"{kind}/{self.team}/{secrets.randbelow(10**13)}/{secrets.token_urlsafe(18)}"
        self._issued[path] = ResponseUrl(kind, user, channel, source, now + URL_LIVES)
        return f"{self.base}/{path}"

    def use(self, path: str, now: float) -> ResponseUrl:
        """Count one use, or say in Slack's words why the URL is no good any more."""
        url = self._issued.get(path)
        if url is None:
            raise SlackError("no_service")
        if now > url.expires:
            raise SlackError("expired_url")
        if url.uses_left <= 0:
            raise SlackError("used_url")
        url.uses_left -= 1
        return url
