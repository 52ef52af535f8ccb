"""The certificate that a TLS service shows, as a client judges it."""

from datetime import timedelta

from checks.causes.cause import Cause, Judgement, fail, passed, risk
from checks.facts.path import Certificate
from checks.facts.system import SYSTEM
from checks.look import Look, MissingError
from checks.model import Evidence, ReachOutcome

_EXPIRING = timedelta(days=14)


def _certificate_expired(look: Look) -> Judgement:
    """It has run out. Of one that is not trusted either TLS says only that: the host tells how long it is valid."""
    shown_here, system = _certificate(look), look.may(SYSTEM)
    over = (
        look.outside.ended is ReachOutcome.CERTIFICATE_UNTRUSTED and shown_here and shown_here.expires < look.outside.at
    )
    if look.outside.ended is not ReachOutcome.CERTIFICATE_EXPIRED and not over:
        return passed(f"it {look.outside.says}")
    in_time = shown_here is not None and system is not None and shown_here.expires > system.clock
    clock = (
        Evidence("system", f"by the host's clock ({system.clock:%Y-%m-%d %H:%M} UTC) it has not: does ours go right?")
        if system and in_time
        else None
    )
    return fail(
        Evidence("reading", f"TLS ends with: {look.outside.detail}"),
        *_described(shown_here),
        *((clock,) if clock else ()),
        sure=not in_time,
        advice=_renew(look),
    )


def _certificate_untrusted(look: Look) -> Judgement:
    if look.outside.ended is not ReachOutcome.CERTIFICATE_UNTRUSTED:
        return passed(f"it {look.outside.says}")
    place = f"{look.service.target}:{look.service.port}"
    return fail(
        Evidence("reading", f"TLS ends with: {look.outside.detail}"),
        *_described(_certificate(look)),
        advice=(
            f"openssl s_client -connect {place} -showcerts </dev/null   # the chain that it shows",
            f"# clients: the CA's certificate belongs in /etc/docker/certs.d/{place}/ca.crt; no restart is needed",
            "# where dockerhealth runs: in the system's certificates (update-ca-certificates), or in SSL_CERT_FILE",
        ),
    )


def _certificate_expiring(look: Look) -> Judgement:
    if not look.service.tls:
        return passed("no TLS is spoken")
    if not look.outside.ok:
        return passed(f"it {look.outside.says}")
    if look.outside.expires is None:
        raise MissingError("reading", "when the certificate expires was not seen")
    left = look.outside.expires - look.outside.at
    when = f"the certificate expires {look.outside.expires:%Y-%m-%d %H:%M} UTC, in {left.days} days"
    return risk(Evidence("reading", when)) if left <= _EXPIRING else passed(when)


def _certificate(look: Look) -> Certificate | None:
    """The certificate as the host itself sees it: an attempt from outside that ends at it does not keep it."""
    return next((rung.certificate for rung in reversed(look.way.rungs) if rung.certificate), None)


def _described(certificate: Certificate | None) -> tuple[Evidence, ...]:
    if certificate is None:
        return ()
    until = f"{certificate.expires:%Y-%m-%d %H:%M} UTC"
    says = f"it shows {certificate.subject}, signed by {certificate.issuer}, valid until {until}"
    return (Evidence("path", says),)


def _renew(look: Look) -> tuple[str, ...]:
    place = f"{look.service.target}:{look.service.port}"
    name = look.service.container or "NAME"
    return (
        f"openssl s_client -connect {place} </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer -dates",
        f"docker inspect -f '{{{{json .Mounts}}}}' {name}   # where it has its certificate from",
        "# renew it there, then:",
        f"docker restart {name}   # a registry reads it when it starts",
    )


CERTIFICATE_EXPIRED = Cause("certificate-expired", "the certificate has expired", _certificate_expired, rank=70)
CERTIFICATE_UNTRUSTED = Cause(
    "certificate-untrusted", "the certificate is not trusted", _certificate_untrusted, rank=70
)
CERTIFICATE_EXPIRING = Cause("certificate-expiring", "the certificate will expire soon", _certificate_expiring)
