"""Which file decides whether forwarding is on: the orders of systemd-sysctl and of procps."""

import pytest

from checks.facts.sysctl_files import SysctlFiles, SysctlLine, parse
from checks.model import Output
from checks.source import UnparsableError


def files(*lines: tuple[str, str], others: tuple[str, ...] = (), rhel7: bool = False) -> SysctlFiles:
    """Files that each hold one ``key = value`` line."""
    parsed = tuple(SysctlLine(path, 1, *setting.split(" = ")) for path, setting in lines)
    return SysctlFiles(tuple({path for path, _ in lines} | set(others)), parsed, rhel7=rhel7)


ON, OFF = "net.ipv4.ip_forward = 1", "net.ipv4.ip_forward = 0"


def decided(line: SysctlLine | None) -> str:
    return line.path if line else "nobody"


def test_the_name_that_sorts_last_wins_whatever_its_directory() -> None:
    found = files(("/etc/sysctl.d/10-ours.conf", ON), ("/usr/lib/sysctl.d/90-vendor.conf", OFF))
    assert decided(found.at_boot()) == "/usr/lib/sysctl.d/90-vendor.conf"


def test_a_name_in_etc_hides_the_same_name_elsewhere_even_when_it_is_silent() -> None:
    found = files(("/usr/lib/sysctl.d/90-vendor.conf", OFF), others=("/etc/sysctl.d/90-vendor.conf",))
    assert decided(found.at_boot()) == "nobody"


def test_run_hides_what_the_distribution_ships() -> None:
    found = files(("/usr/lib/sysctl.d/50-x.conf", OFF), ("/run/sysctl.d/50-x.conf", ON))
    assert decided(found.at_boot()) == "/run/sysctl.d/50-x.conf"


def test_sysctl_conf_is_read_last_by_procps_and_not_at_all_by_systemd() -> None:
    found = files(("/etc/sysctl.d/99-zz.conf", ON), ("/etc/sysctl.conf", OFF))
    assert decided(found.at_boot()) == "/etc/sysctl.d/99-zz.conf"
    assert decided(found.by_procps()) == "/etc/sysctl.conf"


def test_a_link_in_sysctl_d_brings_sysctl_conf_in_at_its_place() -> None:
    found = files(("/etc/sysctl.d/99-sysctl.conf", OFF), ("/etc/sysctl.conf", OFF), ("/etc/sysctl.d/99-zz.conf", ON))
    assert decided(found.at_boot()) == "/etc/sysctl.d/99-zz.conf"


def test_rhel_7_reads_sysctl_conf_once_more_at_the_end() -> None:
    found = files(("/etc/sysctl.d/99-zz.conf", ON), ("/etc/sysctl.conf", OFF), rhel7=True)
    assert decided(found.at_boot()) == "/etc/sysctl.conf"


def test_the_alias_for_all_interfaces_is_the_same_switch() -> None:
    found = files(("/etc/sysctl.d/10-a.conf", ON), ("/etc/sysctl.d/20-b.conf", "net.ipv4.conf.all.forwarding = 0"))
    assert decided(found.at_boot()) == "/etc/sysctl.d/20-b.conf"


def test_one_interface_of_its_own_does_not_decide_for_the_host() -> None:
    found = files(("/etc/sysctl.d/10-a.conf", ON), ("/etc/sysctl.d/20-b.conf", "net.ipv4.conf.eth0.forwarding = 0"))
    assert decided(found.at_boot()) == "/etc/sysctl.d/10-a.conf"


def test_the_last_line_of_a_file_wins_within_it() -> None:
    path = "/etc/sysctl.d/10-a.conf"
    lines = (SysctlLine(path, 3, "net.ipv4.ip_forward", "0"), SysctlLine(path, 9, "net.ipv4.ip_forward", "1"))
    line = SysctlFiles((path,), lines).at_boot()
    assert line is not None
    assert line.number == 9


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward", "1"),
        ("net.ipv4.ip_forward=0", "net.ipv4.ip_forward", "0"),
        ("  -net/ipv4/ip_forward = 0  ", "net.ipv4.ip_forward", "0"),
        ("net/ipv4/conf/all/forwarding=1", "net.ipv4.conf.all.forwarding", "1"),
        ("net.ipv4.conf.*.forwarding = 0", "net.ipv4.conf.*.forwarding", "0"),
        ("net/ipv4/conf/eth0.5/forwarding = 0", "net.ipv4.conf.eth0/5.forwarding", "0"),
        ("-net.ipv4.ip_forward", "net.ipv4.ip_forward", None),
    ],
)
def test_every_way_to_write_a_line_is_read(text: str, key: str, value: str | None) -> None:
    found = parse(
        {"sysctl-files": Output(f"platform \nfile /etc/sysctl.d/x.conf\nline /etc/sysctl.d/x.conf:7:{text}\n")}
    )
    assert found.lines == (SysctlLine("/etc/sysctl.d/x.conf", 7, key, value),)


def test_a_file_that_may_not_be_read_is_named() -> None:
    output = Output("platform \nfile /etc/sysctl.d/x.conf\n", "grep: /etc/sysctl.d/x.conf: Permission denied\n", 2)
    assert parse({"sysctl-files": output}).unreadable == ("/etc/sysctl.d/x.conf",)


def test_silence_is_not_taken_for_no_files() -> None:
    with pytest.raises(UnparsableError, match="no such shell"):
        parse({"sysctl-files": Output("", "no such shell")})
