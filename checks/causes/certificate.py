"""The certificate that a TLS service shows, as a client judges it."""

import ipaddress
from datetime import timedelta

from checks.causes.cause import Cause, Judgement, fail, passed, risk
from checks.facts.path import Certificate
from checks.facts.system import SYSTEM
from checks.look import Look, MissingError
from checks.model import Evidence, ReachOutcome

_EXPIRING = timedelta(days=14)
_SAME_TIME = timedelta(minutes=5)  # two clocks that go right, and what lies between two looks at them


def _certificate_expired(look: Look) -> Judgement:
    """It has run out, or one that signed it has. Of one that is not trusted either TLS says only that.

    The host tells how long it is valid; where its clock goes as ours does, a valid one is not what has expired.
    """
    shown_here = _certificate(look)
    chain = look.outside.ended in {ReachOutcome.CERTIFICATE_UNTRUSTED, ReachOutcome.CERTIFICATE_SELF_SIGNED}
    over = chain and shown_here is not None and shown_here.expires < look.outside.at
    if look.outside.ended is not ReachOutcome.CERTIFICATE_EXPIRED and not over:
        return passed(f"it {look.outside.says}")
    evidence = (Evidence("reading", f"TLS ends with: {look.outside.detail}"), *_described(shown_here))
    off, system = _clocks_differ(look), look.may(SYSTEM)
    if shown_here is None or shown_here.expires < look.outside.at:
        by_ours_alone = shown_here is not None and system is not None and shown_here.expires >= system.clock
        return fail(*evidence, *(off if by_ours_alone else ()), sure=not by_ours_alone, advice=_renew(look))
    return fail(
        *evidence,
        *(off or (Evidence("path", "it has not expired itself: one of those that signed it has"),)),
        sure=not off,
        advice=(_chain(look), "# the server has to show others: renew what its certificate file holds below its own"),
    )


def _certificate_not_yet_valid(look: Look) -> Judgement:
    if look.outside.ended is not ReachOutcome.CERTIFICATE_NOT_YET_VALID:
        return passed(f"it {look.outside.says}")
    shown_here, off = _certificate(look), _clocks_differ(look)
    begins = f"it is valid from {shown_here.begins:%Y-%m-%d %H:%M} UTC on" if shown_here else ""
    return fail(
        Evidence("reading", f"TLS ends with: {look.outside.detail}"),
        *((Evidence("path", begins),) if begins else ()),
        *off,
        sure=not off,
        advice=("timedatectl   # here, on the host, and where it was issued: which clock goes wrong?", *_renew(look)),
    )


def _certificate_of_another_name(look: Look) -> Judgement:
    """Clients have looked at the alternative names alone, not at CN, since Go 1.15."""
    if look.outside.ended is not ReachOutcome.CERTIFICATE_OF_ANOTHER_NAME:
        return passed(f"it {look.outside.says}")
    names = "openssl x509 -noout -text | grep -A1 'Alternative Name'"
    return fail(
        Evidence("reading", f"TLS ends with: {look.outside.detail}"),
        *_described(_certificate(look)),
        advice=(
            f"openssl s_client -connect {_place(look)} </dev/null 2>/dev/null | {names}   # the names that it is for",
            f"# it needs {_alternative_name(look.service.target)} among them; or clients and URL take one that it has",
        ),
    )


def _certificate_untrusted(look: Look) -> Judgement:
    place = _place(look)
    trusted = f"# clients: it belongs in /etc/docker/certs.d/{place}/ca.crt; no restart is needed"
    here = "# where dockerhealth runs: in the system's certificates (update-ca-certificates), or in SSL_CERT_FILE"
    match look.outside.ended:
        case ReachOutcome.CERTIFICATE_SELF_SIGNED:
            advice: tuple[str, ...] = (
                f"openssl s_client -connect {place} </dev/null 2>/dev/null | openssl x509   # it is its own CA",
                *(trusted, here),
            )
        case ReachOutcome.CERTIFICATE_UNTRUSTED:
            advice = (
                _chain(look),
                "# one alone, of a known CA: the server leaves out what is between; its file needs the whole chain",
                *("# else its CA is not known:", trusted, here),
            )
        case _:
            return passed(f"it {look.outside.says}")
    return fail(
        Evidence("reading", f"TLS ends with: {look.outside.detail}"), *_described(_certificate(look)), advice=advice
    )


def _clocks_differ(look: Look) -> tuple[Evidence, ...]:
    """That the host's clock and ours differ by so much that either may be what is wrong; nothing where they agree."""
    system = look.may(SYSTEM)
    if system is None or abs(system.clock - look.outside.at) < _SAME_TIME:
        return ()
    return (
        Evidence(
            "system", f"the host's clock says {system.clock:%Y-%m-%d %H:%M} UTC, ours {look.outside.at:%Y-%m-%d %H:%M}"
        ),
    )


def _place(look: Look) -> str:
    return f"{look.service.target}:{look.service.port}"


def _alternative_name(target: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(target)}"
    except ValueError:
        return f"DNS:{target}"


def _chain(look: Look) -> str:
    return f"openssl s_client -connect {_place(look)} -showcerts </dev/null   # the chain that it shows"


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
    place = _place(look)
    name = look.named(front=True)
    return (
        f"openssl s_client -connect {place} </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer -dates",
        f"docker inspect -f '{{{{json .Mounts}}}}' {name}   # where it has its certificate from",
        "# renew it there, then:",
        f"docker restart {name}   # a registry reads it when it starts",
    )


CERTIFICATE_EXPIRED = Cause("certificate-expired", "the certificate has expired", _certificate_expired, rank=70)
CERTIFICATE_NOT_YET_VALID = Cause(
    "certificate-not-yet-valid", "the certificate is not valid yet", _certificate_not_yet_valid, rank=70
)
CERTIFICATE_OF_ANOTHER_NAME = Cause(
    "certificate-of-another-name", "the certificate is for another name", _certificate_of_another_name, rank=70
)
CERTIFICATE_UNTRUSTED = Cause(
    "certificate-untrusted", "the certificate is not trusted", _certificate_untrusted, rank=70
)
CERTIFICATE_EXPIRING = Cause("certificate-expiring", "the certificate will expire soon", _certificate_expiring)
