"""Which file decides whether forwarding is on: the orders of systemd-sysctl and of procps."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checks.facts.sysctl_files import SysctlFiles, SysctlLine, parse
from checks.facts.sysctl_order import CONNTRACK_MAX, interface_key
from checks.fixes.sysctl import ip_forward, overridden
from checks.model import Output
from checks.source import UnparsableError


def files(*lines: tuple[str, str], others: tuple[str, ...] = (), rhel7: bool = False) -> SysctlFiles:
    """Files that each hold one ``key = value`` line."""
    parsed = tuple(line_of(path, setting) for path, setting in lines)
    return SysctlFiles(tuple({path for path, _ in lines} | set(others)), parsed, rhel7=rhel7)


def line_of(path: str, setting: str) -> SysctlLine:
    """``key = value``, or ``-key`` for an exclusion."""
    if " = " in setting:
        key, value = setting.split(" = ")
        return SysctlLine(path, 1, key, value)
    return SysctlLine(path, 1, setting.removeprefix("-"), None, dash=True)


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


def listed(*said: str, systemd: str = "252", procps: str = "4.0.2") -> SysctlFiles:
    """What the probe prints of a host, parsed."""
    lines = (f"systemd {systemd}", f"procps {procps}", "platform ", *said, "end", "")
    return parse({"sysctl-files": Output("\n".join(lines))})


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
        ("net.ipv4.conf.eth0/5.rp_filter = 2", "net.ipv4.conf.eth0/5.rp_filter", "2"),
        ("net.netfilter.nf_conntrack_max=262144", "net.netfilter.nf_conntrack_max", "262144"),
        ("net.ipv4.ip_forward = 1 # by hand", "net.ipv4.ip_forward", "1"),
        ("net.ipv4.ip_forward =", "net.ipv4.ip_forward", ""),
    ],
)
def test_every_way_to_write_a_line_is_read(text: str, key: str, value: str | None) -> None:
    found = listed("file /etc/sysctl.d/x.conf", f"line /etc/sysctl.d/x.conf:7:{text}")
    assert found.lines == (SysctlLine("/etc/sysctl.d/x.conf", 7, key, value),)


@pytest.mark.parametrize("text", ["net.ipv4.ip_forward 0", "net.ipv4.ip_forward"])
def test_a_line_without_an_assignment_is_passed_over(text: str) -> None:
    assert listed("file /etc/sysctl.d/x.conf", f"line /etc/sysctl.d/x.conf:7:{text}").lines == ()


def test_a_file_that_may_not_be_read_is_named() -> None:
    assert listed("file /etc/sysctl.d/x.conf", "unreadable /etc/sysctl.d/x.conf").unreadable == (
        "/etc/sysctl.d/x.conf",
    )


def test_silence_is_not_taken_for_no_files() -> None:
    with pytest.raises(UnparsableError, match="no such shell"):
        parse({"sysctl-files": Output("", "no such shell")})


def test_a_list_that_was_cut_off_is_not_taken_for_the_whole() -> None:
    with pytest.raises(UnparsableError, match="cut off"):
        parse({"sysctl-files": Output("systemd 252\nprocps 4.0.2\nplatform \nfile /etc/sysctl.conf\n")})


def test_a_link_is_read_at_its_own_place_and_named_by_the_file_that_has_to_be_edited() -> None:
    found = listed(
        "file /etc/sysctl.d/99-sysctl.conf",
        "link /etc/sysctl.d/99-sysctl.conf -> /etc/sysctl.conf",
        "file /etc/sysctl.conf",
        "line /etc/sysctl.conf:3:net.ipv4.ip_forward = 0",
        "line /etc/sysctl.conf:3:net.ipv4.ip_forward = 0",
    )
    assert decided(found.at_boot()) == "/etc/sysctl.conf"
    assert overridden(found, ip_forward()) == (SysctlLine("/etc/sysctl.conf", 3, "net.ipv4.ip_forward", "0"),)


def test_a_link_to_dev_null_hides_what_the_distribution_ships() -> None:
    found = listed(
        "file /etc/sysctl.d/90-x.conf",
        "link /etc/sysctl.d/90-x.conf -> /dev/null",
        "file /usr/lib/sysctl.d/90-x.conf",
        "line /usr/lib/sysctl.d/90-x.conf:1:net.ipv4.ip_forward = 0",
    )
    assert found.at_boot() is None


def test_before_3_3_17_procps_lets_run_hide_etc() -> None:
    lines = (
        "file /etc/sysctl.d/50-x.conf",
        "line /etc/sysctl.d/50-x.conf:1:net.ipv4.ip_forward = 1",
        "file /run/sysctl.d/50-x.conf",
        "line /run/sysctl.d/50-x.conf:1:net.ipv4.ip_forward = 0",
    )
    assert decided(listed(*lines, procps="3.3.16").by_procps()) == "/run/sysctl.d/50-x.conf"
    assert decided(listed(*lines, procps="3.3.17").by_procps()) == "/etc/sysctl.d/50-x.conf"
    assert decided(listed(*lines, procps="3.3.16").at_boot()) == "/etc/sysctl.d/50-x.conf"


def test_systemd_219_knows_no_globs_and_no_dash() -> None:
    found = files(
        ("/etc/sysctl.d/10-a.conf", "net.ipv4.conf.*.forwarding = 1"), ("/etc/sysctl.d/20-b.conf", "-net.ipv4.x")
    )
    assert decided(found.at_boot()) == "/etc/sysctl.d/10-a.conf"
    assert replace(found, systemd=219).at_boot() is None
    forgiving = listed("file /etc/sysctl.conf", "line /etc/sysctl.conf:1:-net.ipv4.ip_forward = 1", procps="3.3.10")
    assert forgiving.by_procps() is None


NIC, BRIDGE = interface_key("eth0", "forwarding"), interface_key("docker0", "forwarding")


def test_an_interface_is_switched_off_by_its_own_line_behind_the_host_s() -> None:
    found = files(("/etc/sysctl.d/10-a.conf", ON), ("/etc/sysctl.d/20-b.conf", f"{NIC} = 0"))
    assert decided(found.at_boot()) == "/etc/sysctl.d/10-a.conf"
    assert decided(found.at_boot(NIC)) == "/etc/sysctl.d/20-b.conf"
    assert decided(found.at_boot(interface_key("eth1", "forwarding"))) == "/etc/sysctl.d/10-a.conf"


def test_the_host_s_switch_overrides_an_interface_only_where_it_changes() -> None:
    """So the same files end otherwise at boot than when they are loaded again on a host that forwards."""
    found = files(("/etc/sysctl.d/10-a.conf", f"{NIC} = 0"), ("/etc/sysctl.d/20-b.conf", ON))
    assert decided(found.at_boot(NIC)) == "/etc/sysctl.d/20-b.conf"
    assert decided(found.by_procps(NIC, forwarding=True)) == "/etc/sysctl.d/10-a.conf"
    assert decided(found.by_procps(NIC, forwarding=False)) == "/etc/sysctl.d/20-b.conf"


def test_a_line_that_repeats_an_earlier_one_keeps_the_earlier_place() -> None:
    found = files(
        ("/etc/sysctl.d/10-a.conf", ON),
        ("/etc/sysctl.d/20-b.conf", "net.ipv4.conf.all.forwarding = 0"),
        ("/etc/sysctl.d/30-c.conf", ON),
    )
    assert decided(found.at_boot()) == "/etc/sysctl.d/20-b.conf"
    assert decided(found.by_procps()) == "/etc/sysctl.d/30-c.conf"


def test_a_glob_leaves_out_what_is_named_or_excluded() -> None:
    glob = "net.ipv4.conf.*.forwarding = 0"
    named = files(("/etc/sysctl.d/10-a.conf", f"{NIC} = 1"), ("/etc/sysctl.d/20-b.conf", glob))
    assert decided(named.at_boot(NIC)) == "/etc/sysctl.d/10-a.conf"
    excluded = files(("/etc/sysctl.d/10-a.conf", glob), ("/etc/sysctl.d/20-b.conf", f"-{NIC}"))
    assert decided(excluded.at_boot(interface_key("eth1", "forwarding"))) == "/etc/sysctl.d/10-a.conf"
    assert decided(excluded.by_procps(NIC, forwarding=False)) == "nobody"


def test_an_exclusion_that_is_a_glob_counts_for_procps_4_0_5_alone() -> None:
    found = files(
        ("/etc/sysctl.d/10-a.conf", "net.ipv4.conf.*.rp_filter = 1"),
        ("/etc/sysctl.d/20-b.conf", "-net.ipv4.conf.eth*.rp_filter"),
    )
    key = interface_key("eth0", "rp_filter")
    assert decided(found.at_boot(key)) == "/etc/sysctl.d/10-a.conf"
    assert decided(found.by_procps(key)) == "/etc/sysctl.d/10-a.conf"
    assert decided(replace(found, procps=(4, 0, 5)).by_procps(key)) == "nobody"


def test_a_bridge_that_dockerd_makes_begins_with_what_default_says() -> None:
    found = files(("/etc/sysctl.d/10-a.conf", ON), ("/etc/sysctl.d/20-b.conf", "net.ipv4.conf.default.forwarding = 0"))
    assert decided(found.at_boot(BRIDGE)) == "/etc/sysctl.d/20-b.conf"
    assert decided(found.at_boot(NIC)) == "/etc/sysctl.d/10-a.conf"


def test_rp_filter_of_an_interface_is_its_own_line_else_that_of_default_else_nobody_s() -> None:
    default = ("/etc/sysctl.d/20-b.conf", "net.ipv4.conf.default.rp_filter = 1")
    all_of_them = ("/etc/sysctl.d/30-c.conf", "net.ipv4.conf.all.rp_filter = 1")
    own = ("/etc/sysctl.d/10-a.conf", "net.ipv4.conf.eth0.rp_filter = 2")
    key = interface_key("eth0", "rp_filter")
    assert decided(files(own, default, all_of_them).at_boot(key)) == "/etc/sysctl.d/10-a.conf"
    assert decided(files(default, all_of_them).at_boot(key)) == "/etc/sysctl.d/20-b.conf"
    assert decided(files(default, all_of_them).by_procps(key)) == "nobody"
    assert decided(files(default, all_of_them).at_boot(interface_key("all", "rp_filter"))) == "/etc/sysctl.d/30-c.conf"


def test_conntrack_s_size_has_two_names() -> None:
    found = files(
        ("/etc/sysctl.d/10-a.conf", f"{CONNTRACK_MAX} = 1000000"),
        ("/etc/sysctl.d/20-b.conf", "net.nf_conntrack_max = 65536"),
    )
    assert decided(found.at_boot(CONNTRACK_MAX)) == "/etc/sysctl.d/20-b.conf"
    assert decided(found.by_procps(CONNTRACK_MAX)) == "/etc/sysctl.d/20-b.conf"


def test_a_value_that_the_kernel_refuses_undoes_the_line_before_it_for_systemd_only() -> None:
    found = files(("/etc/sysctl.d/10-a.conf", ON), ("/etc/sysctl.d/20-b.conf", "net.ipv4.ip_forward = yes"))
    assert decided(found.at_boot()) == "nobody"
    assert decided(found.by_procps()) == "/etc/sysctl.d/10-a.conf"


def test_ufw_loads_its_own_file_after_all_others() -> None:
    found = listed(
        "ufw /etc/ufw/sysctl.conf",
        "file /etc/sysctl.d/99-zz.conf",
        "line /etc/sysctl.d/99-zz.conf:1:net.ipv4.ip_forward = 1",
        "file /etc/ufw/sysctl.conf",
        "line /etc/ufw/sysctl.conf:8:net/ipv4/ip_forward=0",
    )
    assert decided(found.at_boot()) == "/etc/ufw/sysctl.conf"
    assert decided(found.by_procps()) == "/etc/sysctl.d/99-zz.conf"
    assert decided(replace(found, ufw=None).at_boot()) == "/etc/sysctl.d/99-zz.conf"


FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d")
SETTINGS = st.builds(
    "{} = {}".format,
    st.sampled_from(["net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv4.conf.*.forwarding", NIC]),
    st.sampled_from("01"),
)
PATHS = st.builds("{}/{}.conf".format, st.sampled_from(FOLDERS), st.sampled_from(["10-a", "50-b", "90-c", "99-zzz"]))
FILE_SETS = st.dictionaries(PATHS | st.just("/etc/sysctl.conf"), SETTINGS).map(lambda one: files(*one.items()))


@given(FILE_SETS, st.sampled_from([ON, OFF]))
def test_for_procps_a_file_that_sorts_first_and_hides_none_changes_no_winner(found: SysctlFiles, first: str) -> None:
    """For systemd it may: a later line that repeats it takes its place, and then an alias between them wins."""
    winner = found.by_procps()
    assume(winner is not None)
    assert found.with_line(line_of("/etc/sysctl.d/00-first.conf", first)).by_procps() == winner


@given(found=FILE_SETS, key=st.sampled_from(["net.ipv4.ip_forward", NIC, BRIDGE]), forwarding=st.booleans())
def test_what_is_hidden_decides_nothing(found: SysctlFiles, key: str, forwarding: bool) -> None:  # noqa: FBT001  # hypothesis gives it by name
    for line in found.lines:
        folder, _, name = line.path.rpartition("/")
        if folder in FOLDERS and any(f"{before}/{name}" in found.files for before in FOLDERS[: FOLDERS.index(folder)]):
            bare = found.without(line)
            assert bare.at_boot(key) == found.at_boot(key)
            assert bare.by_procps(key, forwarding=forwarding) == found.by_procps(key, forwarding=forwarding)


@given(FILE_SETS)
def test_what_the_fix_comments_out_is_enough_for_its_file_to_win(found: SysctlFiles) -> None:
    ours = SysctlLine("/etc/sysctl.d/99-zz-dockerhealth.conf", 1, "net.ipv4.ip_forward", "1")
    after = found.with_line(ours)
    for line in overridden(found, ip_forward()):
        after = after.without(line)
    for winner in (after.at_boot(), after.by_procps()):
        assert winner is not None
        assert winner.is_on
