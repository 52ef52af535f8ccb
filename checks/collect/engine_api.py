"""The calls of the Docker SDK. The only place that knows it, but for the calls that the facts say."""

import contextlib
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
import requests.exceptions
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

from checks.collect.allowance import Allowance, BoundedSocket
from checks.model import Output
from checks.source import EngineProbe, Unavailable

_TIMEOUT = 5  # seconds, one API call; nothing more is asked of an Engine that was silent that long
_FIRST_TIMEOUT = 2  # for its version: an Engine that hangs, or that systemd starts in vain, is known by then


class _Connection(UnixHTTPConnection):
    def __init__(self, path: str, allowance: Allowance) -> None:
        super().__init__("http+docker://localhost", path, _TIMEOUT)
        self._allowance = allowance

    def connect(self) -> None:
        sock = BoundedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.allowance = self._allowance
        self.sock = sock  # which is closed with this connection, whatever happens
        self._allowance.reads(sock)
        sock.settimeout(self.timeout)
        sock.connect(self.unix_socket)


class _Pool(UnixHTTPConnectionPool):
    def __init__(self, path: str, allowance: Allowance) -> None:
        super().__init__("http+docker://localhost", path, _TIMEOUT, maxsize=1)
        self._allowance = allowance

    def _new_conn(self) -> _Connection:  # type: ignore[override]  # as the SDK's own, whose types are urllib3's
        return _Connection(self.socket_path, self._allowance)


class _Adapter(UnixHTTPAdapter):
    """One connection for all that is asked: the SDK's own has a pool for each path, of which twenty-five stay open."""

    def __init__(self, socket: Path, allowance: Allowance) -> None:
        super().__init__(f"http+unix://{socket}", _TIMEOUT)
        self._pool = _Pool(str(socket), allowance)

    def get_connection(self, url: str | bytes, proxies: object = None) -> _Pool:  # noqa: ARG002  # requests' signature
        return self._pool

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response: requests.Response = super().send(request, *args, **kwargs)
        packed = response.headers.get("Content-Encoding", "identity")
        if packed != "identity":  # a thousand times as large once it is unpacked
            response.close()
            raise requests.exceptions.ContentDecodingError(f"it packed its answer ({packed}), which nobody asked for")
        return response

    def close(self) -> None:
        self._pool.close()
        super().close()


def ask(
    socket: Path, probes: Sequence[EngineProbe], allowance: Allowance
) -> tuple[dict[str, Output], dict[str, Unavailable]]:
    """Ask the Engine behind a local socket each probe in turn.

    Returns the answers as JSON text, and for each probe that has none why. Whatever an answer makes the SDK raise is
    that.
    """
    outputs: dict[str, Output] = {}
    missing: dict[str, Unavailable] = {}
    try:
        client = _connected(socket, allowance)
    except Exception as error:  # noqa: BLE001  # see above
        return {}, {probe.name: _unavailable(error, allowance) for probe in probes}
    with contextlib.closing(client):
        for number, probe in enumerate(probes):
            try:
                outputs[probe.name] = Output(json.dumps(probe.call(client)))
            except requests.exceptions.Timeout as error:
                missing.update({silent.name: _unavailable(error, allowance) for silent in probes[number:]})
                break
            except Exception as error:  # noqa: BLE001  # see above
                missing[probe.name] = _unavailable(error, allowance)
    return outputs, missing


def _connected(socket: Path, allowance: Allowance) -> docker.DockerClient:
    """A client that speaks the Engine's own version of the API."""
    client = docker.DockerClient(f"unix://{socket}", version=MINIMUM_DOCKER_API_VERSION, timeout=_FIRST_TIMEOUT)
    client.api.mount("http+docker://", _Adapter(socket, allowance))
    client.api.headers["Accept-Encoding"] = "identity"
    client.api.trust_env = False  # the proxies and passwords of our surroundings are not for this socket
    try:
        said = client.api.version(api_version=False)
        client.api._version = str(said["ApiVersion"])  # type: ignore[attr-defined]  # noqa: SLF001  # as it does itself with "auto"
    except BaseException:
        client.close()
        raise
    client.api.timeout = _TIMEOUT
    # Asked twice, dockerd would start the same programs twice: runc and docker-init say their versions themselves.
    client.version = lambda api_version=True: said  # type: ignore[method-assign]  # noqa: ARG005
    return client


def _unavailable(error: Exception, allowance: Allowance) -> Unavailable:
    """Why there is no answer: in Docker's own words, without the layers that wrapped them."""
    if allowance.spent is not None:
        return Unavailable(f"the Docker Engine's answers were not read on: {allowance.spent}")
    silent = isinstance(error, requests.exceptions.Timeout)
    with contextlib.suppress(IndexError):
        error = error.args[0] if isinstance(error.args[0], Exception) else error
    return Unavailable(f"the Docker Engine did not answer: {str(error)[:200] or type(error).__name__}", silent)
