"""Socket Mode: the connection over which commands and clicks arrive, kept alive."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.slack.client import direct
from bot.tasks import Tasks

PING_EVERY: Final = 3.0  # seconds; also how long the SDK waits between two attempts to connect
WATCH_EVERY: Final = 1.0

ASK_AGAIN_AFTER: Final = 60.0
"""Seconds after which a greeting that counts other connections is asked for anew: one of ours that died may be in it.

Slack takes about one request a minute for a new connection.
"""
ASK_AGAIN_WHEN_TOLD: Final = 600.0
GREETS_WITHIN: Final = 3.0

log = structlog.get_logger()


class Socket:
    """``app_id`` is the app that the socket belongs to, as Slack says in its greeting; empty before that.

    The greeting also says how many connections the app has. Where others last, ``on_others`` is told how many once.
    """

    def __init__(
        self, app: AsyncApp, app_token: str, on_others: Callable[[int], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        self._handler = AsyncSocketModeHandler(app, app_token, ping_interval=PING_EVERY)
        self._client: SocketModeClient = self._handler.client
        self._client.message_listeners.append(self._on_frame)
        if direct(str(app.client.base_url)):
            self._client.proxy = None
        self.app_id = ""
        self._on_others = on_others
        self._telling = Tasks()
        self._greeted = asyncio.Event()
        self._others = 0
        self._told = False
        self._asked = -ASK_AGAIN_AFTER
        self._ask_at = math.inf

    async def is_alone(self) -> bool:
        """Whether no other process is connected as this app. Asks for a new greeting, if it is time."""
        if not self._others and time.monotonic() - self._asked >= ASK_AGAIN_AFTER:
            await self._ask()
        return not self._others

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop`` is set."""
        connecting = asyncio.create_task(self._client.connect(), name="slack: connect")  # type: ignore[no-untyped-call]
        try:
            await self._keep_alive(stop)
        finally:
            await self._handler.close_async()  # type: ignore[no-untyped-call]
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await self._telling.close(grace=0)

    async def _keep_alive(self, stop: asyncio.Event) -> None:
        was_connected = False
        while not stop.is_set():
            connected = await self._client.is_connected()
            if connected != was_connected:
                log.info("slack: connected") if connected else log.warning("slack: not connected, trying again")
                was_connected = connected
            if not connected:
                # The SDK tries the same URL for ever, and Slack lets each be used once only. Without one, its next
                # attempt asks for a new one.
                self._client.wss_uri = None
            elif time.monotonic() >= self._ask_at:
                await self._ask()
            try:
                async with asyncio.timeout(WATCH_EVERY):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _on_frame(self, _client: Any, frame: dict[str, Any], _raw: str | None) -> None:
        if frame.get("type") == "hello":
            self.app_id = (frame.get("connection_info") or {}).get("app_id", "")
            self._hear(frame.get("num_connections") or 1)
            self._greeted.set()

    # --- other connections ---

    def _hear(self, connections: int) -> None:
        """Take in how many connections the app has. Ours was closed before it was made anew: there is one of it."""
        before, self._others = self._others, connections - 1
        if not self._others:
            self._told, self._ask_at = False, math.inf
            return
        log.warning("slack: other processes are connected as the same app", others=self._others)
        if before and not self._told and self._on_others is not None:
            self._told = True
            self._telling.start(self._on_others(self._others), "others are connected")
        self._ask_at = time.monotonic() + (ASK_AGAIN_WHEN_TOLD if self._told else ASK_AGAIN_AFTER)

    async def _ask(self) -> None:
        """Be greeted anew, which takes a new connection."""
        self._asked = time.monotonic()
        self._greeted.clear()
        try:
            async with asyncio.timeout(GREETS_WITHIN):
                await self._client.connect_to_new_endpoint(force=True)
                await self._greeted.wait()
        except (TimeoutError, SlackClientError, aiohttp.ClientError) as error:
            log.warning("slack: it does not say how many are connected", why=str(error))
            self._ask_at = time.monotonic() + ASK_AGAIN_AFTER
