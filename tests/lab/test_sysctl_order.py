"""Which sysctl file wins: the simulation against systemd-sysctl and procps themselves, on tricky sets of files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from checks.facts.sysctl_files import SYSCTL_FILES, SysctlFiles, SysctlLine
from checks.facts.sysctl_order import IP_FORWARD, SWAPPED, interface_key
from checks.model import Output
from checks.source import Probe
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

ON, OFF = "net.ipv4.ip_forward = 1\n", "net.ipv4.ip_forward = 0\n"
ALL_ON, ALL_OFF = "net.ipv4.conf.all.forwarding = 1\n", "net.ipv4.conf.all.forwarding = 0\n"
NIC_ON, NIC_OFF = "net.ipv4.conf.host0.forwarding = 1\n", "net.ipv4.conf.host0.forwarding = 0\n"
GLOB_ON, GLOB_OFF = "net.ipv4.conf.*.forwarding = 1\n", "net.ipv4.conf.*.forwarding = 0\n"
ETC, RUN, LOCAL, VENDOR = "/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"
SYSCTL_CONF = "/etc/sysctl.conf"
LINK = "-> "

CASES: Mapping[str, Mapping[str, str]] = {
    "no file speaks of it": {f"{ETC}/10-a.conf": "vm.swappiness = 60\n"},
    "the name that sorts last": {f"{ETC}/10-a.conf": OFF, f"{VENDOR}/90-b.conf": ON},
    "a capital sorts before a small letter": {f"{ETC}/50-a.conf": ON, f"{ETC}/50-Z.conf": OFF},
    "etc hides usr": {f"{ETC}/90-b.conf": ON, f"{VENDOR}/90-b.conf": OFF},
    "etc hides run": {f"{ETC}/90-b.conf": ON, f"{RUN}/90-b.conf": OFF},
    "run hides usr/local": {f"{RUN}/90-b.conf": ON, f"{LOCAL}/90-b.conf": OFF},
    "usr/local hides usr": {f"{LOCAL}/90-b.conf": ON, f"{VENDOR}/90-b.conf": OFF},
    "an empty file masks": {f"{ETC}/90-b.conf": "", f"{VENDOR}/90-b.conf": OFF, f"{ETC}/10-a.conf": ON},
    "a link to /dev/null masks": {
        f"{ETC}/90-b.conf": f"{LINK}/dev/null",
        f"{VENDOR}/90-b.conf": OFF,
        f"{ETC}/10-a.conf": ON,
    },
    "a link to nowhere masks": {
        f"{ETC}/90-b.conf": f"{LINK}../gone",
        f"{VENDOR}/90-b.conf": OFF,
        f"{ETC}/10-a.conf": ON,
    },
    "another suffix is no file": {f"{ETC}/90-b.conf.dpkg-old": OFF, f"{ETC}/10-a.conf": ON},
    "sysctl.conf against a late name": {f"{ETC}/99-zz.conf": ON, SYSCTL_CONF: OFF},
    "sysctl.conf against no link": {f"{ETC}/10-a.conf": ON, SYSCTL_CONF: OFF, f"{ETC}/99-sysctl.conf": ""},
    "sysctl.conf through its link": {
        f"{ETC}/99-sysctl.conf": f"{LINK}../sysctl.conf",
        SYSCTL_CONF: OFF,
        f"{ETC}/99-zz.conf": ON,
        f"{ETC}/99-a.conf": ON,
    },
    "a link to a file elsewhere": {"/etc/hardening": OFF, f"{ETC}/95-c.conf": f"{LINK}/etc/hardening", SYSCTL_CONF: ""},
    "the last line of a file": {f"{ETC}/10-a.conf": f"# {ON}; {ON}{ON}\n\t{OFF}"},
    "the alias afterwards": {f"{ETC}/10-a.conf": ON, f"{ETC}/20-b.conf": ALL_OFF},
    "the alias before": {f"{ETC}/10-a.conf": ALL_OFF, f"{ETC}/20-b.conf": ON},
    "a repeated line and an alias between": {
        f"{ETC}/10-a.conf": ON,
        f"{ETC}/20-b.conf": ALL_OFF,
        f"{ETC}/30-c.conf": ON,
    },
    "the interface, then the host": {f"{ETC}/10-a.conf": NIC_OFF + ON},
    "the host, then the interface": {f"{ETC}/10-a.conf": ON + NIC_OFF},
    "the interface on, then the host off": {f"{ETC}/10-a.conf": NIC_ON + OFF},
    "the host off, then the interface on": {f"{ETC}/10-a.conf": OFF + NIC_ON},
    "on and off again": {f"{ETC}/10-a.conf": NIC_OFF + ALL_ON + OFF + ALL_ON},
    "a glob for all": {f"{ETC}/10-a.conf": ON, f"{ETC}/20-b.conf": GLOB_OFF},
    "a glob, then the host": {f"{ETC}/10-a.conf": GLOB_OFF, f"{ETC}/20-b.conf": ON},
    "a glob and one of its own": {f"{ETC}/10-a.conf": NIC_ON, f"{ETC}/20-b.conf": ON + GLOB_OFF},
    "a glob and the alias of its own": {f"{ETC}/10-a.conf": ALL_ON + GLOB_OFF},
    "two globs": {f"{ETC}/10-a.conf": GLOB_ON + "net.ipv4.conf.ho*.forwarding = 0\n"},
    "a glob with an exclusion": {f"{ETC}/10-a.conf": ON + GLOB_OFF + "-net.ipv4.conf.host0.forwarding\n"},
    "an exclusion that is a glob": {f"{ETC}/10-a.conf": ON + GLOB_OFF + "-net.ipv4.conf.h*.forwarding\n"},
    "an exclusion after the line itself": {f"{ETC}/10-a.conf": ON + NIC_OFF + "-net.ipv4.conf.host0.forwarding\n"},
    "the line itself after an exclusion": {f"{ETC}/10-a.conf": ON + "-net.ipv4.conf.host0.forwarding\n" + NIC_OFF},
    "a glob of ip_forward": {f"{ETC}/10-a.conf": "net.ipv4.ip_for[w]ard = 1\n"},
    "a dash that forgives": {f"{ETC}/10-a.conf": f"-{ON}", f"{ETC}/20-b.conf": "-net.ipv4.conf.gone0.forwarding = 0\n"},
    "slashes": {f"{ETC}/10-a.conf": ON + "net/ipv4/conf/lab.5/forwarding=0\n  net/ipv4/conf/host0/forwarding = 0\n"},
    "dots with a dotted name": {f"{ETC}/10-a.conf": ON + "net.ipv4.conf.lab/5.forwarding = 0\n"},
    "a comment behind the value": {f"{ETC}/10-a.conf": ON.strip() + " # by hand\n"},
    "other numbers": {f"{ETC}/10-a.conf": "net.ipv4.ip_forward = 0x1\nnet.ipv4.conf.host0.forwarding = 2\n"},
    "a value that the kernel refuses": {f"{ETC}/10-a.conf": ON, f"{ETC}/20-b.conf": "net.ipv4.ip_forward = yes\n"},
    "an empty value": {f"{ETC}/10-a.conf": ON, f"{ETC}/20-b.conf": "net.ipv4.ip_forward =\n"},
    "no assignment at all": {f"{ETC}/10-a.conf": f"{ON}net.ipv4.ip_forward 0\nnet.ipv4.ip_forward\n"},
    "default off behind the host's switch": {
        f"{ETC}/10-a.conf": ON,
        f"{ETC}/20-b.conf": "net.ipv4.conf.default.forwarding = 0\n",
    },
    "default off, but on for Docker's bridge": {
        f"{ETC}/10-a.conf": "net.ipv4.conf.docker9.forwarding = 1\n" + ON + "net.ipv4.conf.default.forwarding = 0\n",
    },
    "rp_filter of all and default": {
        f"{ETC}/10-a.conf": "net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.default.rp_filter = 2\n",
    },
    "rp_filter of one, then default": {
        f"{ETC}/10-a.conf": "net.ipv4.conf.lab0.rp_filter = 1\nnet.ipv4.conf.host0.rp_filter = 1\n",
        f"{ETC}/20-b.conf": "net.ipv4.conf.default.rp_filter = 2\n",
    },
    "rp_filter as systemd ships it": {
        f"{VENDOR}/50-x.conf": "net.ipv4.conf.default.rp_filter = 2\nnet.ipv4.conf.*.rp_filter = 2\n"
        "-net.ipv4.conf.all.rp_filter\n",
        f"{ETC}/60-y.conf": "net.ipv4.conf.host0.rp_filter = 1\n",
    },
}

FORWARDING = [IP_FORWARD, *(interface_key(name, "forwarding") for name in ("all", "default", "host0", "lab0", "lab.5"))]
BOOT_KEYS = (
    *FORWARDING,
    interface_key("docker9", "forwarding"),
    *(interface_key(name, "rp_filter") for name in ("all", "default", "docker9")),
)
LIVE_KEYS = (*FORWARDING, *(interface_key(name, "rp_filter") for name in ("all", "default", "host0")))

RESET = """
for name in docker9 lab0 lab.5; do ip link delete $name 2>/dev/null; done
cd /proc/sys/net/ipv4
for name in conf/*/rp_filter; do echo 0 >$name; done
echo 1 >ip_forward; echo 0 >ip_forward
ip link add lab0 type bridge; ip link add lab.5 type bridge
"""
SWITCH_ON = "echo 1 >/proc/sys/net/ipv4/ip_forward"
# The last two lines are what udev does when a container's bridge appears (99-systemd.rules).
BOOT = """
systemctl reset-failed systemd-sysctl.service
systemctl restart systemd-sysctl.service
ip link add docker9 type bridge
/usr/lib/systemd/systemd-sysctl --prefix=/net/ipv4/conf/docker9
"""
FRESH = """
ip link add lab0 type bridge
/usr/lib/systemd/systemd-sysctl 2>/dev/null
cat /proc/sys/net/ipv4/conf/lab0/rp_filter
"""


def test_systemd_sysctl_ends_as_it_is_foretold(host: LabHost) -> None:
    wrong: dict[str, str] = {}
    for case, files in CASES.items():
        with laid(host, files):
            host.sh(RESET + BOOT, check=False)
            found = looked(host)
            foretold = {key: said(found.at_boot(key), "0") for key in BOOT_KEYS}
            wrong |= differences(case, foretold, values(host, BOOT_KEYS))
    assert wrong == {}


@pytest.mark.parametrize("case", [case for case in CASES if "rp_filter" in case])
def test_at_boot_an_interface_without_an_address_follows_default_until_it_is_set(host: LabHost, case: str) -> None:
    """In a namespace of its own: a kernel whose ``default`` was once written is never like a fresh one again."""
    key = interface_key("lab0", "rp_filter")
    with laid(host, CASES[case]):
        value = host.sh(f"unshare --net sh -c '{FRESH}'").strip()
        assert value == said(looked(host).at_boot(key), "0")


@pytest.mark.parametrize("forwarding", [True, False], ids=["forwarding", "not forwarding"])
def test_sysctl_system_ends_as_it_is_foretold(host: LabHost, *, forwarding: bool) -> None:
    wrong: dict[str, str] = {}
    for case, files in CASES.items():
        with laid(host, files):
            host.sh(RESET + (SWITCH_ON if forwarding else ""), check=False)
            before = values(host, LIVE_KEYS)
            host.sh("sysctl --system", check=False)
            found = looked(host)
            foretold = {key: said(found.by_procps(key, forwarding=forwarding), before[key]) for key in LIVE_KEYS}
            wrong |= differences(case, foretold, values(host, LIVE_KEYS))
    assert wrong == {}


def test_systemd_sysctl_restarted_on_a_forwarding_host_ends_as_it_is_foretold(host: LabHost) -> None:
    """A switch that is on already is not handed on: the same files end otherwise than at boot."""
    wrong: dict[str, str] = {}
    for case, files in CASES.items():
        with laid(host, files):
            host.sh(RESET + SWITCH_ON, check=False)
            host.sh(BOOT, check=False)
            found = looked(host)
            foretold = {key: said(found.at_boot(key, forwarding=True), "1") for key in FORWARDING}
            wrong |= differences(case, foretold, values(host, FORWARDING))
    assert wrong == {}


def looked(host: LabHost) -> SysctlFiles:
    [probe] = SYSCTL_FILES.probes
    assert isinstance(probe, Probe)
    found = SYSCTL_FILES.parse({probe.name: Output(host.sh(f"LC_ALL=C\n{probe.command}"))})
    assert isinstance(found, SysctlFiles)
    return found


def said(line: SysctlLine | None, otherwise: str) -> str:
    return str(int(line.value or "", 0)) if line else otherwise


def values(host: LabHost, keys: Sequence[str]) -> dict[str, str]:
    paths = " ".join(f"/proc/sys/{key.translate(SWAPPED)}" for key in keys)
    return dict(zip(keys, host.sh(f"cat {paths}").split(), strict=True))


def differences(case: str, foretold: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{case}: {key}": f"foretold {foretold[key]}, found {found[key]}"
        for key in found
        if foretold[key] != found[key]
    }


@contextmanager
def laid(host: LabHost, files: Mapping[str, str]) -> Iterator[None]:
    """These files on the host, and what was there before afterwards."""
    before = {path: _content(host, path) for path in files}
    try:
        for path, content in files.items():
            _lay(host, path, content)
        yield
    finally:
        for path, was in before.items():
            _lay(host, path, was)


def _content(host: LabHost, path: str) -> str | None:
    at = host.path(path)
    if at.is_symlink():
        return f"{LINK}{at.readlink()}"
    return at.read_text() if at.exists() else None


def _lay(host: LabHost, path: str, content: str | None) -> None:
    at = host.path(path)
    at.unlink(missing_ok=True)
    if content is None:
        return
    at.parent.mkdir(parents=True, exist_ok=True)
    if content.startswith(LINK):
        at.symlink_to(content.removeprefix(LINK))
    else:
        at.write_text(content)
