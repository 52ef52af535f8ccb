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
    """Read a packaged recording."""
    text = (FOLDER / platform / f"{state}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    outputs = _outputs(data["outputs"])
    return Recording(
        outputs=outputs,
        counted=_outputs(data["recount"]["outputs"]) if data["recount"] else {},
        address=data["address"],
        client=_found(rf"^@ {PORT} client (\S+)$", outputs["path"]),
        taken=datetime.fromtimestamp(float(_found(r"^clock=([\d.]+)$", outputs["system"])), UTC),
    )


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
