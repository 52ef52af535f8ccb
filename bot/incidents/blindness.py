"""Decides which notices tell that hosts cannot be looked at, though their services answer. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.incidents.model import SEVERAL_HOSTS, Key
from bot.text import counted
from checks.model import Blindness, Diagnosis, Evidence, Finding, Hidden, Report, Status, Verdict

BLIND_AFTER = 3
"""Looks in a row that do not see all of a host before it is told: a restart of sshd or of Docker is shorter."""

APART = 3
"""Hosts that have a notice of their own. More are told in one: a key that was changed here blinds all at once."""

TOGETHER: Key = (SEVERAL_HOSTS, "")

BLIND = "blind"
"""The cause in such a notice."""

TITLES = {
    Hidden.HOST: "cannot be looked at",
    Hidden.ENGINE: "its Docker Engine cannot be asked",
    Hidden.ROOT: "cannot be looked at as root",
}


@dataclass(frozen=True)
class BlindHost:
    """A host of which not all is seen: by how many looks in a row, since when, and what is hidden."""

    host: str
    looks: int
    since: datetime
    hidden: tuple[Blindness, ...]

    @property
    def is_told(self) -> bool:
        return self.looks >= BLIND_AFTER

    @property
    def title(self) -> str:
        return TITLES[self.hidden[0].of]

    @property
    def says(self) -> str:
        return "; ".join(one.says for one in self.hidden)


def after_look(before: BlindHost | None, reports: Sequence[Report]) -> BlindHost | None:
    """How blind a host is after one more look at it; ``reports`` are those of its services.

    A look while nothing of it answers changes nothing: that is an outage, whose alert says why it is not explained.
    """
    if not any(report.answered for report in reports):
        return before
    first = reports[0]
    if not first.blind:
        return None
    if before is None:
        return BlindHost(first.host, 1, first.at, first.blind)
    return BlindHost(first.host, before.looks + 1, before.since, first.blind)


def notices(blind: Iterable[BlindHost], live: Collection[Key]) -> Mapping[Key, tuple[BlindHost, ...]]:
    """Whose incident tells of which hosts. ``live`` are those that have one: who has its own keeps it."""
    told = sorted((each for each in blind if each.is_told), key=lambda each: (each.since, each.host))
    own = [each for each in told if (each.host, "") in live]
    rest = [each for each in told if (each.host, "") not in live]
    if TOGETHER not in live and len(told) <= APART:
        own, rest = told, []
    apart = {(each.host, ""): (each,) for each in own}
    return apart | ({TOGETHER: tuple(rest)} if rest else {})


def blind_report(key: Key, told: Sequence[BlindHost], at: datetime) -> Report:
    """What such a notice says, in the form in which every incident has it."""
    if key == TOGETHER:
        title = f"{counted(len(told), 'host')} cannot be looked at"
        evidence = [Evidence("look", each.says) for each in told]
    else:
        title = told[0].title
        evidence = [Evidence("look", one.says) for one in told[0].hidden]
    evidence.append(Evidence("reading", "services there answer; if one fails, its cause is not found, nor mended"))
    advice = tuple(f"dockerhealth doctor {each.host}   # what is missing there, and the line to add" for each in told)
    finding = Finding(BLIND, "", Verdict.FAIL, title, tuple(evidence), advice=advice)
    return Report(*key, at, Status.UNKNOWN, (), Diagnosis((finding,)))
