"""Socket Mode: tickets, open sockets, and envelopes that each go to one of them until one is acknowledged.

Imitates docs.slack.dev/apis/events-api/using-socket-mode: up to ten sockets an app, each envelope to one of them,
an acknowledgement within 3 s, redelivery of what was not acknowledged, `disconnect` frames that name a reason.
"""

import asyncio
import itertools
import json
import secrets
import time
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import WSMsgType, web

from bot.demo.local_slack.content import Json
from bot.demo.local_slack.core import Core
from bot.demo.local_slack.web_api import Call, Method

MOST_SOCKETS = 10

Reason = Literal["warning", "refresh_requested", "too_many_websockets", "link_disabled"]
Kind = Literal["slash_commands", "interactive", "events_api"]


@dataclass(frozen=True)
class Timings:
    """How long things take, in seconds. The defaults are Slack's; tests shorten what they do not want to wait for."""

    ack_within: float = 3.0
    redeliver_after: tuple[float, ...] = (0.0, 60.0, 300.0)
    ping_every: float = 10.0
    close_after_disconnect: float = 1.0
    warning_before_close: float = 10.0
    trigger_lives: float = 3.0


@dataclass(frozen=True)
class Ack:
    """How the app acknowledged an envelope."""

    payload: Json | None
    ms: float


@dataclass(frozen=True)
class Delivery:
    """One time that an envelope was sent: when, over which socket, and as which retry (0 is the first time)."""

    socket: int
    attempt: int
    at: float


@dataclass
class Envelope:
    """What is delivered, and everything that became of it."""

    id: str
    kind: Kind
    payload: Json
    accepts_response: bool
    deliveries: list[Delivery] = field(default_factory=list)
    ack: Ack | None = None
    sent_at: float = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acked(self) -> bool:
        """Tell whether an acknowledgement arrived, early or late."""
        return self.ack is not None


@dataclass(eq=False)
class Socket:
    """One open WebSocket of the app. A draining one was told to go and gets nothing new."""

    number: int
    ws: web.WebSocketResponse
    request: web.Request
    draining: bool = False


class SocketMode:
    """Slack's side of Socket Mode."""

    def __init__(self, core: Core, timings: Timings) -> None:
        """Start with no socket open."""
        self._core = core
        self._timings = timings
        self._tickets: set[str] = set()
        self._numbers = itertools.count(1)
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.sockets: list[Socket] = []
        self.envelopes: dict[str, Envelope] = {}
        self.complaints: list[str] = []
        self.refused_handshakes = 0

    @property
    def methods(self) -> tuple[Method, ...]:
        """Return the one Web API method that belongs here."""
        return (Method("apps.connections.open", self._open_connection, ("connections:write",), caller="app"),)

    def _open_connection(self, _call: Call) -> Json:
        """Give a URL that works for one handshake."""
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        base = self._core.base.replace("http://", "ws://")
        return {"url": f"{base}/link/?ticket={ticket}&app_id={self._core.identity.app_id}"}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket from its handshake to its end."""
        ticket = request.query.get("ticket", "")
        known = ticket in self._tickets
        self._tickets.discard(ticket)
        fails = self._core.faults.fails_this_handshake()
        if fails or not known:
            self.refused_handshakes += 1
            self._core.changes.announce()
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE if fails else HTTPStatus.FORBIDDEN)
        ws = web.WebSocketResponse(timeout=1)
        await ws.prepare(request)
        socket = Socket(next(self._numbers), ws, request)
        if len(self._open()) >= MOST_SOCKETS:
            await ws.send_json(self._disconnect_frame("too_many_websockets"))
            await ws.close()
            return ws
        await self._serve(socket)
        return ws

    async def _serve(self, socket: Socket) -> None:
        self.sockets.append(socket)
        pings = asyncio.create_task(self._ping(socket))
        try:
            await socket.ws.send_json(self._hello())
            self._core.changes.announce()
            async for frame in socket.ws:
                if frame.type is WSMsgType.TEXT:
                    self._receive(frame.data)
        finally:
            pings.cancel()
            self.sockets.remove(socket)
            self._core.changes.announce()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.sockets),
            "debug_info": {
                "host": "applink-local",
                "build_number": 1,
                "approximate_connection_time": 18060,
            },
            "connection_info": {"app_id": self._core.identity.app_id},
        }

    def _disconnect_frame(self, reason: Reason) -> Json:
        return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}}

    async def _ping(self, socket: Socket) -> None:
        """Send WebSocket pings with a text in them, as Slack does; the app's pongs need no answer."""
        while not socket.ws.closed:
            await asyncio.sleep(self._timings.ping_every)
            try:
                await socket.ws.ping(b"Ping from applink-local")
            except ConnectionError:
                return

    def _open(self) -> list[Socket]:
        return [socket for socket in self.sockets if not socket.draining and not socket.ws.closed]

    @property
    def connected(self) -> int:
        """Return how many sockets envelopes can go to."""
        return len(self._open())

    # --- acknowledgements -----------------------------------------------------------------------------------

    def _receive(self, data: str) -> None:
        """Take one frame of the app. What Slack would silently ignore is noted, so that a test can ask."""
        try:
            frame: Any = json.loads(data)
        except ValueError:
            self._complain(f"a frame that is no JSON: {data[:80]!r}")
            return
        envelope = self.envelopes.get(str(frame.get("envelope_id"))) if isinstance(frame, dict) else None
        if envelope is None:
            self._complain(f"an acknowledgement of an unknown envelope: {data[:80]!r}")
            return
        payload = frame.get("payload") or None
        if payload is not None and not envelope.accepts_response:
            self._complain(f"a payload in the acknowledgement of {envelope.kind}, which takes none")
            payload = None
        if self._core.faults.drops_this_ack() or envelope.acked:
            return
        envelope.ack = Ack(payload, (time.monotonic() - envelope.sent_at) * 1000)
        envelope.answered.set()
        self._core.changes.announce()

    def _complain(self, what: str) -> None:
        self.complaints.append(what)
        self._core.changes.announce()

    # --- delivery -------------------------------------------------------------------------------------------

    async def deliver(self, kind: Kind, payload: Json, *, accepts_response: bool, redeliver: bool) -> Envelope:
        """Deliver an envelope once, and return when it is acknowledged or has not been for too long.

        Events and actions that were not acknowledged are then delivered again in the background, also when it
        was for want of a socket: such a one reaches the app as a retry only.
        """
        envelope = Envelope(str(uuid.uuid4()), kind, payload, accepts_response)
        self.envelopes[envelope.id] = envelope
        sent = await self._send(envelope, attempt=0)
        if sent:
            await self._wait_for_ack(envelope)
        if not envelope.acked and redeliver:
            self.in_background(self._redeliver(envelope))
        return envelope

    async def _redeliver(self, envelope: Envelope) -> None:
        for attempt, pause in enumerate(self._timings.redeliver_after, start=1):
            await asyncio.sleep(pause)
            while not envelope.acked and not await self._send(envelope, attempt=attempt):
                await self._core.changes.until(lambda: self._open() or None, within=None, otherwise=lambda: "no socket")
            await self._wait_for_ack(envelope)
            if envelope.acked:
                return

    async def _send(self, envelope: Envelope, *, attempt: int) -> bool:
        """Send to one of the open sockets, in turn. Return whether there was one."""
        frame: Json = {
            "envelope_id": envelope.id,
            "payload": envelope.payload,
            "type": envelope.kind,
            "accepts_response_payload": envelope.accepts_response,
        }
        if envelope.kind == "events_api" or attempt:
            frame |= {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
        times = 2 if self._open() and self._core.faults.repeats_this_envelope() else 1
        for _ in range(times):
            if not await self._send_frame(envelope, frame, attempt):
                return False
        return True

    async def _send_frame(self, envelope: Envelope, frame: Json, attempt: int) -> bool:
        for socket in self._in_turn():
            envelope.sent_at = time.monotonic()
            try:
                await socket.ws.send_json(frame)
            except ConnectionError:
                socket.draining = True
                continue
            envelope.deliveries.append(Delivery(socket.number, attempt, self._core.now))
            self._core.changes.announce()
            return True
        return False

    def _in_turn(self) -> list[Socket]:
        sockets = self._open()
        if not sockets:
            return []
        first = next(self._turn) % len(sockets)
        return [*sockets[first:], *sockets[:first]]

    async def _wait_for_ack(self, envelope: Envelope) -> None:
        try:
            async with asyncio.timeout(self._timings.ack_within):
                await envelope.answered.wait()
        except TimeoutError:
            return

    # --- the end of sockets ---------------------------------------------------------------------------------

    async def disconnect(self, reason: Reason) -> None:
        """Tell every socket to go, for this reason. Slack closes it a little later if the app does not."""
        for socket in self._open():
            socket.draining = True
            with suppress(ConnectionError):
                await socket.ws.send_json(self._disconnect_frame(reason))
            wait = self._timings.warning_before_close if reason == "warning" else self._timings.close_after_disconnect
            self.in_background(self._close_later(socket, wait))
        self._core.changes.announce()

    async def _close_later(self, socket: Socket, wait: float) -> None:
        await asyncio.sleep(wait)
        await socket.ws.close()

    def cut(self) -> None:
        """Let every connection break, with no frame that says so."""
        for socket in list(self.sockets):
            socket.draining = True
            if socket.request.transport is not None:
                socket.request.transport.abort()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, until it is done or the local Slack stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop everything that is under way and close every socket."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in list(self.sockets):
            await socket.ws.close()
