"""Random faults on real hosts, diagnosed by the product and held against how they were made: `tests.lab random`."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from checks.check import Checker
from checks.model import UNDETERMINED, Confidence, Finding, Host, Login, Report, Service, Stretch
from tests.lab import baseline, network, witness
from tests.lab.command import LabError
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.random_faults import PRELUDE, Death, Fault, faults
from tests.lab.scenario import REGISTRY, typed

_MOST_TRIED = 4  # times as many faults as are wanted: most of them do break the service
_PAUSE, _DEADLINE = 0.5, 1.2  # seconds


class Verdict(StrEnum):
    CAUSE = "right cause"
    SEGMENT = "right segment"  # undetermined, and where it dies is right
    NO_SEGMENT = "undetermined"  # honest, and without a place
    ASTRAY = "wrong segment"  # undetermined, and the place is false
    GUESSED = "likely and wrong"
    WRONG = "CONFIDENTLY WRONG"
    IN_DOUBT = "in doubt"  # the lab's own: the capture contradicts how the fault was made


_STRETCHES = {
    Death.ON_ARRIVAL: {Stretch.INTO_HOST},
    Death.UNANSWERED_ARP: {Stretch.TO_CONTAINER},
    Death.ELSEWHERE: {Stretch.ELSEWHERE},
    Death.ON_BRIDGE: {Stretch.TO_CONTAINER},
    Death.IN_CONTAINER: {Stretch.IN_CONTAINER},
    Death.REFUSED_BY_CONTAINER: {Stretch.REFUSED_BY_CONTAINER},
    Death.ANSWER_ON_PORT: {Stretch.BACK_INTO_HOST},
    Death.ANSWER_ON_BRIDGE: {Stretch.BACK_INTO_HOST},
    Death.ANSWER_ELSEWHERE: {Stretch.BACK_ELSEWHERE},
    Death.ANSWER_GARBLED: {Stretch.BACK_UNTRANSLATED, Stretch.BACK_ELSEWHERE, Stretch.AFTER_HOST},
    Death.REFUSED_BY_HOST: {Stretch.REFUSED_BY_HOST},
    Death.SERVED_BY_HOST: {Stretch.TAKEN_BY_HOST},
}
"""What the product calls each."""

RIGHT = frozenset({Verdict.CAUSE, Verdict.SEGMENT})


@dataclass(frozen=True)
class Tried:
    """A fault on a host. ``number`` is its place among the faults of the seed; ``seen`` is what the witness saw."""

    number: int
    host: str
    fault: Fault
    outside: str
    seen: Death | None


@dataclass(frozen=True)
class Row:
    """How a fault was diagnosed.

    ``causes`` as they were named, each with its confidence; ``placed`` is whether the segment is right, None for none.
    """

    tried: Tried
    verdict: Verdict
    causes: tuple[str, ...]
    stretch: Stretch | None
    placed: bool | None
    fixes: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        tried = self.tried
        seen, told = tried.seen.name if tried.seen else "-", ", ".join(self.causes) or "-"
        place = f"{'' if self.placed is not False else '! '}{self.stretch or '-'}"
        lines = " ; ".join(tried.fault.lines.split("\n"))
        return (
            f"{tried.number:4} {tried.host:10} {self.verdict:18} {tried.outside:10} {seen:20} {told:50}"
            f" {place:22} {self.seconds:5.2f} s  [{tried.fault.kind}] {lines}  {' '.join(self.fixes)}"
        ).rstrip()


async def run(
    lab: Lab, hosts: Sequence[LabHost], seed: int, count: int, tell: Callable[[Row], None]
) -> tuple[list[Row], list[tuple[int, str]]]:
    """Try faults, hosts side by side, until so many have broken the service.

    Which host has which fault depends on their order alone, so that a table can be made again.

    Returns:
        A row for each that broke it, by number; and the numbers of those that did not, each with the reason.
    """
    share = -(-count // len(hosts))
    left_out: list[tuple[int, str]] = []

    async def one_host(place: int, host: LabHost) -> list[Row]:
        rows: list[Row] = []
        of_host = itertools.islice(enumerate(faults(seed)), place, count * _MOST_TRIED, len(hosts))
        for number, fault in of_host:
            if len(rows) == share:
                break
            try:
                row = await diagnosed(lab, host, number, fault)
            except LabError as error:
                left_out.append((number, " / ".join(str(error).split("\n"))[-200:]))
                continue
            if row is None:
                left_out.append((number, "the service answers all the same"))
                continue
            rows.append(row)
            tell(row)
        await asyncio.to_thread(_begin_anew, host)
        return rows

    found = await asyncio.gather(*(one_host(place, host) for place, host in enumerate(hosts)))
    return sorted(itertools.chain(*found), key=lambda row: row.tried.number), sorted(left_out)


async def diagnosed(lab: Lab, host: LabHost, number: int, fault: Fault) -> Row | None:
    """One row; None where the fault does not break the service. Raises LabError where it cannot be made."""
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host(host.name, host.address, (_registry(host),), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        await asyncio.to_thread(_begin_anew, host)
        await checker.check(known)  # logs in: the one that counts finds a warm connection
        await asyncio.to_thread(typed(PRELUDE + fault.lines), host)
        outside = await asyncio.to_thread(_broken, host)
        if not outside:
            return None
        seen, _ = await asyncio.to_thread(witness.death, host)
        started = time.perf_counter()
        [report] = await checker.check(known)
        seconds = time.perf_counter() - started
        if await asyncio.to_thread(host.outside, timeout=_DEADLINE) == "200":
            return None
        return judged(Tried(number, host.name, fault, outside, seen), report, seconds)
    finally:
        await checker.close()


def _begin_anew(host: LabHost) -> None:
    baseline.distrust(host)
    network.forget_paths()
    host.restore()


def _broken(host: LabHost) -> str:
    """How the request fails; empty where it answers, at once or a moment later: what heals by itself is no fault."""
    first = host.outside(timeout=_DEADLINE)
    time.sleep(_PAUSE)
    return "" if "200" in {first, host.outside(timeout=_DEADLINE)} else first


def _registry(host: LabHost) -> Service:
    return replace(REGISTRY, url=REGISTRY.url.format(address=host.address))


def judged(tried: Tried, report: Report, seconds: float) -> Row:
    """Hold a report against what was done."""
    stretch = report.segment.stretch if report.segment else None
    return Row(
        tried=tried,
        verdict=_verdict(tried.fault, report) if tried.seen in tried.fault.deaths else Verdict.IN_DOUBT,
        causes=tuple(f"{one.cause} ({one.confidence})" for one in _named(report)),
        stretch=stretch,
        placed=None if stretch is None else _is_there(tried.fault, stretch),
        fixes=tuple(str(plan.fix) for plan in report.proposed),
        seconds=seconds,
    )


def _named(report: Report) -> list[Finding]:
    return [one for one in report.diagnosis.causes if one.cause != UNDETERMINED]


def _verdict(fault: Fault, report: Report) -> Verdict:
    """One proven cause that is not so outweighs all that is right."""
    named = _named(report)
    false = [one for one in named if one.cause not in fault.causes]
    if any(one.confidence is Confidence.PROVEN for one in false):
        return Verdict.WRONG
    if false:
        return Verdict.GUESSED
    if named:
        return Verdict.CAUSE
    if report.segment is None:
        return Verdict.NO_SEGMENT
    return Verdict.SEGMENT if _is_there(fault, report.segment.stretch) else Verdict.ASTRAY


def _is_there(fault: Fault, stretch: Stretch) -> bool:
    return any(stretch in _STRETCHES[death] for death in fault.deaths)


def totals(rows: Sequence[Row]) -> str:
    """One line: how many rows of each verdict, and how often the place is right, whether a cause is named or not."""
    counts = Counter(row.verdict for row in rows)
    told = [row for row in rows if row.placed is not None and row.verdict is not Verdict.IN_DOUBT]
    right = f"segment right in {sum(bool(row.placed) for row in told)} of the {len(told)} that have one"
    return f"{len(rows)} faults: {', '.join(f'{counts[verdict]} {verdict}' for verdict in Verdict)}; {right}"


def markdown(rows: Sequence[Row], left_out: int, seed: int, platforms: Sequence[str]) -> str:
    """The table as a page, with what it was measured on."""
    names = " ".join(dict.fromkeys(row.tried.host for row in rows))
    made = f"- `python -m tests.lab random --seed {seed} --count {len(rows)} {names}`"
    lines = [
        f"# Random faults, {datetime.now(UTC):%Y-%m-%d}",
        "",
        *(f"- {platform}" for platform in platforms),
        f"{made}; {left_out} more faults of that seed did not break the service, or cannot be made on that host",
        "",
        totals(rows),
        "",
        "| | host | what was done | kind | from outside | where it dies | told | segment | check | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        tried = row.tried
        done = "`<br>`".join(line for line in tried.fault.lines.replace("|", "\\|").split("\n") if line.strip())
        dies = str(tried.seen) if tried.seen else ""
        cells = (str(tried.number), tried.host, f"`{done}`", tried.fault.kind, tried.outside, dies)
        more = (", ".join(row.causes) or "undetermined", row.stretch or "", f"{row.seconds:.1f} s", row.verdict)
        lines.append(f"| {' | '.join((*cells, *more))} |")
    return "\n".join(lines) + "\n"
