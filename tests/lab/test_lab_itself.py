"""The lab tells the truth: healthy hosts are healthy, faults break what they say they break, restoring restores."""

from pathlib import Path

import pytest

from tests.lab import conntrack, faults, network, vantages
from tests.lab.command import run
from tests.lab.faults import SCENARIOS
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.scenario import broken

pytestmark = pytest.mark.lab


def test_a_healthy_host_answers_from_everywhere_with_the_versions_of_its_generation(host: LabHost) -> None:
    assert vantages.look(host) == ("200", "200", "200", "200")
    docker = host.sh("docker version --format '{{.Server.Version}}'")
    assert docker.startswith({"bookworm": "20.10.24", "trixie": "26.1.5"}[host.generation])
    firewalld = host.sh("dpkg-query --show --showformat '${Version}' firewalld")
    assert firewalld.startswith({"bookworm": "1.3", "trixie": "2.3"}[host.generation])


UNDONE_WITH_CARE = (
    "ip-forward-off-by-web-program",
    "strict-reverse-path-filter",
    "docker-in-legacy-and-nft-policy-drops",
    "dropped-before-the-host",
    "docker-s-disk-full",
    "firewalld-in-panic",
    "dockerd-hung-but-served",
    "dockerd-down-with-live-restore",
)
"""What leaves most behind: programs, routes, alternatives, this machine's own rules, mounts, hung processes."""


@pytest.mark.parametrize("name", UNDONE_WITH_CARE)
def test_a_fault_shows_outside_as_it_says_and_is_undone(host: LabHost, name: str) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    assert broken(host, scenario) in scenario.outside
    host.restore()
    assert host.differences() == []
    assert vantages.look(host) == ("200", "200", "200", "200")


def test_every_scenario_has_a_name_of_its_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_a_test_leaves_the_other_host_alone(lab: Lab, host: LabHost) -> None:
    faults.dockerd_stopped(host)
    assert [other.outside() for other in lab.hosts if other is not host] == ["200"] * (len(lab.hosts) - 1)


def test_the_user_logs_in_with_the_key_of_the_lab_and_nothing_else(lab: Lab, host: LabHost) -> None:
    assert {"docker", "systemd-journal"} <= set(login(lab, host, lab.identity_file, "id", "-nG").split())
    assert "Permission denied (publickey" in login(lab, host, Path("/dev/null"), "id")


def test_a_change_that_breaks_nothing_is_undone_too(host: LabHost) -> None:
    host.path("/etc/sysctl.d/99-other.conf").write_text("net.ipv4.tcp_syncookies = 1\n")
    host.run("docker", "network", "create", "extra")
    host.run("systemctl", "mask", "--runtime", "firewalld.service")
    host.restore()
    assert not host.path("/etc/sysctl.d/99-other.conf").exists()
    assert "extra" not in host.sh("docker network ls")
    assert host.sh("systemctl is-enabled firewalld", check=False).strip() == "disabled"


def test_room_for_connections_that_a_killed_run_took_is_given_back(host: LabHost) -> None:
    conntrack.take(host.name)
    before = conntrack.MAXIMUM.read_text()
    conntrack.LOCK.write_text("")  # nothing tells what it was: the machine that knew is gone
    conntrack.MAXIMUM.write_text("1485")
    host.restore()
    assert conntrack.MAXIMUM.read_text() == before


def test_packets_to_the_lab_have_nowhere_else_to_go(lab: Lab) -> None:
    assert lab.hosts
    assert f"unreachable {network.SUBNET}" in run("ip", "route", "show", network.SUBNET).stdout


def login(lab: Lab, host: LabHost, identity: Path, *command: str) -> str:
    """Run ssh as a person would, trusting only the lab's own known_hosts; what it says, to either stream."""
    options = (
        f"UserKnownHostsFile={lab.known_hosts}",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
    )
    flags = [word for option in options for word in ("-o", option)]
    target = f"{lab.user}@{host.address}"
    done = run("ssh", "-F", "none", "-i", identity, *flags, target, *command, check=False, timeout=20)
    return done.stdout + done.stderr
