"""The calls of the Docker SDK. The only place that knows it, but for the calls that the facts say."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import docker
import docker.errors
import requests.exceptions

from checks.model import Output
from checks.source import EngineProbe, Unavailable

ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException)

_TIMEOUT = 5  # seconds, one API call; nothing more is asked of an Engine that was silent that long
_FIRST_TIMEOUT = 2  # for its version: an Engine that hangs, or that systemd starts in vain, is known by then


def connected(socket: Path) -> docker.DockerClient:
    """A client of the Engine behind a local socket. Raises one of ERRORS."""
    client = docker.DockerClient(base_url=f"unix://{socket}", version="auto", timeout=_FIRST_TIMEOUT)
    client.api.timeout = _TIMEOUT
    client.api.trust_env = False  # the proxies and passwords of our surroundings are not for this socket
    return client


def ask(client: docker.DockerClient, probes: Sequence[EngineProbe]) -> tuple[dict[str, Output], dict[str, Unavailable]]:
    """Ask each probe in turn. Returns the answers as JSON text, and for each probe that has none why."""
    outputs: dict[str, Output] = {}
    missing: dict[str, Unavailable] = {}
    for number, probe in enumerate(probes):
        try:
            outputs[probe.name] = Output(json.dumps(probe.call(client)))
        except requests.exceptions.Timeout as error:
            missing.update({silent.name: unavailable(error) for silent in probes[number:]})
            break
        except ERRORS as error:
            missing[probe.name] = unavailable(error)
    return outputs, missing


def unavailable(error: Exception) -> Unavailable:
    """Why there is no answer: in Docker's own words, without the layers that wrapped them."""
    silent = isinstance(error, requests.exceptions.Timeout) or isinstance(error.__cause__, requests.exceptions.Timeout)
    with contextlib.suppress(IndexError):
        error = error.args[0] if isinstance(error.args[0], Exception) else error
    return Unavailable(f"the Docker Engine did not answer: {str(error)[:200]}", silent)
