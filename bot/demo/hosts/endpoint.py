"""A registry's port on loopback that really answers, really keeps silent, or really refuses."""

import asyncio
import contextlib
import errno
import socket
from http import HTTPStatus

from aiohttp import web

from bot.demo.hosts.states import Reachable

_QUEUE_WHEN_SILENT = 1
_FILLERS = 4  # more than the queue of a silent port takes


class Endpoint:
    """One address and port, bound as long as the demo runs: nobody else can take it while it does not answer."""

    def __init__(self, address: str, port: int) -> None:
        """Bind the port, or another one where it is taken (0 is any). ``port`` is the one that was had."""
        self._listener = _bound(address, port)
        self.address = address
        self.port: int = self._listener.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._registry = web.Server(_registry, access_log=None)
        self._fillers: list[socket.socket] = []

    async def become(self, how: Reachable) -> None:
        """Behave like that from now on."""
        match how:
            case Reachable.ANSWERS:
                await self._answer()
            case Reachable.SILENT:
                self._keep_silent()
            case Reachable.REFUSES:
                self._refuse()

    async def close(self) -> None:
        self._stop()
        self._listener.close()
        await self._registry.shutdown(timeout=1)

    async def _answer(self) -> None:
        self._bind_anew()
        # A copy of the socket, so that closing the server leaves the port as it is: see _keep_silent.
        listener = self._listener.dup()
        self._server = await asyncio.get_running_loop().create_server(self._registry, sock=listener)

    def _keep_silent(self) -> None:
        """Let clients run into their timeout, as they do when a host drops their packets.

        Linux drops the SYN for a listening socket whose queue of accepted connections is full. So the queue is made
        as short as can be, and filled by connections that nobody takes out of it. That needs no root.
        """
        if self._server is None:
            self._bind_anew()
        self._stop()
        self._listener.listen(_QUEUE_WHEN_SILENT)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
        self._fillers = [_connecting(self.address, self.port) for _ in range(_FILLERS)]

    def _refuse(self) -> None:
        """A port that is bound, but not listened at."""
        self._bind_anew()

    def _bind_anew(self) -> None:
        self._stop()
        self._listener.close()
        self._listener = _listener(self.address, self.port)

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for filler in self._fillers:
            filler.close()
        self._fillers = []


async def _registry(request: web.BaseRequest) -> web.StreamResponse:
    """The registry's API version check. Without keep-alive: every reading is a connection of its own."""
    if request.path != "/v2/":
        return web.Response(status=HTTPStatus.NOT_FOUND)
    response = web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
    response.force_close()
    return response


def _bound(address: str, port: int) -> socket.socket:
    try:
        return _listener(address, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return _listener(address, 0)


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def _connecting(address: str, port: int) -> socket.socket:
    filler = socket.socket()
    filler.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
    filler.connect_ex((address, port))
    return filler
