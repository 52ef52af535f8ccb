"""Each fix against its real fault, as the unprivileged user with the sudoers files of deploy/, and taken back."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from checks.apply import Event, Order, apply, plan
from checks.check import Checker
from checks.fixes.undo import undo
from checks.model import Applied, Host, Login, Outcome, Plan, Report, Service, Status
from tests.lab import faults
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


@dataclass
class Site:
    """A lab host as the bot knows it."""

    lab: LabHost
    host: Host
    checker: Checker

    async def look(self) -> Report:
        [report] = await self.checker.check(self.host)
        return report

    async def plan(self, fix: str) -> Plan:
        planned = await plan(self.checker, self.host, self.host.services[0], fix)
        assert isinstance(planned, Plan), planned
        return planned

    async def apply(self, approved: Plan) -> Applied:
        return await self._carried_out(approved)

    async def undo(self, done: Plan, applied: Applied) -> None:
        back = undo(done, "run-1", applied)
        assert isinstance(back, Plan), back
        undone = await self._carried_out(back)
        assert undone.outcome is Outcome.UNDONE, undone.says

    async def _carried_out(self, approved: Plan) -> Applied:
        async def tell(_: Event) -> None:
            await asyncio.sleep(0)

        return await apply(self.checker, Order(secrets.token_hex(8), approved, "U0ALICE"), tell)


@pytest.fixture
async def site(lab: Lab, host: LabHost) -> AsyncIterator[Site]:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host("host1", host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        yield Site(host, known, checker)
    finally:
        await checker.close()


async def test_an_unprivileged_user_with_the_sudoers_file_has_every_fact(site: Site) -> None:
    report = await site.look()
    assert report.status is Status.HEALTHY
    assert report.diagnosis.not_told == ()


async def test_forwarding_fixed_and_undone_leaves_the_host_as_it_was(site: Site) -> None:
    faults.forwarding_switched_off(site.lab)
    approved = await site.plan("enable-ip-forward")
    applied = await site.apply(approved)
    assert applied.outcome is Outcome.FIXED, applied.says
    await site.undo(approved, applied)
    assert not site.lab.path("/etc/sysctl.d/99-zz-dockerhealth.conf").exists()
    assert site.lab.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"


async def test_a_line_of_someone_else_s_file_is_commented_out_kept_and_brought_back(site: Site) -> None:
    theirs = "# ours\nnet.ipv4.ip_forward = 0\nkernel.panic = 10\n"
    site.lab.path("/etc/sysctl.conf").write_text(theirs)
    faults.forwarding_switched_off(site.lab)
    approved = await site.plan("enable-ip-forward")
    applied = await site.apply(approved)
    assert applied.outcome is Outcome.FIXED, applied.says
    changed = site.lab.path("/etc/sysctl.conf").read_text()
    assert changed == theirs.replace("net.ipv4.ip", "# dockerhealth switched off: net.ipv4.ip")
    assert site.lab.path("/etc/sysctl.conf.dockerhealth-kept").read_text() == theirs
    await site.undo(approved, applied)
    assert site.lab.path("/etc/sysctl.conf").read_text() == theirs


async def test_a_container_without_a_policy_is_running_after_dockerd_was_restarted(site: Site) -> None:
    site.lab.sh("docker update --restart=no registry")
    faults.firewalld_started_after_deaf_dockerd(site.lab)
    approved = await site.plan("restart-docker")
    assert "No restart policy brings back registry" in approved.blast_radius
    applied = await site.apply(approved)
    assert applied.outcome is Outcome.FIXED, applied.says
    assert site.lab.sh("docker inspect -f '{{.State.Status}}' registry").strip() == "running"


async def test_systemd_s_start_limit_does_not_keep_dockerd_down(site: Site) -> None:
    site.lab.sh("mkdir -p /etc/systemd/system/docker.service.d")
    site.lab.path("/etc/systemd/system/docker.service.d/zz-limit.conf").write_text(
        "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=2\n"
    )
    site.lab.sh("systemctl daemon-reload; for n in 1 2 3 4; do systemctl restart docker.service; done", check=False)
    faults.dockerd_stopped(site.lab)
    applied = await site.apply(await site.plan("start-docker"))
    assert applied.outcome is Outcome.FIXED, applied.says


async def test_a_stopped_container_is_started(site: Site) -> None:
    faults.container_stopped(site.lab)
    applied = await site.apply(await site.plan("start-container"))
    assert applied.outcome is Outcome.FIXED, applied.says


async def test_a_port_opened_and_closed_again_leaves_no_trace_in_the_zone(site: Site) -> None:
    faults.registry_on_host_network_with_firewalld_closed(site.lab)
    ports = "firewall-cmd --zone=public --list-ports; firewall-cmd --permanent --zone=public --list-ports"
    before = site.lab.sh(ports)
    approved = await site.plan("open-firewalld-port")
    applied = await site.apply(approved)
    assert applied.outcome is Outcome.FIXED, applied.says
    assert site.lab.sh(ports) != before
    await site.undo(approved, applied)
    assert site.lab.sh(ports) == before


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
