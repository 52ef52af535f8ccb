"""Looking changes nothing: the whole host compared before and after a hundred checks, healthy and broken."""

import difflib
from datetime import UTC, datetime

import pytest

from checks.check import Checker
from checks.model import Host, Login, Service, Status
from tests.lab.faults import forwarding_switched_off
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400, func_only=True)]

CHECKS = 100

# Left out: what the host writes by itself while nobody looks (the journal, Docker's and systemd's own state), what
# every login writes, the time of /dev/shm itself, in which the gather script has its folder while it runs, and the room
# for connections, which is one for all hosts: one of another lab may change it meanwhile.
STATE = r"""
echo '# rules'; iptables-save | sed -e '/^#/d' -e 's/\[[0-9:]*\]//'; nft --stateless list ruleset
echo '# tables that are loaded'; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null
ls /sys/module | sort
echo '# sysctls'
sysctl -a 2>/dev/null | grep -E '^(net|kernel|vm)\.' |
    grep -vE 'nf_conntrack_(count|max)|random\.|ns_last_pid|stable_secret|pty\.nr|fastopen_key|perf_event|sched'
echo '# network'; ip -brief address; ip route; ip rule
echo '# files'
find /etc /usr/local /home /root /srv /opt /boot /var/spool /var/cache /var/lib /dev/shm /tmp -xdev \
    -path /var/lib/docker -prune -o -path /var/lib/containerd -prune -o -path /var/lib/systemd -prune -o \
    -path '/tmp/systemd-private-*' -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
find /etc /usr/local /home /root /var/spool /dev/shm/ -xdev -mindepth 1 -printf '%p %m %u %g %s %T@\n' | sort
echo '# units'
systemctl list-units --all --no-legend --plain -t service,socket,timer |
    awk '{print $1, $3, $4}' | grep -vE '^(session|user)'
systemctl list-unit-files --no-legend | sort
echo '# containers'
docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'
docker network ls --no-trunc; docker volume ls; docker images --no-trunc --quiet
echo '# processes'; pgrep -x dockerd; pgrep -x containerd
true
"""


async def test_a_hundred_checks_leave_the_host_as_it_was(lab: Lab, host: LabHost) -> None:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host("host1", host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        assert await looked_at(checker, known, 1) == {Status.HEALTHY}
        healthy = host.sh(STATE)
        assert await looked_at(checker, known, CHECKS // 2) == {Status.HEALTHY}
        assert changed(healthy, host.sh(STATE)) == []
        forwarding_switched_off(host)
        broken = host.sh(STATE)
        assert changed(healthy, broken)
        assert await looked_at(checker, known, CHECKS // 2) == {Status.UNHEALTHY}
        assert changed(broken, host.sh(STATE)) == []
    finally:
        await checker.close()


async def test_a_look_starts_no_dockerd_that_waits_for_its_socket(lab: Lab, host: LabHost) -> None:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host("host1", host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    states = "systemctl is-active docker.socket docker.service || true"
    try:
        assert await looked_at(checker, known, 1) == {Status.HEALTHY}  # by which the Engine has been asked before
        host.sh("systemctl stop docker.service")
        assert await looked_at(checker, known, 2) == {Status.UNHEALTHY}
        assert host.sh(states).split() == ["active", "inactive"]
    finally:
        await checker.close()


async def test_a_look_writes_one_line_of_sudo_to_the_journal_healthy_or_broken(lab: Lab, host: LabHost) -> None:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host("host1", host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        before = lines_of_sudo(host)
        assert await looked_at(checker, known, 3) == {Status.HEALTHY}
        assert lines_of_sudo(host) - before == 3
        forwarding_switched_off(host)
        assert await looked_at(checker, known, 3) == {Status.UNHEALTHY}
        assert lines_of_sudo(host) - before == 6
    finally:
        await checker.close()


def lines_of_sudo(host: LabHost) -> int:
    """How many commands sudo has run for anybody, by the journal."""
    host.sh("journalctl --sync")
    return int(host.sh("journalctl -q -o cat -t sudo | grep -c COMMAND= || true"))


async def looked_at(checker: Checker, host: Host, times: int) -> set[Status]:
    """Check that often, one after the other; how it was each time."""
    reports = [await checker.check(host) for _ in range(times)]
    return {report.status for [report] in reports}


def changed(before: str, after: str) -> list[str]:
    """The lines that differ, as of a diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0)
    return list(lines)[:40]
