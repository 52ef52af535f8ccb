"""Facts about what was changed on a host: configuration files, packages, and the network service of initscripts."""

from datetime import UTC, datetime

import pytest

from checks.facts import config_files, network_service, packages
from checks.facts.config_files import ConfigFile
from checks.facts.network_service import NetworkService, ScriptLine
from checks.facts.packages import PackageChange
from checks.model import Output
from checks.source import Unavailable, UnparsableError
from tests.histories import NETWORK_SERVICE


def service(text: str) -> NetworkService:
    return network_service.parse({"network-service": Output(text)})


def changes(*lines: str) -> tuple[PackageChange, ...] | Unavailable:
    return packages.parse({"packages": Output("\n".join((*lines, "end", "")))})


def files(text: str) -> tuple[ConfigFile, ...]:
    return config_files.parse({"config-files": Output(text)})


def test_the_line_that_switches_forwarding_off_is_found_once() -> None:
    line = NETWORK_SERVICE.splitlines(keepends=True)[3]
    found = service(NETWORK_SERVICE.replace(line, line * 3))
    reset = ScriptLine("/etc/rc.d/init.d/network", 237, "sysctl -w net.ipv4.ip_forward=0 > /dev/null 2>&1")
    assert found == NetworkService(installed=True, enabled=True, active=True, resets=(reset,))


def test_a_script_of_sysv_is_enabled_by_its_link() -> None:
    said = "LoadState=loaded\nActiveState=active\nUnitFileState=bad\nlinked yes\nend\n"
    assert service(said).enabled
    assert not service(said.replace("linked yes\n", "")).enabled


def test_a_host_without_a_network_service_has_none() -> None:
    assert service("LoadState=not-found\nActiveState=inactive\nUnitFileState=\nend\n") == NetworkService(
        installed=False
    )


def test_a_script_that_cannot_be_read_is_named() -> None:
    said = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nunreadable /etc/init.d/network\nend\n"
    assert service(said).unreadable == ("/etc/init.d/network",)


@pytest.mark.parametrize("text", ["", "end\n", "LoadState=loaded\n", NETWORK_SERVICE.replace(":237:", "")])
def test_a_network_service_that_systemctl_does_not_tell_of_is_not_a_missing_one(text: str) -> None:
    with pytest.raises(UnparsableError):
        service(text)


def test_files_are_read_with_their_times_and_owners() -> None:
    [file] = files("1795534014 webpanel /etc/sysconfig/network-scripts/ifcfg-eth0:1 old\nend\n")
    assert file.path == "/etc/sysconfig/network-scripts/ifcfg-eth0:1 old"
    assert (file.owner, file.written) == ("webpanel", datetime(2026, 11, 24, 15, 26, 54, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "1795534014 root /etc/hosts\n", "x root /etc/hosts\nend\n"])
def test_a_list_of_files_that_is_cut_off_is_no_list(text: str) -> None:
    with pytest.raises(UnparsableError):
        files(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dpkg 2026-11-24 14:03:12 upgrade docker.io:amd64 20.10 26.1", "upgraded from 20.10 to 26.1"),
        ("dpkg 2026-11-24 14:03:12 install docker.io:amd64 <none> 26.1", "installed: 26.1"),
        ("dpkg 2026-11-24 14:03:12 remove docker.io:amd64 26.1 <none>", "removed"),
        ("rpm 1795528992 docker.io 26.1-3.el7", "installed or upgraded: 26.1-3.el7"),
    ],
)
def test_packages_are_read_from_dpkg_s_log_or_from_rpm(line: str, expected: str) -> None:
    found = changes("zone +0000", line)
    assert not isinstance(found, Unavailable)
    assert [(change.at, change.name, change.says) for change in found] == [
        (datetime(2026, 11, 24, 14, 3, 12, tzinfo=UTC), "docker.io", expected)
    ]


def test_local_times_are_put_right_on_both_sides_of_greenwich() -> None:
    west = changes("zone -0530", "dpkg 2026-11-24 08:33:12 remove ufw:all 1 <none>")
    assert not isinstance(west, Unavailable)
    assert west[0].at == datetime(2026, 11, 24, 14, 3, 12, tzinfo=UTC)


def test_no_log_and_no_rpm_is_not_the_same_as_no_change() -> None:
    assert changes("zone +0000") == ()
    assert isinstance(changes("zone +0000", "unreadable"), Unavailable)


@pytest.mark.parametrize("lines", [("nonsense",), ("zone UTC",), ("zone +0000", "dpkg x"), ("zone +0000", "deb y")])
def test_what_packages_never_print_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(UnparsableError):
        changes(*lines)
