"""A Docker Engine on a Unix socket that answers as a test says, in whatever way it wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

Send = Callable[[asyncio.StreamWriter], Awaitable[None]]
VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}


class DockerEngine:
    """``sends`` maps the end of a path to how it is answered, ``asked`` has each path that was asked for.

    ``connections`` is how many were made in all, ``open`` those of now.
    """

    def __init__(self) -> None:
        self.sends: dict[str, Send] = {"/version": whole(VERSION)}
        self.asked: list[str] = []
        self.connections = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                path = request.split()[1].decode().partition("?")[0]
                self.asked.append(path)
                send = next((send for end, send in self.sends.items() if path.endswith(end)), whole({}))
                await send(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # who asked has gone
        finally:
            self.open -= 1
            writer.transport.abort()


def whole(body: Any) -> Send:
    """At once, and as JSON unless it is text."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(content)) + content)
        await writer.drain()

    return send


def dripping(body: bytes, began: asyncio.Event | None = None) -> Send:
    """A byte at a time. ``began`` is set with the first one."""

    async def send(writer: asyncio.StreamWriter) -> None:
        if began is not None:
            began.set()
        writer.write(head(len(body)))
        for byte in body:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.05)

    return send


def endless(size: int, told: list[int]) -> Send:
    """So many blanks. How many were taken is told."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(size))
        for _ in range(size // 65536):
            writer.write(b" " * 65536)
            await writer.drain()
            told.append(65536)

    return send


def packed(content: bytes) -> Send:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(content), "Content-Encoding: gzip\r\n") + content)
        await writer.drain()

    return send


def head(size: int, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}Content-Length: {size}\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def docker_engine(folder: Path) -> AsyncIterator[tuple[DockerEngine, Path]]:
    """Start one. Gives it with its socket."""
    engine, path = DockerEngine(), folder / "engine.sock"
    serving: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(engine.serve(reader, writer)))

    server = await asyncio.start_unix_server(connected, path)
    try:
        yield engine, path
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # their connections close in the next round of the loop
