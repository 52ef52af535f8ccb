"""A registry's one answer, for the outside reading and for the ladder of the script."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from .site import REGISTRY_PORT

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
    b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
)


@contextmanager
def answering() -> Iterator[None]:
    """A process that answers on every loopback address for as long as the block."""
    process = multiprocessing.get_context("spawn").Process(target=_serve, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _serve() -> None:
    asyncio.run(_serve_forever())


async def _serve_forever() -> None:
    server = await asyncio.start_server(_answer, "0.0.0.0", REGISTRY_PORT, backlog=1000)
    await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client only tried the connection
    finally:
        writer.close()
