"""Each fix against its real fault, as the unprivileged user with the sudoers files of deploy/, and taken back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from checks.commands import typed
from checks.execution.undo import undo
from checks.model import FixId, Outcome, Plan, Status
from tests.lab import faults
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
    assert {case.fix for case in CASES} == set(FixId)
    core = [case for case in CASES if case.core]
    assert len({case.fix for case in core}) == len(core) == len(FixId)
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
    assert report.unavailable == ()
    assert [one.cause for one in report.diagnosis.not_told] == ["mtu-black-hole"]  # a healthy answer is a small one


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


async def test_an_installation_that_only_looks_leaves_the_commands_to_a_person(site: Site) -> None:
    site.lab.run("rm", "/etc/sudoers.d/dockerhealth-fix")
    faults.forwarding_switched_off(site.lab)
    plan = await planned(site, "enable-ip-forward")
    assert "may only look" in plan.by_hand
    applied = await site.carry_out(plan)  # nobody can approve it; if somebody could, it would change nothing
    assert applied.outcome is Outcome.FAILED
    assert "sudo" in applied.says
    for step in plan.steps:
        site.lab.sh(typed(step).replace("sudo ", ""))
    assert site.lab.outside() == "200"


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
