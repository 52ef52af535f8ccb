"""The outside vantage: reach a service as a client would, and say how far that got and how it ended."""

import asyncio
import errno
import functools
import ipaddress
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from checks.answer import REGISTRY_HEADER, judge
from checks.collect.names import AddressInfo, addresses_of
from checks.collect.soundness import TOLERATED, Measured, NoNameServerError, has_way, judge_soundness, trouble_of
from checks.model import OwnTrouble, Phase, ReachOutcome, Reading, Service, ServiceKind, Vantage

CONNECT_DEADLINE = 1.5
"""Seconds for one address to accept: Linux repeats a lost SYN after 1 s, so one lost packet is forgiven."""

TOTAL_DEADLINE = 3.0
"""Seconds for a whole attempt: a service that takes longer for its first line is of no use to its clients."""

COUNTED = 3
"""Connections that ``attempt_counted`` asks for: a number that other clients' traffic seldom comes to by itself."""

SMALL_SEGMENT = 128
"""Bytes that any link carries, however small its MTU was made."""

_COUNTED_DEADLINE = 0.35
"""Seconds for them. Less than the second after which Linux repeats a lost SYN: each attempt is exactly one packet."""

_MOST_ADDRESSES, _EACH_DEADLINE = 4, 1.0
"""How many addresses of a name are tried each for itself, and the seconds that one has."""

_HEAD_LIMIT, _HEAD_ENDS = 16_384, b"\r\n\r\n"
_IPV6 = 6

_BY_VERIFY_CODE = {  # OpenSSL's X509_V_ERR_..., include/openssl/x509_vfy.h
    9: ReachOutcome.CERTIFICATE_NOT_YET_VALID,
    10: ReachOutcome.CERTIFICATE_EXPIRED,
    18: ReachOutcome.CERTIFICATE_SELF_SIGNED,
    62: ReachOutcome.CERTIFICATE_OF_ANOTHER_NAME,
    64: ReachOutcome.CERTIFICATE_OF_ANOTHER_NAME,  # of another address
}

# From linux/in.h, linux/in6.h and linux/errqueue.h: Python has no names for them.
_RECEIVE_ERRORS = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_EXTENDED_ERROR = struct.Struct("=IBBBxII")  # errno, origin, type, code, info, data; the sender's address follows
_SENDER = {2: (socket.AF_INET, slice(4, 8)), 3: (socket.AF_INET6, slice(8, 24))}  # origin: where in a sockaddr it is
_PROHIBITED = {2: {2, 3, 9, 10, 13}, 3: {1, 4, 5, 6}}
"""By origin (ICMP, ICMPv6): codes of "unreachable" that say no more than that somebody does not want it.

The others are a router's, or this machine's own, which find nobody there. RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1.
"""

_BY_ERRNO = {
    errno.ECONNREFUSED: ReachOutcome.REFUSED,
    errno.ECONNRESET: ReachOutcome.RESET,
    errno.EPIPE: ReachOutcome.RESET,
    errno.EHOSTUNREACH: ReachOutcome.NO_ROUTE,
    errno.ENETUNREACH: ReachOutcome.NETWORK_UNREACHABLE,
    errno.ETIMEDOUT: ReachOutcome.TIMED_OUT,
}


class _Attempt:
    """The phase that an attempt is in, and how long each one took."""

    def __init__(self, segment: int | None) -> None:
        self.segment = segment
        self.phase = Phase.RESOLVE
        self.address: str | None = None
        self.status: int | None = None
        self.expires: datetime | None = None
        self.rejected_by: str | None = None
        self.trouble: OwnTrouble | None = None
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


async def reach(
    service: Service, clock: Callable[[], datetime], *, segment: int | None = None, deadline: float = TOTAL_DEADLINE
) -> Reading:
    """Try once to reach a service from here. Never raises; every way of failing is an ``ReachOutcome``.

    One that failed because of this machine says so: see ``Reading.unsound``.

    ``segment`` asks the other side for TCP segments of that many bytes at most: what then arrives, and otherwise does
    not, was too large for some link on the way. ``deadline`` is in seconds.
    """
    attempt = _Attempt(segment)
    with Measured(clock) as measured:
        try:
            async with asyncio.timeout(deadline):
                ended, detail = await _try(service, attempt)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            ended, detail = _explain(error)
            attempt.trouble = attempt.trouble or trouble_of(error)
    if ended is not ReachOutcome.ANSWERED and attempt.trouble is None:
        attempt.trouble = judge_soundness(ended, attempt.phase, measured.circumstances())
    return Reading(
        vantage=Vantage.OUTSIDE,
        phase=attempt.phase,
        ended=ended,
        ms=_ms_since(attempt.started),
        at=measured.at,
        status=attempt.status,
        address=attempt.address,
        detail=detail,
        phases_ms=attempt.phases_ms,
        expires=attempt.expires,
        rejected_by=attempt.rejected_by,
        unsound=attempt.trouble,
    )


async def reach_each(service: Service, clock: Callable[[], datetime]) -> tuple[Reading, ...]:
    """Whether each address of a name accepts connections: some clients try one alone, or the first one for long.

    Returns nothing for a service with one address, and nothing of one that this machine has no way to. Never raises.
    """
    try:
        infos = await addresses_of(service.target, service.port)
    except OSError:
        return ()
    each = list({str(info[4][0]): info for info in infos}.values())[:_MOST_ADDRESSES]  # one, where the URL has it
    readings = await asyncio.gather(*(_reach_one(info, clock) for info in each)) if len(each) > 1 else ()
    return tuple(reading for reading in readings if reading.unsound is None)


async def _reach_one(info: AddressInfo, clock: Callable[[], datetime]) -> Reading:
    """Connect to one address, and no more."""
    attempt = _Attempt(None)
    ended, detail = ReachOutcome.ANSWERED, ""
    with Measured(clock) as measured:
        try:
            async with asyncio.timeout(_EACH_DEADLINE):
                (await _connect([info], attempt)).close()
        except OSError as error:
            ended, detail = _explain(error)
    if ended is not ReachOutcome.ANSWERED and attempt.trouble is None:
        attempt.trouble = judge_soundness(ended, Phase.CONNECT, measured.circumstances())
    return Reading(
        Vantage.OUTSIDE,
        Phase.CONNECT,
        ended,
        _ms_since(attempt.started),
        measured.at,
        address=str(info[4][0]),
        detail=detail,
        unsound=attempt.trouble,
    )


@dataclass(frozen=True)
class Refusal:
    """How an address refuses connections: its own TCP says so, or an ICMP error of somebody's firewall. Maybe neither.

    A host sends one address about one ICMP error a second: a REJECT may look like silence for that long.
    """

    address: str
    port: int
    by_reset: bool
    rejected_by: str | None

    @property
    def is_told(self) -> bool:
        return self.by_reset or self.rejected_by is not None


async def ask_who_refuses(address: str, port: int) -> Refusal:
    """Connect once more to what has refused it. Never raises."""
    attempt, by_reset = _Attempt(None), False
    try:
        (await _connect(await addresses_of(address, port), attempt)).close()
    except OSError as error:
        by_reset = isinstance(error, ConnectionRefusedError) and attempt.rejected_by is None
    return Refusal(attempt.address or address, port, by_reset, attempt.rejected_by)


@dataclass(frozen=True)
class CountedAttempts:
    """Connections that were asked for at one address, one packet each, and how many were accepted."""

    address: str
    asked: int
    accepted: int


async def attempt_counted(service: Service, clock: Callable[[], datetime]) -> CountedAttempts | None:
    """Ask for ``COUNTED`` connections at once, and close what is accepted.

    None where the name does not resolve, and where this machine did not make so many, or did not see how they ended.
    """
    try:
        infos = await addresses_of(service.target, service.port)
        with Measured(clock) as measured:
            accepted = await asyncio.gather(*(_attempt_once(infos[0]) for _ in range(COUNTED)))
    except OSError:
        return None
    if measured.circumstances().longest > TOLERATED:
        return None
    return CountedAttempts(str(infos[0][4][0]), COUNTED, sum(accepted))


def source_of(service: Service) -> str | None:
    """The address from which this machine would reach a service. Sends nothing. None for a name, or without a route."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(service.target).version == _IPV6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((service.target, service.port))
            return str(sock.getsockname()[0])
    except (ValueError, OSError):
        return None


async def _attempt_once(info: AddressInfo) -> bool:
    """Whether it is accepted. Raises OSError where this machine did not get as far as to ask."""
    family, kind, protocol, _, address = info
    with socket.socket(family, kind, protocol) as sock:
        sock.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
        try:
            async with asyncio.timeout(_COUNTED_DEADLINE):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            if trouble_of(error):
                raise
            return False
        return True


async def _try(service: Service, attempt: _Attempt) -> tuple[ReachOutcome, str]:
    with attempt.during(Phase.RESOLVE):
        infos = await addresses_of(service.target, service.port)
    with attempt.during(Phase.CONNECT):
        sock = await _connect(infos, attempt)
    if service.tls:
        return await _try_tls(service, sock, attempt)
    with sock:
        if service.kind is ServiceKind.TCP:
            return ReachOutcome.ANSWERED, ""
        with attempt.during(Phase.HTTP):
            await asyncio.get_running_loop().sock_sendall(sock, _request(service))
            return _judged(service, await _head(sock), attempt)


async def _try_tls(service: Service, sock: socket.socket, attempt: _Attempt) -> tuple[ReachOutcome, str]:
    reader, writer = await asyncio.open_connection(sock=sock, limit=_HEAD_LIMIT)
    try:
        with attempt.during(Phase.TLS):
            await writer.start_tls(_tls_context(), server_hostname=service.target)
            attempt.expires = _expires(writer.get_extra_info("peercert"))
        with attempt.during(Phase.HTTP):
            writer.write(_request(service))
            return _judged(service, await reader.readuntil(_HEAD_ENDS), attempt)
    finally:
        writer.close()


async def _head(sock: socket.socket) -> bytes:
    """The head of an answer, as StreamReader.readuntil gives it, at a third of what a stream costs."""
    loop = asyncio.get_running_loop()
    head = b""
    while (ends := head.find(_HEAD_ENDS)) < 0:
        if len(head) > _HEAD_LIMIT:
            raise asyncio.LimitOverrunError("the head does not end", len(head))
        more = await loop.sock_recv(sock, _HEAD_LIMIT)
        if not more:
            raise asyncio.IncompleteReadError(head, None)
        head += more
    return head[: ends + len(_HEAD_ENDS)]


@dataclass(frozen=True)
class _Failed:
    """How one address of a name failed, and by what trouble of ours, if any."""

    error: OSError
    address: str
    rejected_by: str | None
    trouble: OwnTrouble | None


async def _connect(infos: Sequence[AddressInfo], attempt: _Attempt) -> socket.socket:
    """The first address that accepts, as a client would: every address in turn.

    Raises the last one's error that tells something of who was asked, and where there is none, the last one's.
    """
    failed: _Failed | None = None
    for info in infos:
        attempt.address, attempt.rejected_by = str(info[4][0]), None
        try:
            return await _connect_to(info, attempt)
        except OSError as error:
            trouble = trouble_of(error) or (None if has_way(error, info[0], info[4]) else OwnTrouble.NO_WAY)
            if failed is None or failed.trouble is not None or trouble is None:
                failed = _Failed(error, attempt.address, attempt.rejected_by, trouble)
    if failed is None:
        raise socket.gaierror(socket.EAI_NODATA, "the name resolves to no address")
    attempt.address, attempt.rejected_by, attempt.trouble = failed.address, failed.rejected_by, failed.trouble
    raise failed.error


async def _connect_to(info: AddressInfo, attempt: _Attempt) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
        _queue_errors(sock, on=True)
        if attempt.segment is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, attempt.segment)
        async with asyncio.timeout(CONNECT_DEADLINE):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except OSError:
        attempt.rejected_by = _rejecting(sock, str(address[0]))
        sock.close()
        raise
    except BaseException:
        sock.close()
        raise
    _queue_errors(sock, on=False)  # while it is on, any ICMP error ends a connection that stands
    return sock


def _queue_errors(sock: socket.socket, *, on: bool) -> None:
    """Have the kernel keep the ICMP errors of a connection, which it does for TCP since 5.10."""
    level, option = _RECEIVE_ERRORS[sock.family]
    sock.setsockopt(level, option, on)


def _rejecting(sock: socket.socket, target: str) -> str | None:
    """Whose ICMP error ended the attempt. None for none, as for a TCP reset."""
    try:
        _, messages, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    level, option = _RECEIVE_ERRORS[sock.family]
    errors = (data for at, kind, data in messages if (at, kind) == (level, option))
    return next((sender for data in errors if (sender := rejecting(data, target))), None)


def rejecting(error: bytes, target: str) -> str | None:
    """Who rejected an attempt at an address, by the kernel's ``sock_extended_err``. Pure.

    What the target itself says is always a rule of it: it is there to say so.
    """
    _, origin, _, code, _, _ = _EXTENDED_ERROR.unpack_from(error)
    if origin not in _SENDER:
        return None
    family, place = _SENDER[origin]
    sender = socket.inet_ntop(family, error[_EXTENDED_ERROR.size :][place])
    return sender if sender == target or code in _PROHIBITED[origin] else None


@functools.lru_cache(maxsize=8192)
def _request(service: Service) -> bytes:
    port = "" if service.port == (443 if service.tls else 80) else f":{service.port}"
    host = f"[{service.target}]" if ":" in service.target else service.target
    return (
        f"GET {service.path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: dockerhealth\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _judged(service: Service, head: bytes, attempt: _Attempt) -> tuple[ReachOutcome, str]:
    status, headers = _parse_head(head)
    if status is None:
        return ReachOutcome.NOT_HTTP, repr(head[:60])
    attempt.status = status
    return judge(service.kind, status, registry=REGISTRY_HEADER in headers)


def _parse_head(head: bytes) -> tuple[int | None, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/") or not code.isdigit():
        return None, {}
    pairs = (line.partition(":") for line in lines if ":" in line)
    return int(code), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _explain(error: Exception) -> tuple[ReachOutcome, str]:  # noqa: PLR0911  # one return a way of failing
    """The typed ending of an attempt that raised."""
    match error:
        case ssl.SSLCertVerificationError():
            return _BY_VERIFY_CODE.get(error.verify_code, ReachOutcome.CERTIFICATE_UNTRUSTED), error.verify_message
        case ssl.SSLError():
            return ReachOutcome.TLS_FAILED, error.reason or str(error)
        case socket.gaierror():
            return ReachOutcome.NAME_UNKNOWN, str(error)
        case NoNameServerError():
            return ReachOutcome.TIMED_OUT, str(error)
        case TimeoutError():
            return ReachOutcome.TIMED_OUT, ""
        case asyncio.IncompleteReadError():
            return (
                (ReachOutcome.NOT_HTTP, repr(error.partial[:60]))
                if error.partial
                else (ReachOutcome.RESET, "closed, no answer")
            )
        case asyncio.LimitOverrunError():
            return ReachOutcome.NOT_HTTP, f"no end of the headers within {_HEAD_LIMIT} bytes"
        case OSError(errno=number) if number in _BY_ERRNO:
            return _BY_ERRNO[number], os.strerror(number)
        case _:
            return ReachOutcome.FAILED, str(error)


def _expires(certificate: dict[str, Any] | None) -> datetime | None:
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Loading the trusted certificates takes tens of milliseconds, so once."""
    return ssl.create_default_context()


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
