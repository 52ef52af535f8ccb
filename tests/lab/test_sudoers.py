"""The files of deploy/host, attacked by who has the key of dockerhealth's user; what they allow, done and undone."""

import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.check import Checker
from checks.collect.ssh import Connection
from checks.model import Host, Login, Service
from checks.rights import FIXES, LOOKS
from tests.lab.attacks import HARMLESS, REFUSED
from tests.lab.command import run
from tests.lab.faults import dockerd_stopped
from tests.lab.faults.firewalld import firewalld_with_iptables_running_port_not_listed_but_dnat_healthy
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.test_read_only import STATE, changed

pytestmark = pytest.mark.lab

HELPER = "sudo -n /usr/local/sbin/dockerhealth-root"
EVIL = "/opt/evil"
FILE = "/etc/sysctl.d/attacked.conf"
LINES = "# ours\nnet.ipv4.conf.host0.rp_filter = 1\nnet.ipv4.conf.docker0.forwarding=0\nkernel.panic = 10\n"

# Programs that the helper runs, in a folder of the attacker's: whoever runs one of them leaves a mark with his number.
# Besides, what root may have put where the helper works: links, folders, and files that somebody else wrote.
TRAPS = f"""
mkdir -p {EVIL}/linked
for name in timeout sysctl firewall-cmd iptables iptables-save systemctl sed grep cat cp mv rm mktemp sync date tr \\
    cmp modprobe tcpdump unshare mount head stat dockerhealth-root; do
    printf '#!/bin/sh\\ntouch {EVIL}/owned-by-$(id -u)\\n' > {EVIL}/$name
done
ln -s {EVIL}/env {EVIL}/linked/dockerhealth-root
printf 'touch {EVIL}/owned-by-$(id -u)\\n' > {EVIL}/env
printf 'add table ip owned\\n' > {EVIL}/rules
printf '[Service]\\nExecStart=/bin/true\\n' > {EVIL}/x.service
: > {EVIL}/x.so
chmod -R a+rx {EVIL}; chown -R dockerhealth {EVIL}
printf '%s' {shlex.quote(LINES)} > {FILE}
ln -sf /etc/shadow /etc/sysctl.d/link.conf
mkdir /etc/sysctl.d/folder.conf /etc/sysctl.d/99-zz-dockerhealth-forwarding-folder.conf
printf 'net.ipv4.ip_forward = 0\\n' > /etc/sysctl.d/.hidden.conf
printf '# not ours\\n' > /etc/sysctl.d/99-zz-dockerhealth-conntrack-max.conf
ln -sf /etc/shadow /etc/sysctl.d/99-zz-dockerhealth-forwarding-link.conf
"""
LAX = f'Defaults setenv, requiretty, !env_reset, env_keep += "LD_PRELOAD FOO", secure_path={EVIL}:/usr/bin\n'
OWNED = f"ls {EVIL} | grep owned; ls -d /tmp/sh /etc/x 2>/dev/null; true"


ATTEMPT = f"""
export ROOT='{HELPER}' EVIL={EVIL} FILE={FILE}
cd {EVIL} 2>/dev/null || cd
trap 'rm /dev/shm/said' EXIT
attempt() {{
    timeout 30 sh -c "$2" </dev/null >/dev/shm/said 2>&1
    printf '\\n@@ %s %s\\n' "$1" "$?"
    head -c 400 /dev/shm/said
}}
"""
STATE_BUT_TIMES = STATE.replace(" %T@", "")


@dataclass(frozen=True)
class Tried:
    status: int
    said: str


def connect(lab: Lab, host: LabHost, *options: str, command: str, script: str = "") -> subprocess.CompletedProcess[str]:
    key = ("-i", str(lab.identity_file), "-o", f"UserKnownHostsFile={lab.known_hosts}", "-o", "BatchMode=yes")
    return run("ssh", *key, *options, f"{lab.user}@{host.address}", command, check=False, stdin=script, timeout=150)


def attempt(lab: Lab, host: LabHost, tries: Iterable[str]) -> Mapping[str, Tried]:
    """Make many tries over one connection, each in a shell of its own."""
    known = list(tries)
    script = ATTEMPT + "".join(f"attempt {number} {shlex.quote(line)}\n" for number, line in enumerate(known))
    found: dict[str, Tried] = {}
    for part in connect(lab, host, command="sh", script=script).stdout.split("\n@@ ")[1:]:
        first, _, said = part.partition("\n")
        number, status = map(int, first.split())
        found[known[number]] = Tried(status, said)
    assert list(found) == known, "not every try was made"
    return found


def attempt_one(lab: Lab, host: LabHost, line: str) -> int:
    return connect(lab, host, command=line).returncode


def is_refused(tried: Tried) -> bool:
    """By sudo, in one of its ways, or by the helper."""
    by_sudo = tried.status == 1 and any(word in tried.said for word in ("sudo: ", "sudoedit: ", "usage: sudo"))
    by_shell = tried.status in {126, 127} and "Argument list too long" in tried.said
    by_helper = tried.status == 77 and "dockerhealth-root: refused: " in tried.said
    return by_sudo or by_helper or by_shell


@pytest.fixture
def trapped(host: LabHost) -> LabHost:
    """A host with firewalld up, so that a change of its zones would take, and with traps where the helper works."""
    firewalld_with_iptables_running_port_not_listed_but_dnat_healthy(host)
    host.sh(TRAPS)
    return host


def state(host: LabHost) -> str:
    """All of a host that stays as it is, but for units that systemd only heard of, and copies that firewalld keeps."""
    return host.sh(f"({STATE_BUT_TIMES}) | grep -v -e ' inactive dead$' -e '[.]xml[.]old'")


def differences(before: str, after: str) -> str:
    return "\n".join(changed(before, after))


def test_more_than_the_files_allow_is_refused_and_changes_nothing(lab: Lab, trapped: LabHost) -> None:
    before = state(trapped)
    refused = attempt(lab, trapped, (line for lines in REFUSED.values() for line in lines))
    assert {line: one for line, one in refused.items() if not is_refused(one)} == {}
    assert differences(before, state(trapped)) == ""
    disguised = attempt(lab, trapped, (line for lines in HARMLESS.values() for line in lines))
    assert {line: one for line, one in disguised.items() if "uid=0" in one.said or "ld.so" in one.said} == {}
    assert differences(before, state(trapped)) == ""
    assert trapped.sh(OWNED) == ""


def test_lax_defaults_of_the_host_open_nothing(lab: Lab, host: LabHost) -> None:
    host.sh(TRAPS)
    host.path("/etc/sudoers.d/00-site").write_text(LAX)
    host.sh("chmod 0440 /etc/sudoers.d/00-site; visudo -c")
    look = "/usr/local/sbin/dockerhealth-root look"
    tries = (f"sudo -n {look}", f"sudo -n -E {look}", f"sudo -n FOO=1 {look}", f"LD_PRELOAD={EVIL}/x.so sudo -n {look}")
    tried = list(attempt(lab, host, tries).values())
    assert [is_refused(one) for one in tried] == [False, True, True, False]
    assert not any("ld.so" in one.said for one in tried)
    assert host.sh(OWNED) == ""


def test_a_link_that_is_there_already_is_put_aside_and_not_followed(lab: Lab, host: LabHost) -> None:
    link, shadow = "/etc/sysctl.d/99-zz-dockerhealth-ip-forward.conf", host.sh("sha256sum /etc/shadow")
    host.sh(f"ln -s /etc/shadow {link}")
    write, remove = (
        f"{HELPER} sysctl-file write net/ipv4/ip_forward=1 --by=slack:U012 --run=r1",
        f"{HELPER} sysctl-file remove net/ipv4/ip_forward",
    )
    assert attempt_one(lab, host, write) == 0
    assert host.sh(f"stat -c %F {link}").strip() == "regular file"
    assert attempt_one(lab, host, remove) == 0
    assert host.sh(f"readlink {link}; ls /etc/sysctl.d/*kept; true").split() == ["/etc/shadow"]
    assert host.sh("sha256sum /etc/shadow") == shadow
    host.sh(f"rm {link}")


def test_a_file_says_who_approved_it_and_why_and_goes_without_a_trace(lab: Lab, host: LabHost) -> None:
    before = state(host)
    assert (
        attempt_one(
            lab, host, f"{HELPER} sysctl-file write net/ipv4/conf/host0.5/forwarding=1 --by=slack:U012 --run=r-1"
        )
        == 0
    )
    file = host.path("/etc/sysctl.d/99-zz-dockerhealth-forwarding-host0.5.conf")
    first, why, back, setting = file.read_text().splitlines()
    assert first.startswith("# Written by dockerhealth, 20")
    assert first.endswith("Z. Approved by slack:U012; run r-1.")
    assert why.startswith("# Why: packets to published ports")
    assert setting == "net/ipv4/conf/host0.5/forwarding = 1"
    assert file.stat().st_mode & 0o777 == 0o644
    assert attempt_one(lab, host, back.partition(": ")[2].replace("sudo", "sudo -n")) == 0
    assert differences(before, state(host)) == ""


@pytest.fixture
def file(host: LabHost) -> Iterator[Path]:
    """Somebody's file, two lines of which a fix may switch off."""
    path = host.path(FILE)
    path.write_text(LINES)
    yield path
    host.sh(f"rm {FILE}*")


def test_of_two_lines_switched_off_the_file_from_before_both_is_kept(lab: Lab, host: LabHost, file: Path) -> None:
    host.sh(f"chown root:adm {FILE}; chmod 0640 {FILE}")
    kept = Path(f"{file}.dockerhealth-kept")
    for number in (2, 3):
        assert attempt_one(lab, host, f"{HELPER} sysctl-line off {FILE} {number}") == 0
    off = "# dockerhealth switched off: net.ipv4"
    assert file.read_text() == LINES.replace("\nnet.ipv4", f"\n{off}")
    assert kept.read_text() == LINES
    assert attempt_one(lab, host, f"{HELPER} sysctl-line on {FILE} 2") == 0
    assert kept.read_text() == LINES
    assert attempt_one(lab, host, f"{HELPER} sysctl-line on {FILE} 3") == 0
    assert file.read_text() == LINES
    assert not kept.exists()
    assert host.sh(f"stat -c '%U:%G %a' {FILE}").strip() == "root:adm 640"


def test_a_copy_that_differs_from_the_file_stays(lab: Lab, host: LabHost, file: Path) -> None:
    assert attempt_one(lab, host, f"{HELPER} sysctl-line off {FILE} 2") == 0
    file.write_text(file.read_text().replace("panic = 10", "panic = 20"))
    assert attempt_one(lab, host, f"{HELPER} sysctl-line on {FILE} 2") == 0
    assert Path(f"{file}.dockerhealth-kept").read_text() == LINES
    assert attempt_one(lab, host, f"{HELPER} sysctl-line off {FILE} 3") == 0
    assert "panic = 20" in Path(f"{file}.dockerhealth-kept").read_text()


PAIRS = (
    ("firewall-cmd --zone=public --add-port=5000/tcp", "firewall-cmd --zone=public --remove-port=5000/tcp"),
    (
        "firewall-cmd --zone=public --add-port=5000/tcp --permanent",
        "firewall-cmd --zone=public --remove-port=5000/tcp --permanent",
    ),
    (
        "firewall-cmd --zone=public --change-interface=br-0123456789ab",
        "firewall-cmd --zone=public --remove-interface=br-0123456789ab",
    ),
    (
        "firewall-cmd --zone=public --change-interface=docker0 --permanent",
        "firewall-cmd --zone=public --remove-interface=docker0 --permanent",
    ),
    ("sysctl-set net/ipv4/conf/docker0/forwarding=0", "sysctl-set net/ipv4/conf/docker0/forwarding=1"),
    ("sysctl-set net/ipv4/conf/docker0/rp_filter=1", "sysctl-set net/ipv4/conf/docker0/rp_filter={rp_filter}"),
    ("docker-user insert 65535 10.77.0.0/24", "docker-user delete 65535 10.77.0.0/24"),
    ("docker-user insert 1 192.0.2.1", "docker-user delete 1 192.0.2.1"),
    (
        "sysctl-file write net/netfilter/nf_conntrack_max=524288 --by=terminal:olga --run=r2",
        "sysctl-file remove net/netfilter/nf_conntrack_max",
    ),
)
EFFECTS = """
iptables-save | grep -v '^[#:]'; cat /etc/firewalld/zones/*.xml; ls /etc/sysctl.d
grep . /proc/sys/net/ipv4/conf/docker0/*
"""


def test_each_command_of_the_helper_does_what_it_says_and_its_opposite_takes_it_back(lab: Lab, host: LabHost) -> None:
    firewalld_with_iptables_running_port_not_listed_but_dnat_healthy(host)
    host.sh("firewall-cmd --permanent --zone=public --add-port=1/tcp")  # which makes the zone's file below /etc
    rp_filter = host.sh("cat /proc/sys/net/ipv4/conf/docker0/rp_filter").strip()
    whole, last = state(host), host.sh(EFFECTS)
    for do, _ in PAIRS:
        assert attempt_one(lab, host, f"{HELPER} {do}") == 0, do
        now = host.sh(EFFECTS)
        assert now != last, do
        last = now
    undo = [f"{HELPER} {undo.format(rp_filter=rp_filter)}" for _, undo in reversed(PAIRS)]
    assert {line: one.status for line, one in attempt(lab, host, undo).items()} == dict.fromkeys(undo, 0)
    assert differences(whole, state(host)) == ""


def test_a_rule_is_inserted_once_and_deleting_none_is_no_failure(lab: Lab, host: LabHost) -> None:
    rule = "5000 10.77.0.0/24"
    statuses = [
        attempt_one(lab, host, f"{HELPER} docker-user {do} {rule}") for do in ("insert", "insert", "delete", "delete")
    ]
    assert statuses == [0, 77, 0, 0]


def test_a_value_that_the_kernel_does_not_take_is_a_failure(lab: Lab, host: LabHost) -> None:
    assert attempt_one(lab, host, f"{HELPER} sysctl-set net/ipv4/conf/nowhere/forwarding=1") not in {0, 77}


def test_every_line_of_the_files_is_a_command_that_the_user_may_run(lab: Lab, host: LabHost) -> None:
    listed = attempt(lab, host, (f"sudo -n -l {shlex.join(words)}" for words in (*LOOKS, *FIXES)))
    assert [line for line, one in listed.items() if one.status != 0] == []
    looks = attempt(lab, host, (f"sudo -n {shlex.join(words)}" for words in LOOKS))
    assert [line for line, one in looks.items() if "sudo: " in one.said] == []


def test_the_units_are_stopped_and_started_by_the_exact_lines(lab: Lab, host: LabHost) -> None:
    words = [shlex.join(words) for words in FIXES if "systemctl" in words[4:5] or "/usr/bin/systemctl" in words]
    order = (
        "enable fire",
        "start fire",
        "stop fire",
        "disable fire",
        "stop docker",
        "reset-failed",
        " start docker",
        "restart",
    )
    for step in order:
        [line] = [one for one in words if step in one]
        assert attempt_one(lab, host, f"sudo -n {line}") == 0, line
    assert host.sh("systemctl is-active docker firewalld; systemctl is-enabled firewalld", check=False).split() == [
        *("active", "inactive", "disabled")
    ]


async def test_the_key_opens_the_docker_socket_and_no_other_way(lab: Lab, host: LabHost) -> None:
    refused = {
        "a TCP port": ("-W", "127.0.0.1:5000"),
        "sshd itself": ("-W", "127.0.0.1:22"),
        "a port to listen at": ("-o", "ExitOnForwardFailure=yes", "-N", "-R", "9999:127.0.0.1:1"),
        "a privileged port to listen at": ("-o", "ExitOnForwardFailure=yes", "-N", "-R", "127.0.0.1:1:127.0.0.1:1"),
        "a terminal": ("-tt",),
        "a tunnel": ("-o", "ExitOnForwardFailure=yes", "-N", "-w", "any"),
    }
    assert {what: connect(lab, host, *options, command="true").returncode for what, options in refused.items()} == (
        dict.fromkeys(refused, 255)
    )
    said = connect(lab, host, "-A", "-X", command="echo agent=$SSH_AUTH_SOCK display=$DISPLAY").stdout
    assert said.split() == ["agent=", "display="]
    assert await opened(lab, host, "/var/run/docker.sock")
    assert not await opened(lab, host, "/run/dbus/system_bus_socket")


async def opened(lab: Lab, host: LabHost, socket: str) -> bool:
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    connection = Connection(Host("host1", host.address, (), login))
    try:
        return await connection.why_no_socket(socket) == ""
    finally:
        await connection.close()


async def test_a_host_without_the_file_for_fixes_is_looked_at_and_its_plans_are_left_to_a_person(
    lab: Lab, host: LabHost
) -> None:
    host.run("rm", "/etc/sudoers.d/dockerhealth-fix")
    dockerd_stopped(host)
    login = Login(lab.user, identity_file=lab.identity_file, known_hosts=lab.known_hosts)
    service = Service("registry", f"http://{host.address}:5000/v2/", container="registry")
    known = Host("host1", host.address, (service,), login)
    checker = Checker([known], clock=lambda: datetime.now(UTC))
    try:
        [report] = await checker.check(known)
    finally:
        await checker.close()
    [by_hand] = [plan.by_hand for plan in report.plans if plan.fix == "start-docker"]
    assert "may only look on host1" in by_hand
    assert "reset-failed docker.service` and 2 more" in by_hand


def test_the_sudoers_files_are_valid(host: LabHost) -> None:
    said = host.sh("visudo -c -s 2>&1")
    assert "/etc/sudoers.d/dockerhealth-look: parsed OK" in said
    assert "/etc/sudoers.d/dockerhealth-fix: parsed OK" in said
