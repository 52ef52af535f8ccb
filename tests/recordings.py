"""Recordings of real hosts: all that one look found, taken in the lab and replayed by tests.

A recording is one JSON file, ``tests/recorded/<os>-docker<version>/<scenario>.json``::

    {"address", "service": {"name", "url", "kind", "container"},
     "outside": {"ended", "phase", "status", "address", "detail", "ms", "expires_in": seconds,
                 "rejected_by": address}, the last two only where there is one,
     "small": the same as outside or null,
     "outputs": {probe: {"stdout": [line, ...], "stderr": [...], "status", "ms"}} or null,
     "missing": {probe: why, or {"reason", "silent": true} where it did not answer in time},
     "trouble": {"id", "says"} or null,
     "recount": {"attempts", "outputs", "missing"} or null,
     "expected": [cause, ...], "risks": [risk, ...]}

Lines keep what separates them out, so that a difference between two recordings can be read. Where a recording has
``"base"``, a pair of numbers in the place of a line stands for these lines of the same output of that recording, and
in its ``recount`` for lines of its own first outputs.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.look import Look, Recount
from checks.model import Host, Output, Phase, ReachOutcome, Reading, Service, ServiceKind, Trouble, Vantage
from checks.source import Facts, Outputs, Unavailable

FOLDER = Path(__file__).parent / "recorded"
RECORDED_AT = datetime(2026, 11, 23, tzinfo=UTC)
BASE = "healthy"
CENTOS7 = "centos7-docker20.10.24"
"""Old programs on a host of the lab: see the README beside its recordings."""

YOUNGER = {
    "engine-networks": "published-on-an-internal-network",
    "taken-ports": "port-taken-by-a-connection",
    "port-takers": "port-taken-by-a-connection",
    "ipsec": "ipsec-policy-without-a-tunnel",
    "queues": "queue-of-bridge-loses-all",
    "networkd": "networkd-says-no-forwarding-anywhere",
    "own-name": "name-server-silent",
    "root-session": "name-server-silent",
    "ip6tables": "translated-by-ip6tables",
    "ip6tables-legacy": "translated-by-ip6tables",
    "addresses-ipv6": "translated-by-ip6tables",
    "forwarding-ipv6": "translated-by-ip6tables",
}
"""Probes that came after most recordings of healthy hosts, each with a state that has it recorded."""

_Lines = list[Any]  # a line, or [first, end] of the base's lines
_FEWEST = 3  # lines worth a reference


def dump(look: Look, expected: Sequence[str], risks: Sequence[str], base: Outputs | None = None) -> str:
    """A look as the text of a recording: whole, or as what differs from the outputs of the base."""
    facts, recount = look.facts, look.recount
    return _text(
        {
            **({"base": BASE} if base is not None else {}),
            "address": look.host.address,
            "service": _service(look.service),
            "outside": _reading(look.outside),
            "small": _reading(look.small) if look.small else None,
            "expected": list(expected),
            "risks": list(risks),
            "outputs": _outputs(facts.outputs, base or {}) if facts else None,
            "missing": _missing(facts.missing) if facts else {},
            "trouble": {"id": look.trouble.id, "says": look.trouble.says} if look.trouble else None,
            "recount": _recount(recount, facts.outputs if base is not None else {}) if recount and facts else None,
        }
    )


def load(path: Path) -> Facts:
    """The snapshot that a recording holds."""
    recording = _read(path)
    return Facts(path.parent.name, RECORDED_AT, _outputs_of(path, recording), _unavailable(recording["missing"]))


def outputs(path: Path) -> Outputs:
    """What the probes of a recording printed; nothing where the host could not be looked at."""
    return _outputs_of(path, _read(path))


def replay(path: Path) -> Look:
    """The look that a recording holds, as if it were taken now."""
    recording = _read(path)
    service = Service(**{**recording["service"], "kind": ServiceKind(recording["service"]["kind"])})
    host = Host("host1", recording["address"], (service,))
    facts = load(path) if recording["outputs"] is not None else None
    counted, recount = recording["recount"], None
    if counted is not None and facts is not None:
        outputs = _restored(counted["outputs"], facts.outputs)
        recount = Recount(
            counted["attempts"], Facts(facts.host, RECORDED_AT, outputs, _unavailable(counted["missing"]))
        )
    return Look(
        host,
        service,
        _reading_of(recording["outside"]),
        facts,
        Trouble(**recording["trouble"]) if recording["trouble"] else None,
        recount,
        small=_reading_of(recording["small"]) if recording["small"] else None,
    )


def address(path: Path) -> str:
    return str(_read(path)["address"])


def expected(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The causes and the risks that a right diagnosis names; None for a recording that does not say."""
    recording = _read(path)
    return (tuple(recording["expected"]), tuple(recording["risks"])) if "expected" in recording else None


def platforms() -> list[str]:
    """Those that the lab can boot, and break in every way."""
    return [platform for platform in having(BASE) if platform != CENTOS7]


def having(state: str) -> list[str]:
    """The platforms that have a recording of a state."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{state}.json"))


def _read(path: Path) -> dict[str, Any]:
    recording: dict[str, Any] = json.loads(path.read_text())
    return recording


def _text(recording: Mapping[str, Any]) -> str:
    return json.dumps(recording, indent=1) + "\n"


# --- what could not be had ---------------------------------------------------------------------------------------


def _missing(missing: Mapping[str, Unavailable]) -> dict[str, Any]:
    return {name: {"reason": one.reason, "silent": True} if one.silent else one.reason for name, one in missing.items()}


def _unavailable(recorded: Mapping[str, Any]) -> dict[str, Unavailable]:
    return {name: Unavailable(one) if isinstance(one, str) else Unavailable(**one) for name, one in recorded.items()}


# --- outputs ---------------------------------------------------------------------------------------------------


def _recount(recount: Recount, first: Outputs) -> dict[str, Any]:
    outputs = _outputs(recount.facts.outputs, first)
    return {"attempts": recount.attempts, "outputs": outputs, "missing": _missing(recount.facts.missing)}


def _outputs(outputs: Outputs, base: Outputs) -> dict[str, Any]:
    return {name: _output(name, one, base.get(name)) for name, one in sorted(outputs.items())}


def _output(name: str, output: Output, base: Output | None) -> dict[str, Any]:
    return {
        "stdout": _referring(_lines(name, output.stdout), _lines(name, base.stdout))
        if base
        else output.stdout.split("\n"),
        "stderr": output.stderr.split("\n"),
        "status": output.status,
        "ms": output.ms,
    }


def _lines(name: str, text: str) -> list[str]:
    """JSON in one long line is broken where that means nothing, or no two of them would have a line in common."""
    if name.startswith("engine-"):
        return json.dumps(json.loads(text), indent=1).split("\n")
    if text.startswith('{"nftables"'):
        return text.replace("}}, {", "}},\n{").split("\n")
    return text.split("\n")


def _referring(lines: list[str], base: list[str]) -> _Lines:
    """The lines, with runs that the base has too replaced by a reference."""
    said: _Lines = []
    for tag, first, end, start, stop in difflib.SequenceMatcher(None, base, lines, autojunk=False).get_opcodes():
        said += [[first, end]] if tag == "equal" and end - first >= _FEWEST else lines[start:stop]
    return said


def _outputs_of(path: Path, recording: Mapping[str, Any]) -> dict[str, Output]:
    base = load(path.with_stem(recording["base"])).outputs if "base" in recording else {}
    return _restored(recording["outputs"] or {}, base)


def _restored(recorded: Mapping[str, Any], base: Outputs) -> dict[str, Output]:
    return {name: _output_of(name, one, base.get(name)) for name, one in recorded.items()}


def _output_of(name: str, one: Mapping[str, Any], base: Output | None) -> Output:
    lines: list[str] = []
    for line in one["stdout"]:
        if isinstance(line, str):
            lines.append(line)
        elif base is not None:
            lines += _lines(name, base.stdout)[line[0] : line[1]]
    return Output("\n".join(lines), "\n".join(one["stderr"]), one["status"], one["ms"])


# --- readings --------------------------------------------------------------------------------------------------


def _service(service: Service) -> dict[str, Any]:
    return {"name": service.name, "url": service.url, "kind": service.kind, "container": service.container}


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "ended": reading.ended,
        "phase": reading.phase,
        "status": reading.status,
        "address": reading.address,
        "detail": reading.detail,
        "ms": round(reading.ms, 1),
        **({"expires_in": (reading.expires - reading.at).total_seconds()} if reading.expires else {}),
        **({"rejected_by": reading.rejected_by} if reading.rejected_by else {}),
    }


def _reading_of(recorded: Mapping[str, Any]) -> Reading:
    return Reading(
        Vantage.OUTSIDE,
        Phase(recorded["phase"]),
        ReachOutcome(recorded["ended"]),
        recorded["ms"],
        RECORDED_AT,
        recorded["status"],
        recorded["address"],
        recorded["detail"],
        expires=RECORDED_AT + timedelta(seconds=recorded["expires_in"]) if "expires_in" in recorded else None,
        rejected_by=recorded.get("rejected_by"),
    )
