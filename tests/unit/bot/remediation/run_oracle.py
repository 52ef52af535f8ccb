"""Looks at the store after every transaction, and judges by itself whether what began there was allowed.

It shares no code with what decides: it knows who pressed what and when, and what the configuration of the life says.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.approvals.decision import Agreed, Approved, Click
from bot.incidents.model import AUTO
from tests.unit.bot.remediation.lives import Time
from tests.unit.bot.remediation.model_host import GROUP, HIGH, LASTS, LOW, QUIET, ModelHost, Says


def moment(row: sqlite3.Row, name: str) -> datetime:
    return datetime.fromisoformat(str(row[name])).replace(tzinfo=UTC)


@dataclass
class Word:
    """Somebody's click on an offer, and what the bot answered: nothing, while it is under way or if the bot died."""

    click: Click
    fits: bool  # whether it came from where it counts
    at: datetime
    answer: object = None

    @property
    def may_count(self) -> bool:
        return self.fits and (self.answer is None or isinstance(self.answer, Approved | Agreed))


@dataclass(frozen=True)
class Kept:
    """An offer as the store has it, with what it belongs to."""

    row: sqlite3.Row
    plan: dict[str, Any]

    @property
    def running(self) -> bool:
        return self.row["approved_by"] is not None and self.row["outcome"] is None

    @property
    def undoes(self) -> str:
        return str(self.plan["undoes"])

    @property
    def fix(self) -> str:
        return str(self.plan["fix"])


_OFFERS = """
    SELECT o.*, i.host, i.service, i.state, i.opened_at,
        EXISTS (SELECT 1 FROM incidents n WHERE n.host = i.host AND n.service = i.service
            AND n.opened_at > i.opened_at) AS old
    FROM offers o JOIN incidents i ON i.id = o.incident_id ORDER BY o.rowid
"""
_LOCKS = "SELECT offer_id, owner, lease_until FROM host_locks"
_NEWEST_LOOK = "SELECT body FROM reports WHERE incident_id = ? ORDER BY id DESC LIMIT 1"
_OPENED_BY = "SELECT who FROM transitions WHERE incident_id = ? AND new = 'open' AND (old IS NULL OR old = 'resolved')"


class Oracle:
    """Looks at the store after every transaction, and judges each run that begins there by itself."""

    def __init__(self, path: str, host: ModelHost, loop: Time, seen: Counter[str]) -> None:
        self._host = host
        self._loop = loop
        self._seen = seen
        self.group: frozenset[str] | None = frozenset()
        self.words: list[Word] = []
        self.offers: dict[str, Kept] = {}
        self.people: dict[str, int] = {}  # how many it takes, as it was shown
        self.wrong: list[str] = []
        self._plans: dict[str, dict[str, Any]] = {}
        self._locks: dict[str, sqlite3.Row] = {}
        self.store = sqlite3.connect(path)
        self.store.row_factory = sqlite3.Row

    def written(self, says: Says) -> None:
        """A life with this configuration committed a transaction."""
        before, self.offers = self.offers, {row["id"]: self._kept(row) for row in self.store.execute(_OFFERS)}
        for offer_id, offer in self.offers.items():
            self.people.setdefault(offer_id, self._takes(offer, says))
            was = before.get(offer_id)
            self.wrong.extend(f"{offer_id}: {why}" for why in self._changed(was, offer, says))
        self.wrong.extend(self._at_odds())

    def _kept(self, row: sqlite3.Row) -> Kept:
        known = self._plans.get(row["id"])
        if known is None:
            known = self._plans[row["id"]] = json.loads(row["plan"])
        return Kept(row, known)

    def _changed(self, was: Kept | None, now: Kept, says: Says) -> Iterator[str]:
        if was is None or was.row["approved_by"] is None:
            if now.row["approved_by"] is not None:
                yield from self._judged(was, now, says)
            return
        if was.row["approved_by"] != now.row["approved_by"] or was.row["approved_at"] != now.row["approved_at"]:
            yield "was claimed twice"
        if was.row["outcome"] is None and now.row["outcome"] is not None:
            self._seen[f"ended: {now.row['outcome']}"] += 1
        elif was.row["ended_at"] != now.row["ended_at"] or was.row["applied"] != now.row["applied"]:
            yield "ended twice"

    def _judged(self, was: Kept | None, now: Kept, says: Says) -> Iterator[str]:
        """What is wrong with a run that begins, at this very moment."""
        who = now.row["approved_by"]
        self._seen["begun"] += 1
        if was is None:
            yield "was begun as it was put up"
            return
        yield from self._too_late(was, now)
        if who == AUTO and now.undoes:
            self._seen["begun undo without a click"] += 1
            if now.undoes not in self._host.unhelped or now.fix != LOW:
                yield "was taken back unasked"
            return
        yield from self._not_allowed(now, says)
        if who == AUTO:
            self._seen["begun without a click"] += 1
            if not says.auto or now.fix != LOW or self._needed(now, says) > 1:
                yield "took a click"
            return
        self._seen["begun undo"] += bool(now.undoes)
        yield from self._not_by_enough(now, says)

    def _too_late(self, was: Kept, now: Kept) -> Iterator[str]:
        if was.row["withdrawn"]:
            yield "was withdrawn"
        if moment(was.row, "expires_at") <= self._now:
            yield f"had expired at {was.row['expires_at']}, and it is {self._now}"
        if was.row["state"] == "fixing" or (was.row["state"] == "resolved" and not now.undoes):
            yield f"its incident was {was.row['state']}"
        if now.row["old"]:
            yield "its service has a newer incident"
        if not now.undoes and not self._found(now):
            yield "the newest look found another plan"
        if any(other.running for other in self.offers.values() if other.row["id"] != now.row["id"]):
            yield "another run is under way on the host"

    def _not_allowed(self, now: Kept, says: Says) -> Iterator[str]:
        if says.forbids_high and now.fix == HIGH:
            yield "nobody may approve it"
        if says.quiet and QUIET[0] <= self._now.time() < QUIET[1]:
            yield "was begun in quiet hours"

    def _not_by_enough(self, now: Kept, says: Says) -> Iterator[str]:
        requesters = {row["who"] for row in self.store.execute(_OPENED_BY, (now.row["incident_id"],))}
        people = {
            word.click.user
            for word in self.words
            if word.click.target == now.row["id"]
            and word.may_count
            and word.at > self._now - LASTS
            and self.may(word.click.user, says)
            and not (says.not_requester and word.click.user in requesters)
        }
        needed = self._needed(now, says)
        self._seen["begun by two people"] += needed > 1
        if now.row["approved_by"] not in people:
            yield f"{now.row['approved_by']} did not approve it"
        if len(people) < needed:
            yield f"takes {needed} people, and has {sorted(people)}"

    def _found(self, offer: Kept) -> bool:
        """Whether the newest look at its incident made this very plan; one that saw nothing tells nothing."""
        report = json.loads(self.store.execute(_NEWEST_LOOK, (offer.row["incident_id"],)).fetchone()["body"])
        return report["trouble"] is not None or offer.plan in report["plans"]

    def may(self, who: str, says: Says) -> bool:
        member = GROUP in says.approvers and not who.startswith("terminal:") and who in (self.group or ())
        return who in says.approvers or member

    def _takes(self, offer: Kept, says: Says) -> int:
        return says.low if offer.plan["risk"] == "low" else says.more

    def _needed(self, offer: Kept, says: Says) -> int:
        return max(self._takes(offer, says), self.people[offer.row["id"]])

    def _at_odds(self) -> Iterator[str]:
        """What never is the case between two transactions."""
        running = self.running
        before, self._locks = self._locks, {row["offer_id"]: row for row in self.store.execute(_LOCKS)}
        if running != self._locks.keys() or len(running) > 1:
            yield f"{running} run, and the host is locked for {self._locks.keys()}"
        for run, lock in self._locks.items():
            if (
                run in before
                and before[run]["owner"] != lock["owner"]
                and moment(before[run], "lease_until") > self._now
            ):
                yield f"{run}: was taken from a life before its lease was over"
        runner = {row["id"] for row in self.store.execute("SELECT id FROM incidents WHERE state = 'fixing'")}
        if runner != {self.offers[offer_id].row["incident_id"] for offer_id in running}:
            yield f"{running} run, and {runner} are being fixed"
        logged = Counter(row["run"] for row in self.store.execute("SELECT run FROM audit WHERE event = 'approved'"))
        if logged != Counter(offer_id for offer_id, offer in self.offers.items() if offer.row["approved_by"]):
            yield f"the audit log has these approved: {logged}"

    @property
    def _now(self) -> datetime:
        return self._loop.clock()

    @property
    def running(self) -> set[str]:
        return {offer_id for offer_id, offer in self.offers.items() if offer.running}

    @property
    def verdicts(self) -> list[str]:
        """All that is wrong."""
        host = self._host
        wrong = [*self.wrong, *host.wrong]
        wrong += [f"{run}: was begun {count} times" for run, count in host.applied.items() if count > 1]
        wrong += [f"{run}: was carried out {count} times" for run, count in host.executed.items() if count > 1]
        wrong += [f"{run}: was stale, and was run" for run in host.stale if host.executed[run]]
        for run, order in host.orders.items():
            offer = self.offers.get(run)
            if (
                offer is None
                or offer.row["approved_by"] != order.by
                or offer.row["fingerprint"] != order.plan.fingerprint
            ):
                wrong.append(f"{run}: nobody approved what was begun")
        return wrong
