"""Each fix against its real fault, as the unprivileged user with the sudoers files of deploy/, and taken back."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from checks.fixes import FIX_IDS
from checks.fixes.undo import undo
from checks.model import Outcome, Plan, Status
from tests.lab import faults
from tests.lab.command import run
from tests.lab.fixes import CASES, Case, Row, Site, site_of, tried
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.scenario import REGISTRY

pytestmark = pytest.mark.lab


@pytest.fixture
async def site(lab: Lab, host: LabHost) -> AsyncIterator[Site]:
    service = replace(REGISTRY, url=REGISTRY.url.format(address=host.address))
    async with site_of(lab, host, service) as found:
        yield found


async def planned(site: Site, fix: str) -> Plan:
    found = await site.plan(fix)
    assert isinstance(found, Plan), found
    return found


def known_cases() -> list[Case]:
    """The few of CI: every fix once."""
    assert {case.fix for case in CASES} == set(FIX_IDS)
    core = [case for case in CASES if case.core]
    assert len({case.fix for case in core}) == len(core) == len(FIX_IDS)
    return core


@pytest.mark.parametrize("case", known_cases(), ids=lambda case: case.name)
async def test_a_fix_mends_its_real_fault_and_leaves_the_host_as_it_was(lab: Lab, case: Case) -> None:
    """On every generation side by side: what is undone is as it was before, what cannot be undone as a healthy host."""

    async def row(host: LabHost) -> Row:
        try:
            return await tried(lab, host, case)
        finally:
            await asyncio.to_thread(host.restore)

    rows = await asyncio.gather(*(row(host) for host in lab.hosts if case.scenario.applies_to(host)))
    assert {row.host: row.says for row in rows if row.planned is None} == {}
    assert {row.host: row.says for row in rows if row.outcome is not Outcome.FIXED} == {}
    assert {row.host: row.says for row in rows if row.undone not in {None, Outcome.UNDONE}} == {}
    assert {row.host: row.left for row in rows if row.left} == {}


async def test_an_unprivileged_user_with_the_sudoers_file_has_every_fact(site: Site) -> None:
    report = await site.look()
    assert report.status is Status.HEALTHY
    assert report.diagnosis.not_told == ()


async def test_a_line_of_someone_else_s_file_is_commented_out_kept_and_brought_back(site: Site) -> None:
    theirs = "# ours\nnet.ipv4.ip_forward = 0\nkernel.panic = 10\n"
    site.lab.path("/etc/sysctl.conf").write_text(theirs)
    faults.forwarding_switched_off(site.lab)
    approved = await planned(site, "enable-ip-forward")
    applied = await site.carry_out(approved)
    assert applied.outcome is Outcome.FIXED, applied.says
    changed = site.lab.path("/etc/sysctl.conf").read_text()
    assert changed == theirs.replace("net.ipv4.ip", "# dockerhealth switched off: net.ipv4.ip")
    assert site.lab.path("/etc/sysctl.conf.dockerhealth-kept").read_text() == theirs
    back = undo(approved, "run-1", applied)
    assert isinstance(back, Plan), back
    undone = await site.carry_out(back)
    assert undone.outcome is Outcome.UNDONE, undone.says
    assert not site.lab.path("/etc/sysctl.conf.dockerhealth-kept").exists()
    assert site.lab.path("/etc/sysctl.conf").read_text() == theirs


async def test_a_container_without_a_policy_is_running_after_dockerd_was_restarted(site: Site) -> None:
    site.lab.sh("docker update --restart=no registry")
    faults.firewalld_started_after_deaf_dockerd(site.lab)
    approved = await planned(site, "restart-docker")
    assert "No restart policy brings back registry" in approved.blast_radius
    applied = await site.carry_out(approved)
    assert applied.outcome is Outcome.FIXED, applied.says
    assert site.lab.sh("docker inspect -f '{{.State.Status}}' registry").strip() == "running"


async def test_systemd_s_start_limit_does_not_keep_dockerd_down(site: Site) -> None:
    site.lab.sh("mkdir -p /etc/systemd/system/docker.service.d")
    site.lab.path("/etc/systemd/system/docker.service.d/zz-limit.conf").write_text(
        "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=2\n"
    )
    site.lab.sh("systemctl daemon-reload; for n in 1 2 3 4; do systemctl restart docker.service; done", check=False)
    faults.dockerd_stopped(site.lab)
    applied = await site.carry_out(await planned(site, "start-docker"))
    assert applied.outcome is Outcome.FIXED, applied.says


async def test_an_installation_that_only_looks_says_which_right_is_missing(site: Site) -> None:
    site.lab.run("rm", "/etc/sudoers.d/dockerhealth-fix")
    faults.forwarding_switched_off(site.lab)
    applied = await site.carry_out(await planned(site, "enable-ip-forward"))
    assert applied.outcome is Outcome.FAILED
    assert "sudo" in applied.says


async def test_a_removed_container_and_a_dead_cable_are_named(site: Site) -> None:
    faults.container_removed(site.lab)
    root = (await site.look()).diagnosis.root
    assert root is not None
    assert root.cause == "container-missing"
    await site.checker.close()
    faults.host_network_down(site.lab)
    root = (await site.look()).diagnosis.root
    assert root is not None
    assert root.cause == "host-unreachable"


async def test_a_service_that_only_docker_proxy_serves_is_healthy_and_at_risk(site: Site) -> None:
    faults.chains_flushed_but_served_by_proxy(site.lab)
    report = await site.look()
    assert report.status is Status.HEALTHY
    assert "chains-missing-but-served" in {finding.cause for finding in report.diagnosis.risks}


async def test_a_stopped_sshd_is_said_beside_the_reading_and_blamed_for_nothing(site: Site) -> None:
    faults.sshd_stopped(site.lab)
    report = await site.look()
    assert report.trouble is not None
    assert (report.status, report.trouble.id) == (Status.UNKNOWN, "ssh-refused")
    assert report.diagnosis.causes == ()


FORBIDDEN = [
    "firewall-cmd --zone=public --add-port=5000/tcp --permanent --add-service=ssh",
    "firewall-cmd --zone=public --add-port=5000/udp",
    "firewall-cmd --zone=public --add-port=1-65535/tcp",
    "firewall-cmd --zone=public --add-port=5000/tcp --reload",
    "firewall-cmd --reload",
    "firewall-cmd '--zone=public --panic-on' --add-port=5000/tcp",
    "firewall-cmd --zone= --add-port=5000/tcp",
    'firewall-cmd "--zone=public\nx" --add-port=5000/tcp',
    'firewall-cmd --zone=public "--add-port=5000\n/tcp"',
    "sysctl-line off /etc/passwd 1",
    "sysctl-line off /etc/sysctl.d/../passwd 1",
    "sysctl-line off /etc/sysctl.d/x/../../shadow.conf 1",
    "sysctl-line off /etc/sysctl.d/link.conf 1",
    "sysctl-line off /etc/sysctl.conf '1s/.*/x/;2'",
    "sysctl-line off /etc/sysctl.conf 1e",
    "sysctl-line off /etc/sysctl.conf 1",
    "sysctl-line on /etc/sysctl.conf 1",
    "sysctl-line off",
    "sh -c id",
    "",
]


def test_the_root_helper_does_nothing_else(lab: Lab, host: LabHost) -> None:
    host.sh("ln -sf /etc/shadow /etc/sysctl.d/link.conf; echo '# nothing here' > /etc/sysctl.conf")
    before = host.sh("sha256sum /etc/passwd /etc/shadow /etc/sysctl.conf; ls /etc/sysctl.d")
    tried = {words: as_the_bot(lab, host, f"sudo -n /usr/local/sbin/dockerhealth-root {words}") for words in FORBIDDEN}
    assert {words: (done.returncode, "refused" in done.stderr) for words, done in tried.items()} == dict.fromkeys(
        FORBIDDEN, (77, True)
    )
    assert host.sh("sha256sum /etc/passwd /etc/shadow /etc/sysctl.conf; ls /etc/sysctl.d") == before


BEYOND = [
    "id",
    "/bin/sh",
    "systemctl restart ssh.service",
    "systemctl restart docker.service ssh.service",
    "install -m 0644 /tmp/mine /etc/sysctl.d/99-zz-dockerhealth.conf",
    "install -m 4755 /usr/local/share/dockerhealth/ip-forward.conf /etc/sysctl.d/99-zz-dockerhealth.conf",
    "sysctl -w kernel.core_pattern=x",
    "sysctl -p /tmp/mine.conf",
    "rm -f /etc/passwd",
    "timeout -k 1 5 /bin/sh",
    "timeout -k 1 5 /usr/bin/cat /etc/shadow",
    "timeout -k 1 5 /usr/sbin/nft -j list chains -f /tmp/mine",
    "-E /usr/bin/systemctl restart docker.service",
    "PATH=/tmp systemctl restart docker.service",
]


def test_sudo_refuses_all_that_is_not_in_the_files(lab: Lab, host: LabHost) -> None:
    tried = {words: as_the_bot(lab, host, f"sudo -n {words}") for words in BEYOND}
    assert {words: (done.returncode != 0, "sudo:" in done.stderr) for words, done in tried.items()} == dict.fromkeys(
        BEYOND, (True, True)
    )


def as_the_bot(lab: Lab, host: LabHost, command: str) -> subprocess.CompletedProcess[str]:
    options = ("-i", str(lab.identity_file), "-o", f"UserKnownHostsFile={lab.known_hosts}", "-o", "BatchMode=yes")
    return run("ssh", *options, f"{lab.user}@{host.address}", command, check=False)


def test_the_sudoers_files_are_valid(host: LabHost) -> None:
    assert "parsed OK" in host.sh("visudo -c")
