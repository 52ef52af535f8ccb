"""Every fix against its real faults, carried out and taken back on real hosts: `python -m tests.lab fixes`."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from checks.check import Checker
from checks.execution.apply import apply, plan
from checks.execution.order import Event, Order
from checks.execution.undo import undo
from checks.model import Applied, FixId, Host, Login, NoChange, Outcome, Plan, Report, Service
from tests.lab import conntrack
from tests.lab.command import LabError
from tests.lab.faults import SCENARIOS
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.scenario import Scenario, broken
from tests.lab.state import changed, state

_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
_OF_THE_KERNEL = "nf_conntrack_max"  # one value for all hosts, which another one may have changed meanwhile
_NOT_UNDONE = {"restart-docker", "restart-container"}
_OF_DOCKERD = ("DOCKER", "docker", "table ip nat chain", "table ip filter chain FORWARD")
_REMEMBERS = "a dockerd of 26.1 that failed to set docker0 up remembers it: networks have same bridge name"
_SHOWN = 6  # lines of what is another one afterwards


@dataclass(frozen=True)
class Case:
    """One fix, and a real fault that it mends.

    ``like``: the healthy scenario that a host looks like afterwards whose fix cannot be undone; the baseline if it is
    empty. ``leaves`` are words of what it cannot but leave, which is passed over. ``fails_on``: generations on which
    the fix does not help, and says so, and why it does not.
    """

    fix: str
    fault: str
    core: bool = False  # one of the few that CI runs: every fix once
    like: str = ""
    leaves: tuple[str, ...] = ()
    fails_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.fix} {self.fault}"

    @property
    def scenario(self) -> Scenario:
        return _BY_NAME[self.fault]


CASES = (
    Case("enable-ip-forward", "ip-forward-off", core=True),
    Case("enable-ip-forward", "ip-forward-off-hardened"),
    Case("enable-ip-forward", "ip-forward-off-by-sysctl-conf"),
    Case("enable-ip-forward", "ip-forward-off-by-web-program"),
    Case("enable-ip-forward", "networkd-says-no-forwarding-anywhere"),
    Case("enable-interface-forwarding", "host0-forwarding-off", core=True),
    Case("enable-interface-forwarding", "docker0-forwarding-off"),
    Case("enable-interface-forwarding", "own-bridge-forwarding-off"),
    Case("enable-interface-forwarding", "networkd-says-no-forwarding"),
    Case("relax-reverse-path-filter", "strict-reverse-path-filter", core=True),
    Case("relax-reverse-path-filter", "strict-reverse-path-filter-for-all"),
    Case("raise-conntrack-max", "conntrack-full", core=True),
    Case("allow-in-docker-user", "docker-user-drops", core=True),
    Case("allow-in-docker-user", "docker-user-rejects-the-published-port"),
    Case("allow-in-docker-user", "docker-user-drops-the-client"),
    Case("allow-in-docker-user", "docker-user-admits-only-another-network"),
    Case("allow-in-docker-user", "docker-user-jumps-to-a-chain-that-drops"),
    Case("open-firewalld-port", "host-network-port-closed", core=True),
    Case("open-firewalld-port", "host-network-port-closed-with-iptables"),
    Case("open-firewalld-port", "host-network-client-in-another-zone"),
    Case("stop-firewalld", "host-network-port-closed", core=True),
    Case("stop-firewalld", "host-network-port-closed-with-iptables"),
    Case("clear-zone-conflict", "docker0-bound-and-networks-forgotten", core=True, leaves=_OF_DOCKERD),
    Case("clear-zone-conflict", "docker0-bound-to-public", fails_on={"trixie": _REMEMBERS}, leaves=_OF_DOCKERD),
    Case("clear-zone-conflict", "docker0-bound-to-trusted", fails_on={"trixie": _REMEMBERS}, leaves=_OF_DOCKERD),
    Case("restart-docker", "docker-accept-rules-flushed", core=True),
    Case("restart-docker", "forward-chain-flushed"),
    Case("restart-docker", "dnat-to-an-address-of-nobody"),
    Case("restart-docker", "docker0-down"),
    Case("restart-docker", "firewalld-started-after-deaf-dockerd", like="firewalld-running-healthy"),
    Case("restart-docker", "dockerd-hung-and-container-dead"),
    Case("restart-docker", "container-created-into-missing-chains"),
    Case("restart-docker", "container-restarted-into-missing-chains"),
    Case("restart-docker", "container-without-policy-restarted-into-missing-chains", like="no-restart-policy"),
    Case("start-docker", "dockerd-down", core=True),
    Case("start-container", "container-stopped", core=True),
    Case("start-container", "container-ended-with-no-policy"),
    Case("restart-container", "container-hangs", core=True),
    Case("unpause-container", "container-paused", core=True),
)


@dataclass(frozen=True)
class Row:
    """How one case went on one host. ``left`` is what differs afterwards, ``seconds`` how long it took to mend it."""

    host: str
    case: Case
    planned: Plan | None = None
    outcome: Outcome | None = None
    says: str = ""
    seconds: float = 0.0
    undone: Outcome | None = None  # None where nothing can be undone
    left: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        expected = {Outcome.FAILED, Outcome.NOT_FIXED} if self.generation in self.case.fails_on else {Outcome.FIXED}
        return self.outcome in expected and self.undone in {None, Outcome.UNDONE} and not self.left

    @property
    def generation(self) -> str:
        return self.host.rstrip("0123456789")

    @property
    def cells(self) -> tuple[str, ...]:
        risk = self.planned.risk.value if self.planned else "-"
        undone = self.undone.value if self.undone else "none"
        compared = f"as {self.case.like or 'the healthy baseline'}" if self.undone is None else "as before the fix"
        if self.case.leaves:
            compared += ", but for what dockerd wrote when it started"
        after = f"differs: {' / '.join(self.left[:_SHOWN])}" if self.left else compared
        why = self.case.fails_on.get(self.generation)
        outcome = (self.outcome.value if self.outcome else f"no plan: {self.says}") + (f": {why}" if why else "")
        return self.case.fix, self.case.fault, self.host, risk, outcome, f"{self.seconds:.1f} s", undone, after

    def __str__(self) -> str:
        fix, fault, host, risk, outcome, seconds, undone, after = self.cells
        verdict = "right" if self.right else f"WRONG {self.says}"
        return f"{host:10} {fix:28} {fault:42} {risk:7} {outcome:10} {seconds:>7} {undone:7} {after}  {verdict}"


async def run(lab: Lab, hosts: Sequence[LabHost], cases: Sequence[Case], tell: Callable[[Row], None]) -> list[Row]:
    """Try every case on every host, hosts side by side; each row is told as it comes."""

    async def one_host(host: LabHost) -> list[Row]:
        rows = []
        for case in cases:
            if case.scenario.applies_to(host):
                rows.append(await tried(lab, host, case))
                tell(rows[-1])
        await asyncio.to_thread(host.restore)
        return rows

    return [row for rows in await asyncio.gather(*(one_host(host) for host in hosts)) for row in rows]


async def tried(lab: Lab, host: LabHost, case: Case) -> Row:
    """One row. What breaks in the lab itself is told in the row, not raised: the others are worth having."""
    try:
        healthy = await asyncio.to_thread(_healthy, host, case) if case.fix in _NOT_UNDONE else ""
        await asyncio.to_thread(host.restore)
        async with site_of(lab, host, case.scenario.service_of(host)) as site:
            await site.look()  # logs in: with a full table nobody could later
            seen = await asyncio.to_thread(broken, host, case.scenario)
            if seen not in case.scenario.outside:
                return Row(host.name, case, says=f"not broken: {seen}")
            return await _mended_and_undone(site, case, healthy)
    except LabError as error:
        return Row(host.name, case, says=" / ".join(str(error).split("\n"))[-300:])


def _healthy(host: LabHost, case: Case) -> str:
    """The host as it is to be after a fix that cannot be undone."""
    host.restore()
    if case.like:
        broken(host, _BY_NAME[case.like])
    return state(host)


async def _mended_and_undone(site: "Site", case: Case, healthy: str) -> Row:
    host = site.lab
    before = healthy or await asyncio.to_thread(state, host)  # a hung dockerd cannot be asked for the host's state
    planned = await site.plan(case.fix)
    if not isinstance(planned, Plan):
        return Row(host.name, case, says=planned.why)
    with conntrack.lent(host) if case.fix == "raise-conntrack-max" else contextlib.nullcontext():
        started = time.monotonic()
        applied = await site.carry_out(planned)
        seconds = time.monotonic() - started
        back = undo(planned, "lab", applied)
        undone = await site.carry_out(back) if isinstance(back, Plan) else None
    after = await asyncio.to_thread(state, host)
    left = changed(*map(_without_ids, (healthy, after))) if undone is None else changed(before, after)
    passed_over = case.leaves if case.fix == "raise-conntrack-max" else (*case.leaves, _OF_THE_KERNEL)
    unexpected = tuple(line for line in left if not any(words in line for words in passed_over))
    unannounced = [f"unannounced: {one.name}" for one in applied.differences if not one.announced]
    says = " / ".join((applied.says, *((undone.says,) if undone else ()), *unannounced))
    ended = undone.outcome if undone else None
    return Row(host.name, case, planned, applied.outcome, says, seconds, ended, unexpected)


def _without_ids(text: str) -> str:
    """To be compared with another host's: Docker gives every container an id of its own."""
    return re.sub(r"\b[0-9a-f]{64} (?=\w+ running)", "", text)


@dataclass
class Site:
    """A lab host as the bot knows it, with one service."""

    lab: LabHost
    host: Host
    checker: Checker

    async def look(self) -> Report:
        [report] = await self.checker.check(self.host)
        return report

    async def plan(self, fix: str) -> Plan | NoChange:
        return await plan(self.checker, self.host, self.host.services[0], FixId(fix))

    async def carry_out(self, planned: Plan) -> Applied:
        async def tell(_: Event) -> None:
            await asyncio.sleep(0)

        return await apply(self.checker, Order(secrets.token_hex(8), planned, "U012ABCDEF"), tell)


@contextlib.asynccontextmanager
async def site_of(lab: Lab, host: LabHost, service: Service) -> AsyncIterator[Site]:
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host(host.name, host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        yield Site(host, known, checker)
    finally:
        await checker.close()


_ABOUT = """\
The host is broken for real. The fix is planned, carried out and verified over SSH as the bot's unprivileged user, and
so is its undo. Then the whole host (rules, sysctls, addresses, files, units, zones, containers) is compared, line by
line and without the product, with how it was before the fix; where nothing can be undone, with a healthy host."""


def markdown(rows: Iterable[Row], platforms: Sequence[str]) -> str:
    """The table as a page, with what it was measured on."""
    rows = list(rows)
    lines = [
        f"# Every fix against its real faults, {datetime.now(UTC):%Y-%m-%d}",
        "",
        _ABOUT,
        "",
        *(f"- {platform}" for platform in platforms),
        "",
        totals(rows),
        "",
        "| fix | fault | host | risk | outcome | to mend it | undo | host afterwards |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(row.cells)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def totals(rows: Sequence[Row]) -> str:
    """One line: how many rows are right."""
    right = sum(row.right for row in rows)
    return f"{len(rows)} rows: {right} right, {len(rows) - right} not"
