"""A Docker Engine's answers over its socket: the few calls that the Docker SDK makes, from a recording."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import asyncssh

from checks.model import Output

_VERSIONED = re.compile(r"^/v\d+\.\d+(?=/)")
_API_VERSIONS = {"20": "1.41", "26": "1.45"}  # by the Engine's major version
_INSPECT = re.compile(r"/containers/(\w+)/json")
_LONGEST_HEAD = 65_536

Json = dict[str, Any]


async def serve(
    outputs: Callable[[], Mapping[str, Output]],
    reader: asyncssh.SSHReader[bytes],
    writer: asyncssh.SSHWriter[bytes],
) -> None:
    """Answer requests until the client has no more."""
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = await reader.readline()
            head += line
            if not line or len(head) > _LONGEST_HEAD:
                writer.close()
                return
        method, target, *_ = head.decode("latin-1").split()
        status, body = answer(outputs(), method, target)
        writer.write(_response(status, body))


def answer(outputs: Mapping[str, Output], method: str, target: str) -> tuple[str, Any]:
    """The status and the body for one request."""
    path = _VERSIONED.sub("", target.partition("?")[0])
    info: Json = json.loads(outputs["engine-info"].stdout)
    containers: list[Json] = json.loads(outputs["engine-containers"].stdout)
    if method != "GET":
        return "405 Method Not Allowed", {"message": "the demo's Engine only answers questions"}
    if path == "/version":
        return "200 OK", _version(info)
    if path == "/info":
        return "200 OK", info
    if path == "/containers/json":
        return "200 OK", [_summary(one) for one in containers]
    if path == "/networks":
        return "200 OK", _networks(containers)
    named = _INSPECT.fullmatch(path)
    found = next((one for one in containers if named and named[1] in {one["Id"], one["Name"].lstrip("/")}), None)
    return ("200 OK", found) if found else ("404 Not Found", {"message": f"the demo's Engine has no {path}"})


def _version(info: Json) -> Json:
    version = info["ServerVersion"]
    return {"Version": version, "ApiVersion": _API_VERSIONS[version.partition(".")[0]], "MinAPIVersion": "1.24"}


def _summary(one: Json) -> Json:
    state = one["State"]["Status"]
    return {"Id": one["Id"], "Names": [one["Name"]], "Image": one["Config"]["Image"], "State": state, "Status": state}


def _networks(containers: list[Json]) -> list[Json]:
    """Those that a container is in: all of them publish ports."""
    joined = [pair for one in containers for pair in one["NetworkSettings"]["Networks"].items()]
    return [{"Name": name, "Id": of["NetworkID"], "Driver": "bridge", "Internal": False} for name, of in joined]


def _response(status: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode("ascii") + content
