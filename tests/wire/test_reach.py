"""The outside vantage against real sockets: how far each attempt gets, and how it ends."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from checks.answer import judge
from checks.collect import reach as reach_module
from checks.collect.reach import reach
from checks.model import Phase, ReachOutcome, Reading, Service, ServiceKind


@contextlib.asynccontextmanager
async def serving(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that reads a request, gives this answer and hangs up."""
    handled: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            await reader.read(1)
            writer.write(answer)
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*(task for task in handled if task))


async def read(url: str, kind: ServiceKind = ServiceKind.REGISTRY) -> Reading:
    return await reach(Service("registry", url, kind), lambda: datetime.now(UTC))


REGISTRY = b"HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n{}"
LOGIN = b'HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic realm="x"\r\n\r\n'


@pytest.mark.parametrize(
    ("answer", "ended", "status"),
    [
        (REGISTRY, ReachOutcome.ANSWERED, 200),
        (LOGIN, ReachOutcome.ANSWERED, 401),
        (b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n", ReachOutcome.NOT_A_REGISTRY, 200),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\n", ReachOutcome.BAD_STATUS, 503),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", ReachOutcome.BAD_STATUS, 404),
        (b"", ReachOutcome.RESET, None),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ReachOutcome.NOT_HTTP, None),
        (b"\x00\x01\x02", ReachOutcome.NOT_HTTP, None),
        (b"x" * 20_000, ReachOutcome.NOT_HTTP, None),
    ],
)
async def test_what_a_server_answers_is_read_for_what_it_is(
    answer: bytes, ended: ReachOutcome, status: int | None
) -> None:
    async with serving(answer) as port:
        reading = await read(f"http://127.0.0.1:{port}/v2/")
    assert (reading.phase, reading.ended, reading.status) == (Phase.HTTP, ended, status)
    assert reading.ok == (ended is ReachOutcome.ANSWERED)
    assert set(reading.phases_ms) == {Phase.RESOLVE, Phase.CONNECT, Phase.HTTP}


async def test_nobody_listening_is_refused_at_connect() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        reading = await read(f"http://127.0.0.1:{free.getsockname()[1]}/v2/")
    assert (reading.phase, reading.ended, reading.says) == (Phase.CONNECT, ReachOutcome.REFUSED, "refused at connect")
    assert reading.detail == "Connection refused"


async def test_a_server_that_accepts_and_is_silent_times_out_in_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        service = Service("registry", f"http://127.0.0.1:{mute.getsockname()[1]}/v2/")
        reading = await reach(service, lambda: datetime.now(UTC), deadline=0.2)
    assert (reading.phase, reading.ended) == (Phase.HTTP, ReachOutcome.TIMED_OUT)


async def test_a_tcp_service_is_healthy_when_it_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        reading = await read(f"tcp://127.0.0.1:{mute.getsockname()[1]}", ServiceKind.TCP)
    assert (reading.phase, reading.ended) == (Phase.CONNECT, ReachOutcome.ANSWERED)


async def test_tls_spoken_to_a_plain_server_fails_in_tls() -> None:
    async with serving(REGISTRY) as port:
        reading = await read(f"https://127.0.0.1:{port}/v2/")
    assert (reading.phase, reading.ended) == (Phase.TLS, ReachOutcome.TLS_FAILED)


def self_signed(address: str = "127.0.0.1", begins: timedelta = timedelta(0)) -> bytes:
    """A key and a certificate that it signed itself, in PEM: for an address, and from then on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded + certificate.public_bytes(Encoding.PEM)


async def test_a_certificate_of_its_own_making_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "pem").write_bytes(self_signed())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    async with serving(REGISTRY, tls) as port:
        reading = await read(f"https://127.0.0.1:{port}/v2/")
    assert (reading.phase, reading.ended) == (Phase.TLS, ReachOutcome.CERTIFICATE_SELF_SIGNED)


@pytest.mark.parametrize(
    ("certificate", "ended"),
    [
        (self_signed("192.0.2.7"), ReachOutcome.CERTIFICATE_OF_ANOTHER_NAME),
        (self_signed(begins=timedelta(minutes=30)), ReachOutcome.CERTIFICATE_NOT_YET_VALID),
    ],
    ids=["of another address", "not yet valid"],
)
async def test_what_is_wrong_with_a_certificate_of_a_known_issuer_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: bytes, ended: ReachOutcome
) -> None:
    (tmp_path / "pem").write_bytes(certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "pem"))
    monkeypatch.setattr(reach_module, "_tls_context", lambda: trusting)
    async with serving(REGISTRY, tls) as port:
        reading = await read(f"https://127.0.0.1:{port}/v2/")
    assert (reading.phase, reading.ended) == (Phase.TLS, ended)


async def test_when_a_trusted_certificate_expires_is_part_of_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pem").write_bytes(self_signed())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "pem"))
    monkeypatch.setattr(reach_module, "_tls_context", lambda: trusting)
    async with serving(REGISTRY, tls) as port:
        reading = await read(f"https://127.0.0.1:{port}/v2/")
    assert reading.ok
    assert reading.expires is not None
    assert timedelta(minutes=55) < reading.expires - reading.at <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "ended"), [(200, ReachOutcome.ANSWERED), (404, ReachOutcome.ANSWERED), (502, ReachOutcome.BAD_STATUS)]
)
def test_a_plain_http_service_is_healthy_below_500(status: int, ended: ReachOutcome) -> None:
    assert judge(ServiceKind.HTTP, status, registry=False)[0] is ended
