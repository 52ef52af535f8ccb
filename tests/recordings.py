"""Recordings of real hosts: what every probe printed, taken in the lab and replayed by tests.

A recording is one JSON file, ``tests/recorded/<os>-docker<version>/<state>.json``:
``{"address", "outputs": {probe: {"stdout": [line, ...], "stderr": [...], "status", "ms"}}, "missing": {probe: why}}``.
Lines keep what separates them out, so that a difference between two recordings can be read.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.model import Output
from checks.source import Facts

FOLDER = Path(__file__).parent / "recorded"
RECORDED_AT = datetime(2026, 11, 23, tzinfo=UTC)


def dump(facts: Facts, address: str) -> str:
    """A snapshot as the text of a recording."""
    outputs = {
        name: {
            "stdout": output.stdout.split("\n"),
            "stderr": output.stderr.split("\n"),
            "status": output.status,
            "ms": output.ms,
        }
        for name, output in sorted(facts.outputs.items())
    }
    return json.dumps({"address": address, "outputs": outputs, "missing": dict(facts.missing)}, indent=1) + "\n"


def load(path: Path) -> Facts:
    """The snapshot that a recording holds."""
    recording: dict[str, Any] = json.loads(path.read_text())
    outputs = {
        name: Output("\n".join(one["stdout"]), "\n".join(one["stderr"]), one["status"], one["ms"])
        for name, one in recording["outputs"].items()
    }
    return Facts(path.parent.name, RECORDED_AT, outputs, recording["missing"])


def address(path: Path) -> str:
    return str(json.loads(path.read_text())["address"])


def platforms() -> list[str]:
    return sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
