"""Services that answer at once, in a process of their own, which remembers when each was asked."""

import asyncio
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_PORTS = 2
"""Every second service is at the second port, which may be closed."""


class Answers:
    """The parent's end. A service is known by the number in its path, ``/s17``."""

    def __init__(self, pipe: "Connection[Any, Any]", ports: list[int]) -> None:
        self._pipe = pipe
        self._ports = ports

    def port(self, number: int) -> int:
        return self._ports[number % _PORTS]

    def forget(self) -> None:
        self._ask("forget")

    def seen(self) -> dict[int, list[float]]:
        """When each service was asked since, in seconds of the monotonic clock."""
        found: dict[int, list[float]] = self._ask("seen")
        return found

    @staticmethod
    def fails(number: int) -> bool:
        """Whether a service is among those that ``fail`` lets refuse: those at the last port."""
        return number % _PORTS == _PORTS - 1

    def fail(self) -> None:
        """Let every second service refuse from now on."""
        self._ask("fail")

    def _ask(self, what: str) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()


@contextmanager
def answering() -> Iterator[Answers]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Answers(ours, ours.recv())
    finally:
        process.terminate()
        process.join()


def _serve(pipe: "Connection[Any, Any]") -> None:
    asyncio.run(_serve_forever(pipe))


async def _serve_forever(pipe: "Connection[Any, Any]") -> None:
    loop = asyncio.get_running_loop()
    seen: defaultdict[int, list[float]] = defaultdict(list)
    servers = [
        await loop.create_server(lambda: _Service(seen), "0.0.0.0", 0, backlog=4096)  # all of 127/8
        for _ in range(_PORTS)
    ]
    pipe.send([server.sockets[0].getsockname()[1] for server in servers])
    over = asyncio.Event()

    def asked() -> None:
        try:
            what = pipe.recv()
        except EOFError:
            over.set()
            return
        if what == "fail":
            servers[-1].close()
        pipe.send(dict(seen) if what == "seen" else None)
        if what == "forget":
            seen.clear()

    loop.add_reader(pipe.fileno(), asked)
    await over.wait()


class _Service(asyncio.Protocol):
    def __init__(self, seen: defaultdict[int, list[float]]) -> None:
        self._seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._at = time.monotonic()

    def data_received(self, data: bytes) -> None:
        path = data[5 : data.index(b" ", 5)]
        if path[:1] == b"s" and path[1:].isdigit():
            self._seen[int(path[1:])].append(self._at)
        assert isinstance(self._transport, asyncio.Transport)  # of a server for TCP
        self._transport.write(_ANSWER)
        self._transport.close()
