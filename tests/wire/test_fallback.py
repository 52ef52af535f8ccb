"""The second way out: a real SMTP server and a real webhook are told what Slack does not take."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import Message as Mail
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from bot.app import StartError, run
from bot.demo.local_slack import LocalSlack
from bot.fallback import spoken
from tests.wire.bot_world import PATIENCE, Site, World

WEBHOOK_SECRET = "planted-webhook-secret"
MAIL_SECRET = "planted-mail-secret"


class Mailbox:
    """What an SMTP server has taken."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[int]:
    """The port of a mail server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    yield port
    server.stop()


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """The port of a web server, and what it has taken."""
    taken: list[dict[str, Any]] = []

    async def hook(request: web.Request) -> web.Response:
        taken.append(await request.json())
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_post("/{secret}", hook)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1], taken
    await runner.cleanup()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalSlack.start() as slack:
        yield World(slack, Site(), f"sqlite:///{tmp_path}/store.db")


async def test_what_slack_does_not_take_is_told_by_mail_and_webhook_once_each_way(
    world: World,
    smtp: int,
    mailbox: Mailbox,
    webhook: tuple[int, list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    port, hooks = webhook
    world.fallback_after = timedelta(seconds=1)
    world.fallback_urls = (
        f"mailto://127.0.0.1:{smtp}?from=bot@example.org&to=ops@example.org&mode=insecure&name={MAIL_SECRET}\n"
        f"json://127.0.0.1:{port}/{WEBHOOK_SECRET}\n"
    )
    world.channel.is_archived = True
    async with world.bot():
        world.site.well = False
        await _until(lambda: mailbox.mails and hooks)
        world.site.well = True
        await _until(lambda: len(mailbox.mails) == 2 and len(hooks) == 2)
        world.channel.is_archived = False
        shown = await world.shows(world.channel, "answers again")
        await asyncio.sleep(2)
    assert mailbox.subjects == ["dockerhealth: host1/registry (open)", "dockerhealth: host1/registry (over)"]
    assert [hook["title"] for hook in hooks] == mailbox.subjects
    assert "does not answer: IP forwarding is off" in hooks[0]["message"]
    assert "Slack has not taken this alert: Slack refused: chat.postMessage: is_archived" in hooks[0]["message"]
    assert "host1/registry answers again" in hooks[1]["message"]
    assert world.slack.messages(world.channel) == [shown]
    said = "".join(capsys.readouterr())
    assert WEBHOOK_SECRET not in said
    assert MAIL_SECRET not in said


async def test_an_alert_that_slack_takes_is_told_nowhere_else(
    world: World, webhook: tuple[int, list[dict[str, Any]]]
) -> None:
    port, hooks = webhook
    world.fallback_after = timedelta(seconds=1)
    world.fallback_urls = f"json://127.0.0.1:{port}/x"
    async with world.bot():
        await world.alert()
        await asyncio.sleep(3)
    assert hooks == []


async def test_a_url_that_leads_nowhere_is_a_wrong_configuration_and_is_not_shown(world: World) -> None:
    tokens = {
        "slack_bot_token": SecretStr(world.slack.bot_token),
        "slack_app_token": SecretStr(world.slack.app_token),
        "fallback_urls": SecretStr("json://127.0.0.1/ok carrier-pigeon://secret-loft"),
    }
    with pytest.raises(StartError, match="URL 2 of DOCKERHEALTH_FALLBACK_URLS") as wrong:
        await run(world.settings().model_copy(update=tokens), asyncio.Event())
    assert "loft" not in str(wrong.value)


def test_slacks_markup_is_read_out() -> None:
    assert spoken("<@U1> &lt;b&gt; since <!date^1^{time}|2026-03-01 12:00:00 UTC>") == (
        "U1 <b> since 2026-03-01 12:00:00 UTC"
    )


async def _until(true: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110  # the mail server lives in a thread of its own
            await asyncio.sleep(0.1)
