"""Certificates for lab hosts, issued on the spot, and the one authority whose certificates a client may trust."""

import functools
import ipaddress
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_Key = ec.EllipticCurvePrivateKey


def issue(address: str, *, days: int, issuer_known: bool) -> tuple[str, str]:
    """Key and certificate of a host, as PEM. ``days``: how long it is valid from now on; negative, since when not."""
    issuer_key, issuer = _authority() if issuer_known else _new_authority("nobody knows me")
    key = ec.generate_private_key(ec.SECP256R1())
    until = datetime.now(UTC) + timedelta(days=days)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        _builder(address, issuer.subject, key, until)
        .add_extension(names, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pem(key), _text(certificate)


@contextmanager
def trusted() -> Iterator[None]:
    """Have this process trust the lab's authority, in TLS contexts that are made from now on."""
    before = os.environ.get("SSL_CERT_FILE")
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(_text(_authority()[1]))
            file.flush()
            os.environ["SSL_CERT_FILE"] = file.name
            yield
    finally:
        if before is None:
            os.environ.pop("SSL_CERT_FILE", None)
        else:
            os.environ["SSL_CERT_FILE"] = before


@functools.cache
def _authority() -> tuple[_Key, x509.Certificate]:
    """Made once a process; its key is never written."""
    return _new_authority("dockerhealth lab")


def _new_authority(name: str) -> tuple[_Key, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    until = datetime.now(UTC) + timedelta(days=365)
    builder = _builder(name, subject, key, until).add_extension(is_authority, critical=True)
    return key, builder.sign(key, hashes.SHA256())


def _builder(name: str, issuer: x509.Name, key: _Key, until: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=400))
        .not_valid_after(until)
    )


def _pem(key: _Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
