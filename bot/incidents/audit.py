"""The log of all that was done to hosts, by whom: entries in a chain of hashes, so that none can be changed unseen.

Each hash covers its entry, its number and the hash before it. Whoever can write to the whole database can also write
a whole new chain: what tells then is a hash that was noted elsewhere, as each alert in Slack has one.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.incidents.model import Offer
from checks.commands import shell_line
from checks.model import Plan

GENESIS = "0" * 64
"""What stands for the hash before the first one."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened. ``data`` is JSON-like: exact commands, output, values."""

    at: datetime
    actor: str  # a Slack user id, "terminal:LOGIN", "auto"; empty for dockerhealth itself
    host: str
    service: str
    event: str  # planned, approved, agreed, step-started, step-ended, ended...
    says: str
    run: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sealed:
    """An entry in its place of the log."""

    number: int  # from 1 on, without a gap
    entry: Entry
    previous: str
    hash: str

    @property
    def reference(self) -> str:
        """What to note elsewhere: ``41:9f86d081``."""
        return f"{self.number}:{self.hash[:12]}"


def planned(offer: Offer, now: datetime) -> Entry:
    """That a plan was made and offered: all that whoever approves it is shown."""
    plan = offer.plan
    data = {
        "fix": plan.name,
        "cause": plan.cause,
        "risk": plan.risk,
        "steps": [shell_line(step) for step in plan.steps],
        "undo": [shell_line(step) for step in plan.undo],
        "blast_radius": plan.blast_radius,
        "basis": dict(plan.basis),
        "fingerprint": offer.fingerprint,
        "expires_at": offer.expires_at.isoformat(),
    }
    return Entry(
        at=now,
        actor="",
        host=plan.host,
        service=plan.service,
        event="planned",
        says=plan.title,
        run=offer.id,
        data=data,
    )


def refused(plan: Plan, who: str, reason: str, now: datetime, run: str = "") -> Entry:
    """That somebody's word did not count."""
    data = {"fix": plan.name, "reason": reason}
    return Entry(
        at=now,
        actor=who,
        host=plan.host,
        service=plan.service,
        event="refused",
        says=f"{plan.title}: {reason}",
        run=run,
        data=data,
    )


def sealed(entry: Entry, number: int, previous: str) -> Sealed:
    """The entry with the hash that binds it to the one before it."""
    at = entry.at.astimezone(UTC).isoformat()
    covered = asdict(entry) | {"at": at, "number": number, "previous": previous}
    text = json.dumps(covered, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Sealed(number, entry, previous, hashlib.sha256(text.encode()).hexdigest())


def flaw(log: Iterable[Sealed]) -> str:
    """What is wrong with a log that is read from its beginning; empty where nothing is."""
    previous = GENESIS
    for number, each in enumerate(log, 1):
        if each.number != number:
            return f"entry {number} is missing: number {each.number} follows {number - 1}"
        if each.previous != previous:
            return f"entry {number} does not follow the one before it: one of the two was changed or put in"
        if sealed(each.entry, number, previous).hash != each.hash:
            return f"entry {number} was changed after it was written"
        previous = each.hash
    return ""


def refers_to(reference: str, log: Iterable[Sealed]) -> bool:
    """Whether a reference that was noted elsewhere is that of an entry of this log."""
    return any(each.reference == reference for each in log)
