"""A team on a strict local Slack, and the real bot watching one real host over real SSH."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import run
from bot.config import Settings
from bot.demo.local_slack import LocalSlack, Message, User
from tests.lab.host import LabHost
from tests.lab.lab import Lab

PATIENCE = 60.0
GREEN = "#2eb67d"


@dataclass
class Team:
    """``alice`` may approve, ``bob`` may not. ``figures`` are what a test measured, in seconds."""

    slack: LocalSlack
    settings: Settings
    alice: User
    bob: User
    figures: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[None]:
        """One life of the bot, up and watching."""
        stop = asyncio.Event()
        running = asyncio.create_task(run(self.settings, stop))
        try:
            await self.slack.wait_until(lambda: self.slack.connected > 0, timeout=PATIENCE)
            yield
        finally:
            stop.set()
            await running

    async def alerted(self, cause: str, since: float) -> Message:
        """The alert that names a cause, and how long it took."""
        message = await self.slack.wait_for_message(
            "#docker-health", lambda one: cause in one.shown and bool(fix_buttons(one)), timeout=PATIENCE
        )
        self.figures["fault to alert"] = time.monotonic() - since
        return message

    async def approved(self, message: Message, fix: str) -> None:
        """Alice presses the button; the fix runs, is verified, and the message turns green."""
        pressed = time.monotonic()
        await self.slack.click(self.alice, message, f"approve:{fix}")
        await self.slack.wait_until(lambda: self.is_green(message), timeout=PATIENCE)
        self.figures["click to verified"] = time.monotonic() - pressed

    def is_green(self, message: Message) -> bool:
        return message.colour == GREEN

    async def told(self, user: User, words: str) -> Message:
        return await self.slack.wait_for_ephemeral(user, words, timeout=PATIENCE)


def fix_buttons(message: Message) -> list[str]:
    return [button.action_id for button in message.buttons if button.action_id.startswith("approve:")]


@asynccontextmanager
async def team(
    lab: Lab, host: LabHost, folder: Path, *, approvals: Mapping[str, Any] | None = None, **checks: Any
) -> AsyncIterator[Team]:
    """Set all up; the bot itself is started by the test."""
    async with LocalSlack.start(rate_limits=True) as slack:
        alice, bob = slack.add_user("alice"), slack.add_user("bob")
        slack.add_channel("#docker-health", [alice, bob])
        settings = Settings.model_validate(
            {
                "ssh": {"user": lab.user, "identity_file": lab.identity_file, "known_hosts": lab.known_hosts},
                "checks": {"reach_every": "2s", "open_after": 2, "resolve_after": 2, **checks},
                "approvals": {"approvers": [alice.id], **(approvals or {})},
                "store": f"sqlite:///{folder}/dockerhealth.db",
                "hosts": {
                    "host1": {
                        "address": host.address,
                        "services": {"registry": {"url": f"http://{host.address}:5000/v2/", "container": "registry"}},
                    }
                },
                "slack_bot_token": SecretStr(slack.bot_token),
                "slack_app_token": SecretStr(slack.app_token),
                "slack_api_url": slack.api_url,
            }
        )
        yield Team(slack, settings, alice, bob)
        assert slack.complaints == []


async def on(host: LabHost, act: Callable[[LabHost], object]) -> float:
    """Do something to a host from a thread, and say when it was done."""
    await asyncio.to_thread(act, host)
    return time.monotonic()
