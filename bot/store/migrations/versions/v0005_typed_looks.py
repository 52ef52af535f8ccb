"""What a look says in types: what a timeline tells of, which fact was missing, and what values are of.

Until now that was read out of the sentences and the names that dockerhealth itself had written, here for the last time.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Json = dict[str, Any]
Of = tuple[str, tuple[str, ...]]  # the kind of a change, and what it is of

_CLOCK = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"
_REPEATED = re.compile(r"(?P<what>.*) \(the last of (?P<times>\d+) times\)", re.DOTALL)
_DIFFERS = re.compile(
    rf"(?P<name>.+?) was (?P<was>.*?) at (?P<since>{_CLOCK}), and is (?P<became>.*) at {_CLOCK} UTC", re.DOTALL
)
_GONE = re.compile(rf"(?P<path>/.+) was there at (?P<since>{_CLOCK}) UTC, and is not any more", re.DOTALL)
_LAST_GOOD = "the last look that found it healthy"
_OF_LOOKS = re.compile(
    rf"{_LAST_GOOD}|it answered from outside for the last time"
    r"|it did not answer from outside for the first time|the host's clock is .+|the host's journal was read .+"
)
_UNIT = re.compile(r"(?P<unit>\S+\.(?:service|socket|timer)) (?P<did>[a-z ]+)")
_FILE = re.compile(r"(?P<path>/.+) was written; it is \S+'s")
_PACKAGE = re.compile(
    r"package (?P<name>\S+) "
    r"(?P<did>removed with its configuration|removed|upgraded|installed or upgraded|installed)(?: from .+|: .+)?"
)
_CONTAINER = re.compile(r"container \S+ (?P<did>started|ended)(?: with -?\d+)?")
_MESSAGE = re.compile(r"(?:the )?(?P<by>dockerd|kernel) says: (?P<text>.*)", re.DOTALL)
_COMMAND = re.compile(
    r"Ansible ran (?P<module>.*)|\S+ was allowed (?P<allowed>.*)|\S+(?: \(in [^)]*\))? ran `(?:sudo )?(?P<typed>.*)`",
    re.DOTALL,
)
_NUMBERS = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b|\d+")
_CORRELATION = "not recorded; at that time "

_ASPECTS = (
    (r"net\.ipv4\.ip_forward", "host-forwarding"),
    (r"net\.ipv4\.conf\..+\.forwarding", "interface-forwarding"),
    (r"net\.ipv4\.conf\..+\.rp_filter", "reverse-path-filter"),
    (r"chain DOCKER", "docker-chains"),
    (r"DNAT rule of port \d+", "dnat-rule"),
    (r"\S+\.service", "unit"),
    (r"container", "container"),
    (r"container's state", "container-state"),
    (r"container started|address of the container", "container-start"),
    (r"file /.+", "file"),
    (r".*", "other"),
)
_NO_SUCH_THING = {"", "none", "nothing"}

_FAMILIES = (
    (r"sysctl net\.netfilter\.nf_conntrack_max|conntrack", "conntrack"),
    (r"sysctl( .*)?", "sysctl"),
    (r"file( .*)?", "file"),
    (r"rules legacy( .*)?", "legacy-rules"),
    (r"rules( .*)?", "rules"),
    (r"nft( .*)?", "nft"),
    (r"zone .+ kept|zone kept", "kept-zone"),
    (r"zone( .*)?", "zone"),
    (r"container( .*)?", "container"),
    (r"unit( .*)?", "unit"),
)
_READ = "read "  # began the name of the mark that a family could be had


def upgrade() -> None:
    rewrite("reports", "id", "body", report)
    rewrite("good_looks", "digest", "digest", digest)
    rewrite("offers", "id", "before", snapshot)
    rewrite("offers", "id", "applied", applied)


def rewrite(table: str, key: str, column: str, made: Callable[[Json], Json]) -> None:
    """Replace the JSON in a column of every row that has one."""
    of = sa.table(table, sa.column(key), sa.column(column))
    connection = op.get_bind()
    rows = connection.execute(sa.select(of.c[key], of.c[column]).where(of.c[column].is_not(None))).all()
    for row_key, text in rows:
        new = json.dumps(made(json.loads(text)), ensure_ascii=False, separators=(",", ":"))
        connection.execute(sa.update(of).where(of.c[key] == row_key).values({column: new}))


# --- reports ---------------------------------------------------------------------------------------------------


def report(old: Json) -> Json:
    trouble = (old.get("trouble") or {}).get("says")
    findings = {name: [_finding(each, trouble) for each in found] for name, found in old["diagnosis"].items()}
    known, told = old.get("digest"), old.get("timeline", [])
    good_at = next((each["at"] for each in told if each["what"] == _LAST_GOOD), None)
    return old | {
        "diagnosis": findings,
        "timeline": [_change(each, good_at) for each in told],
        "digest": digest(known) if known else None,
    }


def _finding(old: Json, trouble: str | None) -> Json:
    fact, colon, reason = old.get("why", "").partition(": ")
    if old["verdict"] != "skip" or not colon:
        return old
    return old | {"missing": {"fact": fact, "reason": reason, "of_host": reason == trouble}}


def _change(old: Json, good_at: str | None) -> Json:
    """``good_at``: the time of the last good look, where the same timeline tells it; differences are from that one."""
    what, who, at = old["what"], old.get("who", ""), old["at"]
    repeated = _REPEATED.fullmatch(what)
    if repeated:
        what = repeated["what"]
    if difference := _difference(what):
        told_of, says, clock = difference
        since = good_at or _before(clock, datetime.fromisoformat(at)).isoformat()
        return {"kind": "difference", "of": told_of, "at": at, "what": says, "who": who, "since": since}
    kind, of = _happened(what, who)
    return {
        "kind": kind,
        "of": of,
        "at": at,
        "what": what,
        "who": who,
        "asked": kind == "unit" and bool(who) and not who.startswith(_CORRELATION),
        "times": int(repeated["times"]) if repeated else 1,
    }


def _difference(what: str) -> tuple[tuple[str, str, str], str, str] | None:
    """What a difference is of, what it says today, and the clock of the last good look as the sentence has it."""
    if gone := _GONE.fullmatch(what):
        # When it had been written is not told, so that this one difference is dated anew by the next look.
        return (gone["path"], "", "none"), f"{gone['path']} went away", gone["since"]
    if differs := _DIFFERS.fullmatch(what):
        name = differs["name"]
        was, became = ("none" if differs[part] in _NO_SUCH_THING else differs[part] for part in ("was", "became"))
        says = f"{name} changed from {was} to {became}"
        return (name, was.strip("`"), became.strip("`")), says, differs["since"]
    return None


def _before(clock: str, at: datetime) -> datetime:
    """The time of which a sentence says the clock alone where it was on the same day."""
    if " " in clock:
        return datetime.fromisoformat(f"{clock}+00:00")
    same_day = datetime.combine(at.date(), datetime.fromisoformat(f"2000-01-01 {clock}").time(), at.tzinfo)
    return same_day if same_day <= at else same_day - timedelta(days=1)


def _happened(what: str, who: str) -> Of:
    if _OF_LOOKS.fullmatch(what):
        return "look", (what,)
    if who and what.startswith(f"{who} logged in "):
        return "login", (who,)
    for pattern, kind in ((_UNIT, "unit"), (_FILE, "file"), (_PACKAGE, "package"), (_CONTAINER, "container")):
        if match := pattern.fullmatch(what):
            return kind, match.groups()
    if message := _MESSAGE.fullmatch(what):
        return "message", (message["by"], _NUMBERS.sub("#", message["text"]))
    command = _COMMAND.fullmatch(what)
    said = next((part for part in command.groups() if part is not None), what) if command else what
    return "command", (who, _NUMBERS.sub("#", said))


# --- values ----------------------------------------------------------------------------------------------------


def digest(old: Json) -> Json:
    return {"at": old["at"], "values": dict(_value(name, text) for name, text in old["values"].items())}


def _value(name: str, text: str) -> tuple[str, Json]:
    aspect = _first(_ASPECTS, name)
    value = {"aspect": aspect, "text": None if text in _NO_SUCH_THING else text}
    return (name.removeprefix("file ") if aspect == "file" else name), value


def snapshot(old: Json) -> Json:
    families: dict[str, Json] = {}
    for name, value in old["states"].items():
        family = families.setdefault(family_of(name.removeprefix(_READ)), {"states": {}, "moments": {}})
        if not name.startswith(_READ):
            family["states"][name] = value
    for name, value in old.get("moments", {}).items():
        family = families.setdefault(family_of(name), {"states": {}, "moments": {}})
        family["moments"][name.rpartition(" ")[0]] = value  # "unit docker.service started", of that unit
    return {"families": families}


def applied(old: Json) -> Json:
    return old | {"differences": list(_with_families(old.get("differences", [])))}


def _with_families(differences: list[Json]) -> Iterator[Json]:
    yield from (each | {"family": family_of(each["name"])} for each in differences)


def family_of(name: str) -> str:
    return _first(_FAMILIES, name)


def _first(patterns: tuple[tuple[str, str], ...], name: str) -> str:
    return next(kind for pattern, kind in patterns if re.fullmatch(pattern, name, re.DOTALL))
