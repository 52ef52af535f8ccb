"""Socket Mode: the connection over which commands and clicks arrive, kept alive."""

import asyncio
from typing import Any, Final

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.slack.client import direct

PING_EVERY: Final = 3.0  # seconds; also how long the SDK waits between two attempts to connect
WATCH_EVERY: Final = 1.0

log = structlog.get_logger()


class Socket:
    """``app_id`` is the app that the socket belongs to, as Slack says in its greeting; empty before that."""

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self._handler = AsyncSocketModeHandler(app, app_token, ping_interval=PING_EVERY)
        self._client: SocketModeClient = self._handler.client
        self._client.message_listeners.append(self._on_frame)
        if direct(str(app.client.base_url)):
            self._client.proxy = None
        self.app_id = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop`` is set."""
        connecting = asyncio.create_task(self._client.connect(), name="slack: connect")  # type: ignore[no-untyped-call]
        try:
            await self._keep_alive(stop)
        finally:
            await self._handler.close_async()  # type: ignore[no-untyped-call]
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

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
            try:
                async with asyncio.timeout(WATCH_EVERY):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _on_frame(self, _client: Any, frame: dict[str, Any], _raw: str | None) -> None:
        if frame.get("type") == "hello":
            self.app_id = (frame.get("connection_info") or {}).get("app_id", "")
