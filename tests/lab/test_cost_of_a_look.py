"""What a look costs the host: the processes and threads that it starts, which can be counted where time is noisy."""

from datetime import UTC, datetime

import pytest

from checks.check import Checker
from checks.model import Host, Login, Service, Status
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.test_read_only import looked_at

pytestmark = pytest.mark.lab

LOOKS = 6
MOST = 220
"""Some more than the 200 to 211 of a healthy host, which depend on what its journal has. dockerd's are among them."""


async def test_a_healthy_look_starts_few_processes_because_they_are_what_it_takes_time_for(
    lab: Lab, host: LabHost
) -> None:
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    known = Host("host1", host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        assert await looked_at(checker, known, 1) == {Status.HEALTHY}  # the login, and what is cached for later
        started = []
        for _ in range(LOOKS):
            before = last_started(host)
            assert await looked_at(checker, known, 1) == {Status.HEALTHY}
            started.append(last_started(host) - before)
    finally:
        await checker.close()
    whole = [count for count in started if count > 0]  # the numbers begin anew at kernel.pid_max
    assert min(whole) <= MOST  # others start some too, now and then


def last_started(host: LabHost) -> int:
    """The number of the newest process or thread of the host, which count up."""
    return int(host.sh("cat /proc/sys/kernel/ns_last_pid"))
