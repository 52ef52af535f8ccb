"""Makes the recordings of the platforms in this folder: `python -m tests.written`.

One folder a platform, in it one a state, in it one file a probe: ``PROBE.txt`` is what it prints, ``PROBE.STATUS.txt``
what it says on stderr where it ends with another status than 0. A state has what it says differently from ``healthy``.
``scene.json`` says how a client fares and what a right diagnosis names; ``sources.txt`` where the formats were read.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from checks.look import Look
from checks.model import Ended, Host, Output, Phase, Reading, Service, Vantage
from checks.source import Facts
from tests import recordings

FOLDER = Path(__file__).parent
ADDRESS = "192.0.2.10"


def platforms() -> list[Path]:
    return sorted(path.parent for path in FOLDER.glob("*/sources.txt"))


def written(platform: Path) -> Iterator[tuple[Path, str]]:
    """Every recording of a platform: its file and its text."""
    healthy = _outputs(platform / recordings.BASE)
    for scene in sorted(platform.glob("*/scene.json")):
        state, says = scene.parent.name, json.loads(scene.read_text())
        look = _look(healthy | _outputs(scene.parent), Ended(says["outside"]))
        base = None if state == recordings.BASE else healthy
        recording = json.loads(recordings.dump(look, says["expected"], says["risks"], base))
        marked = {"written": (platform / "sources.txt").read_text().strip(), **recording}
        yield recordings.FOLDER / platform.name / f"{state}.json", json.dumps(marked, indent=1) + "\n"


def _outputs(folder: Path) -> dict[str, Output]:
    return dict(_output(path) for path in sorted(folder.glob("*.txt")))


def _output(path: Path) -> tuple[str, Output]:
    probe, _, status = path.stem.partition(".")
    text = path.read_text()
    return probe, Output("", text, int(status)) if status else Output(text)


def _look(outputs: dict[str, Output], ended: Ended) -> Look:
    service = Service("registry", f"http://{ADDRESS}:5000/v2/", container="registry")
    answered = ended is Ended.ANSWERED
    outside = Reading(
        Vantage.OUTSIDE,
        Phase.HTTP if answered else Phase.CONNECT,
        ended,
        3.0,
        recordings.RECORDED_AT,
        200 if answered else None,
        ADDRESS,
    )
    facts = Facts("host1", recordings.RECORDED_AT, outputs)
    return Look(Host("host1", ADDRESS, (service,)), service, outside, facts)


def main() -> None:
    for platform in platforms():
        for path, text in written(platform):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
