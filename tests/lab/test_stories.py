"""The three known stories, on real hosts, through real Socket Mode: broke, alerted, approved, fixed, recovered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import faults
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.team import Team, on, team

pytestmark = pytest.mark.lab


def close_the_port(host: LabHost) -> None:
    """What turns the healthy service on the host network into story 1, in an instant."""
    host.sh("firewall-cmd --quiet --remove-port=5000/tcp && firewall-cmd --quiet --permanent --remove-port=5000/tcp")


async def story(team: Team, host: LabHost, fault: Callable[[LabHost], object], cause: str, fix: str) -> str:
    """Break the host, approve the fix of the alert, and return all that the alert showed before."""
    async with team.bot():
        alert = await team.alerted(cause, since=await on(host, fault))
        shown = alert.shown
        await team.approved(alert, fix)
        assert len(team.slack.messages("#docker-health")) == 1
    assert host.outside() == "200"
    return shown


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str, LabHost, Team], None]:
    """Keep what was measured, and print it where a person reads the run with -s."""

    def keep(name: str, host: LabHost, team: Team) -> None:
        for what, seconds in team.figures.items():
            record_property(what, seconds)
        print(f"\n{name} on {host.name}: " + ", ".join(f"{what} {s:.1f} s" for what, s in team.figures.items()))  # noqa: T201  # the figures

    return keep


async def test_forwarding_switched_off_is_proven_and_switched_on_lastingly(
    lab: Lab, host: LabHost, tmp_path: Path, figures: Callable[[str, LabHost, Team], None]
) -> None:
    async with team(lab, host, tmp_path) as people:
        shown = await story(
            people, host, faults.forwarding_switched_off, "IPv4 forwarding is switched off", "enable-ip-forward"
        )
        assert "net.ipv4.ip_forward = 0" in shown
        assert "No route to host" in shown
    host.sh("systemctl restart systemd-sysctl")
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
    figures("forwarding", host, people)


async def test_a_firewalld_started_after_a_deaf_dockerd_is_proven_and_dockerd_restarted(
    lab: Lab, host: LabHost, tmp_path: Path, figures: Callable[[str, LabHost, Team], None]
) -> None:
    async with team(lab, host, tmp_path) as people:
        shown = await story(
            people,
            host,
            faults.firewalld_started_after_deaf_dockerd,
            "Docker's iptables chains are gone",
            "restart-docker",
        )
        assert "is not on D-Bus" in shown
    assert "DNAT" in host.sh("iptables -t nat -S DOCKER")
    figures("firewalld", host, people)


async def test_a_closed_port_of_a_service_on_the_host_network_is_proven_and_opened(
    lab: Lab, host: LabHost, tmp_path: Path, figures: Callable[[str, LabHost, Team], None]
) -> None:
    await on(host, faults.registry_on_host_network_with_port_open)
    async with team(lab, host, tmp_path) as people:
        shown = await story(
            people,
            host,
            close_the_port,
            "firewalld does not admit the port",
            "open-firewalld-port",
        )
        assert "zone public" in shown
    assert "5000/tcp" in host.sh("firewall-cmd --permanent --zone=public --list-ports")
    figures("closed port", host, people)


async def test_a_hardening_file_does_not_undo_the_fix_and_the_plan_says_so(
    lab: Lab, host: LabHost, tmp_path: Path
) -> None:
    async with team(lab, host, tmp_path) as people:
        shown = await story(
            people, host, faults.hardening_file_says_zero, "IPv4 forwarding is switched off", "enable-ip-forward"
        )
        assert "/etc/sysctl.d/99-hardening.conf:2" in shown
    host.sh("systemctl restart systemd-sysctl")
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"


async def test_a_click_after_the_host_changed_is_stale_and_runs_nothing(
    lab: Lab, host: LabHost, tmp_path: Path
) -> None:
    async with team(lab, host, tmp_path) as people, people.bot():
        alert = await people.alerted("IPv4 forwarding is switched off", await on(host, faults.forwarding_switched_off))
        host.run("sh", "-c", "echo 'net.ipv4.ip_forward = 0' > /etc/sysctl.d/zz-late.conf")
        await people.slack.click(people.alice, alert, "approve:enable-ip-forward")
        await people.slack.wait_until(lambda: "Nothing was run" in alert.shown, timeout=30)
        assert "zz-late.conf" in alert.shown
        assert host.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
        # The fresh look made a fresh plan, which deals with that file too.
        await people.slack.wait_until(
            lambda: "comment out line 1 of /etc/sysctl.d/zz-late.conf" in alert.shown, timeout=30
        )
        await people.approved(alert, "enable-ip-forward")
    host.sh("sysctl --system", check=False)  # a container may not set all that the distribution's files set
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"


async def test_strangers_second_clicks_and_restarts_are_each_answered(lab: Lab, host: LabHost, tmp_path: Path) -> None:
    async with team(lab, host, tmp_path) as people:
        async with people.bot():
            since = await on(host, faults.forwarding_switched_off)
            alert = await people.alerted("IPv4 forwarding is switched off", since)
            await people.slack.click(people.bob, alert, "approve:enable-ip-forward")
            await people.told(people.bob, "may not")
        async with people.bot():  # a restart forgets nothing, and the button still works
            before = len(alert.revisions)
            await people.approved(alert, "enable-ip-forward")
            await people.slack.click(people.alice, alert, "approve:enable-ip-forward", revision=before - 1)
            await people.slack.wait_until(lambda: len(people.slack.ephemerals(people.alice)) >= 1, timeout=30)
            assert len(people.slack.messages("#docker-health")) == 1


@pytest.mark.parametrize(
    "fault", [faults.firewalld_running_port_not_listed_but_dnat_healthy, faults.registry_on_host_network_with_port_open]
)
async def test_a_healthy_but_odd_looking_host_is_called_healthy(
    lab: Lab, host: LabHost, tmp_path: Path, fault: Callable[[LabHost], object]
) -> None:
    await on(host, fault)  # before anybody watches: on the way there it is really out of reach for a moment
    if fault is faults.registry_on_host_network_with_port_open:
        host.sh("sysctl -qw net.ipv4.ip_forward=0")
    async with team(lab, host, tmp_path) as people, people.bot():
        await people.slack.command(people.alice, "#docker-health", "/dockerhealth", "host1")
        answer = await people.told(people.alice, "healthy")
        assert "unhealthy" not in answer.shown
        assert people.slack.messages("#docker-health") == []
