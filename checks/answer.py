"""Whether an HTTP answer is that of a healthy service."""

from checks.model import ReachOutcome, ServiceKind

REGISTRY_HEADER = "docker-distribution-api-version"
"""The header by which a registry is told, in lower case."""

_OK = 200
_UNAUTHORIZED = 401
_SERVER_ERROR = 500


def judge(kind: ServiceKind, status: int, *, registry: bool) -> tuple[ReachOutcome, str]:
    """Judge an HTTP answer to a service of this kind. Returns how the attempt ended, and details.

    ``registry``: whether the answer had REGISTRY_HEADER.

    A registry that asks for a login (401) is reachable; ``GET /`` answers 200 on anything, so only the header of
    ``/v2/`` tells a registry (the distribution project's HTTP API V2, "API Version Check").
    """
    if kind is not ServiceKind.REGISTRY:
        return (ReachOutcome.ANSWERED if status < _SERVER_ERROR else ReachOutcome.BAD_STATUS), ""
    if status not in {_OK, _UNAUTHORIZED}:
        return ReachOutcome.BAD_STATUS, ""
    if registry or status == _UNAUTHORIZED:
        return ReachOutcome.ANSWERED, ""
    return ReachOutcome.NOT_A_REGISTRY, f"{status} without the header Docker-Distribution-Api-Version"
