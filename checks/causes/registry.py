"""What answers, and it is not what the client asked for: errors, another scheme, another program."""

from urllib.parse import urlsplit, urlunsplit

from checks.causes.cause import Cause, Judgement, fail, passed
from checks.causes.disk import is_out_of_room
from checks.causes.proxy import OF_A_GATEWAY
from checks.evidence.inside import ending, innermost, says, shown
from checks.evidence.state import ContainerState, state_of
from checks.facts.path import PATH
from checks.look import Look, MissingError
from checks.model import Evidence, Phase, ReachOutcome, ServiceKind, Vantage

_ALL = (Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER)
_SERVER_ERROR = 500
_WRONG_SCHEME = 400
_CERTIFICATES = {
    ReachOutcome.CERTIFICATE_EXPIRED,
    ReachOutcome.CERTIFICATE_NOT_YET_VALID,
    ReachOutcome.CERTIFICATE_OF_ANOTHER_NAME,
    ReachOutcome.CERTIFICATE_SELF_SIGNED,
    ReachOutcome.CERTIFICATE_UNTRUSTED,
}


def _registry_error(look: Look) -> Judgement:
    """The registry itself answers with an error, also where nothing is between."""
    other = _not_answered(look)
    if other is not None:
        return other
    if look.outside.ended is not ReachOutcome.BAD_STATUS:
        return passed(f"it {look.outside.says}")
    nearest = innermost(look)
    if nearest.status is None or ending(look, nearest) is not ReachOutcome.BAD_STATUS:
        return passed(f"at {nearest.address}, where nothing is between, it {says(look, nearest)}")
    if not nearest.registry and (nearest.status < _SERVER_ERROR or nearest.status in OF_A_GATEWAY):
        return passed(f"{nearest.status} without a registry's header, which no registry says of itself")
    if is_out_of_room(look):
        return passed("it has no room left: see disk-full")
    name = look.named()
    return fail(
        *shown(look, *_ALL),
        sure=look.outside.status == nearest.status,
        advice=(
            f"docker logs --tail 30 {name}   # its log names the reason: storage, login service, configuration",
            f"docker inspect -f '{{{{json .Mounts}}}}' {name}   # is its storage there, and may it write?",
        ),
    )


def _not_a_registry(look: Look) -> Judgement:
    """Something answers, on this very port, and it is no registry."""
    other = _not_answered(look)
    if other is not None:
        return other
    nearest = innermost(look)
    if not _is_foreign(nearest.status, ending(look, nearest), registry=nearest.registry):
        return passed(f"at {nearest.address}, where nothing is between, it {says(look, nearest)}")
    foreign = look.outside.ended in {
        ReachOutcome.NOT_A_REGISTRY,
        ReachOutcome.NOT_HTTP,
        ReachOutcome.BAD_STATUS,
        ReachOutcome.RESET,
    }
    if not foreign:
        return passed(f"it {look.outside.says} from outside")
    if _speaks_other_scheme(look):
        return passed("it speaks another scheme: see scheme-mismatch")
    detail = f": {look.outside.detail}" if look.outside.detail else ""
    return fail(
        Evidence("reading", f"GET {look.service.path} {look.outside.says}{detail}"),
        *shown(look, *_ALL),
        sure=look.outside.ended in {ReachOutcome.NOT_A_REGISTRY, ReachOutcome.NOT_HTTP},
        advice=(
            f"curl -i {look.service.url}   # what is it? A registry answers with Docker-Distribution-Api-Version",
            f"docker ps --filter publish={look.service.port}; sudo ss -ltnp 'sport = :{look.service.port}'   # who",
            "# if it is meant to be none: `kind: http` or `kind: tcp` for this service in dockerhealth's configuration",
        ),
    )


def _is_foreign(status: int | None, ended: ReachOutcome, *, registry: bool) -> bool:
    """An answer that no registry gives: without its header, and no error of a server."""
    if ended in {ReachOutcome.NOT_A_REGISTRY, ReachOutcome.NOT_HTTP}:
        return True
    return ended is ReachOutcome.BAD_STATUS and not registry and status is not None and status < _SERVER_ERROR


def _not_answered(look: Look) -> Judgement | None:
    """Why a registry's answer cannot be to blame; None where there is an answer of a registry's port."""
    if look.service.kind is not ServiceKind.REGISTRY:
        return passed(f"the service is no registry, but {look.service.kind}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    if look.outside.phase is not Phase.HTTP or look.outside.ended is ReachOutcome.TIMED_OUT:
        return passed(f"there is no answer: {look.outside.says}")
    container = look.container
    if container is None and look.service.container is not None:
        return passed(f"there is no container {look.service.container}: whatever answers is something else")
    if container is not None and (state := state_of(look, container)) is not ContainerState.WELL:
        return passed(f"container {container.name} is {container.status} ({state}): whatever answers is something else")
    return None


def _scheme_mismatch(look: Look) -> Judgement:
    """Http is spoken to a port that speaks https, or the reverse; proven by trying the other one."""
    if look.service.kind is ServiceKind.TCP:
        return passed("nothing but a connection is asked for")
    if not _may_be_misunderstood(look):
        return passed(f"it {look.outside.says}: the scheme is not what is wrong")
    look.need(PATH)
    other = look.way.other_scheme
    if other is None and (why := look.way.gaps.get("other")):
        raise MissingError(PATH.name, why)
    if other is None:
        nearest = innermost(look)
        return passed(f"at {nearest.address} it {says(look, nearest)}: the scheme is understood")
    theirs = "http" if look.service.tls else "https"
    if not _speaks_other_scheme(look):
        return passed(f"{theirs} comes to nothing either: {says(look, other)}")
    right = urlunsplit(urlsplit(look.service.url)._replace(scheme=theirs))
    return fail(
        Evidence("reading", f"{look.service.url} {look.outside.says} {look.outside.detail}".rstrip()),
        Evidence("path", f"the same port, asked in {theirs} on the host, answers {other.status}"),
        advice=_plain(look, right) if look.service.tls else _secure(look, right),
    )


def _tls_refused(look: Look) -> Judgement:
    """TLS is spoken, and the handshake ends: the server says by an alert what it misses, or no version is common.

    Words as OpenSSL has them for the alerts of RFC 8446, section 6.
    """
    if look.outside.ended is not ReachOutcome.TLS_FAILED:
        return passed(f"it {look.outside.says}")
    look.need(PATH)
    if _speaks_other_scheme(look):
        return passed("it speaks another scheme: see scheme-mismatch")
    known = next((one for words, one in _ALERTS.items() if words in look.outside.detail), None)
    if known is None:
        raise MissingError("reading", f"TLS ends with {look.outside.detail}, which does not say what is missed")
    why, advice = known
    return fail(
        Evidence("reading", f"TLS ends with {look.outside.detail}: {why}"),
        *shown(look, *_ALL),
        advice=(
            advice,
            f"openssl s_client -connect {look.service.target}:{look.service.port} </dev/null   # once more",
        ),
    )


_WANTS_A_CERTIFICATE = (
    "the server wants a certificate of the client",
    "# clients need client.cert and client.key in /etc/docker/certs.d/HOST:PORT; dockerhealth has none to show",
)
_ALERTS = {
    "UNRECOGNIZED_NAME": (
        "the server has no site of the name that was asked for",
        "# clients, and dockerhealth's URL, have to use the name that the server knows (server_name, SNI)",
    ),
    "CERTIFICATE_REQUIRED": _WANTS_A_CERTIFICATE,
    "BAD_CERTIFICATE": _WANTS_A_CERTIFICATE,  # Go before it had the other alert
    "PROTOCOL": (
        "the two have no version of TLS in common",
        "# let the server speak TLS 1.2 or newer (a registry: http.tls.minimumtls; nginx: ssl_protocols)",
    ),
    "NO_SHARED_CIPHER": (
        "the two have no cipher in common",
        "# the server's list of ciphers, or its kind of key, is one that today's clients have left",
    ),
}
"""By a part of OpenSSL's words for what ended a handshake: what that means, and what mends it."""


def _may_be_misunderstood(look: Look) -> bool:
    """Whether the attempt ended as one in the wrong scheme may: TLS servers answer plain HTTP with 400, or hang up."""
    if look.outside.ok or look.outside.phase not in {Phase.TLS, Phase.HTTP}:
        return False
    if look.outside.ended is ReachOutcome.BAD_STATUS:
        return look.outside.status == _WRONG_SCHEME
    if look.outside.ended is ReachOutcome.TIMED_OUT:  # a server of plain HTTP may wait for the end of a line
        return look.outside.phase is Phase.TLS
    return look.outside.ended not in _CERTIFICATES


def _plain(look: Look, right: str) -> tuple[str, ...]:
    place = f"{look.service.target}:{look.service.port}"
    return (
        "# it speaks plain HTTP. Give it a certificate (http.tls of a registry's configuration),",
        f"# or the service, in dockerhealth's configuration, the URL {right}",
        f'# clients then need in /etc/docker/daemon.json: {{"insecure-registries": ["{place}"]}}',
    )


def _secure(look: Look, right: str) -> tuple[str, ...]:
    place = f"{look.service.target}:{look.service.port}"
    return (
        f"# it speaks TLS. Give the service in dockerhealth's configuration the URL {right}",
        f"# clients: {place} is no insecure registry; a CA of your own goes to /etc/docker/certs.d/{place}/ca.crt",
    )


def _speaks_other_scheme(look: Look) -> bool:
    """Whether it answers in the other scheme. 400 is how a TLS server tells plain HTTP that it wants TLS."""
    other = look.way.other_scheme
    return other is not None and other.status is not None and not (look.service.tls and other.status == _WRONG_SCHEME)


REGISTRY_ERROR = Cause("registry-error", "the registry answers with an error", _registry_error, rank=70)
NOT_A_REGISTRY = Cause("not-a-registry", "what answers is no registry", _not_a_registry, rank=71)
SCHEME_MISMATCH = Cause("scheme-mismatch", "the port speaks another scheme than its URL", _scheme_mismatch, rank=70)
TLS_REFUSED = Cause("tls-refused", "the TLS handshake is refused", _tls_refused, rank=69)
