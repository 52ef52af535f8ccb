"""`doctor` on real hosts: healthy, and with each thing that it looks for taken away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from checks.check import Checker
from checks.commands import ROOT_HELPER
from checks.doctor import HELPER_VERSION, KEY_OPTIONS, Requirement, RequirementState, unreachable
from checks.errors import SshLoginRefusedError
from checks.model import Host, Login
from checks.rights import LOOKS
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

KEYS = "/home/dockerhealth/.ssh/authorized_keys"


async def doctor(lab: Lab, host: LabHost) -> Mapping[str, Requirement]:
    """By a login of its own: what groups a user is in is told to a new one only."""
    known = as_known(lab, host)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        return {one.what: one for one in await checker.doctor(known)}
    finally:
        await checker.close()


def as_known(lab: Lab, host: LabHost) -> Host:
    return Host(
        "host1", host.address, (), Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    )


async def test_all_is_there_on_a_host_with_the_files_of_deploy(lab: Lab, host: LabHost) -> None:
    found = await doctor(lab, host)
    assert {one.what: one.says for one in found.values() if one.state is not RequirementState.THERE} == {}
    assert list(found) == [
        "looks",
        "fixes",
        "helper",
        "tools",
        "watching",
        "docker",
        "journal",
        "receipts",
        "clock",
        "facts",
    ]


@dataclass(frozen=True)
class Taken:
    """Something taken away, how it is given back, and what is found."""

    away: str
    back: str
    what: str
    says: str
    remedy: str
    state: RequirementState = RequirementState.MISSING


SUDOERS = "/etc/sudoers.d/dockerhealth"
TAKEN = (
    Taken(
        f"mkdir /root/away; mv {SUDOERS}-* /root/away",
        "mv /root/away/* /etc/sudoers.d; rmdir /root/away",
        "looks",
        "the session that looks as root is refused",
        "dockerhealth ALL=(root) NOPASSWD: /usr/local/sbin/dockerhealth-root look",
    ),
    Taken(
        f"mv {SUDOERS}-fix /root/away",
        f"mv /root/away {SUDOERS}-fix",
        "fixes",
        "only looks here",
        "",
        RequirementState.NOTE,
    ),
    Taken(
        f"sed -i.away /firewalld/d {SUDOERS}-fix",
        f"mv {SUDOERS}-fix.away {SUDOERS}-fix",
        "fixes",
        "4 of the 9 commands",
        "dockerhealth ALL=(root) NOPASSWD: /usr/bin/timeout -k 5 60 /usr/bin/systemctl enable firewalld.service",
    ),
    Taken(
        f"mv {ROOT_HELPER} /root/away",
        f"mv /root/away {ROOT_HELPER}",
        "helper",
        "is not there",
        f"install -o root -g root -m 0755 deploy/host/dockerhealth-root {ROOT_HELPER}",
    ),
    Taken(
        f"sed -i.away 's/^# Version [0-9a-f]*/# Version 0123456789ab/' {ROOT_HELPER}",
        f"mv {ROOT_HELPER}.away {ROOT_HELPER}",
        "helper",
        f"version 0123456789ab, and this dockerhealth has {HELPER_VERSION}",
        "install -o root",
    ),
    Taken(f"chmod g+w {ROOT_HELPER}", f"chmod g-w {ROOT_HELPER}", "helper", "by others than root", "chmod go-w / /usr"),
    Taken("chmod o+w /usr/local/sbin", "chmod o-w /usr/local/sbin", "helper", "a folder above it", "chmod go-w / /usr"),
    Taken(
        f"chown dockerhealth {ROOT_HELPER}", f"chown root {ROOT_HELPER}", "helper", "becomes root", "chown root:root"
    ),
    Taken(
        "mv /usr/bin/curl /root/away", "mv /root/away /usr/bin/curl", "tools", "not there: curl", "apt-get install curl"
    ),
    Taken(
        "gpasswd -d dockerhealth docker",
        "usermod -aG docker dockerhealth",
        "docker",
        "not in the group docker",
        "usermod --append --groups docker dockerhealth",
    ),
    Taken(
        f"sed -i.away 's/permitopen=[^ ,]*/permitopen=\"127.0.0.1:1\"/' {KEYS}",
        f"mv {KEYS}.away {KEYS}",
        "docker",
        "may use /var/run/docker.sock, but through sshd",
        KEY_OPTIONS,
    ),
    Taken(
        "gpasswd -d dockerhealth systemd-journal",
        "usermod -aG systemd-journal dockerhealth",
        "journal",
        "nobody is named",
        "usermod --append --groups systemd-journal dockerhealth",
    ),
    Taken(
        "install -d -m 0700 -o root /home/dockerhealth/.dockerhealth",
        "rmdir /home/dockerhealth/.dockerhealth",
        "receipts",
        "/home/dockerhealth/.dockerhealth cannot be written",
        "install -d -m 0700 -o dockerhealth -g dockerhealth /home/dockerhealth/.dockerhealth",
    ),
)


async def test_each_thing_taken_away_is_named_with_what_to_add(lab: Lab, host: LabHost) -> None:
    for taken in TAKEN:
        host.sh(taken.away)
        try:
            found = await doctor(lab, host)
        finally:
            host.sh(taken.back)
        one = found[taken.what]
        assert one.state is taken.state, taken
        assert taken.says in one.says, taken
        assert taken.remedy in "\n".join(one.remedy), taken
        assert [
            other.what for other in found.values() if other.state is RequirementState.MISSING and other is not one
        ] == [], taken


async def test_a_host_without_our_sudoers_files_is_told_every_line_of_looks(lab: Lab, host: LabHost) -> None:
    host.sh("rm /etc/sudoers.d/dockerhealth-*")
    found = await doctor(lab, host)
    assert (found["looks"].state, len(found["looks"].remedy)) == (RequirementState.MISSING, 1 + len(LOOKS))
    assert found["fixes"].state is RequirementState.NOTE
    assert "helper" not in found


async def test_a_refused_key_is_told_the_line_to_add(lab: Lab, host: LabHost) -> None:
    host.sh(f"rm {KEYS}")
    with pytest.raises(SshLoginRefusedError) as refused:
        await doctor(lab, host)
    derive, line = unreachable(as_known(lab, host), refused.value)
    assert derive.startswith(f"ssh-keygen -y -f {lab.identity_file}")
    assert line.startswith(f"{KEY_OPTIONS} PUBLIC_KEY")
