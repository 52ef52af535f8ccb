"""Real hosts that see each other, or do not: which of them is cut off, or whether it is the watcher."""

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.check import Checker
from checks.model import Confidence, Host, Login, Report, Service, Status, Vantage
from tests.lab import network
from tests.lab.faults.hosts import REJECT, banned
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.scenario import typed
from tests.lab.team import team

pytestmark = [
    pytest.mark.lab,
    # The Docker SDK does not close a socket that it could not connect, as where SSH was cut off meanwhile.
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket .*family=1:ResourceWarning"),
]

RUNS = 7
SETTLED = 6.0  # seconds: three readings of each service, and the first looks


@dataclass(frozen=True)
class Rack:
    """Two hosts of the lab as the watcher knows them, with a warm connection to each."""

    checker: Checker
    hosts: tuple[LabHost, LabHost]

    async def check(self, host: LabHost) -> Report:
        [report] = await self.checker.check(self.checker.hosts[host.name])
        return report


@pytest.fixture
async def rack(lab: Lab) -> AsyncIterator[Rack]:
    first, second = lab.hosts[:2]
    await asyncio.gather(*(asyncio.to_thread(host.restore) for host in (first, second)))
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    checker = Checker([_known(host, login) for host in (first, second)], clock=lambda: datetime.now(UTC))
    rack = Rack(checker, (first, second))
    for host in rack.hosts:
        await rack.check(host)
    yield rack
    await checker.close()
    gc.collect()  # while the filter above holds
    await asyncio.gather(*(asyncio.to_thread(host.restore) for host in (first, second)))


def _known(host: LabHost, login: Login) -> Host:
    return Host(
        host.name,
        host.address,
        (Service("registry", f"http://{host.address}:5000/v2/", container="registry"),),
        login,
    )


@contextmanager
def cut_off(*hosts: LabHost, packets: str) -> Iterator[None]:
    """Have this machine drop what it would send to these hosts."""
    for host in hosts:
        network.cut_off(host.name, f"ip daddr {host.address} {packets} drop")
    try:
        yield
    finally:
        for host in hosts:
            network.join(host.name)


def root(report: Report) -> tuple[str, Confidence]:
    assert report.diagnosis.root is not None
    return report.diagnosis.root.cause, report.diagnosis.root.confidence


def says(report: Report) -> list[str]:
    assert report.diagnosis.root is not None
    return [evidence.says for evidence in report.diagnosis.root.evidence]


async def test_a_watcher_whose_way_to_all_services_is_cut_is_proven_offline(rack: Rack) -> None:
    first, second = rack.hosts
    with cut_off(first, second, packets="tcp dport 5000"):
        reports = [await rack.check(host) for host in rack.hosts]
    assert {root(report) for report in reports} == {("watcher-offline", Confidence.PROVEN)}
    assert f"from {second.name}: {first.name} answered 200" in says(reports[0])
    assert f"from {first.name}: {second.name} answered 200" in says(reports[0])


async def test_a_watcher_that_reaches_nothing_at_all_is_likely_offline(rack: Rack) -> None:
    with cut_off(*rack.hosts, packets=""):
        report = await rack.check(rack.hosts[0])
    assert root(report) == ("watcher-offline", Confidence.LIKELY)
    assert report.status is Status.UNHEALTHY


async def test_a_host_whose_cable_is_out_is_unreachable_by_the_word_of_its_peer(rack: Rack) -> None:
    first, second = rack.hosts
    await asyncio.to_thread(first.run, "ip", "link", "set", "host0", "down")
    report = await rack.check(first)
    assert root(report) == ("host-unreachable", Confidence.PROVEN)
    assert [line for line in says(report) if line.startswith(f"from {second.name}: timed out at connect")]


async def test_a_host_that_drops_everything_is_unreachable_and_its_link_gives_it_away(rack: Rack) -> None:
    first, second = rack.hosts
    await asyncio.to_thread(
        first.sh, "iptables -t raw -I PREROUTING -i host0 -j DROP; iptables -I OUTPUT -o host0 -j DROP"
    )
    report = await rack.check(first)
    assert root(report) == ("host-unreachable", Confidence.PROVEN)
    assert f"{second.name}'s link has its hardware address" in "\n".join(says(report))
    assert report.diagnosis.root is not None
    assert "firewall-cmd --query-panic" in report.diagnosis.root.advice[0]


async def test_a_host_that_only_the_watcher_does_not_reach_is_neither(rack: Rack) -> None:
    first, _ = rack.hosts
    with cut_off(first, packets=""):
        report = await rack.check(first)
    assert root(report)[0] == "undetermined"
    why = {finding.cause: finding.why for finding in report.diagnosis.ruled_out}
    assert "answered 200" in why["host-unreachable"]
    assert "is reached" in why["watcher-offline"]


async def test_a_host_that_rejects_only_the_watcher_has_a_rule_about_it_by_the_word_of_its_peer(rack: Rack) -> None:
    first, second = rack.hosts
    await asyncio.to_thread(typed(banned(REJECT, "INPUT", "DOCKER-USER")), first)
    report = await rack.check(first)
    assert report.trouble is not None
    assert (root(report), report.trouble.id) == (("watcher-refused", Confidence.PROVEN), "ssh-rejected")
    assert f"from here: port 5000 refused at connect, by a REJECT of {first.address}" in says(report)
    assert f"from {second.name}: port 5000 answered 200" in says(report)
    assert f"from {second.name}: its sshd answered" in says(report)


async def test_a_host_that_drops_only_what_the_watcher_sends_is_not_said_to_be_dead(rack: Rack) -> None:
    first, second = rack.hosts
    await asyncio.to_thread(typed(banned("DROP", "INPUT", "DOCKER-USER")), first)
    report = await rack.check(first)
    assert root(report)[0] == "undetermined"
    assert f"{first.name} answers {second.name}: a rule about this address, or what lies between, stops it" in says(
        report
    )


async def test_a_port_that_only_one_host_drops_is_neither_and_the_check_stays_quick(
    rack: Rack, record_property: Callable[[str, object], None]
) -> None:
    first, second = rack.hosts
    await asyncio.to_thread(first.sh, "sysctl -qw net.ipv4.ip_forward=0")
    took, reports = [], []
    for _ in range(RUNS):
        started = time.perf_counter()
        reports.append(await rack.check(first))
        took.append(time.perf_counter() - started)
    assert {root(report) for report in reports} == {("ip-forward-off", Confidence.PROVEN)}
    report = reports[-1]
    [peer] = [reading for reading in report.readings if reading.vantage is Vantage.PEER]
    assert (peer.by, peer.says) == (second.name, "timed out at connect")
    ruled_out = {finding.cause for finding in report.diagnosis.ruled_out}
    assert {"host-unreachable", "watcher-offline"} <= ruled_out
    record_property("check with a peer", statistics.median(took))
    print(f"\ncheck of {first.name} with a peer: median {statistics.median(took):.2f} s")  # noqa: T201  # the figure


async def test_the_bot_gives_one_notice_while_it_is_cut_off_and_then_the_alert_of_what_broke_meanwhile(
    lab: Lab, rack: Rack, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    first, second = rack.hosts
    async with team(lab, first, tmp_path) as people:
        one = people.settings.hosts["host1"]
        url = f"http://{second.address}:5000/v2/"
        services = {"registry": one.services["registry"].model_copy(update={"url": url})}
        people.settings.hosts["host2"] = one.model_copy(update={"address": second.address, "services": services})
        async with people.bot():
            await asyncio.sleep(SETTLED)
            with cut_off(first, second, packets="tcp dport 5000"):
                since = time.monotonic()
                notice = await people.slack.wait_for_message("#docker-health", "cut off from the hosts", timeout=30)
                took = time.monotonic() - since
                await asyncio.to_thread(second.sh, "sysctl -qw net.ipv4.ip_forward=0")
                await asyncio.sleep(SETTLED)
                assert people.slack.messages("#docker-health") == [notice]
            await people.slack.wait_until(lambda: people.is_green(notice), timeout=30)
            await people.slack.wait_for_message("#docker-health", "IPv4 forwarding is switched off", timeout=30)
            shown = [message.shown for message in people.slack.messages("#docker-health")]
            assert len(shown) == len([notice]) + 1
            assert "host2/registry" in shown[-1]
    record_property("cut to notice", took)
    print(f"\ncut to notice: {took:.1f} s")  # noqa: T201  # the figure
