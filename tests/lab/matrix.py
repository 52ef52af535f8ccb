"""Every way of breaking a host, diagnosed on real hosts and compared: `python -m tests.lab matrix`."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from checks.check import Checker
from checks.errors import SshSessionTimedOutError
from checks.model import Host, Login, Report, Status
from tests.lab.command import LabError
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.scenario import UNDETERMINED, Kind, Scenario, broken


class Verdict(StrEnum):
    RIGHT = "right"
    SEGMENT = "right segment"  # no cause has that name, and where the packet died is as the scenario says
    UNDETERMINED = "undetermined"  # honest, and not found
    INCOMPLETE = "incomplete"  # the root is right, another expected cause or risk is not named
    EXCESSIVE = "names more"  # the root is right, and something is named besides that nobody did
    WRONG = "WRONG"  # named with confidence, and not so
    BLAMED = "BLAMED"  # healthy, and said to be ill
    NOT_BROKEN = "not broken"  # the lab's own failure: the host does not show what the scenario says

    @property
    def is_right(self) -> bool:
        return self in {Verdict.RIGHT, Verdict.SEGMENT}


@dataclass(frozen=True)
class Row:
    """How one scenario was diagnosed on one host. ``seconds`` is what the check took."""

    host: str
    scenario: Scenario
    verdict: Verdict
    outside: str
    found: tuple[str, ...] = ()
    confidence: str = ""
    risks: tuple[str, ...] = ()
    seconds: float = 0.0
    note: str = ""
    vantages: str = ""  # how the service answered from each, in the program's own words
    buttons: tuple[str, ...] = ()  # the fixes that are put before people

    def __str__(self) -> str:
        expected = ", ".join(self.scenario.causes) or "-"
        found = ", ".join(self.found) or "-"
        return (
            f"{self.host:10} {self.scenario.name:52} {self.scenario.kind:7} {expected:50} {found:50}"
            f" {self.confidence:7} {self.outside:10} {self.seconds:5.2f} s  {self.verdict} {self.note}"
        ).rstrip()


async def run(
    lab: Lab, hosts: Sequence[LabHost], scenarios: Sequence[Scenario], tell: Callable[[Row], None]
) -> list[Row]:
    """Break, diagnose and mend every host in every way, hosts side by side; each row is told as it comes."""

    async def one_host(host: LabHost) -> list[Row]:
        rows = []
        for scenario in scenarios:
            if scenario.applies_to(host):
                rows.append(await diagnosed(lab, host, scenario))
                tell(rows[-1])
        await asyncio.to_thread(host.restore)
        return rows

    return [row for rows in await asyncio.gather(*(one_host(host) for host in hosts)) for row in rows]


async def diagnosed(lab: Lab, host: LabHost, scenario: Scenario) -> Row:
    """One row. What breaks in the lab itself is told in the row, not raised: the others are worth having."""
    service = scenario.service_of(host)
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host(host.name, host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        await asyncio.to_thread(host.restore)
        await checker.check(known)  # logs in: the one that counts finds a warm connection
        seen = await asyncio.to_thread(broken, host, scenario)
        if scenario.cold:
            await checker.connection(known).close()
        if seen not in scenario.outside:
            return Row(host.name, scenario, Verdict.NOT_BROKEN, seen)
        started = time.perf_counter()
        report = await _checked(checker, known)
        return judged(host.name, scenario, seen, report, time.perf_counter() - started)
    except LabError as error:
        return Row(host.name, scenario, Verdict.NOT_BROKEN, "", note=" / ".join(str(error).split("\n"))[-300:])
    finally:
        await checker.close()


async def _checked(checker: Checker, host: Host) -> Report:
    """The report as `dockerhealth check` prints it: where PAM keeps a session waiting, it looks again."""
    [report] = await checker.check(host)
    for _ in range(3):
        if report.trouble is None or report.trouble.id != SshSessionTimedOutError.id:
            break
        [report] = await checker.check(host)
    return report


def judged(host: str, scenario: Scenario, seen: str, report: Report, seconds: float) -> Row:
    """Compare a report with what was really done to the host."""
    diagnosis = report.diagnosis
    found = tuple(finding.cause for finding in diagnosis.causes)
    risks = tuple(finding.cause for finding in diagnosis.risks)
    confidence = str(diagnosis.root.confidence) if diagnosis.root else ""
    verdict = _by_segment(scenario, report, found) or _verdict(scenario, report, found, risks)
    note = report.segment.stretch if report.segment else "" if report.trouble is None else report.trouble.id
    vantages = ", ".join(f"{reading.vantage} {reading.says}" for reading in report.readings)
    buttons = tuple(str(plan.fix) for plan in report.proposed)
    return Row(host, scenario, verdict, seen, found, confidence, risks, seconds, note, vantages, buttons)


def _by_segment(scenario: Scenario, report: Report, found: tuple[str, ...]) -> Verdict | None:
    """Where the packet died somewhere else it is wrong, whatever the cause; where it has none that is the answer."""
    if scenario.segment is None:
        return None
    if report.segment is None or report.segment.stretch is not scenario.segment:
        return Verdict.WRONG
    return Verdict.SEGMENT if found == scenario.causes == (UNDETERMINED,) else None


def _verdict(scenario: Scenario, report: Report, found: tuple[str, ...], risks: tuple[str, ...]) -> Verdict:
    if scenario.kind is Kind.HEALTHY:
        if found or report.status is Status.UNHEALTHY:
            return Verdict.BLAMED
        return Verdict.RIGHT if set(scenario.risks) <= set(risks) else Verdict.INCOMPLETE
    roots = scenario.causes if scenario.kind is Kind.PAIR else scenario.causes[:1]
    if found[:1] == (UNDETERMINED,) and UNDETERMINED not in roots:
        return Verdict.UNDETERMINED
    if not found or found[0] not in roots:
        return Verdict.WRONG
    if set(found) - set(scenario.causes):
        return Verdict.EXCESSIVE
    complete = set(scenario.causes) <= set(found) and set(scenario.risks) <= set(risks)
    return Verdict.RIGHT if complete else Verdict.INCOMPLETE


def totals(rows: Sequence[Row]) -> str:
    """One line: how many rows of each verdict, and how long a check took."""
    counts = ", ".join(f"{sum(row.verdict is verdict for row in rows)} {verdict}" for verdict in Verdict)
    checked = [row.seconds for row in rows if row.seconds]
    median = f"; median check {statistics.median(checked):.2f} s" if checked else ""
    return f"{len(rows)} rows: {counts}{median}"


def markdown(rows: Iterable[Row], platforms: Sequence[str]) -> str:
    """The table as a page, with what it was measured on."""
    lines = [
        f"# The fault matrix, {datetime.now(UTC):%Y-%m-%d}",
        "",
        *(f"- {platform}" for platform in platforms),
        "",
        totals(list(rows)),
        "",
        "| host | scenario | kind | expected | found | confidence | check | | vantages |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = (row.host, row.scenario.name, row.scenario.kind, ", ".join(row.scenario.causes), ", ".join(row.found))
        more = (row.confidence, f"{row.seconds:.2f} s", row.verdict, row.vantages or f"outside {row.outside}")
        lines.append(f"| {' | '.join((*cells, *more))} |")
    return "\n".join(lines) + "\n"


def reports(rows: Iterable[Row], platforms: Sequence[str]) -> str:
    """The page of what people reported in public: each fault with its source, and what is told of it on each host."""
    by_scenario: dict[str, list[Row]] = {}
    for row in rows:
        by_scenario.setdefault(row.scenario.name, []).append(row)
    every = [row for found in by_scenario.values() for row in found]
    lines = [
        f"# Faults that people reported in public, {datetime.now(UTC):%Y-%m-%d}",
        "",
        *(f"- {platform}" for platform in platforms),
        "",
        totals(every),
        "",
        "Written by `python -m tests.lab matrix --reported --into tests/lab/REPORTED.md`; the scenarios stand in",
        "`faults/reported.py`. What has no cause of its own is told as *undetermined*.",
        "",
        "| scenario | what people say | told | buttons | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, found in by_scenario.items():
        source = found[0].scenario.source
        told = _alike((row.host, f"{', '.join(row.found) or '-'} ({row.confidence or '-'})") for row in found)
        buttons = _alike((row.host, ", ".join(row.buttons) or "-") for row in found)
        verdicts = _alike((row.host, str(row.verdict)) for row in found)
        says = f"[{source.says}]({source.url})" if source else ""
        lines.append(f"| {name} | {says} | {told} | {buttons} | {verdicts} |")
    return "\n".join(lines) + "\n"


def _alike(told: Iterable[tuple[str, str]]) -> str:
    """What is the same on every host once, else with the host's name before each."""
    pairs = list(told)
    return (
        pairs[0][1] if len({text for _, text in pairs}) == 1 else "; ".join(f"{host}: {text}" for host, text in pairs)
    )


_PLATFORM = """
. /etc/os-release
echo "$PRETTY_NAME, Docker $(docker version --format '{{.Server.Version}}'), firewalld $(
    dpkg-query --show --showformat '${Version}' firewalld), kernel $(uname -r)"
"""


def platform(host: LabHost) -> str:
    """What a healthy host is, in one line."""
    return f"{host.name}: {host.sh(_PLATFORM).strip()}"
