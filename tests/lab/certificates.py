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


def issue(address: str, *, days: int = 30, since: int | None = None, how: str = "") -> tuple[str, str]:
    """Key and certificate file of a host, as PEM.

    Args:
        address: What the certificate is for.
        days: How long it is valid from now on; negative, since when it is not.
        since: Days since when it is valid; negative, in how many it begins to be.
        how: ``unknown`` by an authority that nobody knows, ``self-signed``, ``short`` by one between it and the known
            one that the file leaves out, ``stale`` by one between that has expired, and is in the file.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key, issuer, between = _issuer(how)
    until = datetime.now(UTC) + timedelta(days=days)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    certificate = (
        _builder(address, issuer.subject if issuer else own, key, until, since)
        .add_extension(names, critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return _pem(key), "".join(_text(one) for one in (certificate, *between))


def _issuer(how: str) -> tuple[_Key | None, x509.Certificate | None, tuple[x509.Certificate, ...]]:
    """Who signs, and what is between it and the authority that is shown."""
    match how:
        case "self-signed":
            return None, None, ()
        case "unknown":
            return *_new_authority("nobody knows me"), ()
        case "short":
            return *_between(days=30), ()
        case "stale":
            key, between = _between(days=-2)
            return key, between, (between,)
        case _:
            return *_authority(), ()


def _between(days: int) -> tuple[_Key, x509.Certificate]:
    """An authority that the known one has signed."""
    signer, authority = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    until = datetime.now(UTC) + timedelta(days=days)
    builder = _builder("between", authority.subject, key, until).add_extension(is_authority, critical=True)
    return key, builder.sign(signer, hashes.SHA256())


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


def _builder(
    name: str, issuer: x509.Name, key: _Key, until: datetime, since: int | None = None
) -> x509.CertificateBuilder:
    begins = until - timedelta(days=400) if since is None else datetime.now(UTC) - timedelta(days=since)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(until)
    )


def _pem(key: _Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
