"""The outside vantage: reach a service as a client would, and say how far that got and how it ended."""

import asyncio
import errno
import functools
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from checks.model import Ended, Phase, Reading, Service, ServiceKind, Vantage

CONNECT_DEADLINE = 1.5
"""Seconds for one address to accept: Linux repeats a lost SYN after 1 s, so one lost packet is forgiven."""

TOTAL_DEADLINE = 5.0
"""Seconds for a whole attempt."""

_HEAD_LIMIT = 16_384
_REGISTRY_HEADER = "docker-distribution-api-version"
_OK = 200
_UNAUTHORIZED = 401
_SERVER_ERROR = 500

_BY_ERRNO = {
    errno.ECONNREFUSED: Ended.REFUSED,
    errno.ECONNRESET: Ended.RESET,
    errno.EPIPE: Ended.RESET,
    errno.EHOSTUNREACH: Ended.NO_ROUTE,
    errno.ENETUNREACH: Ended.NETWORK_UNREACHABLE,
    errno.ETIMEDOUT: Ended.TIMED_OUT,
}


_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class _Attempt:
    """The phase that an attempt is in, and how long each one took."""

    def __init__(self) -> None:
        self.phase = Phase.RESOLVE
        self.address: str | None = None
        self.status: int | None = None
        self.phases_ms: dict[Phase, float] = {}
        self.started = time.perf_counter()

    @contextmanager
    def during(self, phase: Phase) -> Iterator[None]:
        self.phase = phase
        started = time.perf_counter()
        try:
            yield
        finally:
            self.phases_ms[phase] = _ms_since(started)


async def reach(service: Service, clock: Callable[[], datetime]) -> Reading:
    """Try once to reach a service from here. Never raises; every way of failing is an ``Ended``."""
    attempt = _Attempt()
    at = clock()
    try:
        async with asyncio.timeout(TOTAL_DEADLINE):
            ended, detail = await _try(service, attempt)
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        ended, detail = _explain(error)
    return Reading(
        vantage=Vantage.OUTSIDE,
        phase=attempt.phase,
        ended=ended,
        ms=_ms_since(attempt.started),
        at=at,
        status=attempt.status,
        address=attempt.address,
        detail=detail,
        phases_ms=attempt.phases_ms,
    )


async def _try(service: Service, attempt: _Attempt) -> tuple[Ended, str]:
    loop = asyncio.get_running_loop()
    with attempt.during(Phase.RESOLVE):
        infos = await loop.getaddrinfo(service.target, service.port, type=socket.SOCK_STREAM)
    with attempt.during(Phase.CONNECT):
        sock = await _connect(infos, attempt)
    if service.kind is ServiceKind.TCP:
        sock.close()
        return Ended.ANSWERED, ""
    reader, writer = await asyncio.open_connection(sock=sock, limit=_HEAD_LIMIT)
    try:
        if service.tls:
            with attempt.during(Phase.TLS):
                await writer.start_tls(_tls_context(), server_hostname=service.target)
        with attempt.during(Phase.HTTP):
            return await _ask(service, reader, writer, attempt)
    finally:
        writer.close()


async def _connect(infos: Sequence[_AddressInfo], attempt: _Attempt) -> socket.socket:
    """The first address that accepts, as a client would: every address in turn. Raises the last one's error."""
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, address in infos:
        attempt.address = str(address[0])
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
        try:
            async with asyncio.timeout(CONNECT_DEADLINE):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed or OSError(errno.EHOSTUNREACH, "the name resolves to no address")


async def _ask(
    service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, attempt: _Attempt
) -> tuple[Ended, str]:
    port = "" if service.port == (443 if service.tls else 80) else f":{service.port}"
    host = f"[{service.target}]" if ":" in service.target else service.target
    writer.write(
        f"GET {service.path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: dockerhealth\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")
    )
    head = await reader.readuntil(b"\r\n\r\n")
    status, headers = _parse_head(head)
    if status is None:
        return Ended.NOT_HTTP, repr(head[:60])
    attempt.status = status
    return judge(service.kind, status, headers)


def judge(kind: ServiceKind, status: int, headers: dict[str, str]) -> tuple[Ended, str]:
    """Whether an HTTP answer is that of a healthy service of this kind. Header names are in lower case.

    A registry that asks for a login (401) is reachable; ``GET /`` answers 200 on anything, so only the header of
    ``/v2/`` tells a registry (the distribution project's HTTP API V2, "API Version Check").
    """
    if kind is not ServiceKind.REGISTRY:
        return (Ended.ANSWERED if status < _SERVER_ERROR else Ended.BAD_STATUS), ""
    if status not in {_OK, _UNAUTHORIZED}:
        return Ended.BAD_STATUS, ""
    if _REGISTRY_HEADER in headers or status == _UNAUTHORIZED:
        return Ended.ANSWERED, ""
    return Ended.NOT_A_REGISTRY, f"{status} without the header Docker-Distribution-Api-Version"


def _parse_head(head: bytes) -> tuple[int | None, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/") or not code.isdigit():
        return None, {}
    pairs = (line.partition(":") for line in lines if ":" in line)
    return int(code), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _explain(error: Exception) -> tuple[Ended, str]:  # noqa: PLR0911  # one return a way of failing
    """The typed ending of an attempt that raised."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=10):  # X509_V_ERR_CERT_HAS_EXPIRED
            return Ended.CERTIFICATE_EXPIRED, error.verify_message
        case ssl.SSLCertVerificationError():
            return Ended.CERTIFICATE_UNTRUSTED, error.verify_message
        case ssl.SSLError():
            return Ended.TLS_FAILED, error.reason or str(error)
        case socket.gaierror():
            return Ended.NAME_UNKNOWN, str(error)
        case TimeoutError():
            return Ended.TIMED_OUT, ""
        case asyncio.IncompleteReadError():
            return (Ended.NOT_HTTP, repr(error.partial[:60])) if error.partial else (Ended.RESET, "closed, no answer")
        case asyncio.LimitOverrunError():
            return Ended.NOT_HTTP, f"no end of the headers within {_HEAD_LIMIT} bytes"
        case OSError(errno=number) if number in _BY_ERRNO:
            return _BY_ERRNO[number], os.strerror(number)
        case _:
            return Ended.FAILED, str(error)


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Loading the trusted certificates takes tens of milliseconds, so once."""
    return ssl.create_default_context()


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
