"""What real hosts printed: recordings of the lab, packaged for the demo."""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.model import Output

FOLDER = Path(__file__).parent.parent / "recordings"
PORT = 5000
"""The port that the recorded service is published at, and the one that it has in its container."""

_WELL = "healthy"
_CONTAINER_ID = re.compile(r'\\"Id\\": \\"([0-9a-f]{64})\\"')
_SHORT = 12  # characters of an id as ``docker ps`` shows it


@dataclass(frozen=True)
class Recording:
    """One host in one state, with what the outputs say of where and when they were recorded.

    ``counted`` is what those that count printed again, after some attempts from outside; empty for a healthy host.
    """

    outputs: Mapping[str, Output]
    counted: Mapping[str, Output]
    address: str
    client: str  # who asked, as the host saw it
    taken: datetime


@functools.cache
def load(platform: str, state: str) -> Recording:
    """Read a packaged recording. A probe that is younger than it is answered as the healthy host does."""
    data: dict[str, Any] = json.loads(_as_of_one_host(platform, state))
    younger = load(platform, _WELL).outputs if state != _WELL else {}
    outputs = {**younger, **_outputs(data["outputs"])}
    return Recording(
        outputs=outputs,
        counted=_outputs(data["recount"]["outputs"]) if data["recount"] else {},
        address=data["address"],
        client=_found(rf"^@ {PORT} client (\S+)$", outputs["path"]),
        taken=datetime.fromtimestamp(float(_found(r"^clock=([\d.]+)$", outputs["system"])), UTC),
    )


def _as_of_one_host(platform: str, state: str) -> str:
    """A recording's text. Each was made of a container of its own, and is told as of the one that was well."""
    text, healthy = ((FOLDER / platform / f"{name}.json").read_text(encoding="utf-8") for name in (state, _WELL))
    ours, its = _CONTAINER_ID.search(healthy), _CONTAINER_ID.search(text)
    if ours is None or its is None:
        return text
    return text.replace(its[1], ours[1]).replace(its[1][:_SHORT], ours[1][:_SHORT])


def _outputs(recorded: Mapping[str, Any]) -> dict[str, Output]:
    return {
        name: Output("\n".join(one["stdout"]), "\n".join(one["stderr"]), one["status"], one["ms"])
        for name, one in recorded.items()
    }


def _found(pattern: str, output: Output) -> str:
    match = re.search(pattern, output.stdout, flags=re.MULTILINE)
    if match is None:
        raise ValueError(f"the recording has no line {pattern}")
    return match[1]
