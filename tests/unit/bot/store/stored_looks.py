"""Looks of which an earlier release wrote reports to its store: see test_typed_looks.py."""

import json
from dataclasses import replace
from datetime import timedelta

from checks.baseline import baseline
from checks.look import Before, Look
from checks.model import Baseline, Trouble
from tests import looks, recordings
from tests.histories import NOW, at, journal, look, record, restart, sudo, unit

BOOKWORM = "debian12-docker20.10.24"
SILENT = Trouble("ssh-timed-out", "host1: no answer to the SSH connection within 5 s")
_POLKIT = (
    "Operator of unix-session:2 successfully authenticated as unix-user:root to gain ONE-SHOT authorization for action "
    "org.freedesktop.systemd1.manage-units for system-bus-name::1.75 [systemctl reload ufw] (owned by unix-user:ann)"
)

_STARTED_THEN = "2026-11-24T16:29:56.518988733Z"
_ID_THEN = "dcb336117ca5fe76799547f919bec8782553236daae5cbb116f85d81f989a610"
_HEARD = '"Firewalld: interface br-0f81c2d3e4a5 already part of docker zone"'


def container_then() -> dict[str, str]:
    """The container of the recording that there was of this host when that release looked; it was recorded anew."""
    recorded = recordings.outputs(recordings.FOLDER / BOOKWORM / "ip-forward-off.json")["engine-containers"].stdout
    (container,) = json.loads(recorded)
    text = recorded.replace(container["Id"], _ID_THEN).replace(container["State"]["StartedAt"], _STARTED_THEN)
    return {"engine-containers": text}


def good(clock: str, days: float = 0) -> Baseline:
    """The last good look, so many days before that time."""
    well = baseline(looks.look(BOOKWORM, "healthy", looks.ANSWERED))
    assert well is not None
    few = {name: value for name, value in well.values.items() if "/etc/" not in name or "default/docker" in name}
    return Baseline(at(clock) - timedelta(days=days), few)


def told_by_all() -> Look:
    """One fault, moments after somebody asked for what broke it."""
    records = (
        record("14:02:50", "Accepted publickey for ops from 10.0.0.5 port 50 ssh2", SYSLOG_IDENTIFIER="sshd"),
        *(sudo(f"14:03:{second}", "nagios", f"/usr/lib/check_raid -p {second}00") for second in (11, 12)),
        *(sudo(f"14:03:{second}", "nagios", "/usr/lib/check_disk") for second in (11, 12, 13)),
        sudo("14:03:13", "webpanel", "/bin/systemctl restart network", "webpanel.service"),
        *restart("14:03:14", "network.service"),
        record("14:03:15", _POLKIT, SYSLOG_IDENTIFIER="polkitd"),
        record("14:03:16", "Invoked with name=net.ipv4.ip_forward value=0", SYSLOG_IDENTIFIER="ansible-sysctl"),
        record("14:03:17", f"level=info msg={_HEARD}", SYSLOG_IDENTIFIER="dockerd"),
        record("14:03:18", "Out of memory: Killed process 1234 (registry)", SYSLOG_IDENTIFIER="kernel"),
    )
    outputs = {
        **container_then(),
        "config-files": f"{int(at('14:03:12').timestamp())} root /etc/docker/daemon.json\nend\n",
        "packages": "zone +0200\n"
        "dpkg 2026-11-24 16:03:11 upgrade docker.io:amd64 20.10 26.1\n"
        "dpkg 2026-11-24 16:03:12 install firewalld:all <none> 1.3\n"
        "dpkg 2026-11-24 16:03:13 remove ufw:all 0.36 <none>\n"
        "dpkg 2026-11-24 16:03:14 purge nftables:amd64 1.0 <none>\n"
        f"rpm {int(at('14:03:15').timestamp())} iptables 1.4-35\nend\n",
    }
    seen = look(journal(*records), good=good("14:03:10"), outputs=outputs)
    return replace(seen, before=Before(good("14:03:10"), at("14:03:12"), at("14:03:16")))


def told_by_coincidence() -> Look:
    """A day before: a journal that was too long, a clock that is off, and nobody who is known to have asked."""
    off = timedelta(minutes=10)
    records = (
        sudo("14:13:12", "ops", "/bin/true"),
        *restart("14:13:14", "network.service"),
        unit("14:13:16", "Stopped", "firewalld.service"),
    )
    cut = journal(*records).replace("ended 0\n", "ended 124\n")
    return look(cut, clock=NOW + off, good=good("14:03:10"), outputs=container_then())


def told_after_days() -> Look:
    """Without a journal, two days after the last good look, at which another file was there."""
    hosts_written = f"{int(at('14:03:12').timestamp())} root /etc/hosts\nend\n"
    outputs = {**container_then(), "config-files": hosts_written}
    return look(None, good=good("14:03:10", days=2), outputs=outputs)


def told_of_a_container() -> Look:
    """A container that ended, and Docker's rules with it."""
    seen = looks.look(BOOKWORM, "container-stopped", looks.REFUSED)
    assert seen.facts is not None
    return replace(seen, before=Before(replace(good("14:03:10"), at=seen.facts.at - timedelta(days=3))))


def blind() -> Look:
    """A host that could not be looked at."""
    return looks.blind(looks.TIMED_OUT, SILENT)


TOLD = {made.__name__: made for made in (told_by_all, told_by_coincidence, told_after_days, told_of_a_container)}
